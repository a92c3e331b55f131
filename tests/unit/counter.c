#include "lockfree/counter.h"
#include "tests/unit/go.h"

#include <pthread.h>

enum { SHARDS = 5 };

static struct counter_shard memory[SHARDS + 1];
static struct counter c;

static void start(uint32_t shards)
{
	for (int i = 0; i <= SHARDS; i++)
		memory[i].xcount = 1000;
	counter_init(&c, memory, shards);
}

TEST(the_sum_is_over_all_shards_and_no_more)
{
	for (uint32_t shards = 1; shards <= SHARDS; shards++) {
		start(shards);
		CHECK_EQ(counter_sum(&c), 0);
		uint64_t want = 0;
		for (uint32_t i = 0; i < shards; i++) {
			counter_add(&c, i, 10 + i);
			counter_bump(&c, i, 100 * i);
			want += 10 + i + 100 * i;
		}
		CHECK_EQ(counter_sum(&c), want);
		CHECK_EQ(memory[shards].xcount, 1000);
	}
}

TEST(what_is_added_in_one_shard_may_be_subtracted_in_another)
{
	start(3);
	counter_add(&c, 0, 5);
	counter_add(&c, 1, 0u - UINT64_C(7));
	counter_bump(&c, 2, 0u - UINT64_C(1));
	CHECK_EQ((int64_t)counter_sum(&c), -3);
	counter_bump(&c, 2, 3);
	CHECK_EQ(counter_sum(&c), 0);
}

TEST(the_sum_wraps)
{
	start(2);
	counter_add(&c, 0, UINT64_MAX);
	counter_add(&c, 1, UINT64_MAX);
	CHECK(counter_sum(&c) == UINT64_MAX - 1);
	counter_add(&c, 1, 7);
	CHECK_EQ(counter_sum(&c), 5);
}

TEST(shards_share_no_line)
{
	for (int i = 0; i < SHARDS; i++)
		CHECK_EQ((uintptr_t)&memory[i] % CACHE_LINE, 0);
	CHECK_EQ(sizeof memory, (SHARDS + 1) * CACHE_LINE);
}

static void no_shards(void)
{
	counter_init(&c, memory, 0);
}

TEST(there_must_be_a_shard)
{
	test_dies(no_shards, "shards");
}

/* ---- what programs have of it ---- */

static weft_counter *visits;
static weft_waitgroup join;

static void visit(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++) {
		weft_counter_add(visits, 3);
		weft_counter_add(visits, -1);
		if (i % 64 == 0)
			weft_yield();
	}
	weft_waitgroup_done(&join);
}

static void *visit_from_outside(void *arg)
{
	for (int i = 0; i < 1000; i++)
		weft_counter_add(visits, 1);
	return arg;
}

static int count_visits(void)
{
	pthread_t thread;
	int64_t before = weft_counter_sum(visits);
	CHECK_EQ(pthread_create(&thread, NULL, visit_from_outside, NULL), 0);
	weft_waitgroup_add(&join, 8);
	for (int i = 0; i < 8; i++)
		weft_go(visit, NULL);
	weft_waitgroup_wait(&join);
	pthread_join(thread, NULL);
	CHECK_EQ(weft_counter_sum(visits), before + 8 * 2000 + 1000);
	return 0;
}

TEST_GO(all_that_goroutines_and_threads_add_is_in_the_sum)
{
	visits = weft_counter_make();
	CHECK_EQ(weft_counter_sum(visits), 0);
	count_visits();
	weft_counter_free(visits);
	return 0;
}

TEST(a_counter_may_be_made_before_the_runtime_starts)
{
	visits = weft_counter_make();
	weft_counter_add(visits, -5);
	CHECK_EQ(run_weft(2, count_visits), 0);
	CHECK_EQ(weft_counter_sum(visits), -5 + 8 * 2000 + 1000);
	weft_counter_free(visits);
	weft_counter_free(NULL);
}
