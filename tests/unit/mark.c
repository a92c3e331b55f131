#include "gc/lines.h"
#include "gc/mark.h"
#include "gc/words.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = ARENA_PAGES << PAGE_SHIFT };

static struct heap heap;
static struct gc_marking marking;
static struct heap_cache *cache;
static const struct shape leaf = {SHAPE_LEAF, 0, 0}, first_word = {SHAPE_MAP, 2, 1}, any = {SHAPE_CONSERVATIVE, 0, 0},
			  typed = {SHAPE_TYPED, 0, 0};

static struct gc_marker *begin(size_t narenas)
{
	CHECK_EQ(heap_init(&heap, narenas * ARENA_BYTES), 0);
	gc_marking_init(&marking, &heap);
	cache = malloc(sizeof *cache);
	heap_cache_init(cache, &heap, -1);
	struct gc_marker *m = aligned_alloc(CACHE_LINE, sizeof *m);
	gc_marker_init(m, &marking);
	return m;
}

static void end(struct gc_marker *m)
{
	free(m);
	free(cache);
	heap_fini(&heap);
}

static void *allocate(size_t size, const struct shape *shape)
{
	if (size > SMALL_MOST)
		return heap_new_large(cache, size, shape);
	return heap_new_slow(cache, heap_cell(&heap, size, shape));
}

static void mark(struct gc_marker *m, const void *p)
{
	gc_mark(m, (uintptr_t)p);
	while (gc_mark_step(m, 1000, NULL, 0))
		;
}

static bool lives(const void *p)
{
	struct heap_object o = heap_find(&heap, (uintptr_t)p);
	CHECK(o.span);
	return span_is_marked(o.span, o.slot);
}

struct pair {
	void *next, *hidden;
};

TEST(what_is_reached_by_declared_words_lives)
{
	struct gc_marker *m = begin(1);
	struct pair *a = allocate(sizeof *a, &first_word), *b = allocate(sizeof *b, &first_word),
		    *c = allocate(sizeof *c, &first_word);
	a->next = (char *)b + 9; /* an address within is as good */
	b->hidden = c;
	mark(m, a);
	CHECK(lives(a) && lives(b) && !lives(c));
	CHECK_EQ(m->live, 2 * sizeof *a);
	CHECK_EQ(m->work, 2 * sizeof *a);
	end(m);
}

TEST(any_word_of_a_conservative_object_may_be_a_pointer)
{
	struct gc_marker *m = begin(1);
	struct pair *a = allocate(sizeof *a, &any), *b = allocate(sizeof *b, &leaf), *before = allocate(sizeof *b, &leaf);
	allocate(sizeof *b, &leaf);
	a->hidden = b;
	a->next = before + 1; /* right behind it */
	mark(m, a);
	CHECK(lives(a) && lives(b) && lives(before));
	end(m);
}

TEST(leaves_are_not_looked_at)
{
	struct gc_marker *m = begin(1);
	struct pair *a = allocate(sizeof *a, &leaf), *b = allocate(sizeof *b, &leaf);
	a->next = b;
	mark(m, a);
	CHECK(lives(a) && !lives(b));
	CHECK_EQ(m->work, 0);
	end(m);
}

TEST(words_that_point_nowhere_mark_nothing)
{
	struct gc_marker *m = begin(1);
	char *a = allocate(64, &leaf);
	uintptr_t words[] = {
	    0, 1, UINTPTR_MAX, (uintptr_t)&heap, (uintptr_t)heap.pages.base + ARENA_BYTES - 8, (uintptr_t)a + 40 * PAGE_BYTES};
	gc_mark_words(m, words, sizeof words / sizeof *words);
	CHECK_EQ(m->live, 0);
	words[0] = (uintptr_t)a + 63;
	gc_mark_words(m, words, 1);
	CHECK_EQ(m->live, 64);
	end(m);
}

TEST(an_array_is_as_many_elements_as_fit)
{
	struct gc_marker *m = begin(1);
	const struct shape three = {SHAPE_MAP, 3, 4}; /* the third word of each three */
	uintptr_t *array = allocate(96, &three), *targets[12];
	for (int i = 0; i < 12; i++) {
		targets[i] = allocate(8, &leaf);
		array[i] = (uintptr_t)targets[i];
	}
	mark(m, array);
	for (int i = 0; i < 12; i++)
		CHECK_EQ(lives(targets[i]), i % 3 == 2);
	end(m);
}

TEST(a_typed_object_says_itself_where_its_pointers_are)
{
	struct gc_marker *m = begin(1);
	static const struct gc_range ranges[] = {{8, 2}, {160, 1}};
	static const struct gc_type type = {200, 2, ranges};
	size_t size = size_classes[size_class_of(608)].size;
	uintptr_t *object = allocate(size, &typed), *unfinished = allocate(size, &typed), *target[75];
	for (int i = 0; i < 75; i++) {
		target[i] = allocate(8, &leaf);
		object[i] = unfinished[i] = (uintptr_t)target[i];
	}
	mark(m, unfinished);
	CHECK_EQ(m->live, size);
	object[size / 8 - 1] = (uintptr_t)&type;
	mark(m, object);
	for (int i = 0; i < 75; i++)
		CHECK_EQ(lives(target[i]), i % 25 == 1 || i % 25 == 2 || i % 25 == 20);
	end(m);
}

TEST(a_large_object_is_looked_at_in_pieces)
{
	struct gc_marker *m = begin(1);
	enum { N = 10 * GC_PIECE / 24 };
	const struct shape three = {SHAPE_MAP, 3, 1};
	uintptr_t *large = allocate(N * 24, &three);
	void *first = allocate(8, &leaf), *last = allocate(8, &leaf), *hidden = allocate(8, &leaf);
	large[0] = (uintptr_t)first;
	large[3 * (N - 1)] = (uintptr_t)last;
	large[1] = (uintptr_t)hidden;
	gc_mark(m, (uintptr_t)(large + 7));
	CHECK(gc_mark_step(m, 1, NULL, 0));
	CHECK(m->work <= GC_PIECE && lives(first) && !lives(last));
	while (gc_mark_step(m, 1, NULL, 0))
		;
	CHECK(lives(last) && !lives(hidden));
	CHECK_EQ(m->work, (N * 24 + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
	end(m);
}

TEST(a_long_list_fills_no_queue_and_many_spans_overflow_one)
{
	struct gc_marker *m = begin(4);
	struct pair *list = NULL;
	for (int i = 0; i < 100000; i++) {
		struct pair *p = allocate(sizeof *p, &first_word);
		p->next = list;
		list = p;
	}
	mark(m, list);
	CHECK_EQ(m->live, 100000 * sizeof *list);
	/* More spans than a queue has room for, all of them queued at once. */
	enum { SPANS = 2 * GC_QUEUE };
	void **all = allocate(SPANS * sizeof *all, &(struct shape){SHAPE_MAP, 1, 1});
	for (int i = 0; i < SPANS; i++)
		all[i] = allocate(32768, &any);
	uint64_t before = m->live;
	mark(m, all);
	CHECK_EQ(m->live - before, (uint64_t)SPANS * 32768 + SPANS * sizeof *all);
	end(m);
}

/* ---- lines ---- */

static bool has(enum gc_lines form)
{
	return form == GC_LINES_SCALAR || form == gc_lines_best() || (form == GC_LINES_AVX2 && gc_lines_best() == GC_LINES_AVX512);
}

static uint32_t line_by(enum gc_lines form, const uintptr_t *at, uint32_t which, uintptr_t base, size_t bytes)
{
	switch (form) {
#if defined(__x86_64__)
	case GC_LINES_AVX512:
		return gc_line_avx512(at, which, base, bytes);
	case GC_LINES_AVX2:
		return gc_line_avx2(at, which, base, bytes);
#elif defined(__aarch64__)
	case GC_LINES_NEON:
		return gc_line_neon(at, which, base, bytes);
#endif
	default:
		return gc_line_scalar(at, which, base, bytes);
	}
}

TEST(every_form_finds_the_words_of_a_line_that_point_into_the_heap)
{
	static const uintptr_t base = 0x7f1234560000, bytes = 0x40000000;
	const uintptr_t edge[] = {0, 1, base - 1, base, base + 1, base + bytes - 1, base + bytes, base + bytes + 1, base >> 1, ~base,
				  (uintptr_t)1 << 63, UINTPTR_MAX};
	_Alignas(64) uintptr_t line[LINE_WORDS];
	uint64_t random = random_seed();
	for (int i = 0; i < 20000; i++) {
		uint32_t which = (uint32_t)draw_below(&random, 256), expected = 0;
		for (unsigned k = 0; k < LINE_WORDS; k++) {
			line[k] = edge[draw_below(&random, sizeof edge / sizeof *edge)];
			expected |= (uint32_t)(which >> k & 1 && line[k] >= base && line[k] < base + bytes) << k;
		}
		for (enum gc_lines form = GC_LINES_SCALAR; form <= GC_LINES_NEON; form++)
			if (has(form))
				CHECK_EQ(line_by(form, line, which, base, bytes), expected);
	}
}

/* From anywhere to anywhere: what lies before the first whole line, and behind the last. */
TEST(every_form_adds_the_words_of_a_range_that_point_into_the_heap)
{
	enum { MOST = 100 };
	static const uintptr_t base = 0x7f1234560000, bytes = 0x40000000;
	_Alignas(64) uintptr_t memory[MOST];
	uint64_t random = random_seed();
	struct gc_words words;
	gc_words_init(&words, NULL);
	for (int i = 0; i < 20000; i++) {
		size_t from = draw_below(&random, MOST), to = from + draw_below(&random, MOST + 1 - from), n = 0;
		for (size_t k = 0; k < MOST; k++)
			memory[k] = draw_below(&random, 2) ? base + draw_below(&random, bytes) : draw(&random);
		for (size_t k = from; k < to; k++)
			n += memory[k] - base < bytes;
		for (enum gc_lines form = GC_LINES_SCALAR; form <= GC_LINES_NEON; form++) {
			struct gc_filling f = {.words = &words, .from = GC_STACK};
			if (!has(form))
				continue;
			gc_fill_words(&f, &memory[from], &memory[to], base, bytes, form);
			CHECK_EQ(f.chunk ? f.chunk->n : 0, n);
			size_t at = 0;
			for (size_t k = from; k < to; k++)
				if (memory[k] - base < bytes)
					CHECK_EQ(f.chunk->word[at++], memory[k]);
			if (f.chunk)
				gc_words_give(&words, f.chunk);
		}
	}
}

/* ---- random graphs, by several markers ---- */

enum { NODES = 60000, MARKERS = 3 };

/* Of slots that go into lines, and others; arrays of elements that fill them, or do not. */
static const struct kind {
	size_t words;
	struct shape shape;
} kinds[] = {{1, {SHAPE_MAP, 1, 1}},	{2, {SHAPE_MAP, 2, 2}},	   {2, {SHAPE_MAP, 1, 1}},   {3, {SHAPE_MAP, 3, 5}},
	     {4, {SHAPE_MAP, 4, 6}},	{4, {SHAPE_MAP, 2, 1}},	   {6, {SHAPE_MAP, 2, 3}},   {8, {SHAPE_MAP, 3, 2}},
	     {16, {SHAPE_MAP, 16, 0x8421}}, {32, {SHAPE_MAP, 8, 0x11}}, {64, {SHAPE_MAP, 64, 9}}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static uintptr_t *node[NODES];
static const struct kind *kind_of[NODES];
static bool reachable[NODES];
static struct gc_marker *markers[MARKERS];
static _Atomic int idle;

static bool is_pointer(const struct kind *k, size_t word)
{
	return k->shape.map >> word % k->shape.period & 1;
}

static void make_graph(uint64_t *random)
{
	for (int i = 0; i < NODES; i++) {
		kind_of[i] = &kinds[draw_below(random, KINDS)];
		node[i] = allocate(kind_of[i]->words * 8, &kind_of[i]->shape);
	}
	for (int i = 0; i < NODES; i++)
		for (size_t e = 0; e < kind_of[i]->words; e++)
			if (draw_below(random, 2) == 0)
				node[i][e] = (uintptr_t)node[draw_below(random, NODES)];
}

/* Which are reachable, by a walk of its own; the index of an address is kept in a table by its place in the heap. */
static void walk(int root)
{
	static int index[4 * ARENA_BYTES / 8], stack[NODES];
	int depth = 0;
	memset(index, 0, sizeof index);
	for (int i = 0; i < NODES; i++)
		index[((uintptr_t)node[i] - (uintptr_t)heap.pages.base) / 8] = i;
	if (!reachable[root])
		stack[depth++] = root;
	reachable[root] = true;
	while (depth) {
		int at = stack[--depth];
		for (size_t e = 0; e < kind_of[at]->words; e++) {
			if (!node[at][e] || !is_pointer(kind_of[at], e))
				continue;
			int to = index[(node[at][e] - (uintptr_t)heap.pages.base) / 8];
			if (!reachable[to])
				stack[depth++] = to;
			reachable[to] = true;
		}
	}
}

static void *mark_with_others(void *arg)
{
	struct gc_marker *m = arg, *others[MARKERS];
	unsigned n = 0;
	for (int i = 0; i < MARKERS; i++)
		if (markers[i] != m)
			others[n++] = markers[i];
	for (;;) {
		while (gc_mark_step(m, 500, others, n))
			;
		/* Who finds nothing may find something as long as others are at work. */
		add_seq(&idle, 1);
		while (load_seq(&idle) < MARKERS) {
			bool more = load_rlx(&marking.in_overflow) > 0;
			for (unsigned i = 0; i < n; i++)
				more = more || deque_len(&others[i]->queue) > 0;
			if (more) {
				sub_seq(&idle, 1);
				break;
			}
			cpu_relax();
		}
		if (load_seq(&idle) == MARKERS)
			return NULL;
	}
}

static void find_by(enum gc_lines form, uint64_t random)
{
	free(begin(4));
	marking.lines = form;
	idle = 0;
	memset(reachable, 0, sizeof reachable);
	for (int i = 0; i < MARKERS; i++) {
		markers[i] = aligned_alloc(CACHE_LINE, sizeof *markers[i]);
		gc_marker_init(markers[i], &marking);
	}
	make_graph(&random);
	for (int i = 0; i < 20; i++) {
		int root = (int)draw_below(&random, NODES);
		walk(root);
		gc_mark(markers[i % MARKERS], (uintptr_t)node[root]);
	}
	pthread_t thread[MARKERS];
	for (int i = 0; i < MARKERS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, mark_with_others, markers[i]), 0);
	for (int i = 0; i < MARKERS; i++)
		pthread_join(thread[i], NULL);
	int alive = 0;
	for (int i = 0; i < NODES; i++) {
		alive += reachable[i];
		if (lives(node[i]) != reachable[i])
			test_fail(__FILE__, __LINE__, "node %d of kind %d by form %d: marked %d, reachable %d", i,
				  (int)(kind_of[i] - kinds), (int)form, lives(node[i]), reachable[i]);
	}
	CHECK(alive > NODES / 4 && alive < NODES);
	for (int i = 0; i < MARKERS; i++)
		free(markers[i]);
	free(cache);
	heap_fini(&heap);
}

TEST(several_markers_find_exactly_what_is_reachable)
{
	uint64_t random = random_seed();
	for (enum gc_lines form = GC_LINES_SCALAR; form <= GC_LINES_NEON; form++)
		if (has(form))
			find_by(form, random);
}
