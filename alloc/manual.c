/* The manual half of the memory interface: mimalloc, or libc's malloc in the sanitizer flavours. */
#include "alloc/manual.h"
#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "lockfree/spin.h"

#include <weft/mem.h>

#include <link.h>
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
	_Atomic uintptr_t unbased; /* the complement of the base, which is the first object's address too, and keeps it not */
	_Atomic size_t bytes;
} refused;

/* R1 manual_refuse: store_rel(bytes) -> A1 check: load_acq(bytes)   the base: threads may give back before weft_main */
void manual_refuse(const void *base, size_t bytes)
{
	store_rlx(&refused.unbased, ~(uintptr_t)base);
	store_rel(&refused.bytes, bytes); /* R1 */
}

static void check(const void *p, const char *call)
{
	size_t bytes = load_acq(&refused.bytes); /* A1 */
	if (unlikely((uintptr_t)p - ~load_rlx(&refused.unbased) < bytes))
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

/* ---- which blocks there are ---- */

static struct spin closing;

void manual_heaps_hold(void)
{
	spin_lock(&closing);
}

void manual_heaps_let_go(void)
{
	spin_unlock(&closing);
}

void manual_heap_close(_Atomic(void *) *slot)
{
	spin_lock(&closing);
	store_rlx(slot, NULL);
	spin_unlock(&closing);
}

struct code {
	uintptr_t function, from, to;
};

static int find_code(struct dl_phdr_info *object, size_t size, void *arg)
{
	struct code *c = arg;
	(void)size;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &object->dlpi_phdr[i];
		uintptr_t from = object->dlpi_addr + h->p_vaddr;
		if (h->p_type == PT_LOAD && h->p_flags & PF_X && c->function - from < h->p_memsz) {
			c->from = from;
			c->to = from + h->p_memsz;
			return 1;
		}
	}
	return 0;
}

void manual_find_code(uintptr_t *from, uintptr_t *to)
{
	struct code c = {.function = (uintptr_t)mi_free, .to = UINTPTR_MAX};
	dl_iterate_phdr(find_code, &c);
	*from = c.from;
	*to = c.to;
}

#if WEFT_MIMALLOC

void manual_heap_open(_Atomic(void *) *slot)
{
	store_rlx(slot, mi_heap_get_backing());
}

struct visit {
	void (*area)(void *arg, const struct manual_area *);
	void (*block)(void *arg, uintptr_t at);
	void *arg;
};

static bool visit(const mi_heap_t *heap, const mi_heap_area_t *a, void *block, size_t size, void *arg)
{
	const struct visit *v = arg;
	(void)heap, (void)size;
	if (block)
		v->block(v->arg, (uintptr_t)block);
	else
		v->area(v->arg, &(struct manual_area){(uintptr_t)a->blocks, (uintptr_t)a->blocks + a->reserved, a->block_size});
	return true;
}

void manual_heap_each(void *heap, void (*area)(void *, const struct manual_area *), void (*block)(void *, uintptr_t), void *arg)
{
	mi_heap_visit_blocks(heap, true, visit, &(struct visit){area, block, arg});
}

#else

void manual_heap_open(_Atomic(void *) *slot)
{
	store_rlx(slot, NULL);
}

void manual_heap_each(void *heap, void (*area)(void *, const struct manual_area *), void (*block)(void *, uintptr_t), void *arg)
{
	(void)heap, (void)area, (void)block, (void)arg;
}

#endif
