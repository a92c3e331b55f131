/* The heap under several threads, in turns of a cycle: they allocate in several cells, and now and then a large object, while another sweeps; they allocate
 * on, white and then black, while the other looks stray words up and marks what these find; they mark what they want to keep.
 *
 * What must hold: what is kept has its content; the objects of a cell come to a thread in the order of their addresses within a span; a stray word
 * finds a slot only when somebody is about to have an object there, or has; whatever is found after a sweep is an object; and what is not kept
 * is free again, or the heap were soon full.
 */
#include "alloc/heap.h"
#include "lockfree/spin.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 3, LIVE = 3000, CELLS = 8, ARENAS = 4, LARGE_BYTES = 40000, PER_TURN = 4000, AROUND = 8192 };

static struct heap heap;
static pthread_barrier_t barrier;
static const struct shape leaf = {SHAPE_LEAF, 0, 0};
static _Atomic enum { SWEEPING, LOOKING, NEITHER, ENDED } phase;
static _Atomic bool at_work; /* the other thread, by what phase says */

/* What each object begins with. */
struct object {
	_Atomic uint64_t serial; /* of its thread; a stray word's owner looks. 0: it has just been allocated */
	uint64_t thread, size;
};

static struct worker {
	struct heap_cache *cache;
	uint64_t random;
	_Atomic uint64_t serial; /* of the object that it is about to have, or has */
	struct object *live[LIVE];
	struct object *last[CELLS]; /* of each cell; NULL: none since the flush */
	_Atomic uintptr_t recent;   /* where the last one is */
} worker[THREADS];

static void fill(struct object *o, struct worker *w, size_t size, uint64_t serial)
{
	uint64_t *words = (uint64_t *)(void *)o;
	for (size_t i = 0; i < size / 8; i++)
		CHECK_EQ(words[i], 0);
	o->thread = (uint64_t)(w - worker);
	o->size = size;
	for (size_t i = sizeof *o / 8; i < size / 8; i++)
		words[i] = serial + i;
	store_rel(&o->serial, serial);
	store_rlx(&w->recent, (uintptr_t)o);
}

static void check_filled(struct object *o, const struct worker *w)
{
	const uint64_t *words = (const uint64_t *)(const void *)o;
	CHECK_EQ(o->thread, (uint64_t)(w - worker));
	for (size_t i = sizeof *o / 8; i < o->size / 8; i++)
		CHECK_EQ(words[i], load_rlx(&o->serial) + i);
}

/* Gaps come in the order of their addresses, until the span is at its end. */
static void check_order(struct worker *w, int cell, struct object *o)
{
	struct object *last = w->last[cell];
	if (last && heap_find(&heap, (uintptr_t)last).span == heap_find(&heap, (uintptr_t)o).span)
		CHECK(o > last);
	w->last[cell] = o;
}

static void allocate(struct worker *w)
{
	struct object **o = &w->live[draw_below(&w->random, LIVE)];
	if (*o)
		check_filled(*o, w);
	uint64_t serial = load_rlx(&w->serial) + 1;
	store_rel(&w->serial, serial);
	if (draw_below(&w->random, 2000) == 0) {
		*o = heap_new_large(w->cache, LARGE_BYTES, &leaf);
		CHECK(*o);
		fill(*o, w, LARGE_BYTES, serial);
		return;
	}
	int k = (int)draw_below(&w->random, CELLS);
	uint32_t cell = heap_cell(&heap, (size_t)24 << k, &leaf);
	size_t size = heap.cells[cell].size->size;
	*o = heap_new(w->cache, cell, size);
	CHECK(*o);
	check_order(w, k, *o);
	fill(*o, w, size, serial);
	if (draw_below(&w->random, 100) == 0)
		w->live[draw_below(&w->random, LIVE)] = NULL;
}

static void mark_live(struct worker *w)
{
	for (int i = 0; i < LIVE; i++) {
		struct object *o = w->live[i];
		if (!o)
			continue;
		struct heap_object found = heap_find(&heap, (uintptr_t)o + draw_below(&w->random, o->size));
		CHECK(found.span && span_slot(found.span, found.slot) == (char *)o);
		span_mark(found.span, found.slot);
		CHECK(span_is_marked(found.span, found.slot));
	}
}

static void allocate_some(struct worker *w, int n)
{
	while (n--)
		allocate(w);
}

/* ---- what must hold while all stand still ---- */

/* Every slot that is found is an object, and a mark is an object's. */
static void check_slots(struct span *s)
{
	for (uint32_t i = 0; i < s->nslots; i++) {
		struct heap_object found = heap_find(&heap, (uintptr_t)span_slot(s, i));
		CHECK(!found.span || (found.span == s && found.slot == i));
		CHECK(!found.span || load_rlx(&((struct object *)(void *)span_slot(s, i))->serial));
		CHECK(found.span || !span_is_marked(s, i));
	}
}

static void check_all_spans(void)
{
	struct span *before = NULL;
	for (size_t i = 0; i < heap.pages.narenas * ARENA_PAGES; i++) {
		struct span *s = load_rlx(&heap.table[i]);
		if (s && s != before)
			check_slots(s);
		before = s;
	}
}

/* All come here; one does it, and then all go on. */
static void together(void (*what)(void))
{
	if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
		what();
	pthread_barrier_wait(&barrier);
}

/* ---- a cycle ---- */

static void sweep_rest(void)
{
	size_t freed;
	while (heap_sweep_one(&heap, &freed))
		;
	while (!heap_is_swept(&heap)) /* the sweeper has one in its hand */
		sched_yield();
	check_all_spans();
	store_rel(&phase, LOOKING);
}

static void end_looking(void)
{
	store_seq(&phase, NEITHER);
	while (load_seq(&at_work))
		sched_yield();
}

static void begin_sweeping(void)
{
	check_all_spans();
	heap_begin_sweeping(&heap);
	store_rel(&phase, SWEEPING);
}

static void turn(struct worker *w)
{
	allocate_some(w, PER_TURN);
	together(sweep_rest);
	allocate_some(w, PER_TURN);
	heap_recolour(w->cache, HEAP_BLACK);
	allocate_some(w, PER_TURN / 4);
	together(end_looking);
	mark_live(w);
	together(begin_sweeping);
	if (draw_below(&w->random, 2))
		allocate_some(w, PER_TURN / 4); /* before it has flushed: these are black still */
	heap_flush(w->cache);
	heap_recolour(w->cache, HEAP_WHITE);
	memset(w->last, 0, sizeof w->last);
}

static void *work(void *arg)
{
	for (int64_t i = 0, n = test_rounds(200); i < n; i++)
		turn(arg);
	return NULL;
}

/* ---- the other ---- */

/* Its owner had come to it, but may not have written to it yet. */
static void check_found(const struct heap_object *found)
{
	struct object *o = (struct object *)(void *)span_slot(found->span, found->slot);
	uint64_t come_to[THREADS], serial;
	for (int i = 0; i < THREADS; i++)
		come_to[i] = load_acq(&worker[i].serial);
	while (!(serial = load_acq(&o->serial))) {
		CHECK(load_acq(&phase) == LOOKING || load_acq(&o->serial)); /* when the phase is over all have been written to */
		sched_yield();
	}
	CHECK(o->thread < THREADS && serial <= come_to[o->thread]);
}

static void look_around(uint64_t *random)
{
	uintptr_t address = load_rlx(&worker[draw_below(random, THREADS)].recent) + draw_below(random, 2 * AROUND) - AROUND;
	struct heap_object found = heap_find(&heap, address);
	if (!found.span)
		return;
	check_found(&found);
	if (draw_below(random, 4) == 0)
		span_mark(found.span, found.slot);
}

static void *sweep_and_look(void *arg)
{
	uint64_t random = (uintptr_t)arg;
	size_t freed;
	for (;;) {
		store_seq(&at_work, true);
		switch (load_seq(&phase)) {
		case SWEEPING:
			heap_sweep_one(&heap, &freed);
			break;
		case LOOKING:
			look_around(&random);
			break;
		case NEITHER:
			break;
		case ENDED:
			return NULL;
		}
		store_rel(&at_work, false);
		if (draw_below(&random, 64) == 0)
			sched_yield();
	}
}

TEST(what_is_kept_stays_and_what_is_found_is_an_object)
{
	pthread_t thread[THREADS], other;
	uint64_t seed = random_seed();
	CHECK_EQ(heap_init(&heap, (size_t)ARENAS * ARENA_PAGES << PAGE_SHIFT), 0);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		worker[i].random = seed + (uint64_t)i;
		worker[i].cache = malloc(sizeof *worker[i].cache);
		heap_cache_init(worker[i].cache, &heap, -1);
		CHECK_EQ(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
	}
	CHECK_EQ(pthread_create(&other, NULL, sweep_and_look, (void *)(uintptr_t)(seed + THREADS)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	store_rel(&phase, ENDED);
	pthread_join(other, NULL);
	for (int i = 0; i < THREADS; i++)
		free(worker[i].cache);
	heap_fini(&heap);
}
