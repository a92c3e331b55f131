#include "tests/gc/toy_mutator.h"
#include "tests/test.h"

#include <weft/gc.h>

enum {
	WORD = sizeof(uintptr_t),
	MAP = ((1 << GRAPH_FIELDS) - 1) << 1, /* the words behind the number */
	LARGE = 40 * 1024,
	USE_WEAK = 92, /* percent: as act has it */
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

static bool shades(void)
{
	return __atomic_load_n(&weft_marking_, __ATOMIC_RELAXED);
}

static bool is_black(struct toy *t, const struct toy_g *g)
{
	return g && toy_is_marking(t) && g->scanned == toy_cycle(t);
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

void toy_look_at(struct toy *t, struct toy_g *g)
{
	struct gc_filling f = {.words = &t->gc.words, .from = GC_STACK};
	for (uint32_t i = 0; i < g->n; i++) {
		uintptr_t word = (uintptr_t)object(t, g->stack[i]);
		gc_fill(&f, word);
		excuse_before(t, word);
	}
	gc_fill_end(&f);
	g->scanned = toy_cycle(t);
}

static void push(struct toy *t, struct toy_g *g, uint32_t number)
{
	if (g->n == TOY_STACK)
		g->stack[toy_one_of(t, TOY_STACK)] = number;
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

void toy_flush(struct toy *t, struct heap_cache *c, uint32_t *seen)
{
	uint32_t state = load_acq(&t->gc.xstate);
	if (state & 1 || *seen == state)
		return;
	whiten(t, c);
	*seen = state;
}

void toy_flush_m(struct toy *t, struct toy_m *m)
{
	if (m->cache)
		toy_flush(t, m->cache, &m->seen);
}

void toy_do_what_is_asked(struct toy *t, struct toy_m *m)
{
	if (!toy_is_marking(t)) {
		toy_flush_m(t, m);
		return;
	}
	if (t->fault == TOY_BLACK_BEFORE_SCAN && toy_chance(t, 90)) {
		blacken(t, m);
		return;
	}
	if (!m->g)
		return;
	if (m->g->scanned != toy_cycle(t))
		toy_look_at(t, m->g);
	blacken(t, m);
}

void toy_safe_point(struct toy *t, struct toy_m *m)
{
	m->noted = false;
	toy_do_what_is_asked(t, m);
	m->passed = t->round;
}

/* ---- allocating ---- */

void toy_cells(struct toy *t)
{
	for (unsigned i = 0; i < TOY_KINDS; i++)
		t->cells[i] = kinds[i].size > SMALL_MOST ? HEAP_NO_CELL : heap_cell(&t->gc.heap, kinds[i].size, &kinds[i].shape);
}

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
		black = toy_is_marking(t);
	return black ? HEAP_BLACK : HEAP_WHITE;
}

/* The same look at the state decides on flushing and on the colour: marking may have ended since the call began. */
static void *new_shared(struct toy *t, struct toy_m *m, unsigned kind)
{
	toy_flush(t, t->shared, &t->shared_seen);
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
		if (op->old && op->call == TOY_SWAP)
			push(t, m->g, op->old);
		return false;
	}
}

/* While others may not shade yet, what is overwritten is what was there at that moment. */
static bool step_store(struct toy *t, struct toy_m *m)
{
	struct toy_op *op = &m->op;
	if (op->swaps)
		return step_swap(t, m);
	switch (op->step) {
	case 0:
		op->shades = shades();
		op->swaps = op->shades && !toy_is_marking(t) && t->fault != TOY_DELETION_TOO_SOON;
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
		if (!op->shades || !toy_is_marking(t))
			return true;
		if (t->fault != TOY_BIRTH_UNSHADED)
			shade(t, m, object(t, op->value));
		child->scanned = toy_cycle(t);
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

/* The object that a call is about was freed meanwhile: it may be somebody else's by now, or poisoned. */
static bool is_freed(struct toy *t, const struct toy_op *op)
{
	uintptr_t at = (uintptr_t)op->slot.at;
	return pages_has(&t->gc.heap.pages, at) && !heap_find(&t->gc.heap, at).span;
}

void toy_go_on(struct toy *t, struct toy_m *m)
{
	if (m->stalled) {
		m->stalled--;
		return;
	}
	if (is_freed(t, &m->op)) {
		t->wrong = "an object that is stored to was freed";
		return;
	}
	m->stalled = toy_chance(t, how_often_stalled(t)) ? toy_one_of(t, t->temper.stall_most) : 0;
	if (step_of(t, m)) {
		m->op.step++;
		return;
	}
	if (toy_chance(t, t->temper.moves))
		move(m->g, m->op.value);
	m->op = (struct toy_op){.call = TOY_NOTHING};
	if (m->noted && toy_chance(t, t->temper.passes))
		toy_safe_point(t, m);
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
	return g->n ? g->stack[toy_one_of(t, g->n)] : 0;
}

/* All store to the same place, when a cycle begins. */
static bool is_crowded(struct toy *t)
{
	return t->temper.crowds && gc_phase(&t->gc) <= GC_SETTLING;
}

/* One that others can reach, or may. */
static struct toy_slot some_slot(struct toy *t, const struct toy_g *g)
{
	if (is_crowded(t))
		return (struct toy_slot){&t->root[0], &t->root_number[0]};
	uint32_t in = one_on_stack(t, g);
	struct graph_node *node = &t->graph->node[in];
	if (!in || !node->published || !node->nfields || toy_chance(t, 25)) {
		unsigned i = toy_one_of(t, TOY_ROOTS);
		return (struct toy_slot){&t->root[i], &t->root_number[i]};
	}
	unsigned i = toy_one_of(t, GRAPH_FIELDS);
	return (struct toy_slot){&node->at->field[i], &node->to[i]};
}

static void begin_store(struct toy *t, struct toy_m *m, enum toy_call call)
{
	struct toy_op op = {.call = call, .slot = some_slot(t, m->g), .value = toy_chance(t, t->temper.clears) ? 0 : one_on_stack(t, m->g)};
	graph_publish(t->graph, op.value);
	begin(m, op);
}

/* A plain store into an empty member of an object that is the goroutine's alone. */
static void initialise(struct toy *t, struct toy_g *g)
{
	uint32_t in = one_on_stack(t, g), value = one_on_stack(t, g);
	struct graph_node *node = &t->graph->node[in];
	unsigned i = toy_one_of(t, GRAPH_FIELDS);
	if (!in || node->published || !node->nfields || node->to[i])
		return;
	node->at->field[i] = object(t, value);
	node->to[i] = value;
	if (value != in && toy_chance(t, t->temper.moves))
		move(g, value);
}

static void load(struct toy *t, struct toy_g *g)
{
	uint32_t in = one_on_stack(t, g);
	struct graph_node *node = &t->graph->node[in];
	uint32_t got = in && node->nfields && !toy_chance(t, 30) ? node->to[toy_one_of(t, GRAPH_FIELDS)] : t->root_number[toy_one_of(t, TOY_ROOTS)];
	if (got)
		push(t, g, got);
}

static void drop(struct toy *t, struct toy_g *g)
{
	if (!g->n)
		return;
	g->stack[toy_one_of(t, g->n)] = g->stack[g->n - 1];
	g->n--;
}

static struct toy_g *some_g(struct toy *t, enum toy_state state)
{
	struct toy_g *g = &t->g[toy_one_of(t, TOY_GS)];
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
		if (shades() && toy_is_marking(t))
			m->g->scanned = toy_cycle(t);
		m->g->n = 0;
	}
	if (m->g)
		m->g->state = ends ? TOY_FREE : TOY_PARKED;
	m->g = some_g(t, TOY_PARKED);
	if (!m->g)
		return;
	m->g->state = TOY_RUNNING;
	if (load_rlx(&t->gc.xstate) != m->seen || t->fault == TOY_EARLY_SCAN)
		toy_do_what_is_asked(t, m);
}

static void use_weak(struct toy *t, struct toy_m *m)
{
	struct toy_weak *w = &t->weak[toy_one_of(t, TOY_WEAKS)];
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
	struct toy_weak *w = &t->weak[toy_one_of(t, TOY_WEAKS)];
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
	if (t->fault == TOY_BACK_UNSEEN && toy_is_marking(t))
		m->g->scanned = toy_cycle(t);
	toy_do_what_is_asked(t, m);
}

/* What one puts where all store, another who has been looked at gets, and a third, who is late, overwrites. */
static void crowd(struct toy *t, struct toy_m *m)
{
	unsigned what = toy_one_of(t, 10);
	if (what < 5)
		begin_store(t, m, TOY_STORE);
	else if (what < 7)
		toy_safe_point(t, m);
	else if (t->root_number[0])
		push(t, m->g, t->root_number[0]);
}

static void act(struct toy *t, struct toy_m *m)
{
	/* What weak pointers say then is what can go wrong with them, and it is soon over. */
	unsigned what = gc_phase(&t->gc) == GC_SWEEPING && toy_chance(t, 50) ? USE_WEAK : toy_one_of(t, 100);
	if (is_crowded(t) && toy_chance(t, 80))
		crowd(t, m);
	else if (what < 18)
		begin(m, (struct toy_op){.call = TOY_ALLOCATE, .kind = toy_one_of(t, toy_chance(t, 2) ? TOY_KINDS : TOY_KINDS - 1)});
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
		switch_g(t, m, toy_chance(t, 30));
	else if (what <= USE_WEAK)
		use_weak(t, m);
	else if (what < 95)
		drop_weak(t);
	else if (what < 97)
		section(t, m);
	else
		toy_safe_point(t, m);
}

void toy_step(struct toy *t, struct toy_m *m)
{
	if (m->op.call != TOY_NOTHING)
		toy_go_on(t, m);
	else if (m->g && m->g->state != TOY_SECTION)
		act(t, m);
	else if (m->g && toy_chance(t, 10))
		section(t, m);
	else if (m->g)
		return; /* still in the kernel */
	else
		switch_g(t, m, false);
}
