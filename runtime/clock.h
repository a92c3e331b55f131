/* The time, for setting a timer: never early, and late by less than a timer fires late anyway.
 *
 * clock_gettime costs 22 ns here, the cycle counter 10 (docs/bench-method.md, row timer). So each P keeps one pair of
 * readings, of both at the same moment, and for some 50 µs after it the counter alone says how much later it is:
 *
 *     time <= ns + (counter - ticks) * rate + CLOCK_SLACK_NS
 *
 * because the pair is only kept if nothing came between the two readings (the counter is read first, so that what did come makes
 * the answer late), and because the kernel slews its clock by at most 500 parts in a million, which is 30 ns in 60 µs. The rate
 * is that since the start of the program.
 *
 * What users see as the time, weft_now, is the kernel's: it never goes backwards between two threads.
 */
#ifndef RUNTIME_CLOCK_H
#define RUNTIME_CLOCK_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "runtime/sim.h"

#include <stdint.h>
#include <time.h>

enum { CLOCK_TICKS_MOST = 1 << 17, CLOCK_SLACK_NS = 64 };

/* A part of struct p, its holder's. Atomics, because goroutines of many identities (fiber.h) read them. */
struct clock_part {
	_Atomic int64_t ns;
	_Atomic uint64_t ticks;
	_Atomic uint64_t rate; /* ns in a tick, times 2^32 */
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

COLD int64_t clock_near_slow(struct clock_part *);

static inline int64_t clock_near(struct clock_part *c)
{
	uint64_t passed = cycles_now() - load_rlx(&c->ticks);
	if (unlikely(passed >= CLOCK_TICKS_MOST))
		return clock_near_slow(c);
	return load_rlx(&c->ns) + (int64_t)(passed * load_rlx(&c->rate) >> 32) + CLOCK_SLACK_NS;
}

#endif
