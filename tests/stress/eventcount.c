/* Consumers that sleep when there is nothing, and producers that notify: nobody sleeps beside an item, every item is taken
 * once, and each consumer gets those of one producer in its order. A wake-up that is lost is a hang. */
#include "lockfree/eventcount.h"
#include "lockfree/mpmc.h"
#include "tests/random.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { PRODUCERS = 2, CONSUMERS = 3, SLOTS = 8 };

static struct mpmc q;
static struct mpmc_slot memory[SLOTS];
static struct eventcount items, room;
static int64_t each;
static uint64_t seed;
static _Atomic bool finished;
static _Atomic int64_t waits, timeouts;

static struct item {
	int producer;
	int64_t number;
	uint8_t taken;
} *item;

/* Now and then with a timeout, which must not take a wake-up along that was somebody else's. */
static void wait_for(struct eventcount *e, uint32_t key, uint64_t *random)
{
	int64_t timeout_ns = draw_below(random, 4) ? EVENTCOUNT_NEVER : (int64_t)draw_below(random, 50000);
	(void)add_rlx(&waits, 1);
	if (eventcount_commit_wait(e, key, timeout_ns) == -ETIMEDOUT)
		(void)add_rlx(&timeouts, 1);
}

static void push(struct item *n, uint64_t *random)
{
	while (!mpmc_push(&q, n)) {
		uint32_t key = eventcount_prepare_wait(&room);
		if (mpmc_push(&q, n)) {
			eventcount_cancel_wait(&room);
			break;
		}
		wait_for(&room, key, random);
	}
	eventcount_notify_one(&items);
}

static struct item *pop(uint64_t *random)
{
	struct item *n;
	while (!(n = mpmc_pop(&q))) {
		uint32_t key = eventcount_prepare_wait(&items);
		if ((n = mpmc_pop(&q)) || load_acq(&finished)) {
			eventcount_cancel_wait(&items);
			break;
		}
		wait_for(&items, key, random);
	}
	if (n)
		eventcount_notify_one(&room);
	return n;
}

static void *produce(void *arg)
{
	int me = (int)(uintptr_t)arg;
	uint64_t random = seed + (uint64_t)me;
	for (int64_t i = 0; i < each; i++) {
		struct item *n = &item[me * each + i];
		n->producer = me;
		n->number = i + 1;
		push(n, &random);
		if (draw_below(&random, 64) == 0)
			sched_yield();
	}
	return NULL;
}

static void *consume(void *arg)
{
	uint64_t random = ~seed + (uintptr_t)arg;
	int64_t last[PRODUCERS] = {0};
	for (struct item *n; (n = pop(&random));) {
		CHECK(n->number > last[n->producer]);
		last[n->producer] = n->number;
		n->taken++;
	}
	return NULL;
}

TEST(nobody_sleeps_beside_an_item)
{
	pthread_t producer[PRODUCERS], consumer[CONSUMERS];
	seed = random_seed();
	each = test_rounds(200000) / PRODUCERS;
	item = calloc((size_t)(PRODUCERS * each), sizeof *item);
	CHECK(item);
	mpmc_init(&q, memory, SLOTS, MPMC_DENSE);
	for (uintptr_t i = 0; i < PRODUCERS; i++)
		CHECK(!pthread_create(&producer[i], NULL, produce, (void *)i));
	for (uintptr_t i = 0; i < CONSUMERS; i++)
		CHECK(!pthread_create(&consumer[i], NULL, consume, (void *)i));
	for (int i = 0; i < PRODUCERS; i++)
		CHECK(!pthread_join(producer[i], NULL));
	store_rel(&finished, true);
	eventcount_notify_all(&items);
	for (int i = 0; i < CONSUMERS; i++)
		CHECK(!pthread_join(consumer[i], NULL));
	for (int64_t i = 0; i < PRODUCERS * each; i++)
		CHECK_EQ(item[i].taken, 1);
	CHECK_EQ(items.xwaiters, 0);
	CHECK_EQ(room.xwaiters, 0);
	CHECK(load_rlx(&waits) > 0);
	free(item);
}
