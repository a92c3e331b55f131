/* Random numbers to choose by, where nobody gains by guessing them: each thread has its own sequence, a simulation that of its seed. */
#ifndef RUNTIME_RANDOM_H
#define RUNTIME_RANDOM_H

#include <stdint.h>

uint64_t random_u64(void);

/* From 0 to n - 1. */
static inline uint32_t random_below(uint32_t n)
{
	return (uint32_t)((random_u64() >> 32) * (uint64_t)n >> 32);
}

#endif
