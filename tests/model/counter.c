/* The sharded counter (lockfree/counter.h), the same source, which has no edges: threads that add to a shard of their own or
 * to one that they share, and one that reads.
 *
 * What must hold of a count that grows: a sum is no lower than what is known to have been added, nor than the sum before,
 * and no higher than what has been begun; and in the end the sum is exact. Of one that goes both ways, the end alone.
 */
#include "tests/model/atomic.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

/* Here it counts. */
#undef bump
#define bump(p, v) store_rlx((p), load_rlx(p) + (v))
#include "lockfree/counter.h"

enum { THREADS = 3, SHARDS = 2, ADDS_MAX = 8 };

static struct counter_shard memory[SHARDS];
static struct counter count;
static _Atomic uint32_t said;
static uint64_t begun, total, last;
static bool goes_down;
static struct {
	int thread;
	uint32_t step; /* 0: it is not over */
	uint64_t n;
} add[ADDS_MAX];
static int adds;

static const struct scenario {
	const char *script[THREADS]; /* a adds to the shared shard, b to the other as its only writer, m subtracts from it; S
				      * says so; w waits for that, and s reads the sum */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"bb", "aa", "sss"}, 4, 2},
	{{"aS", "aa", "wss"}, 4, 2},
	{{"bSb", "a", "sws"}, 4, 2},
	{{"aba", "ma", "ss"}, 4, 1},
}, *scenario;

static void start(void)
{
	counter_init(&count, memory, SHARDS);
	store_rlx(&said, 0);
	begun = total = last = 0;
	adds = 0;
	memset(add, 0, sizeof add);
	goes_down = strchr(scenario->script[1], 'm');
}

static void add_one(int which, char how)
{
	uint64_t n = how == 'm' ? 0u - UINT64_C(3) : how == 'a' ? 1 : 10;
	int me = adds++;
	begun += n;
	total += n;
	add[me].thread = which;
	add[me].n = n;
	if (how == 'b')
		counter_bump(&count, 1, n);
	else
		counter_add(&count, 0, n);
	add[me].step = explorer_step();
}

static void read_sum(void)
{
	uint64_t known = 0;
	for (int i = 0; i < adds; i++)
		if (add[i].step && explorer_has_seen(add[i].thread, add[i].step))
			known += add[i].n;
	uint64_t sum = counter_sum(&count);
	if (goes_down)
		return;
	explorer_check(sum >= known, "what is known to have been added is in the sum");
	explorer_check(sum <= begun, "what has not been begun is not");
	explorer_check(sum >= last, "the sum of what grows does not fall");
	last = sum;
}

static void thread(int which)
{
	for (const char *s = scenario->script[which]; *s; s++) {
		if (*s == 's')
			read_sum();
		else if (*s == 'w')
			(void)await_acq(&said, 0);
		else if (*s == 'S')
			store_rel(&said, 1);
		else
			add_one(which, *s);
	}
}

static void end(void)
{
	explorer_check(counter_sum(&count) == total, "at rest the sum is what was added");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {THREADS, start, thread, end, scenario->preemptions, scenario->stale_reads, NULL,
					     false};
		if ((m || test_is_slow()) && p.preemptions > 2)
			p.preemptions = 2;
		struct explorer_result r = explore(&p, m);
		if (!m)
			fprintf(stderr, "# %zu: %lld executions\n", (size_t)(scenario - scenarios), (long long)r.executions);
		if (r.broken)
			return r.broken;
	}
	return NULL;
}

TEST(sums_are_bounded_and_exact_at_rest)
{
	explorer_holds(first_failure);
}

TEST(a_shard_that_is_shared_is_added_to_in_one)
{
	static const struct explorer_mutation spoilt[] = {
		{"add split", "counter_add", VERB_ADD, "xcount", SPLIT},
		{"bump left out", "counter_bump", VERB_STORE, "xcount", OMIT},
		{"sum that sees nothing", "counter_sum", VERB_LOAD, "xcount", BLIND},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
