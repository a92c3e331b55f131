/* Goroutines that wait for what nobody else has a pointer to: what tests of leaks are made of. */
#ifndef TESTS_UNIT_LEAKING_H
#define TESTS_UNIT_LEAKING_H

#include "runtime/leaks.h"
#include "tests/unit/waiting.h"

#include <unistd.h>

/* ---- making goroutines that nobody else has a pointer of ---- */

static inline void stay(void)
{
	__asm__ volatile("" ::: "memory");
}

static weft_waitgroup made;

struct apart {
	void (*fn)(void *);
	void *arg;
};

static inline void run_apart(void *arg)
{
	const struct apart *a = arg;
	a->fn(a->arg);
	weft_waitgroup_done(&made);
}

/* On a stack that is given up: what it leaves there is nobody's. */
static inline void apart(void (*fn)(void *), void *arg)
{
	static const weft_go_opts opts = {.arg_size = sizeof(struct apart)};
	weft_waitgroup_add(&made, 1);
	CHECK_EQ(weft_go_with(&opts, run_apart, &(struct apart){fn, arg}), 0);
	weft_waitgroup_wait(&made);
}

static inline void count_sleeping(void *object, void *arg)
{
	const struct g *g = object;
	*(int *)arg += load_rlx(&g->state) == G_WAITING && !load_rlx(&g->is_thread) && !load_acq(&g->ctx.xon_cpu);
}

/* So many goroutines have come to wait for something, and left their CPUs. */
static inline void await_sleeping(int n)
{
	for (int seen = -1; seen != n; weft_yield()) {
		seen = 0;
		slab_each(&sched.gs, count_sleeping, &seen);
	}
}

/* Manual memory is looked at block by block. */
#define HAS_BLOCKS (!WEFT_ASAN && !WEFT_TSAN)

/* Where something may pass for a pointer that is none: nothing is invented. */
static inline void check_leaks_at_most(int n)
{
	int found = weft_leaks(STDOUT_FILENO);
	CHECK(found >= 0 && found <= n);
}

/* ThreadSanitizer keeps the addresses of all locks in words of its own, and where there are no blocks what a trace has given back keeps goroutines. */
static inline void check_leaks(int n)
{
	if (!HAS_BLOCKS)
		check_leaks_at_most(n);
	else
		CHECK_EQ(weft_leaks(STDOUT_FILENO), n);
}

static inline void receive(void *ch)
{
	weft_recv(ch, NULL);
	stay();
}

static inline weft_chan *make_plain(void)
{
	return weft_chan_make(sizeof(int), 0);
}

#endif
