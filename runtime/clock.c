#include "runtime/clock.h"
#include "lockfree/tsc.h"

#include <weft/time.h>

enum {
	NARROW_TICKS = 200,     /* from before the kernel's clock was read to after it, when nothing came between */
	RATED_AFTER_NS = 1000000, /* the program must have run for, before its rate means anything */
};

static struct {
	bool counter_is_trusted;
	int64_t ns;
	uint64_t ticks;
} began;

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
	began.counter_is_trusted = !sim_on && tsc_is_trusted(); /* a simulation's timers are exact */
	began.ticks = cycles_now();
	began.ns = weft_now();
}

/* A new pair, if it is a good one. */
COLD int64_t clock_near_slow(struct clock_part *c)
{
	uint64_t before = cycles_now();
	int64_t ns = weft_now(), ran = ns - began.ns;
	uint64_t took = cycles_now() - before;
	if (took < NARROW_TICKS && ran > RATED_AFTER_NS && began.counter_is_trusted) {
		store_rlx(&c->ns, ns);
		store_rlx(&c->ticks, before);
		store_rlx(&c->rate, (uint64_t)((double)ran / (double)(before - began.ticks) * 4294967296.0));
	}
	return ns;
}
