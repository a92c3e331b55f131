/* The collected heap and marking, without the runtime: what an object costs to allocate, its share of sweeping included, and what it costs to mark.
 *
 * Allocation: each time that so many bytes have been allocated the heap is swept, by those who allocate. One slot in eight lives on for ever, so
 * that the next objects come into gaps of seven.
 *
 * Marking: a tree of small objects with two pointers each, which lie as they are walked; and as many objects of 64 bytes with no pointer that leads on, reached
 * from one array in no order. Objects are marked a thousand at a time, as one of their operations; when there is nothing more, all is swept, which
 * keeps everything, and marking begins again. */
#include "alloc/heap.h"
#include "bench/lockfree/rows.h"
#include "gc/mark.h"
#include "lockfree/assert.h"

#include <stdlib.h>

enum { ARENAS = 8, CYCLE_BYTES = 32 << 20, LEVELS = 19, OBJECTS = 1 << LEVELS, TOGETHER = 1000, FLAT_BYTES = 64 };
static const uint64_t one_in_eight = 0x0101010101010101;
static const uint64_t multiplier = 0x9e3779b1; /* odd: times this is another order of 2^n numbers */

static struct heap heap;
static struct heap_cache *cache;
static struct gc_marking marking;
static struct gc_marker *marker;
static uint32_t cell;
static size_t size, allocated;
static uintptr_t root;
static unsigned turn; /* of TOGETHER */

static const struct shape leaf = {SHAPE_LEAF, 0, 0}, two_pointers = {SHAPE_MAP, 4, 3}, one_pointer = {SHAPE_MAP, 8, 1},
			  pointers = {SHAPE_MAP, 1, 1};

/* Each row has a heap of its own, and the one before it is given back. */
static void start(size_t bytes, const struct shape *shape)
{
	if (cache)
		heap_fini(&heap);
	else if (!(cache = malloc(sizeof *cache)) || !(marker = aligned_alloc(CACHE_LINE, sizeof *marker)))
		fatal("out of memory");
	if (heap_init(&heap, (size_t)ARENAS * ARENA_PAGES << PAGE_SHIFT))
		fatal("cannot reserve memory for a heap");
	heap_cache_init(cache, &heap, -1);
	cell = heap_cell(&heap, bytes, shape);
	size = heap.cells[cell].size->size;
	allocated = turn = 0;
}

static void *take(void)
{
	void *object = heap_new(cache, cell, size);
	if (!object)
		fatal("out of memory for an object");
	return object;
}

static struct span *span_of_page(size_t page)
{
	return load_rlx(&heap.table[page]);
}

/* ---- allocating ---- */

static COLD void collect(void)
{
	struct span *before = NULL;
	size_t freed;
	while (heap_sweep_one(&heap, &freed))
		;
	for (size_t page = 0; page < heap.pages.narenas * ARENA_PAGES; page++) {
		struct span *s = span_of_page(page);
		for (size_t i = 0; s && s != before && i < SPAN_WORDS; i++)
			store_rlx(&s->marks[i], load_rlx(&s->used[i]) & one_in_eight);
		before = s;
	}
	heap_begin_sweeping(&heap);
	heap_flush(cache);
	allocated = 0;
}

static void allocate(void)
{
	void *object = take();
	__asm__ volatile("" : : "r"(object) : "memory");
	allocated += size;
	if (unlikely(allocated >= CYCLE_BYTES))
		collect();
}

static void start_16(void)
{
	start(16, &leaf);
}

static void start_64(void)
{
	start(64, &leaf);
}

static void start_256(void)
{
	start(256, &leaf);
}

/* ---- marking ---- */

static void begin_marking(void)
{
	gc_marking_init(&marking, &heap);
	gc_marker_init(marker, &marking);
	gc_mark(marker, root);
}

static COLD void mark_again(void)
{
	size_t freed;
	heap_begin_sweeping(&heap);
	heap_flush(cache);
	while (heap_sweep_one(&heap, &freed))
		;
	begin_marking();
}

static void mark(void)
{
	if (++turn % TOGETHER == 0 && !gc_mark_step(marker, TOGETHER * size, NULL, 0))
		mark_again();
}

static uintptr_t make_tree(int levels)
{
	uintptr_t *node = take();
	for (int i = 0; i < 2 && levels > 1; i++)
		node[i] = make_tree(levels - 1);
	return (uintptr_t)node;
}

static void start_tree(void)
{
	start(4 * sizeof(uintptr_t), &two_pointers);
	root = make_tree(LEVELS);
	begin_marking();
}

static void start_flat(void)
{
	start(FLAT_BYTES, &one_pointer);
	uintptr_t *array = heap_new_large(cache, OBJECTS * sizeof(uintptr_t), &pointers);
	if (!array)
		fatal("out of memory for an array");
	for (uint64_t i = 0; i < OBJECTS; i++)
		array[i * multiplier % OBJECTS] = (uintptr_t)take();
	root = (uintptr_t)array;
	begin_marking();
}

const struct row heap_rows[] = {
	{"heap-new-16", allocate, NULL, AT_ONCE, start_16},
	{"heap-new-64", allocate, NULL, AT_ONCE, start_64},
	{"heap-new-256", allocate, NULL, AT_ONCE, start_256},
	{"mark-tree", mark, NULL, AT_ONCE, start_tree},
	{"mark-flat", mark, NULL, AT_ONCE, start_flat},
	{0},
};
