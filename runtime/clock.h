/* The time, for setting a timer: never early, and late by less than 0.7 µs (twice that in the moment in which the kernel's clock
 * is slowed down; unit/clock).
 *
 * clock_gettime costs 22 ns here, the cycle counter 10 (docs/bench-method.md, row timer). So each P keeps one pair of readings, of
 * both at the same moment, and for a few µs after it the counter alone says how much later it is:
 *
 *     time <= ns + (counter - ticks) * rate * 5/4 + CLOCK_SLACK_NS
 *
 * because a pair is only kept if nothing came between the two readings (the counter is read first, so that what did come makes the
 * answer late), and because no clock goes so much faster than it did a moment ago: the kernel lets nobody slew it by more than a
 * tenth (adjtimex(2), tick). The rate is that between two pairs that are a millisecond to a second apart. Two that are not, as after a
 * suspended machine, or that say something quite different from those before, begin anew, and until there is a rate again the
 * kernel is asked.
 *
 * What users see as the time, weft_now, is the kernel's: it never goes backwards between two threads.
 */
#ifndef RUNTIME_CLOCK_H
#define RUNTIME_CLOCK_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "runtime/sim.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { CLOCK_TICKS_MOST = 1 << 12, CLOCK_SLACK_NS = 128, CLOCK_NARROW_TICKS = 200 };

/* A part of struct p, its holder's alone. Atomics, because goroutines of many identities (fiber.h) read them. */
struct clock_part {
	_Atomic int64_t ns;
	_Atomic uint64_t ticks;
	_Atomic uint64_t rate; /* ns in a tick, times 2^32; 0: not known */
	_Atomic int64_t from_ns; /* the pair from which the next rate is measured */
	_Atomic uint64_t from_ticks;
};

/* Ticks of a quarter to half a nanosecond. AArch64's counter goes at 1 MHz to 1 GHz, as cntfrq_el0 says: shifted it goes
 * at 2 to 4 GHz, in steps, as x86-64's does. Differences are right across an overflow, shifted ones too. */
static inline __attribute__((always_inline)) uint64_t cycles_now(void)
{
	if (unlikely(sim_on))
		return sim_cycles();
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	uint64_t t, hz;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	return t << __builtin_clz((uint32_t)hz | 1);
#endif
}

/* Before the Ps start. */
void clock_start(void);

/* CLOCK_MONOTONIC, with the kernel's answer in memory of the caller's choice. */
int64_t clock_read(struct timespec *);

/* Both were read at one moment: the counter before the kernel's clock, and `took` ticks before it was read again. */
void clock_learn(struct clock_part *, uint64_t ticks, int64_t ns, uint64_t took);

COLD int64_t clock_near_slow(struct clock_part *);

/* What time it is when the counter says `ticks`, if that can be told from the last pair. */
static inline bool clock_tell(const struct clock_part *c, uint64_t ticks, int64_t *ns)
{
	uint64_t passed = ticks - load_rlx(&c->ticks), rate = load_rlx(&c->rate);
	if (unlikely(passed >= CLOCK_TICKS_MOST) || unlikely(!rate))
		return false;
	uint64_t later = passed * rate >> 32;
	*ns = load_rlx(&c->ns) + (int64_t)(later + later / 4) + CLOCK_SLACK_NS;
	return true;
}

static inline int64_t clock_near(struct clock_part *c)
{
	int64_t ns;
	return likely(clock_tell(c, cycles_now(), &ns)) ? ns : clock_near_slow(c);
}

#endif
