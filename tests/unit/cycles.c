#include "lockfree/tsc.h"
#include "runtime/sched.h"
#include "tests/test.h"

/* The constants that are in cycles suppose it. */
TEST(a_cycle_is_a_fraction_of_a_nanosecond)
{
	uint64_t before = tsc_monotonic_ns(), from = cycles_now(), after = tsc_monotonic_ns();
	struct timespec rest = {0, 20000000};
	nanosleep(&rest, NULL);
	uint64_t least = tsc_monotonic_ns() - after;
	uint64_t cycles = cycles_now() - from;
	uint64_t most = tsc_monotonic_ns() - before;
	CHECK(cycles > least); /* above 1 GHz, and below 6 */
	CHECK(cycles < most * 6);
}

TEST(cycles_do_not_go_backwards)
{
	uint64_t last = cycles_now();
	for (int i = 0; i < 100000; i++) {
		uint64_t now = cycles_now();
		CHECK(now - last < INT64_MAX);
		last = now;
	}
}
