#include "runtime/random.h"
#include "lockfree/assert.h"
#include "runtime/fiber.h"
#include "runtime/sim.h"

#include <weft/time.h>

static _Thread_local uint64_t seed;

/* Of its own address and the time: two threads should differ. */
static COLD uint64_t first_random(void)
{
	return sim_on ? sim_random() | 1 : (uint64_t)(uintptr_t)&seed * 0x9e3779b97f4a7c15u ^ (uint64_t)weft_now();
}

/* xorshift64*; out of line, so that no caller keeps the thread's address across a switch. */
__attribute__((noinline)) NO_TSAN uint64_t random_u64(void)
{
	uint64_t x = seed;
	if (unlikely(!x))
		x = first_random();
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	seed = x;
	return x * 0x2545f4914f6cdd1du;
}
