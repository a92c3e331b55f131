/* Random numbers of a seed that a failure prints: WEFTTEST_SEED repeats the run. */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* Says the seed on stderr, which is shown when the test fails. */
static inline uint64_t random_seed(void)
{
	uint64_t seed = 0;
	const char *given = getenv("WEFTTEST_SEED");
	if (given)
		seed = strtoull(given, NULL, 10);
	else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		seed = 1;
	fprintf(stderr, "# WEFTTEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64: any state is a good one. */
static inline uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline uint64_t draw_below(uint64_t *state, uint64_t n)
{
	return draw(state) % n;
}

#endif
