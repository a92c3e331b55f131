#include "alloc/heap.h"
#include "alloc/os.h"
#include "tests/random.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = ARENA_PAGES << PAGE_SHIFT, ANY = -1 };

static struct heap heap;
static const struct shape leaf = {SHAPE_LEAF, 0, 0};

static struct heap_cache *begin(size_t narenas)
{
	CHECK_EQ(heap_init(&heap, narenas * ARENA_BYTES), 0);
	struct heap_cache *c = malloc(sizeof *c);
	heap_cache_init(c, &heap, ANY);
	return c;
}

static void end(struct heap_cache *c)
{
	free(c);
	heap_fini(&heap);
}

static void *allocate(struct heap_cache *c, uint32_t cell)
{
	return heap_new(c, cell, heap.cells[cell].size->size);
}

static void mark(const void *object)
{
	struct heap_object o = heap_find(&heap, (uintptr_t)object);
	CHECK(o.span);
	span_mark(o.span, o.slot);
}

static void collect(struct heap_cache *c)
{
	heap_begin_sweeping(&heap);
	heap_flush(c);
}

static size_t sweep_all(void)
{
	size_t freed, all = 0;
	while (heap_sweep_one(&heap, &freed))
		all += freed;
	CHECK(heap_is_swept(&heap));
	return all;
}

TEST(objects_of_a_cell_lie_side_by_side_and_zeroed)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, 40, &leaf);
	char *before = allocate(c, cell);
	for (int i = 1; i < 800; i++) {
		char *o = allocate(c, cell);
		CHECK(o == before + 40);
		for (int at = 0; at < 40; at++)
			CHECK_EQ(o[at], 0);
		memset(o, 0xff, 40);
		before = o;
	}
	end(c);
}

TEST(a_cell_is_a_size_and_a_shape)
{
	struct heap_cache *c = begin(1);
	const struct shape map = {SHAPE_MAP, 2, 1}, other = {SHAPE_MAP, 2, 2}, any = {SHAPE_CONSERVATIVE, 0, 0};
	uint32_t a = heap_cell(&heap, 30, &map);
	CHECK(a != HEAP_NO_CELL);
	CHECK_EQ(heap_cell(&heap, 32, &map), a);
	CHECK(heap_cell(&heap, 40, &map) != a);
	CHECK(heap_cell(&heap, 32, &other) != a);
	CHECK(heap_cell(&heap, 32, &any) != a);
	CHECK(heap_cell(&heap, 32, &leaf) != a);
	struct shape many = {SHAPE_MAP, 64, 0};
	uint32_t last;
	do {
		many.map++;
		last = heap_cell(&heap, 512, &many);
	} while (last != HEAP_NO_CELL);
	CHECK_EQ(heap.ncells, HEAP_CELLS);
	CHECK_EQ(heap_cell(&heap, 30, &map), a);
	end(c);
}

TEST(every_address_in_an_object_finds_it_and_no_other_does)
{
	struct heap_cache *c = begin(1);
	for (size_t size = 8; size <= SMALL_MOST; size += size < 256 ? 24 : 2360) {
		uint32_t cell = heap_cell(&heap, size, &leaf);
		size_t slot = heap.cells[cell].size->size;
		char *o = allocate(c, cell);
		for (size_t at = 0; at < slot; at++) {
			struct heap_object found = heap_find(&heap, (uintptr_t)o + at);
			CHECK(found.span && span_slot(found.span, found.slot) == o);
		}
		CHECK(heap_find(&heap, (uintptr_t)o - 1).span != heap_find(&heap, (uintptr_t)o).span);
	}
	CHECK(!heap_find(&heap, 0).span);
	CHECK(!heap_find(&heap, (uintptr_t)&heap).span);
	CHECK(!heap_find(&heap, (uintptr_t)heap.pages.base + ARENA_BYTES - 1).span);
	end(c);
}

TEST(what_is_left_over_at_a_spans_end_is_in_no_object)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, 40, &leaf);
	const struct size_class *k = heap.cells[cell].size;
	char *o = allocate(c, cell);
	for (unsigned i = 1; i < k->slots; i++)
		CHECK(allocate(c, cell));
	CHECK(heap_find(&heap, (uintptr_t)o + (size_t)k->slots * 40 - 1).span);
	CHECK(!heap_find(&heap, (uintptr_t)o + (size_t)k->slots * 40).span);
	end(c);
}

TEST(what_is_not_marked_is_free_and_comes_again_zeroed)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, 64, &leaf);
	char *o[512];
	for (int i = 0; i < 512; i++) {
		o[i] = allocate(c, cell);
		memset(o[i], 0xff, 64);
	}
	for (int i = 0; i < 512; i += 3)
		mark(o[i] + i % 64);
	collect(c);
	CHECK_EQ(sweep_all(), (512 - 171) * 64);
	for (int i = 0; i < 512; i++)
		CHECK_EQ(heap_find(&heap, (uintptr_t)o[i]).span != NULL, i % 3 == 0);
	for (int i = 0; i < 512; i++) {
		if (i % 3 == 0)
			continue;
		char *again = allocate(c, cell);
		CHECK(again == o[i]);
		CHECK_EQ(again[0] | again[63], 0);
	}
	for (int i = 0; i < 512; i += 3)
		CHECK_EQ(o[i][0], -1);
	end(c);
}

TEST(a_span_without_an_object_goes_back_to_the_pages)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, 1000, &leaf);
	void *o = NULL;
	for (int i = 0; i < 3200; i++)
		CHECK((o = allocate(c, cell)));
	size_t taken = pages_use(&heap.pages).taken;
	CHECK(taken >= 100 * 32768);
	collect(c);
	sweep_all();
	CHECK_EQ(pages_use(&heap.pages).taken, 0);
	CHECK(!load_rlx(&heap.table[pages_index(&heap.pages, (uintptr_t)o)]));
	CHECK(allocate(c, cell));
	end(c);
}

TEST(allocation_sweeps_what_it_needs)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, 64, &leaf);
	for (int i = 0; i < 512 * 20; i++) {
		char *o = allocate(c, cell);
		if (i % 2)
			mark(o);
	}
	size_t taken = pages_use(&heap.pages).taken;
	collect(c);
	for (int i = 0; i < 256 * 20; i++)
		CHECK(allocate(c, cell));
	CHECK_EQ(pages_use(&heap.pages).taken, taken);
	size_t freed;
	CHECK(!heap_sweep_one(&heap, &freed));
	CHECK(allocate(c, cell));
	CHECK(pages_use(&heap.pages).taken > taken);
	end(c);
}

TEST(black_objects_outlive_the_cycle_and_white_ones_do_not)
{
	struct heap_cache *c = begin(1);
	uint32_t cells[] = {heap_cell(&heap, 16, &leaf), heap_cell(&heap, 48, &leaf)};
	char *white[2][10], *black[2][300], *late[2][10];
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < 10; i++)
			white[k][i] = allocate(c, cells[k]);
	heap_recolour(c, HEAP_BLACK);
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < 300; i++)
			black[k][i] = allocate(c, cells[k]);
	char *large = heap_new_large(c, 100000, &leaf);
	heap_recolour(c, HEAP_WHITE);
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < 10; i++)
			late[k][i] = allocate(c, cells[k]);
	collect(c);
	sweep_all();
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < 300; i++)
			CHECK(heap_find(&heap, (uintptr_t)black[k][i]).span);
		for (int i = 0; i < 10; i++) {
			CHECK(!heap_find(&heap, (uintptr_t)white[k][i]).span);
			CHECK(!heap_find(&heap, (uintptr_t)late[k][i]).span);
		}
	}
	CHECK(heap_find(&heap, (uintptr_t)large).span);
	end(c);
}

static bool is_to_be_marked(const char *o)
{
	return heap_is_to_be_marked(&heap, (uintptr_t)o);
}

/* Whether or not its mark is there yet. */
TEST(black_objects_need_no_mark_and_white_ones_do)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, 16, &leaf);
	char *before = allocate(c, cell);
	CHECK(is_to_be_marked(before) && !is_to_be_marked(before + 16)); /* there is no object yet */
	heap_recolour(c, HEAP_BLACK);
	char *first = allocate(c, cell), *last = first;
	for (int i = 0; i < 5000; i++) { /* runs end */
		CHECK(!is_to_be_marked(last));
		last = allocate(c, cell);
	}
	CHECK(!is_to_be_marked(first) && !is_to_be_marked(last) && is_to_be_marked(before));
	heap_recolour(c, HEAP_WHITE);
	char *late = allocate(c, cell);
	CHECK(is_to_be_marked(late) && !is_to_be_marked(last));
	heap_recolour(c, HEAP_BLACK);
	CHECK(is_to_be_marked(late) && !is_to_be_marked(allocate(c, cell)));
	mark(late);
	CHECK(!is_to_be_marked(late));
	end(c);
}

TEST(a_flush_gives_back_what_was_not_allocated)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, 64, &leaf);
	char *o = allocate(c, cell);
	struct heap_object first = heap_find(&heap, (uintptr_t)o);
	span_mark(first.span, first.slot + 1); /* as by a stray word, had it been found */
	heap_flush(c);
	CHECK(heap_find(&heap, (uintptr_t)o).span && !heap_find(&heap, (uintptr_t)o + 64).span);
	CHECK_EQ(first.span->nused, 1);
	CHECK_EQ(c->allocated, 64);
	CHECK(allocate(c, cell) == o + 64);
	end(c);
}

TEST(what_is_not_allocated_yet_is_not_found)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, 64, &leaf);
	char *o = allocate(c, cell);
	for (int i = 1; i < 600; i++) {
		CHECK(heap_find(&heap, (uintptr_t)o + 63).span && !heap_find(&heap, (uintptr_t)o + 64).span);
		char *next = allocate(c, cell);
		CHECK(i % 512 == 0 || next == o + 64);
		o = next;
	}
	end(c);
}

TEST(a_cache_that_flushes_late_keeps_what_it_allocates)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, 64, &leaf);
	char *white = allocate(c, cell);
	heap_recolour(c, HEAP_BLACK);
	heap_begin_sweeping(&heap);
	char *late[600];
	for (int i = 0; i < 600; i++) /* the first span is full meanwhile, and waits to be swept */
		late[i] = allocate(c, cell);
	char *large = heap_new_large(c, 100000, &leaf);
	heap_flush(c);
	heap_recolour(c, HEAP_WHITE);
	sweep_all();
	CHECK(!heap_find(&heap, (uintptr_t)white).span);
	for (int i = 0; i < 600; i++) {
		struct heap_object o = heap_find(&heap, (uintptr_t)late[i]);
		CHECK(o.span && !span_is_marked(o.span, o.slot));
	}
	CHECK(heap_find(&heap, (uintptr_t)large).span);
	end(c);
}

TEST(large_objects_have_pages_of_their_own)
{
	struct heap_cache *c = begin(3);
	char *small = heap_new_large(c, SMALL_MOST + 1, &leaf), *large = heap_new_large(c, ARENA_BYTES + 1, &leaf);
	CHECK(small && large);
	CHECK(heap_find(&heap, (uintptr_t)large + ARENA_BYTES).span->base == large);
	CHECK(!heap_new_large(c, 2 * (size_t)ARENA_BYTES, &leaf));
	CHECK(!heap_new_large(c, SIZE_MAX, &leaf));
	memset(large, 1, ARENA_BYTES + 1);
	mark(small + SMALL_MOST);
	collect(c);
	CHECK_EQ(sweep_all(), ARENA_BYTES + PAGE_BYTES);
	CHECK(heap_find(&heap, (uintptr_t)small).span && !heap_find(&heap, (uintptr_t)large).span);
	char *again = heap_new_large(c, ARENA_BYTES, &leaf);
	CHECK_EQ(again[0] | again[ARENA_BYTES - 1], 0);
	end(c);
}

TEST(a_full_heap_gives_none_and_recovers)
{
	struct heap_cache *c = begin(1);
	uint32_t cell = heap_cell(&heap, SMALL_MOST, &leaf);
	size_t n = 0;
	while (allocate(c, cell))
		n++;
	CHECK_EQ(n, ARENA_BYTES / SMALL_MOST);
	CHECK(!allocate(c, cell));
	collect(c);
	CHECK(allocate(c, cell));
	end(c);
}

TEST(no_memory_for_the_table_is_an_error)
{
	os_fail_at(OS_RESERVE, 2, ENOMEM);
	CHECK_EQ(heap_init(&heap, ARENA_BYTES), -ENOMEM);
}

/* ---- against a model ---- */

enum { LIVE = 4000, CELLS = 12 };

static struct live {
	uint64_t *object;
	size_t size;
} live[LIVE];

static void fill(struct live *l, uint64_t with)
{
	for (size_t i = 0; i < l->size / 8; i++)
		CHECK_EQ(l->object[i], 0);
	for (size_t i = 0; i < l->size / 8; i++)
		l->object[i] = with + i;
}

static void check_filled(const struct live *l, uint64_t with)
{
	for (size_t i = 0; l->object && i < l->size / 8; i++)
		CHECK_EQ(l->object[i], with + i);
}

static void mark_live(uint64_t *random)
{
	for (int i = 0; i < LIVE; i++)
		if (live[i].object)
			mark((char *)live[i].object + draw_below(random, live[i].size));
}

TEST(a_long_random_history_keeps_what_is_alive)
{
	uint64_t random = 5;
	struct heap_cache *c = begin(4);
	uint32_t cells[CELLS];
	for (int i = 0; i < CELLS; i++)
		cells[i] = heap_cell(&heap, (size_t)8 << i, &leaf);
	for (int64_t i = 1, n = test_rounds(300000); i <= n; i++) {
		struct live *l = &live[draw_below(&random, LIVE)];
		check_filled(l, (uint64_t)(uintptr_t)l);
		if (draw_below(&random, 50) == 0) {
			l->object = NULL; /* garbage from now on */
			continue;
		}
		int k = (int)draw_below(&random, CELLS);
		bool large = draw_below(&random, 2000) == 0;
		l->size = large ? 40000 : heap.cells[cells[k]].size->size;
		l->object = large ? heap_new_large(c, l->size, &leaf) : allocate(c, cells[k]);
		CHECK(l->object);
		fill(l, (uint64_t)(uintptr_t)l);
		if (draw_below(&random, 20000) == 0) {
			sweep_all();
			mark_live(&random);
			collect(c);
		}
	}
	for (int i = 0; i < LIVE; i++)
		check_filled(&live[i], (uint64_t)(uintptr_t)&live[i]);
	end(c);
}

/* ---- by several at once ---- */

enum { THREADS = 4, OWN = 500 };

static void *allocate_all(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg, self = random;
	struct heap_cache *c = malloc(sizeof *c);
	heap_cache_init(c, &heap, ANY);
	uint64_t *own[OWN] = {NULL};
	for (int64_t i = 0, n = test_rounds(100000); i < n; i++) {
		uint64_t **o = &own[draw_below(&random, OWN)];
		if (*o)
			CHECK(**o == self);
		size_t size = (size_t)8 << draw_below(&random, 8);
		*o = allocate(c, heap_cell(&heap, size, &leaf));
		CHECK(*o && **o == 0);
		**o = self;
		if (i % 1000 == 0)
			heap_flush(c);
	}
	free(c);
	return NULL;
}

TEST(threads_share_no_object)
{
	pthread_t thread[THREADS];
	struct heap_cache *c = begin(16);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, allocate_all, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	end(c);
}
