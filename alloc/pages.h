/* The heap's pages: runs of 8 KiB out of one reserved range, which grows by arenas of 64 MiB.
 *
 * Each page is one of
 *
 *     beyond      no arena's yet: address space and no more
 *     taken       somebody's
 *     free        nobody's, and still backed by memory, with whatever was written there
 *     empty       nobody's, backed by none, and reads as zeroes: never touched, or given back to the system
 *
 *     arenas * ARENA_PAGES = taken + free + empty
 *
 * Two bits a page say which (taken; empty), for the whole range, so that a run is found by looking at words of 64 pages, and two
 * neighbours that are given need no merging. First fit by address: what is used gathers at the low end, and whole arenas at the high end
 * become empty. A best fit would leave less over at once and more holes in the long run (Wilson, Johnstone, Neely and Boles,
 * "Dynamic Storage Allocation: A Survey and Critical Review", 1995); Go's page allocator has the same order.
 *
 * An address of the heap is told from others by one subtraction and one comparison, which is what a conservative scan asks of every
 * word; that is why it is one range. A run lies within an arena, or begins with one; an arena's memory comes from the node for which
 * it was made.
 *
 * The lock is held for a search, and for a system call only once for 2 MiB, when these are opened for the first time: what is given back to
 * the system is taken meanwhile. */
#ifndef ALLOC_PAGES_H
#define ALLOC_PAGES_H

#include "lockfree/spin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PAGE_SHIFT = 13,
	PAGE_BYTES = 1 << PAGE_SHIFT,
	ARENA_PAGES = 8192, /* 64 MiB: a multiple of the largest pages that kernels merge by themselves */
};

struct pages_arena {
	uint32_t nfree; /* free or empty */
	uint32_t most;	/* no run of free or empty pages is longer */
	int node;	/* for which it was made; -1: any */
};

struct pages {
	char *base; /* aligned as an arena is large */
	size_t npages;
	struct spin lock;
	/* Under the lock. */
	size_t narenas;
	size_t opened; /* pages, from the low end: they may be touched */
	size_t taken, free; /* pages */
	struct pages_arena *arenas;
	uint64_t *taken_bits, *empty_bits; /* a taken page's empty bit is clear */
	void *reserved;
	size_t reserved_bytes;
};

struct pages_run {
	void *at; /* NULL: there is none */
	bool zeroed;
};

struct pages_use {
	size_t arenas, taken, free, empty; /* bytes */
};

/* Reserves address space for a heap of so many bytes, or of a part of that if the system has no more: 0, or -ENOMEM if there is
 * not even one arena's. */
int pages_init(struct pages *, size_t bytes);
void pages_fini(struct pages *);

/* n pages in a row, which are of this node's arenas if there are any (-1: no matter). */
struct pages_run pages_take(struct pages *, size_t n, int node);

/* n pages in a row that are taken, not necessarily as one run. */
void pages_give(struct pages *, void *at, size_t n);

/* Gives up to so many bytes of free pages back to the system, those with high addresses first; how many bytes. It calls the
 * system once for each run. */
size_t pages_release(struct pages *, size_t bytes);

struct pages_use pages_use(struct pages *);

/* Is the address in the range? Then pages_index says in which page. */
static inline bool pages_has(const struct pages *p, uintptr_t address)
{
	return address - (uintptr_t)p->base < p->npages << PAGE_SHIFT;
}

static inline size_t pages_index(const struct pages *p, uintptr_t address)
{
	return (address - (uintptr_t)p->base) >> PAGE_SHIFT;
}

#endif
