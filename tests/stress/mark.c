/* Marking by several threads, cycle after cycle of a graph of objects of all shapes, while another allocates black ones and looks stray words up.
 *
 * What must hold: exactly what can be reached by declared pointers is marked, as a search through the test's own table of edges says; all of it has been looked
 * at, once; what lives has its content after the sweep, and what does not is found no more.
 */
#include "gc/mark.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { MARKERS = 3, NODES = 6000, ROOTS = 24, KIDS = 4, ARENAS = 2, FEW = 4, BLACKS = 64 };

enum kind { MAP, ARRAY, ANY, TYPED, LARGE, LEAF, KINDS };

static const struct gc_range ranges[] = {{8, 2}, {72, 1}};
static const struct gc_type type = {96, 2, ranges};

/* Where a kind has its pointers: words. All others hold what must not be taken for pointers. */
static const struct shape_of {
	struct shape shape;
	size_t words;
	int kids;
	size_t at[KIDS];
} kinds[KINDS] = {
    [MAP] = {{SHAPE_MAP, 8, 0x06}, 8, 2, {1, 2}},
    [ARRAY] = {{SHAPE_MAP, 2, 0x02}, 32, 4, {1, 3, 15, 31}},
    [ANY] = {{SHAPE_CONSERVATIVE, 0, 0}, 6, 3, {1, 3, 5}},
    [TYPED] = {{SHAPE_TYPED, 0, 0}, 13, 3, {1, 2, 9}},
    [LARGE] = {{SHAPE_MAP, 64, 0x02}, 6144, 4, {1, 1025, 3073, 6081}},
    [LEAF] = {{SHAPE_LEAF, 0, 0}, 4, 0, {0}},
};

static struct node {
	uintptr_t *object; /* NULL: there is none here */
	enum kind kind;
	int kid[KIDS]; /* -1: none */
	uint64_t id;
	bool reachable;
} nodes[NODES];

static struct heap heap;
static struct gc_marking marking;
static struct gc_marker *marker[MARKERS];
static struct heap_cache *cache, *other_cache;
static int roots[ROOTS];
static uint64_t ids, random_state;
static int64_t died;
static pthread_barrier_t barrier;
static _Atomic bool marked_all;

/* ---- the graph ---- */

static size_t bytes_of(enum kind k)
{
	return kinds[k].words * sizeof(uintptr_t);
}

static void *allocate(struct heap_cache *c, enum kind k)
{
	if (bytes_of(k) > SMALL_MOST)
		return heap_new_large(c, bytes_of(k), &kinds[k].shape);
	uint32_t cell = heap_cell(&heap, bytes_of(k), &kinds[k].shape);
	return heap_new(c, cell, heap.cells[cell].size->size);
}

/* Any address within is as good; but one of the first word may be meant for the object before, where nothing says that it is a pointer. */
static void point(struct node *n, int which, int to)
{
	uintptr_t address = 0;
	if (to >= 0)
		address = (uintptr_t)nodes[to].object + 8 + draw_below(&random_state, bytes_of(nodes[to].kind) - 8);
	n->kid[which] = to;
	n->object[kinds[n->kind].at[which]] = address;
}

static int any_node(void)
{
	for (int i = 0; i < 1000; i++) {
		int n = (int)draw_below(&random_state, NODES);
		if (nodes[n].object)
			return n;
	}
	return -1;
}

/* The word before the first pointer is the node's id, and the one that is no pointer in arrays and leaves is an address all the same. */
static void make_node(int at)
{
	struct node *n = &nodes[at];
	uint64_t of = draw_below(&random_state, 200);
	enum kind k = of == 0 ? LARGE : (enum kind)(of % LARGE == 0 && of > 150 ? LEAF : of % LARGE);
	*n = (struct node){.object = allocate(cache, k), .kind = k, .id = ++ids << 1 | 1};
	CHECK(n->object);
	for (size_t i = 0; i < kinds[k].words - 1; i++)
		CHECK_EQ(n->object[i], 0);
	n->object[0] = n->id;
	if (k == TYPED)
		n->object[size_classes[size_class_of(bytes_of(k))].size / 8 - 1] = (uintptr_t)&type;
	int bait = any_node();
	if ((k == ARRAY || k == LEAF || k == LARGE) && bait >= 0)
		n->object[2] = (uintptr_t)nodes[bait].object + 8;
	for (int i = 0; i < kinds[k].kids; i++)
		point(n, i, draw_below(&random_state, 3) == 0 ? any_node() : -1);
	int parent = any_node();
	if (parent >= 0 && kinds[nodes[parent].kind].kids)
		point(&nodes[parent], (int)draw_below(&random_state, (uint64_t)kinds[nodes[parent].kind].kids), at);
}

/* Few enough edges stay that a part of the graph is cut off in each cycle. */
static void cut(struct node *n)
{
	int kids = kinds[n->kind].kids;
	if (kids && draw_below(&random_state, 3) == 0)
		point(n, (int)draw_below(&random_state, (uint64_t)kids), draw_below(&random_state, 2) ? any_node() : -1);
}

static void change_graph(void)
{
	for (int i = 0; i < NODES; i++)
		if (nodes[i].object)
			cut(&nodes[i]);
	for (int i = 0; i < NODES; i++)
		if (!nodes[i].object && draw_below(&random_state, 8))
			make_node(i);
	for (int i = 0; i < ROOTS; i++)
		if (roots[i] < 0 || draw_below(&random_state, 4) == 0)
			roots[i] = any_node();
}

/* ---- what can be reached, by the table ---- */

static void search(void)
{
	static int todo[NODES * (KIDS + 1) + ROOTS];
	int n = 0;
	for (int i = 0; i < NODES; i++)
		nodes[i].reachable = false;
	for (int i = 0; i < ROOTS; i++)
		todo[n++] = roots[i];
	while (n > 0) {
		struct node *node = &nodes[todo[--n]];
		if (node->reachable)
			continue;
		node->reachable = true;
		for (int i = 0; i < kinds[node->kind].kids; i++)
			if (node->kid[i] >= 0)
				todo[n++] = node->kid[i];
	}
}

/* ---- marking ---- */

static void mark_roots(int which)
{
	for (int i = which; i < ROOTS; i += MARKERS) {
		uintptr_t word = (uintptr_t)nodes[roots[i]].object + 8;
		if (i % 2)
			gc_mark_words(marker[which], &word, 1);
		else
			gc_mark(marker[which], word);
	}
}

/* Others may still be at work when there is nothing to be had. */
static void *mark(void *arg)
{
	int which = (int)(intptr_t)arg;
	struct gc_marker *others[MARKERS - 1];
	uint64_t random = random_state + (uint64_t)which;
	for (int i = 0, n = 0; i < MARKERS; i++)
		if (i != which)
			others[n++] = marker[i];
	if (draw_below(&random, 2))
		mark_roots(which);
	pthread_barrier_wait(&barrier);
	if (!marker[which]->live)
		mark_roots(which);
	while (!load_acq(&marked_all)) {
		while (gc_mark_step(marker[which], 1 + draw_below(&random, 2000), others, MARKERS - 1))
			if (draw_below(&random, 8) == 0)
				sched_yield();
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			store_rel(&marked_all, gc_nothing_queued(&marking, marker, MARKERS));
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

/* What is found is one of the table's objects, or one of its own. */
static void *allocate_and_look(void *arg)
{
	uint64_t random = (uintptr_t)arg, *own[BLACKS] = {NULL};
	heap_recolour(other_cache, HEAP_BLACK);
	for (uint64_t i = 0; !load_acq(&marked_all); i++) {
		uint64_t **o = &own[i % BLACKS];
		*o = allocate(other_cache, LEAF);
		CHECK(*o && !**o);
		**o = i << 1 | 1;
		uintptr_t word = (uintptr_t)own[draw_below(&random, BLACKS)] + draw_below(&random, 4096);
		struct heap_object found = heap_find(&heap, word);
		if (found.span)
			CHECK(load_rlx((_Atomic uint64_t *)(void *)span_slot(found.span, found.slot)) & 1);
		if (i % 64 == 0)
			sched_yield();
	}
	for (int i = 0; i < BLACKS; i++)
		CHECK(!own[i] || heap_find(&heap, (uintptr_t)own[i]).span);
	return NULL;
}

static void mark_by_all(void)
{
	pthread_t thread[MARKERS + 1];
	store_rlx(&marked_all, false);
	gc_marking_init(&marking, &heap);
	for (int i = 0; i < MARKERS; i++) {
		gc_marker_init(marker[i], &marking);
		if (i == 1) /* what does not fit goes to the list that all share */
			deque_init(&marker[i]->queue, marker[i]->slots, FEW);
	}
	for (intptr_t i = 0; i < MARKERS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, mark, (void *)i), 0);
	CHECK_EQ(pthread_create(&thread[MARKERS], NULL, allocate_and_look, (void *)(uintptr_t)random_state), 0);
	for (int i = 0; i <= MARKERS; i++)
		pthread_join(thread[i], NULL);
}

/* ---- what must hold ---- */

static void check_marks(void)
{
	uint64_t live = 0, work = 0, has_live = 0, has_work = 0;
	for (int i = 0; i < NODES; i++) {
		struct node *n = &nodes[i];
		if (!n->object)
			continue;
		struct heap_object o = heap_find(&heap, (uintptr_t)n->object);
		CHECK(o.span && span_slot(o.span, o.slot) == (char *)n->object);
		CHECK_EQ(span_is_marked(o.span, o.slot), n->reachable);
		CHECK_EQ(load_rlx(&o.span->queued), 0);
		live += n->reachable * span_slot_size(o.span);
		if (n->kind == LEAF)
			continue;
		work += n->reachable * span_slot_size(o.span);
		CHECK(span_is_large(o.span) || (load_rlx(&o.span->scanned[o.slot / 64]) >> o.slot % 64 & 1) == n->reachable);
	}
	for (int i = 0; i < MARKERS; i++) {
		has_live += marker[i]->live;
		has_work += marker[i]->work;
	}
	CHECK_EQ(has_live, live);
	CHECK_EQ(has_work, work);
}

static void check_node(struct node *n)
{
	CHECK_EQ(n->object[0], n->id);
	for (int i = 0; i < kinds[n->kind].kids; i++) {
		uintptr_t word = n->object[kinds[n->kind].at[i]];
		CHECK_EQ(word != 0, n->kid[i] >= 0);
		if (word)
			CHECK(word - (uintptr_t)nodes[n->kid[i]].object < bytes_of(nodes[n->kid[i]].kind));
	}
}

static void sweep(void)
{
	size_t freed;
	heap_begin_sweeping(&heap);
	heap_flush(cache);
	heap_flush(other_cache);
	heap_recolour(other_cache, HEAP_WHITE);
	while (heap_sweep_one(&heap, &freed))
		;
	CHECK(heap_is_swept(&heap));
	for (int i = 0; i < NODES; i++) {
		struct node *n = &nodes[i];
		if (n->object && n->reachable)
			check_node(n);
		if (n->object && !n->reachable) {
			CHECK(!heap_find(&heap, (uintptr_t)n->object).span);
			n->object = NULL;
			died++;
		}
	}
}

TEST(what_is_reachable_is_marked_and_nothing_else)
{
	random_state = random_seed();
	CHECK_EQ(heap_init(&heap, (size_t)ARENAS * ARENA_PAGES << PAGE_SHIFT), 0);
	pthread_barrier_init(&barrier, NULL, MARKERS);
	cache = malloc(sizeof *cache);
	other_cache = malloc(sizeof *other_cache);
	heap_cache_init(cache, &heap, -1);
	heap_cache_init(other_cache, &heap, -1);
	for (int i = 0; i < MARKERS; i++)
		marker[i] = aligned_alloc(CACHE_LINE, sizeof **marker);
	memset(roots, -1, sizeof roots);
	int64_t cycles = test_rounds(800);
	for (int64_t i = 0; i < cycles; i++) {
		change_graph();
		search();
		mark_by_all();
		check_marks();
		sweep();
	}
	CHECK(died > cycles * NODES / 20); /* or it would show little */
	for (int i = 0; i < MARKERS; i++)
		free(marker[i]);
	free(cache);
	free(other_cache);
	heap_fini(&heap);
}
