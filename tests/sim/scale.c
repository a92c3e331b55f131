/* The scheduler on up to 64 simulated cores: it must use them, steal from near by, and not be late. Each bound is a little
 * below what the curve in docs/scheduler.md shows. */
#include "tests/sim/machine.h"
#include "tests/test.h"

#include <string.h>

/* How much work a nanosecond does. */
static double rate_on(unsigned procs, int task, uint64_t seed)
{
	struct run r = run_on(procs, &tasks[task], seed);
	return (double)r.busy_ns / (double)r.ns;
}

/* Twice the Ps are at least `gain` times as good as half of them, and all cores (where that is slow, a node's) are used by
 * `share`. */
static void check_scaling(int task, double gain, double share)
{
	unsigned most = test_is_slow() ? CORES_PER_NODE : CORES;
	for (uint64_t seed = 1; seed <= (test_is_slow() ? 1 : 3); seed++) {
		double one = rate_on(1, task, seed), last = one;
		for (unsigned procs = 2; procs <= most; procs *= 2) {
			double rate = rate_on(procs, task, seed);
			if (rate < gain * last)
				test_fail(__FILE__, __LINE__, "%s: %.2f on %u Ps, and %.2f on half of them",
					  tasks[task].name, rate, procs, last);
			last = rate;
		}
		if (last < share * most * one)
			test_fail(__FILE__, __LINE__, "%s: %u Ps are %.1f times as good as one", tasks[task].name, most,
				  last / one);
	}
}

TEST(a_tree_of_goroutines_uses_all_cores)
{
	check_scaling(FORK_JOIN, 1.7, 0.8);
}

TEST(what_one_goroutine_starts_uses_all_cores)
{
	check_scaling(PRODUCER, 1.7, 0.8);
}

TEST(pairs_use_all_cores)
{
	check_scaling(PAIRS, 1.7, 0.8);
}

/* Half of the load comes in bursts that no number of Ps could serve at once. */
TEST(requests_are_not_late)
{
	for (unsigned procs = 1; procs <= CORES; procs *= 4) {
		struct run r = run_on(procs, &tasks[REQUESTS], 1);
		CHECK(r.p99_ns < 400000);
		CHECK(r.max_ns < 1000000);
	}
}

/* One after the other, as each that comes up wakes the next. */
TEST(a_burst_wakes_every_p)
{
	struct run r = run_on(CORES, &tasks[BURST], 1);
	CHECK(r.max_ns < CORES * (int64_t)(WAKE_UP_NS + 2000));
	CHECK(r.wakes >= CORES - 4);
}

TEST(most_steals_are_from_the_same_node)
{
	static const int spread[] = {FORK_JOIN, PRODUCER, REQUESTS};
	for (size_t i = 0; i < sizeof spread / sizeof *spread; i++) {
		struct run r = run_on(CORES, &tasks[spread[i]], 1);
		CHECK(r.steals > 100);
		CHECK(r.far_steals * 5 < r.steals * 2);
	}
}

TEST(within_a_node_nothing_is_stolen_from_another)
{
	struct run r = run_on(CORES_PER_NODE, &tasks[FORK_JOIN], 1);
	CHECK(r.steals > 0);
	CHECK_EQ(r.far_steals, 0);
}

TEST(the_same_seed_is_the_same_run)
{
	struct run one = run_on(CORES, &tasks[PRODUCER], 5), again = run_on(CORES, &tasks[PRODUCER], 5);
	CHECK(!memcmp(&one, &again, sizeof one));
	struct run other = run_on(CORES, &tasks[PRODUCER], 6);
	CHECK(memcmp(&one, &other, sizeof one));
}
