#include "runtime/clock.h"
#include "lockfree/tsc.h"

#include <weft/time.h>

enum { RATED_AFTER_NS = 1000000, RATED_UNTIL_NS = 1000000000 };

static bool counter_is_trusted;

int64_t clock_read(struct timespec *t)
{
	if (unlikely(sim_on))
		return sim_now();
	clock_gettime(CLOCK_MONOTONIC, t);
	return t->tv_sec * WEFT_S + t->tv_nsec;
}

int64_t weft_now(void)
{
	struct timespec t;
	return clock_read(&t);
}

void clock_start(void)
{
	counter_is_trusted = !sim_on && tsc_is_trusted(); /* a simulation's timers are exact */
}

static void begin_anew(struct clock_part *c, uint64_t ticks, int64_t ns, uint64_t rate)
{
	store_rlx(&c->rate, rate);
	store_rlx(&c->from_ticks, ticks);
	store_rlx(&c->from_ns, ns);
}

/* Is it within an eighth? */
static bool is_like(uint64_t rate, uint64_t before)
{
	return rate < before + before / 8 && before < rate + rate / 8;
}

void clock_learn(struct clock_part *c, uint64_t ticks, int64_t ns, uint64_t took)
{
	if (took >= CLOCK_NARROW_TICKS)
		return;
	uint64_t passed = ticks - load_rlx(&c->from_ticks), before = load_rlx(&c->rate);
	int64_t ran = ns - load_rlx(&c->from_ns);
	store_rlx(&c->ticks, ticks);
	store_rlx(&c->ns, ns);
	if (ran < RATED_AFTER_NS)
		return;
	/* A counter goes at 1 to 6 GHz here (unit/cycles). */
	bool sane = ran < RATED_UNTIL_NS && passed > (uint64_t)ran / 2 && passed < (uint64_t)ran * 8;
	uint64_t rate = sane ? ((uint64_t)ran << 32) / passed : 0;
	begin_anew(c, ticks, ns, rate && (!before || is_like(rate, before)) ? rate : 0);
}

COLD int64_t clock_near_slow(struct clock_part *c)
{
	uint64_t ticks = cycles_now();
	int64_t ns = weft_now();
	uint64_t took = cycles_now() - ticks;
	if (counter_is_trusted)
		clock_learn(c, ticks, ns, took);
	return ns;
}
