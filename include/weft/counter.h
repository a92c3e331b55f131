/* A count that all cores add to at once and that is read seldom: each core has a share of its own, in a line of its own. */
#ifndef WEFT_COUNTER_H
#define WEFT_COUNTER_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_counter weft_counter;

/* 128 bytes for each core. Panics when there is no memory. */
WEFT_API weft_counter *weft_counter_make(void);
WEFT_API void weft_counter_free(weft_counter *); /* NULL: nothing happens */

/* Any thread; it never blocks. Beyond 64 bits it wraps. */
WEFT_API void weft_counter_add(weft_counter *, int64_t n);

/* What was added before is in it; of what is added meanwhile some may be and some not, whatever the order. So of a count that
 * only grows it is a value between the one at the beginning of the call and the one at its end. It orders nothing. */
WEFT_API int64_t weft_counter_sum(weft_counter *);

WEFT_END_DECLS

#endif
