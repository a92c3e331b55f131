/* When the requests of an open loop are meant to be sent: made from the seed alone, whatever the
 * server does.
 *
 * Poisson: independent exponential gaps, as from many clients that know nothing of each other.
 * Several threads with a share of the rate each make a Poisson process again. Constant: equal gaps,
 * threads offset by a fraction of one. Times are in the unit of `interval`, as a double: over a day
 * of nanoseconds its step is 15 ps.
 *
 * xoshiro256+, seeded by splitmix64 (Blackman, Vigna).
 */
#ifndef BENCH_LOAD_SCHEDULE_H
#define BENCH_LOAD_SCHEDULE_H

#include <math.h>
#include <stdint.h>

enum arrivals { ARRIVALS_POISSON, ARRIVALS_CONSTANT };

struct schedule {
	enum arrivals arrivals;
	double interval; /* mean gap */
	double at;	 /* Poisson: the last arrival */
	double phase;	 /* constant: of the first gap, 0 to 1 */
	uint64_t n;	 /* constant: arrivals so far */
	uint64_t random[4];
};

static inline uint64_t schedule_splitmix(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static inline uint64_t schedule_random(struct schedule *s)
{
	uint64_t *x = s->random, result = x[0] + x[3], t = x[1] << 17;
	x[2] ^= x[0];
	x[3] ^= x[1];
	x[1] ^= x[2];
	x[0] ^= x[3];
	x[2] ^= t;
	x[3] = x[3] << 45 | x[3] >> 19;
	return result;
}

/* The schedule of thread `part` of `parts`, which share one seed; interval is that of the thread.
 */
static inline void schedule_init(struct schedule *s, enum arrivals arrivals, double interval,
				 uint64_t seed, int part, int parts)
{
	*s = (struct schedule){
	    .arrivals = arrivals, .interval = interval, .phase = (double)part / parts};
	uint64_t state = seed;
	for (int i = 0; i < 4 * (part + 1); i++)
		s->random[i % 4] = schedule_splitmix(&state);
}

/* The next arrival, counted from the start. Never goes back. */
static inline double schedule_next(struct schedule *s)
{
	if (s->arrivals == ARRIVALS_CONSTANT)
		return ((double)s->n++ + s->phase) * s->interval;
	double u = (double)((schedule_random(s) >> 11) + 1) * 0x1p-53; /* (0, 1] */
	s->at += -log(u) * s->interval;
	return s->at;
}

#endif
