/* Manual memory: for everything whose lifetime the program knows. It is mimalloc's; the collector never
 * looks at it. The sanitizer flavours use libc's, so that their checks apply. */
#ifndef WEFT_MEM_H
#define WEFT_MEM_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* As their namesakes in C11 (7.22.3): NULL when there is no memory. Free with weft_free, on any thread. */
WEFT_API void *weft_malloc(size_t);
WEFT_API void *weft_calloc(size_t n, size_t size);
WEFT_API void *weft_realloc(void *, size_t);
WEFT_API void *weft_aligned_alloc(size_t alignment, size_t size);
WEFT_API void weft_free(void *);

WEFT_END_DECLS

#endif
