/* The manual half of the memory interface: mimalloc, or libc's malloc in the sanitizer flavours. */
#include "alloc/manual.h"
#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <weft/mem.h>

#include <stdint.h>
#include <stdlib.h>

#if WEFT_MIMALLOC
#include <mimalloc.h>
#else
#define mi_malloc           malloc
#define mi_calloc           calloc
#define mi_realloc          realloc
#define mi_malloc_aligned(size, alignment) aligned_alloc(alignment, size)
#define mi_free             free
#endif

static struct {
	_Atomic uintptr_t base;
	_Atomic size_t bytes;
} refused;

/* R1 manual_refuse: store_rel(bytes) -> A1 check: load_acq(bytes)   the base: threads may give back before weft_main */
void manual_refuse(const void *base, size_t bytes)
{
	store_rlx(&refused.base, (uintptr_t)base);
	store_rel(&refused.bytes, bytes); /* R1 */
}

static void check(const void *p, const char *call)
{
	size_t bytes = load_acq(&refused.bytes); /* A1 */
	if (unlikely((uintptr_t)p - load_rlx(&refused.base) < bytes))
		fatal("%s of a collected object: %p", call, p);
}

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
	check(p, "weft_realloc");
	return mi_realloc(p, size);
}

void *weft_aligned_alloc(size_t alignment, size_t size)
{
	/* mimalloc 2.0.9 takes blocks of 256 to 1024 bytes for aligned to their size, which they are not. One byte more
	 * than a multiple of the alignment goes the way that looks. */
	if (WEFT_MIMALLOC && size < SIZE_MAX)
		size |= alignment > 128;
	return mi_malloc_aligned(size, alignment);
}

void weft_free(void *p)
{
	check(p, "weft_free");
	mi_free(p);
}
