/* Producers and consumers: every item leaves once, with what was written to it, and each consumer gets those of one
 * producer in its order. */
#include "lockfree/mpmc.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { THREADS_MAX = 3, SLOTS_MAX = 64 };

static struct mpmc q;
static struct mpmc_slot memory[SLOTS_MAX];
static int64_t each; /* items of a producer */
static int producers;
static _Atomic int64_t left;
static uint64_t seed;

/* Plain: the queue alone orders them. */
static struct item {
	int producer;
	int64_t number;
	uint8_t taken;
} *items;

static void *produce(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	uint64_t random = seed + me;
	for (int64_t i = 0; i < each; i++) {
		struct item *n = &items[(int64_t)me * each + i];
		n->producer = (int)me;
		n->number = i + 1;
		while (!mpmc_push(&q, n))
			sched_yield();
		if (draw_below(&random, 1024) == 0)
			sched_yield();
	}
	return NULL;
}

static void *consume(void *arg)
{
	int64_t last[THREADS_MAX] = {0};
	(void)arg;
	while (load_rlx(&left) > 0) {
		struct item *n = mpmc_pop(&q);
		if (!n) {
			sched_yield();
			continue;
		}
		CHECK(n->producer >= 0 && n->producer < producers);
		CHECK(n->number > last[n->producer]);
		last[n->producer] = n->number;
		n->taken++;
		(void)sub_rlx(&left, 1);
	}
	return NULL;
}

static void between(int from, int to, uint32_t slots, enum mpmc_layout layout)
{
	pthread_t thread[2 * THREADS_MAX];
	seed = random_seed();
	producers = from;
	each = test_rounds(600000) / from;
	items = calloc((size_t)(from * each), sizeof *items);
	CHECK(items);
	store_rlx(&left, from * each);
	mpmc_init(&q, memory, slots, layout);
	for (int i = 0; i < from + to; i++)
		CHECK(!pthread_create(&thread[i], NULL, i < from ? produce : consume, (void *)(uintptr_t)i));
	for (int i = 0; i < from + to; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK(!mpmc_pop(&q));
	for (int64_t i = 0; i < from * each; i++)
		CHECK_EQ(items[i].taken, 1);
	free(items);
}

TEST(three_producers_and_three_consumers)
{
	between(3, 3, SLOTS_MAX, MPMC_SPREAD);
}

TEST(through_two_slots)
{
	between(2, 2, MPMC_SLOTS_MIN, MPMC_DENSE);
}

TEST(one_producer_and_three_consumers)
{
	between(1, 3, 8, MPMC_DENSE);
}

TEST(three_producers_and_one_consumer)
{
	between(3, 1, 16, MPMC_SPREAD);
}
