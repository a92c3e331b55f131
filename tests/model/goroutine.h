/* What a goroutine is to the model of something that it blocks on: a thread of the explorer. Included before the
 * source under test, it takes the guards of runtime/g.h and runtime/sched.h, and defines what runtime/park.h
 * declares; wait_claim is the real one.
 *
 * A deadline is a thread too, the last one: it may expire at any moment once it is armed, and a timer that is
 * cancelled while it fires is waited for, as timer_cancel does. */
#ifndef TESTS_MODEL_GOROUTINE_H
#define TESTS_MODEL_GOROUTINE_H
#define RUNTIME_G_H
#define RUNTIME_SCHED_H
#define RUNTIME_CALL_H

#include "tests/model/atomic.h"

#include <sched.h>

enum wait_reason { WAIT_MUTEX, WAIT_GROUP, WAIT_READ, WAIT_SEND, WAIT_RECV, WAIT_SEND_NIL, WAIT_RECV_NIL, WAIT_SELECT, WAIT_SELECT_NONE, WAIT_RWMUTEX, WAIT_COND, WAIT_SEM };

struct g {
	_Atomic uint32_t xclaim;
	_Atomic uint32_t readied; /* how often */
	_Atomic bool timed_out;
	uint32_t parks, readies; /* what `readied` is compared with; of the model, not of the program */
};

enum { MAX_PS = 2 };

struct p {
	unsigned index;
	bool solo;
};

struct m {
	struct p p;
};

static const struct {
	unsigned nprocs;
} sched __attribute__((unused)) = {MAX_PS};

static struct m model_m[4];
static struct g goroutine[4];

static inline struct m *m_self(void)
{
	return &model_m[explorer_self()];
}

static inline struct p *m_p(struct m *m)
{
	return &m->p;
}

static inline bool spinning_may_help(struct p *p)
{
	return !p->solo;
}

/* The P of a thread of the explorer is never taken. */
static inline bool call_begin(void)
{
	return false;
}

static inline void call_end(bool outermost)
{
	(void)outermost;
}

static inline bool call_begin_blocking(void)
{
	return false;
}

static inline void call_end_blocking(bool outermost)
{
	(void)outermost;
}

#include "runtime/panic.h"
#include "runtime/park.h"

enum { CLOCK_OFF, CLOCK_ARMED, CLOCK_FIRING, CLOCK_STOPPED };
enum { AGES = 2000000 };

static struct {
	_Atomic uint32_t state;
	int64_t (*expired)(void *arg, int64_t now);
	void *arg;
	int64_t now;
} model_clock;

static inline void goroutines_start(void)
{
	for (int i = 0; i < 4; i++)
		goroutine[i].parks = goroutine[i].readies = 0;
	for (unsigned i = 0; i < 4; i++)
		model_m[i].p = (struct p){.index = i % MAX_PS, .solo = true};
	model_clock.now = 1;
}

/* A little later than before, or much later. */
int64_t weft_now(void)
{
	return model_clock.now += explorer_choose(2) ? AGES : 1;
}

static inline uint64_t cycles_now(void)
{
	return (uint64_t)weft_now();
}

/* Nobody panics here: a deferred call runs when its block is left. */
void weft_defer(weft_deferred *d)
{
	static weft_deferred *of_each[4];
	d->list = &of_each[explorer_self()];
	d->next = *d->list;
	*d->list = d;
}

void weft_panic(const char *fmt, ...)
{
	explorer_abandon(fmt);
}

struct g *wait_begin(enum wait_reason why)
{
	struct g *g = &goroutine[explorer_self()];
	(void)why;
	store_rlx(&g->xclaim, 0);
	return g;
}

void wait_cancel(struct g *g)
{
	(void)g;
}

bool yield_to_child(void)
{
	return false;
}

void park(void)
{
	struct g *g = &goroutine[explorer_self()];
	await_acq(&g->readied, g->parks);
	g->parks++;
}

void ready(struct g *g)
{
	explorer_check(++g->readies == g->parks + 1, "one ready answers each park");
	store_rel(&g->readied, g->readies);
}

void park_with(weft_deadline deadline, int64_t (*expired)(void *, int64_t), void *arg)
{
	if (deadline.ns == INT64_MAX) {
		park();
		return;
	}
	uint32_t armed = CLOCK_ARMED;
	model_clock.expired = expired;
	model_clock.arg = arg;
	store_rel(&model_clock.state, CLOCK_ARMED);
	park();
	if (!cas_acqrel(&model_clock.state, &armed, CLOCK_OFF))
		await_acq(&model_clock.state, CLOCK_FIRING);
}

/* As in timer.c. */
static int64_t wait_expired(void *arg, int64_t now)
{
	struct g *g = arg;
	(void)now;
	if (wait_claim(g)) {
		store_rlx(&g->timed_out, true);
		ready(g);
	}
	return 0;
}

bool park_until(struct g *g, weft_deadline deadline)
{
	store_rlx(&g->timed_out, false);
	park_with(deadline, wait_expired, g);
	return load_rlx(&g->timed_out);
}

/* The body of the last thread; the one that waits with a deadline stops it. */
static inline void model_clock_runs(void)
{
	uint32_t state;
	while ((state = await_acq(&model_clock.state, CLOCK_OFF)) != CLOCK_STOPPED) {
		if (!cas_acqrel(&model_clock.state, &state, CLOCK_FIRING))
			continue;
		model_clock.now += AGES;
		model_clock.expired(model_clock.arg, model_clock.now);
		store_rel(&model_clock.state, CLOCK_OFF);
	}
}

static inline void model_clock_stops(void)
{
	store_rel(&model_clock.state, CLOCK_STOPPED);
}

#endif
