/* From objects to the marks of what they point to: the inside of marking (gc/mark.h has the protocol). */
#ifndef GC_SCAN_H
#define GC_SCAN_H

#include "gc/mark.h"

/* Looks at what is marked in the span, and has not been looked at: of a large object a piece, of others as long as it is not enough. What the marker
 * does not come to is left to the next who takes the span. */
void gc_scan_span(struct gc_marker *, struct span *);

/* Nothing is on its way any more: all that has been seen is marked. */
void gc_see_all(struct gc_marker *);

static inline bool gc_is_enough(const struct gc_marker *m)
{
	return m->effort >= m->until;
}

/* ---- mark.c ---- */

void gc_queue_slow(struct gc_marker *, struct span *);

/* Something in the span was marked. */
static inline void gc_queue(struct gc_marker *m, struct span *s)
{
	if (!load_seq(&s->queued)) /* A2 */
		gc_queue_slow(m, s);
}

#endif
