/* Starting a goroutine that waits, and going on when it does: what tests of an order need, and no sleep is long enough for. */
#ifndef TESTS_UNIT_WAITING_H
#define TESTS_UNIT_WAITING_H

#include "runtime/sched.h"
#include "tests/unit/go.h"

#include <string.h>

struct waiting {
	enum wait_reason why;
	int n;
};

static inline void count_waiting(void *object, void *arg)
{
	const struct g *g = object;
	struct waiting *w = arg;
	w->n += load_rlx(&g->state) == G_WAITING && load_rlx(&g->waiting) == w->why;
}

/* How many goroutines wait for such a thing, or are about to: they have its guard. */
static inline int waiting(enum wait_reason why)
{
	struct waiting w = {.why = why};
	slab_each(&sched.gs, count_waiting, &w);
	return w.n;
}

static inline void await_waiting(enum wait_reason why, int n)
{
	while (waiting(why) != n)
		weft_yield();
}

static inline void go_and_wait(enum wait_reason why, void (*fn)(void *), void *arg)
{
	int before = waiting(why);
	weft_go(fn, arg);
	await_waiting(why, before + 1);
}

/* Who came in which order. */
static struct {
	_Atomic int begun, ended;
	char what[16];
} notes;

static inline void note(char what)
{
	notes.what[add_rlx(&notes.begun, 1)] = what;
	(void)add_rel(&notes.ended, 1);
}

static inline int noted(void)
{
	return load_acq(&notes.ended);
}

/* Waits until there are as many, and looks at what they are. */
static inline void check_noted(const char *want)
{
	while (noted() < (int)strlen(want))
		weft_yield();
	CHECK_EQ(noted(), strlen(want));
	CHECK_STR(notes.what, want);
}

#endif
