/* Many add, and one reads: a count that grows is never read lower than before, nor lower than what is known to have been
 * added, nor higher than what has been begun; and at rest it is exact. */
#include "lockfree/counter.h"
#include "lockfree/fence.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

enum { THREADS = 4, SHARDS = 3 };

static struct counter_shard memory[SHARDS];
static struct counter count;
static int64_t each;
static uint64_t seed;

/* Of each thread: what it is about to have added, and what it has. */
static struct {
	ON_OWN_LINE _Atomic uint64_t begun;
	_Atomic uint64_t done;
} added[THREADS];
static _Atomic int running;

/* Two threads have a shard to themselves, and two share one. */
static void *add_always(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t random = seed + me, sum = 0;
	for (int64_t i = 0; i < each; i++) {
		uint64_t n = draw_below(&random, 5);
		sum += n;
		store_rlx(&added[me].begun, sum);
		fence_full(); /* whoever gets what is added now knows that it was begun */
		if (me < 2)
			counter_bump(&count, me, n);
		else
			counter_add(&count, 2, n);
		store_rel(&added[me].done, sum);
		if (draw_below(&random, 4096) == 0)
			sched_yield();
	}
	(void)sub_acqrel(&running, 1);
	return NULL;
}

TEST(the_sum_lies_between_what_is_done_and_what_is_begun)
{
	pthread_t thread[THREADS];
	uint64_t last = 0, done, begun;
	seed = random_seed();
	each = test_rounds(500000);
	store_rlx(&running, THREADS);
	counter_init(&count, memory, SHARDS);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, add_always, (void *)i));
	while (load_acq(&running)) {
		done = begun = 0;
		for (int i = 0; i < THREADS; i++)
			done += load_acq(&added[i].done);
		uint64_t sum = counter_sum(&count);
		fence_full();
		for (int i = 0; i < THREADS; i++)
			begun += load_rlx(&added[i].begun);
		CHECK(sum >= done && sum >= last);
		CHECK(sum <= begun);
		last = sum;
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	done = 0;
	for (int i = 0; i < THREADS; i++)
		done += load_rlx(&added[i].done);
	CHECK_EQ(counter_sum(&count), done);
}

/* Taken from one shard and put into another, again and again: at rest nothing is left. */
static void *move_always(void *arg)
{
	uint64_t random = seed + (uintptr_t)arg;
	for (int64_t i = 0; i < each; i++) {
		uint64_t n = draw(&random);
		counter_add(&count, (uint32_t)draw_below(&random, SHARDS), n);
		counter_add(&count, (uint32_t)draw_below(&random, SHARDS), 0u - n);
	}
	return NULL;
}

TEST(what_is_added_and_subtracted_anywhere_comes_to_nothing)
{
	pthread_t thread[THREADS];
	seed = random_seed();
	each = test_rounds(500000);
	counter_init(&count, memory, SHARDS);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, move_always, (void *)i));
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK_EQ(counter_sum(&count), 0);
}
