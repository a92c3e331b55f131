/* How late a goroutine runs that a timer has woken, while others compute in bursts and one computes all the time.
 *
 * Each of a thousand goroutines sleeps for a random time, notes how much later than intended it runs, and computes for
 * 1 to 25 us; together they want half a core. One more computes from the beginning to the end and calls nothing. What
 * the others see of it is the row's figure; how much of a core it was left is told too, since lateness can be bought
 * by starving it.
 *
 * The work is fixed: so many rounds of each, random numbers and bursts out of one seeded sequence, whose end depends on
 * every step before it and proves that all were done. The same in every peer.
 */
#include "bench/micro/rows.h"

#include <weft/weft.h>

#include <stdatomic.h>
#include <stdlib.h>

enum {
	SLEEPERS = 1000,
	WARMUP = 4, /* rounds that are not recorded */
	ROUNDS_MIN = 8,
	SLEEP_MIN = 1000000, /* ns */
	SLEEP_SPAN = 44000000,
	BURST_MIN = 512, /* steps of the sequence, about 2 ns each */
	BURST_SPAN = 12288,
	CHUNK = 4096,
	CALIBRATION = 50000, /* steps: 0.1 ms, which a busy machine too leaves alone now and then */
	ROUND_MS = 23, /* a mean one */
};

static struct {
	int rounds; /* recorded ones of each */
	int64_t *lateness; /* SLEEPERS times rounds */
	uint64_t ends[SLEEPERS];
	weft_waitgroup sleepers, computing;
	_Atomic int stop;
	_Atomic int64_t steps; /* that the computing one has done */
	_Atomic uint64_t kept; /* results that nobody asks for: their steps cannot be left out */
} run;

/* xorshift64: each step needs the one before it. */
static uint64_t compute(uint64_t x, int64_t steps)
{
	while (steps-- > 0) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

static void sleeper(void *arg)
{
	const long number = (long)(intptr_t)arg;
	uint64_t x = (uint64_t)(number + 1) * 0x9e3779b97f4a7c15u;
	for (int round = -WARMUP; round < run.rounds; round++) {
		x = compute(x, 1);
		int64_t ns = SLEEP_MIN + (int64_t)(x % SLEEP_SPAN);
		int64_t intended = weft_now() + ns;
		weft_sleep(ns);
		int64_t late = weft_now() - intended;
		if (round >= 0)
			run.lateness[number * run.rounds + round] = late > 0 ? late : 0;
		x = compute(x, BURST_MIN + (int64_t)((x >> 40) % BURST_SPAN));
	}
	run.ends[number] = x;
	weft_waitgroup_done(&run.sleepers);
}

static void computing(void *arg)
{
	(void)arg;
	uint64_t x = 1;
	for (int64_t steps = 0; !atomic_load_explicit(&run.stop, memory_order_relaxed);) {
		x = compute(x, CHUNK);
		atomic_store_explicit(&run.steps, steps += CHUNK, memory_order_relaxed);
	}
	atomic_store(&run.kept, x);
	weft_waitgroup_done(&run.computing);
}

/* ns a step, on a core of its own: the least of many. */
static double step_ns(void)
{
	int64_t least = INT64_MAX;
	for (int i = 0; i < 100; i++) {
		int64_t from = weft_now();
		atomic_store(&run.kept, compute(atomic_load(&run.kept) | 1, CALIBRATION)); /* not known beforehand */
		int64_t took = weft_now() - from;
		least = took < least ? took : least;
	}
	return (double)least / CALIBRATION;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

void sched_latency(struct batch *b)
{
	run.rounds = (int)(b->seconds * 1000 + 0.5) / ROUND_MS;
	if (run.rounds < ROUNDS_MIN)
		run.rounds = ROUNDS_MIN;
	int64_t samples = (int64_t)SLEEPERS * run.rounds;
	run.lateness = weft_calloc((size_t)samples, sizeof *run.lateness);
	double alone = step_ns();
	weft_waitgroup_add(&run.sleepers, SLEEPERS);
	weft_waitgroup_add(&run.computing, 1);
	int64_t from = weft_now();
	for (intptr_t i = 0; i < SLEEPERS; i++)
		weft_go(sleeper, (void *)i);
	weft_go(computing, NULL);
	weft_waitgroup_wait(&run.sleepers);
	int64_t took = weft_now() - from;
	b->share = 100 * alone * (double)atomic_load(&run.steps) / (double)took;
	atomic_store(&run.stop, 1);
	weft_waitgroup_wait(&run.computing);

	uint64_t sum = 0;
	for (int i = 0; i < SLEEPERS; i++)
		sum += run.ends[i];
	for (int64_t i = 0; i < samples; i++)
		b->timed_ns += run.lateness[i];
	qsort(run.lateness, (size_t)samples, sizeof *run.lateness, by_size);
	b->sorted = run.lateness;
	b->ops = samples;
	PROVE(b, "goroutines=%d rounds=%d sum=%llu", SLEEPERS, run.rounds, (unsigned long long)sum);
}
