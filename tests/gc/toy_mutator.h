/* The toy host's mutators: what a program does, and what the runtime does for it in calls and whenever it may. */
#ifndef TESTS_GC_TOY_MUTATOR_H
#define TESTS_GC_TOY_MUTATOR_H

#include "tests/gc/toy_host.h"
#include "tests/random.h"

static inline bool toy_chance(struct toy *t, unsigned percent)
{
	return draw_below(&t->random, 100) < percent;
}

static inline unsigned toy_one_of(struct toy *t, unsigned n)
{
	return (unsigned)draw_below(&t->random, n);
}

/* Whoever goes on now is looked at first. */
static inline bool toy_is_marking(struct toy *t)
{
	return gc_is_marking(&t->gc) || (t->fault == TOY_EARLY_SCAN && gc_phase(&t->gc) == GC_ARMING);
}

static inline uint32_t toy_cycle(struct toy *t)
{
	return load_rlx(&t->gc.xcycle);
}

/* The heap's cells of the kinds of objects that it allocates. */
void toy_cells(struct toy *);

void toy_look_at(struct toy *, struct toy_g *);

/* If marking has ended since; `seen` is the cache's. */
void toy_flush(struct toy *, struct heap_cache *, uint32_t *seen);
void toy_flush_m(struct toy *, struct toy_m *);

/* What a mutator does whenever it may: at the end of a call, before a goroutine runs, in a signal's handler. */
void toy_do_what_is_asked(struct toy *, struct toy_m *);
void toy_safe_point(struct toy *, struct toy_m *);

/* A step of the call that it is in. */
void toy_go_on(struct toy *, struct toy_m *);
/* A step of whatever it does. */
void toy_step(struct toy *, struct toy_m *);

#endif
