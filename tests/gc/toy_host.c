#include "tests/gc/toy_host.h"
#include "tests/gc/toy_mutator.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include <weft/gc.h>

enum { CHECK_EVERY = 128, ENDING_STEPS = 200000 };

/* In the middle of a step of the collector's: others do not wait for it. */
static void meanwhile(struct toy *t)
{
	if (t->between || t->graph->n == GRAPH_NODES)
		return;
	t->between = true;
	for (unsigned n = toy_one_of(t, 4); n && t->graph->n < GRAPH_NODES; n--)
		toy_step(t, &t->m[toy_one_of(t, TOY_MS)]);
	t->between = false;
}

/* ---- the host ---- */

static struct toy *toy_of(struct gc *gc)
{
	return (struct toy *)(void *)((char *)gc - offsetof(struct toy, gc));
}

/* What the program reaches now: stacks, roots, and what calls have in hand. */
static void reach(struct toy *t)
{
	graph_begin(t->graph);
	for (unsigned i = 0; i < TOY_GS; i++)
		for (uint32_t k = 0; k < t->g[i].n; k++)
			graph_from(t->graph, t->g[i].stack[k]);
	for (unsigned i = 0; i < TOY_ROOTS; i++)
		graph_from(t->graph, t->root_number[i]);
	for (unsigned i = 0; i < TOY_MS; i++) {
		graph_from(t->graph, t->m[i].op.value);
		graph_from(t->graph, t->m[i].op.old);
	}
	graph_reach(t->graph);
}

static void ask(struct gc *gc, enum gc_ask what)
{
	struct toy *t = toy_of(gc);
	if (gc_phase(gc) == GC_ARMING) {
		reach(t);
		graph_lose(t->graph);
	}
	t->what = what;
	t->round++;
	t->g_at = what == GC_ASK_SCAN ? 0 : t->g_at;
	t->root_at = what == GC_ASK_SCAN ? 0 : t->root_at;
	meanwhile(t);
}

static bool has_passed(struct toy *t, struct toy_m *m)
{
	return !m->inside || m->passed == t->round;
}

static bool all_passed(struct toy *t)
{
	bool all = true;
	for (unsigned i = 0; i < TOY_MS; i++) {
		if (has_passed(t, &t->m[i]))
			continue;
		t->m[i].noted = true;
		all = false;
	}
	return all;
}

static struct toy_m *runner_of(struct toy *t, const struct toy_g *g)
{
	for (unsigned i = 0; i < TOY_MS; i++)
		if (t->m[i].g == g)
			return &t->m[i];
	return NULL;
}

static void look_at_section(struct toy *t, struct toy_g *g)
{
	if (t->fault == TOY_NO_SECTION)
		g->scanned = toy_cycle(t);
	else
		toy_look_at(t, g);
}

/* One that runs is looked at by its M, at the end of a call or by a signal: that only if it is in none. */
static bool is_scanned(struct toy *t, struct toy_g *g)
{
	struct toy_m *m = runner_of(t, g);
	if (g->scanned == toy_cycle(t))
		return true;
	if (!m)
		toy_look_at(t, g);
	else if (g->state == TOY_SECTION)
		look_at_section(t, g);
	else if (!m->inside && toy_chance(t, 20))
		toy_do_what_is_asked(t, m);
	else
		m->noted = true;
	return g->scanned == toy_cycle(t);
}

static bool all_scanned(struct toy *t)
{
	bool all = true;
	for (unsigned i = 0; i < TOY_GS; i++)
		if (t->g[i].pending) {
			t->g[i].pending = !is_scanned(t, &t->g[i]);
			all &= !t->g[i].pending;
		}
	return all;
}

/* By a signal, or, if the M sleeps or is in a section, by whoever asks. */
static bool all_flushed(struct toy *t)
{
	bool all = true;
	toy_flush(t, t->shared, &t->shared_seen);
	for (unsigned i = 0; i < TOY_MS; i++) {
		struct toy_m *m = &t->m[i];
		bool sleeps = !m->g || m->g->state == TOY_SECTION;
		if (sleeps || (!m->inside && toy_chance(t, 20)))
			toy_flush_m(t, m);
		m->noted = true;
		all &= !m->cache || m->seen == load_rlx(&t->gc.xstate);
	}
	return all;
}

static bool is_left_out(struct toy *t)
{
	enum gc_phase phase = gc_phase(&t->gc);
	return (t->fault == TOY_NO_FIRST_PASS && phase == GC_ARMING) || (t->fault == TOY_NO_LOOK && phase == GC_SCANNING) ||
	       (t->fault == TOY_NO_THIRD_PASS && phase == GC_CLOSING);
}

/* It may take its time, and push nobody. */
static bool answered(struct gc *gc)
{
	struct toy *t = toy_of(gc);
	meanwhile(t);
	if (is_left_out(t))
		return true;
	if (toy_chance(t, t->temper.slow))
		return false;
	switch (t->what) {
	case GC_ASK_PASS:
		return all_passed(t);
	case GC_ASK_SCAN:
		return all_scanned(t);
	case GC_ASK_FLUSH:
		return all_flushed(t);
	}
	return false;
}

/* One that runs is left to all_scanned. */
static bool scan(struct gc *gc, struct gc_marker *m, uint64_t budget)
{
	struct toy *t = toy_of(gc);
	(void)m, (void)budget;
	meanwhile(t);
	if (t->g_at < TOY_GS) {
		struct toy_g *g = &t->g[t->g_at++];
		g->pending = runner_of(t, g);
		if (g->scanned != toy_cycle(t) && !g->pending)
			toy_look_at(t, g);
		return true;
	}
	if (t->root_at == TOY_ROOTS || t->fault == TOY_NO_ROOTS)
		return false;
	struct gc_filling f = {.words = &gc->words, .from = GC_EXACT};
	gc_fill(&f, (uintptr_t)t->root[t->root_at++]);
	gc_fill_end(&f);
	return true;
}

static void drain(struct gc *gc)
{
	struct toy *t = toy_of(gc);
	if (t->fault == TOY_NO_DRAIN && gc_phase(gc) == GC_CLOSING)
		return;
	for (unsigned i = 0; i < TOY_MS; i++) {
		gc_mutator_drain(&t->m[i].shaded, &gc->words);
		meanwhile(t);
	}
}

static void work(struct gc *gc)
{
	meanwhile(toy_of(gc));
}

static int64_t now(void)
{
	static int64_t time;
	return time++;
}

static void check_weak(struct toy *t, struct toy_weak *w)
{
	const struct graph_node *node = &t->graph->node[w->number];
	if (!w->attached)
		return;
	bool dead = !load_rlx(&w->special.object);
	if (dead != w->told)
		t->wrong = "a weak pointer's owner was not told of its end, or too often";
	if (dead && node->reached)
		t->wrong = "a weak pointer has lost an object that can be reached";
	if (!dead && node->gone)
		t->wrong = "a weak pointer has an object that was freed";
}

static uint64_t objects(struct toy *t)
{
	uint64_t n = heap_cache_objects(t->shared) - load_rlx(&t->gc.heap.nfreed);
	for (unsigned i = 0; i < TOY_MS; i++)
		n += t->m[i].cache ? heap_cache_objects(t->m[i].cache) : 0;
	return n;
}

static void check(struct toy *t)
{
	if (t->wrong)
		return;
	reach(t);
	t->wrong = graph_check(t->graph, &t->gc.heap);
}

static void ended(struct gc *gc, const struct gc_report *r)
{
	struct toy *t = toy_of(gc);
	t->cycles = r->cycle;
	check(t);
	if (!t->wrong && r->live > r->to)
		t->wrong = "more lives than has been allocated";
	if (!t->wrong)
		t->wrong = graph_check_freed(t->graph, &gc->heap, objects(t));
	for (unsigned i = 0; i < TOY_WEAKS && !t->wrong; i++)
		check_weak(t, &t->weak[i]);
}

static uint64_t beside(struct gc *gc)
{
	(void)gc;
	return 0;
}

static const struct gc_host the_host = {
    .ask = ask, .answered = answered, .scan = scan, .beside = beside, .drain = drain, .work = work, .ended = ended, .now = now};

/* ---- runs ---- */

static void step_collector(struct toy *t)
{
	unsigned i = toy_one_of(t, TOY_MARKERS);
	if (!gc_is_on(&t->gc) && toy_chance(t, t->temper.asks))
		gc_ask(&t->gc, GC_WHY_STRESS);
	/* markers[0] is the collector's own: who comes without one only begins phases. */
	gc_step(&t->gc, i ? t->markers[i] : NULL, 1 + toy_one_of(t, t->temper.budget_most), toy_chance(t, 50) ? GC_SPARE : GC_ASSIST);
	meanwhile(t);
}

static void step(struct toy *t)
{
	if (toy_chance(t, t->temper.collects))
		step_collector(t);
	else
		toy_step(t, &t->m[toy_one_of(t, TOY_MS)]);
}

void toy_run(struct toy *t, unsigned steps)
{
	for (unsigned i = 0; i < steps && !t->wrong && t->graph->n < GRAPH_NODES; i++) {
		step(t);
		if (i % CHECK_EVERY == 0)
			check(t);
	}
}

static void told(struct gc_special *sp)
{
	((struct toy_weak *)(void *)sp)->told = true;
}

static void *must(void *memory)
{
	CHECK(memory);
	return memory;
}

static struct heap_cache *make_cache(struct toy *t)
{
	struct heap_cache *c = must(malloc(sizeof *c));
	heap_cache_init(c, &t->gc.heap, -1);
	return c;
}

static void init_gc(struct toy *t)
{
	static const struct pace_settings never = {PACE_OFF, PACE_NO_LIMIT, PACE_ASSIST};
	for (unsigned i = 0; i < TOY_MARKERS; i++)
		t->markers[i] = must(aligned_alloc(CACHE_LINE, sizeof *t->markers[i]));
	CHECK_EQ(gc_init(&t->gc, &the_host, ARENA_PAGES << PAGE_SHIFT, t->markers, TOY_MARKERS, &never), 0);
	toy_cells(t);
}

/* Each run is another kind of program. */
static void draw_temper(struct toy *t)
{
	t->temper.collects = 10 + toy_one_of(t, 70);
	t->temper.asks = 1 + toy_one_of(t, 50);
	t->temper.budget_most = 1 + toy_one_of(t, 200) * toy_one_of(t, 200);
	t->temper.clears = 10 + toy_one_of(t, 60);
	t->temper.passes = 5 + toy_one_of(t, 90);
	t->temper.slow = toy_one_of(t, 90);
	t->temper.moves = toy_one_of(t, 100);
	t->temper.stalls = toy_one_of(t, 3);
	t->temper.stall_most = 1 + toy_one_of(t, 60);
	t->temper.crowds = toy_chance(t, 50);
}

struct toy *toy_make(uint64_t seed, enum toy_fault fault)
{
	struct toy *t = must(aligned_alloc(CACHE_LINE, sizeof *t));
	memset(t, 0, sizeof *t);
	t->random = seed;
	t->fault = fault;
	draw_temper(t);
	t->graph = must(calloc(1, sizeof *t->graph));
	graph_init(t->graph);
	__atomic_store_n(&weft_marking_, 0, __ATOMIC_RELAXED); /* the last run may have ended within a cycle */
	init_gc(t);
	t->shared = make_cache(t);
	for (unsigned i = 0; i < TOY_MS; i++) {
		t->m[i].cache = i < TOY_MS - 1 ? make_cache(t) : NULL;
		t->m[i].g = &t->g[i];
		t->g[i].state = TOY_RUNNING;
	}
	for (unsigned i = 0; i < TOY_WEAKS; i++)
		t->weak[i].special.dead = told;
	return t;
}

void toy_free(struct toy *t)
{
	heap_fini(&t->gc.heap);
	for (unsigned i = 0; i < TOY_MARKERS; i++)
		free(t->markers[i]);
	for (unsigned i = 0; i < TOY_MS; i++)
		free(t->m[i].cache);
	free(t->shared);
	free(t->graph);
	free(t);
}

/* Calls end first; then nobody has anything. */
static void forget(struct toy *t)
{
	for (unsigned i = 0; i < TOY_MS; i++)
		while (t->m[i].op.call != TOY_NOTHING)
			toy_go_on(t, &t->m[i]);
	for (unsigned i = 0; i < TOY_GS; i++)
		t->g[i].n = 0;
	for (unsigned i = 0; i < TOY_ROOTS; i++) {
		t->root[i] = NULL;
		t->root_number[i] = 0;
	}
}

void toy_end(struct toy *t)
{
	forget(t);
	t->between = true; /* mutators do nothing more than they are asked to */
	uint32_t want = gc_ask(&t->gc, GC_WHY_ASKED) + 1;
	for (unsigned i = 0; i < ENDING_STEPS && !t->wrong && load_rlx(&t->gc.xended) != want; i++) {
		step_collector(t);
		for (unsigned k = 0; k < TOY_MS; k++)
			if (t->m[k].g && t->m[k].g->state != TOY_SECTION)
				toy_safe_point(t, &t->m[k]);
	}
	if (!t->wrong && load_rlx(&t->gc.xended) != want)
		t->wrong = "a cycle does not end";
	if (!t->wrong && objects(t))
		t->wrong = "objects are left that nobody can reach";
}
