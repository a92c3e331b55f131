/* The time-stamp counter as a clock: a few nanoseconds a reading, no system call.
 *
 * Used where it is invariant (one rate in all power states) and the kernel trusts it too; elsewhere
 * the ticks are nanoseconds of CLOCK_MONOTONIC, and tsc_source says so. tsc_init calibrates against
 * CLOCK_MONOTONIC for some 20 ms, sleeping; it is called once, before other threads use the clock.
 */
#ifndef LOCKFREE_TSC_H
#define LOCKFREE_TSC_H

#include "lockfree/assert.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct tsc {
	bool counter; /* false: ticks are nanoseconds of CLOCK_MONOTONIC */
	double ticks_per_ns;
	uint64_t ns_per_tick_32; /* nanoseconds in a tick, times 2^32 */
};

extern struct tsc tsc; /* written by tsc_init, read by all */

void tsc_init(void);

/* Has it one rate, the same on all cores, as far as the processor and the kernel say? Any time. */
bool tsc_is_trusted(void);

/* "tsc", "cntvct", or "clock_gettime" with the reason. */
const char *tsc_source(void);

static inline uint64_t tsc_monotonic_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t tsc_now(void)
{
	if (likely(tsc.counter)) {
#if defined(__x86_64__)
		return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
		uint64_t t;
		__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(t));
		return t;
#endif
	}
	return tsc_monotonic_ns();
}

static inline uint64_t tsc_ns(uint64_t ticks)
{
	__extension__ typedef unsigned __int128 wide;
	return (uint64_t)(((wide)ticks * tsc.ns_per_tick_32) >> 32);
}

static inline uint64_t tsc_ticks(double ns)
{
	return (uint64_t)(ns * tsc.ticks_per_ns);
}

#endif
