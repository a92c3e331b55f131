/* The manual half of the memory interface: mimalloc, or libc's malloc in the sanitizer flavours. */
#include <weft/mem.h>

#include <stdlib.h>

#if WEFT_MIMALLOC
#include <mimalloc.h>
#else
#define mi_malloc        malloc
#define mi_calloc        calloc
#define mi_realloc       realloc
#define mi_aligned_alloc aligned_alloc
#define mi_free          free
#endif

void *weft_malloc(size_t size)
{
	return mi_malloc(size);
}

void *weft_calloc(size_t n, size_t size)
{
	return mi_calloc(n, size);
}

void *weft_realloc(void *p, size_t size)
{
	return mi_realloc(p, size);
}

void *weft_aligned_alloc(size_t alignment, size_t size)
{
	return mi_aligned_alloc(alignment, size);
}

void weft_free(void *p)
{
	mi_free(p);
}
