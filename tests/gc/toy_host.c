#include "tests/gc/toy_host.h"
#include "tests/random.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include <weft/gc.h>

enum {
	WORD = sizeof(uintptr_t),
	CHECK_EVERY = 128,
	MAP = ((1 << GRAPH_FIELDS) - 1) << 1, /* the words behind the number */
	LARGE = 40 * 1024,
	USE_WEAK = 92, /* percent: as act has it */
	ENDING_STEPS = 200000,
};
static_assert((int)LARGE > (int)SMALL_MOST, "it has a span of its own");

/* A run of large slots is over soon, and its colour is settled. */
static const struct kind {
	size_t size;
	uint32_t nfields;
	struct shape shape;
} kinds[TOY_KINDS] = {
    {16, 0, {.kind = SHAPE_LEAF}},
    {48, GRAPH_FIELDS, {SHAPE_MAP, 6, MAP}},
    {512, GRAPH_FIELDS, {SHAPE_MAP, 64, MAP}},
    {4096, GRAPH_FIELDS, {SHAPE_MAP, 64, MAP}},
    {LARGE, GRAPH_FIELDS, {.kind = SHAPE_TYPED}},
};
static const struct gc_range ranges[] = {{WORD, GRAPH_FIELDS}};
static const struct gc_type large_type = {LARGE - WORD, 1, ranges}; /* the last word is its address */

static bool chance(struct toy *t, unsigned percent)
{
	return draw_below(&t->random, 100) < percent;
}

static unsigned one_of(struct toy *t, unsigned n)
{
	return (unsigned)draw_below(&t->random, n);
}

static bool shades(void)
{
	return __atomic_load_n(&weft_marking_, __ATOMIC_RELAXED);
}

/* Whoever goes on now is looked at first. */
static bool is_marking(struct toy *t)
{
	return gc_is_marking(&t->gc) || (t->fault == TOY_EARLY_SCAN && gc_phase(&t->gc) == GC_ARMING);
}

static uint32_t cycle(struct toy *t)
{
	return load_rlx(&t->gc.xcycle);
}

static bool is_black(struct toy *t, const struct toy_g *g)
{
	return g && is_marking(t) && g->scanned == cycle(t);
}

static struct graph_object *object(struct toy *t, uint32_t number)
{
	return t->graph->node[number].at;
}

static void shade(struct toy *t, struct toy_m *m, const struct graph_object *value)
{
	if (value)
		gc_shade(&m->shaded, &t->gc.words, (uintptr_t)value);
}

/* ---- stacks ---- */

/* What lies before an object that a stack points to is kept too (gc/words.h). */
static void excuse_before(struct toy *t, uintptr_t word)
{
	struct heap_object o = heap_find(&t->gc.heap, word - 1);
	if (o.span)
		graph_excuse(t->graph, (uint32_t)((struct graph_object *)(void *)span_slot(o.span, o.slot))->number);
}

static void look_at(struct toy *t, struct toy_g *g)
{
	struct gc_filling f = {.words = &t->gc.words, .from = GC_STACK};
	for (uint32_t i = 0; i < g->n; i++) {
		uintptr_t word = (uintptr_t)object(t, g->stack[i]);
		gc_fill(&f, word);
		excuse_before(t, word);
	}
	gc_fill_end(&f);
	g->scanned = cycle(t);
}

static void push(struct toy *t, struct toy_g *g, uint32_t number)
{
	if (g->n == TOY_STACK)
		g->stack[one_of(t, TOY_STACK)] = number;
	else
		g->stack[g->n++] = number;
}

/* It has moved: who has stored it does not keep it. */
static void move(struct toy_g *g, uint32_t number)
{
	for (uint32_t i = g->n; number && i-- > 0;)
		if (g->stack[i] == number)
			g->stack[i] = g->stack[--g->n];
}

/* ---- caches ---- */

static void blacken(struct toy *t, struct toy_m *m)
{
	if (m->cache && m->cache->colour != HEAP_BLACK && t->fault != TOY_WHITE_AFTER_SCAN)
		heap_recolour(m->cache, HEAP_BLACK);
}

static void whiten(struct toy *t, struct heap_cache *c)
{
	if (t->fault == TOY_NO_FLUSH) {
		heap_recolour(c, HEAP_WHITE);
		return;
	}
	heap_flush(c);
	c->colour = HEAP_WHITE;
}

static void flush(struct toy *t, struct heap_cache *c, uint32_t *seen)
{
	uint32_t state = load_acq(&t->gc.xstate);
	if (state & 1 || *seen == state)
		return;
	whiten(t, c);
	*seen = state;
}

static void flush_m(struct toy *t, struct toy_m *m)
{
	if (m->cache)
		flush(t, m->cache, &m->seen);
}

/* What a mutator does whenever it may: at the end of a call, before a goroutine runs, in a signal's handler. */
static void do_what_is_asked(struct toy *t, struct toy_m *m)
{
	if (!is_marking(t)) {
		flush_m(t, m);
		return;
	}
	if (t->fault == TOY_BLACK_BEFORE_SCAN && chance(t, 90)) {
		blacken(t, m);
		return;
	}
	if (!m->g)
		return;
	if (m->g->scanned != cycle(t))
		look_at(t, m->g);
	blacken(t, m);
}

static void safe_point(struct toy *t, struct toy_m *m)
{
	m->noted = false;
	do_what_is_asked(t, m);
	m->passed = t->round;
}

/* ---- allocating ---- */

static void *new_in(struct toy *t, struct heap_cache *c, unsigned kind)
{
	const struct kind *k = &kinds[kind];
	uint64_t before = load_rlx(&c->allocated);
	char *at = k->size > SMALL_MOST ? heap_new_large(c, k->size, &k->shape) : heap_new_slow(c, t->cells[kind]);
	CHECK(at);
	if (k->shape.kind == SHAPE_TYPED)
		*(const void **)(void *)(at + (k->size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES - WORD) = &large_type;
	(void)gc_allocated(&t->gc, load_rlx(&c->allocated) - before);
	return at;
}

static enum heap_colour colour_of(struct toy *t, const struct toy_m *m, bool black)
{
	if (t->fault == TOY_COLOUR_TOO_SOON)
		black = m->op.black;
	else if (t->fault == TOY_WHITE_AFTER_SCAN)
		black = false;
	else if (t->fault == TOY_BLACK_BEFORE_SCAN)
		black = is_marking(t);
	return black ? HEAP_BLACK : HEAP_WHITE;
}

/* The same look at the state decides on flushing and on the colour: marking may have ended since the call began. */
static void *new_shared(struct toy *t, struct toy_m *m, unsigned kind)
{
	flush(t, t->shared, &t->shared_seen);
	enum heap_colour colour = colour_of(t, m, is_black(t, m->g));
	if (t->shared->colour != colour)
		heap_recolour(t->shared, colour);
	return new_in(t, t->shared, kind);
}

static void note_new(struct toy *t, struct toy_m *m, struct graph_object *at, unsigned kind)
{
	for (unsigned i = 0; i < kinds[kind].nfields; i++)
		if (at->field[i])
			t->wrong = "a new object is not zeroed";
	push(t, m->g, graph_add(t->graph, at, kinds[kind].nfields));
}

/* ---- calls, step by step; false: it is over ---- */

static bool step_allocate(struct toy *t, struct toy_m *m)
{
	struct toy_op *op = &m->op;
	if (!op->step) {
		op->black = is_black(t, m->g);
		return true;
	}
	note_new(t, m, m->cache ? new_in(t, m->cache, op->kind) : new_shared(t, m, op->kind), op->kind);
	return false;
}

static void put(struct toy *t, struct toy_op *op)
{
	*op->slot.at = object(t, op->value);
	*op->slot.number = op->value;
}

static void shade_new(struct toy *t, struct toy_m *m)
{
	if (m->op.shades && !is_black(t, m->g) && t->fault != TOY_NO_INSERTION)
		shade(t, m, object(t, m->op.value));
}

static bool step_store(struct toy *t, struct toy_m *m)
{
	struct toy_op *op = &m->op;
	switch (op->step) {
	case 0:
		op->shades = shades();
		return true;
	case 1:
		if (op->shades && t->fault != TOY_NO_DELETION)
			shade(t, m, *op->slot.at);
		return true;
	case 2:
		shade_new(t, m);
		return true;
	default:
		put(t, op);
		return false;
	}
}

static bool step_swap(struct toy *t, struct toy_m *m)
{
	struct toy_op *op = &m->op;
	switch (op->step) {
	case 0:
		op->shades = shades();
		return true;
	case 1:
		shade_new(t, m);
		return true;
	case 2:
		op->old = *op->slot.number;
		put(t, op);
		return true;
	default:
		if (shades() && t->fault != TOY_NO_DELETION)
			shade(t, m, object(t, op->old));
		if (op->old)
			push(t, m->g, op->old);
		return false;
	}
}

/* As gc_born: nobody else knows it yet, but who goes through all goroutines comes by. */
static bool step_birth(struct toy *t, struct toy_m *m)
{
	struct toy_op *op = &m->op;
	struct toy_g *child = op->child;
	switch (op->step) {
	case 0:
		op->shades = shades();
		return true;
	case 1:
		if (!op->shades || !is_marking(t))
			return true;
		if (t->fault != TOY_BIRTH_UNSHADED)
			shade(t, m, object(t, op->value));
		child->scanned = cycle(t);
		return true;
	default:
		child->stack[0] = op->value;
		child->n = op->value ? 1 : 0;
		child->state = TOY_PARKED;
		return false;
	}
}

static void shade_if_asked(struct toy *t, struct toy_m *m, uint32_t number)
{
	if (shades())
		shade(t, m, object(t, number));
}

static void attach(struct toy *t, struct toy_op *op)
{
	if (gc_special_add(&t->gc, &op->weak->special, object(t, op->value)))
		t->wrong = "an object on a stack is none";
}

static bool step_attach(struct toy *t, struct toy_m *m)
{
	struct toy_op *op = &m->op;
	bool too_soon = t->fault == TOY_WEAK_SHADED_TOO_SOON;
	if (op->step == (too_soon ? 0 : 1))
		shade_if_asked(t, m, op->value);
	else
		attach(t, op);
	if (op->step == 0)
		return true;
	op->weak->attached = true;
	return false;
}

static bool step_get(struct toy *t, struct toy_m *m)
{
	struct toy_op *op = &m->op;
	if (op->step == 0) {
		bool wait;
		bool got = gc_special_get(&t->gc, &op->weak->special, &wait);
		op->old = got ? op->weak->number : 0;
		if (got)
			graph_excuse(t->graph, op->old);
		return got;
	}
	if (t->fault != TOY_WEAK_UNSHADED)
		shade_if_asked(t, m, op->old);
	push(t, m->g, op->old);
	return false;
}

static bool step_of(struct toy *t, struct toy_m *m)
{
	switch (m->op.call) {
	case TOY_NOTHING:
		break;
	case TOY_STORE:
		return step_store(t, m);
	case TOY_SWAP:
		return step_swap(t, m);
	case TOY_ALLOCATE:
		return step_allocate(t, m);
	case TOY_BIRTH:
		return step_birth(t, m);
	case TOY_ATTACH:
		return step_attach(t, m);
	case TOY_GET:
		return step_get(t, m);
	}
	return false;
}

/* Most of all when a cycle begins: whoever is in the middle of a call then is what handshakes are for. */
static unsigned how_often_stalled(struct toy *t)
{
	return gc_phase(&t->gc) <= GC_SETTLING ? 10 * t->temper.stalls : t->temper.stalls;
}

static void go_on(struct toy *t, struct toy_m *m)
{
	if (m->stalled) {
		m->stalled--;
		return;
	}
	m->stalled = chance(t, how_often_stalled(t)) ? one_of(t, t->temper.stall_most) : 0;
	if (step_of(t, m)) {
		m->op.step++;
		return;
	}
	if (chance(t, t->temper.moves))
		move(m->g, m->op.value);
	m->op = (struct toy_op){.call = TOY_NOTHING};
	if (m->noted && chance(t, t->temper.passes))
		safe_point(t, m);
	m->inside = false;
}

static void begin(struct toy_m *m, struct toy_op op)
{
	m->op = op;
	m->inside = true;
}

/* ---- what a program does ---- */

static uint32_t one_on_stack(struct toy *t, const struct toy_g *g)
{
	return g->n ? g->stack[one_of(t, g->n)] : 0;
}

/* One that others can reach, or may. */
static struct toy_slot some_slot(struct toy *t, const struct toy_g *g)
{
	uint32_t in = one_on_stack(t, g);
	struct graph_node *node = &t->graph->node[in];
	if (!in || !node->published || !node->nfields || chance(t, 25)) {
		unsigned i = one_of(t, TOY_ROOTS);
		return (struct toy_slot){&t->root[i], &t->root_number[i]};
	}
	unsigned i = one_of(t, GRAPH_FIELDS);
	return (struct toy_slot){&node->at->field[i], &node->to[i]};
}

static void begin_store(struct toy *t, struct toy_m *m, enum toy_call call)
{
	struct toy_op op = {.call = call, .slot = some_slot(t, m->g), .value = chance(t, t->temper.clears) ? 0 : one_on_stack(t, m->g)};
	graph_publish(t->graph, op.value);
	begin(m, op);
}

/* A plain store into an empty member of an object that is the goroutine's alone. */
static void initialise(struct toy *t, struct toy_g *g)
{
	uint32_t in = one_on_stack(t, g), value = one_on_stack(t, g);
	struct graph_node *node = &t->graph->node[in];
	unsigned i = one_of(t, GRAPH_FIELDS);
	if (!in || node->published || !node->nfields || node->to[i])
		return;
	node->at->field[i] = object(t, value);
	node->to[i] = value;
	if (value != in && chance(t, t->temper.moves))
		move(g, value);
}

static void load(struct toy *t, struct toy_g *g)
{
	uint32_t in = one_on_stack(t, g);
	struct graph_node *node = &t->graph->node[in];
	uint32_t got = in && node->nfields && !chance(t, 30) ? node->to[one_of(t, GRAPH_FIELDS)] : t->root_number[one_of(t, TOY_ROOTS)];
	if (got)
		push(t, g, got);
}

static void drop(struct toy *t, struct toy_g *g)
{
	if (!g->n)
		return;
	g->stack[one_of(t, g->n)] = g->stack[g->n - 1];
	g->n--;
}

static struct toy_g *some_g(struct toy *t, enum toy_state state)
{
	struct toy_g *g = &t->g[one_of(t, TOY_GS)];
	return g->state == state ? g : NULL;
}

static void give_birth(struct toy *t, struct toy_m *m)
{
	struct toy_g *child = some_g(t, TOY_FREE);
	if (!child)
		return;
	child->state = TOY_BEING_BORN;
	child->n = 0;
	struct toy_op op = {.call = TOY_BIRTH, .child = child, .value = one_on_stack(t, m->g)};
	graph_publish(t->graph, op.value);
	begin(m, op);
}

/* Another goroutine runs, after it was looked at if need be; or none. */
static void switch_g(struct toy *t, struct toy_m *m, bool ends)
{
	if (!m->cache)
		return; /* it waits for a P */
	if (m->g && ends) {
		if (shades() && is_marking(t))
			m->g->scanned = cycle(t);
		m->g->n = 0;
	}
	if (m->g)
		m->g->state = ends ? TOY_FREE : TOY_PARKED;
	m->g = some_g(t, TOY_PARKED);
	if (!m->g)
		return;
	m->g->state = TOY_RUNNING;
	if (load_rlx(&t->gc.xstate) != m->seen || t->fault == TOY_EARLY_SCAN)
		do_what_is_asked(t, m);
}

static void use_weak(struct toy *t, struct toy_m *m)
{
	struct toy_weak *w = &t->weak[one_of(t, TOY_WEAKS)];
	uint32_t number = one_on_stack(t, m->g);
	if (w->attached) {
		begin(m, (struct toy_op){.call = TOY_GET, .weak = w});
	} else if (!w->number && number) {
		*w = (struct toy_weak){.number = number, .special.dead = w->special.dead};
		graph_publish(t->graph, number);
		begin(m, (struct toy_op){.call = TOY_ATTACH, .weak = w, .value = number});
	}
}

static bool somebody_gets(const struct toy *t, const struct toy_weak *w)
{
	for (unsigned i = 0; i < TOY_MS; i++)
		if (t->m[i].op.weak == w)
			return true;
	return false;
}

static void drop_weak(struct toy *t)
{
	struct toy_weak *w = &t->weak[one_of(t, TOY_WEAKS)];
	if (!w->attached || somebody_gets(t, w))
		return;
	bool was_there = gc_special_drop(&t->gc, &w->special);
	if (was_there == w->told)
		t->wrong = "a weak pointer's owner was told something else than is so";
	w->attached = false;
	w->number = 0;
}

static void section(struct toy *t, struct toy_m *m)
{
	if (m->g->state == TOY_RUNNING) {
		m->g->state = TOY_SECTION;
		return;
	}
	m->g->state = TOY_RUNNING;
	if (t->fault == TOY_BACK_UNSEEN && is_marking(t))
		m->g->scanned = cycle(t);
	do_what_is_asked(t, m);
}

static void act(struct toy *t, struct toy_m *m)
{
	/* What weak pointers say then is what can go wrong with them, and it is soon over. */
	unsigned what = gc_phase(&t->gc) == GC_SWEEPING && chance(t, 50) ? USE_WEAK : one_of(t, 100);
	if (what < 18)
		begin(m, (struct toy_op){.call = TOY_ALLOCATE, .kind = one_of(t, chance(t, 2) ? TOY_KINDS : TOY_KINDS - 1)});
	else if (what < 38)
		begin_store(t, m, TOY_STORE);
	else if (what < 46)
		begin_store(t, m, TOY_SWAP);
	else if (what < 56)
		initialise(t, m->g);
	else if (what < 72)
		load(t, m->g);
	else if (what < 82)
		drop(t, m->g);
	else if (what < 85)
		give_birth(t, m);
	else if (what < 88)
		switch_g(t, m, chance(t, 30));
	else if (what <= USE_WEAK)
		use_weak(t, m);
	else if (what < 95)
		drop_weak(t);
	else if (what < 97)
		section(t, m);
	else
		safe_point(t, m);
}

static void step_m(struct toy *t, struct toy_m *m)
{
	if (m->op.call != TOY_NOTHING)
		go_on(t, m);
	else if (m->g && m->g->state != TOY_SECTION)
		act(t, m);
	else if (m->g && chance(t, 10))
		section(t, m);
	else if (m->g)
		return; /* still in the kernel */
	else
		switch_g(t, m, false);
}

/* In the middle of a step of the collector's: others do not wait for it. */
static void meanwhile(struct toy *t)
{
	if (t->between || t->graph->n == GRAPH_NODES)
		return;
	t->between = true;
	for (unsigned n = one_of(t, 4); n && t->graph->n < GRAPH_NODES; n--)
		step_m(t, &t->m[one_of(t, TOY_MS)]);
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
		g->scanned = cycle(t);
	else
		look_at(t, g);
}

/* One that runs is looked at by its M, at the end of a call or by a signal: that only if it is in none. */
static bool is_scanned(struct toy *t, struct toy_g *g)
{
	struct toy_m *m = runner_of(t, g);
	if (g->scanned == cycle(t))
		return true;
	if (!m)
		look_at(t, g);
	else if (g->state == TOY_SECTION)
		look_at_section(t, g);
	else if (!m->inside && chance(t, 20))
		do_what_is_asked(t, m);
	else
		m->noted = true;
	return g->scanned == cycle(t);
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
	flush(t, t->shared, &t->shared_seen);
	for (unsigned i = 0; i < TOY_MS; i++) {
		struct toy_m *m = &t->m[i];
		bool sleeps = !m->g || m->g->state == TOY_SECTION;
		if (sleeps || (!m->inside && chance(t, 20)))
			flush_m(t, m);
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
	if (chance(t, t->temper.slow))
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
		if (g->scanned != cycle(t) && !g->pending)
			look_at(t, g);
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
	unsigned i = one_of(t, TOY_MARKERS);
	if (!gc_is_on(&t->gc) && chance(t, t->temper.asks))
		gc_ask(&t->gc, GC_WHY_STRESS);
	/* markers[0] is the collector's own: who comes without one only begins phases. */
	gc_step(&t->gc, i ? t->markers[i] : NULL, 1 + one_of(t, t->temper.budget_most), chance(t, 50) ? GC_SPARE : GC_ASSIST);
	meanwhile(t);
}

static void step(struct toy *t)
{
	if (chance(t, t->temper.collects))
		step_collector(t);
	else
		step_m(t, &t->m[one_of(t, TOY_MS)]);
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
	static const struct pace_settings never = {PACE_OFF, PACE_NO_LIMIT};
	for (unsigned i = 0; i < TOY_MARKERS; i++)
		t->markers[i] = must(aligned_alloc(CACHE_LINE, sizeof *t->markers[i]));
	CHECK_EQ(gc_init(&t->gc, &the_host, ARENA_PAGES << PAGE_SHIFT, t->markers, TOY_MARKERS, &never), 0);
	for (unsigned i = 0; i < TOY_KINDS; i++)
		t->cells[i] = kinds[i].size > SMALL_MOST ? HEAP_NO_CELL : heap_cell(&t->gc.heap, kinds[i].size, &kinds[i].shape);
}

/* Each run is another kind of program. */
static void draw_temper(struct toy *t)
{
	t->temper.collects = 10 + one_of(t, 70);
	t->temper.asks = 1 + one_of(t, 50);
	t->temper.budget_most = 1 + one_of(t, 200) * one_of(t, 200);
	t->temper.clears = 10 + one_of(t, 60);
	t->temper.passes = 5 + one_of(t, 90);
	t->temper.slow = one_of(t, 90);
	t->temper.moves = one_of(t, 100);
	t->temper.stalls = one_of(t, 3);
	t->temper.stall_most = 1 + one_of(t, 60);
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
			go_on(t, &t->m[i]);
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
				safe_point(t, &t->m[k]);
	}
	if (!t->wrong && load_rlx(&t->gc.xended) != want)
		t->wrong = "a cycle does not end";
	if (!t->wrong && objects(t))
		t->wrong = "objects are left that nobody can reach";
}
