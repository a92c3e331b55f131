/* Programs under seeds: the same seed is the same run, and a thousand of them find no fault with the scheduler. */
#include "tests/sim/workload.h"

#include <weft/weft.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_child child;

/* The program must have passed. */
static struct sim_trace run(uint64_t seed, const char *more, int (*app)(void))
{
	struct sim_trace t;
	simulate(&child, seed, more, app);
	if (child.status || !sim_trace_of(&child, &t))
		test_fail(__FILE__, __LINE__, "status %d; replay: ./dev sim %" PRIu64 "\n%s", child.status, seed,
			  child.err);
	CHECK(t.seed == seed && t.events > 0);
	return t;
}

static int by_hash(const void *a, const void *b)
{
	uint64_t x = ((const struct sim_trace *)a)->hash, y = ((const struct sim_trace *)b)->hash;
	return x < y ? -1 : x > y;
}

TEST(a_thousand_seeds_are_a_thousand_runs_without_fault)
{
	static struct sim_trace traces[1000];
	int n = test_is_slow() ? 300 : 1000;
	for (int i = 0; i < n; i++)
		traces[i] = run((uint64_t)i, "", workload);
	qsort(traces, (size_t)n, sizeof traces[0], by_hash);
	for (int i = 1; i < n; i++)
		CHECK(traces[i].hash != traces[i - 1].hash);
}
