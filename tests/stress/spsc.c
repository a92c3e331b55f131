/* A producer and a consumer: every item comes, once and in order, with what was written to it before. */
#include "lockfree/spsc.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

enum { SLOTS_MAX = 64, BATCH_MAX = 80, IN_USE = 2 * SLOTS_MAX + 2 * BATCH_MAX };

static struct spsc q;
static void *memory[SLOTS_MAX];
static int64_t items;
static uint64_t seed;

/* Plain: the ring alone orders them. An item is used again once so many others have been pushed that the consumer has done
 * with it. */
static struct item {
	int64_t number;
} item[IN_USE];

static void *produce(void *arg)
{
	uint64_t random = seed;
	void *from[BATCH_MAX];
	(void)arg;
	for (int64_t next = 0; next < items;) {
		uint32_t n = draw_below(&random, 2) ? 1 : (uint32_t)draw_below(&random, BATCH_MAX) + 1, done;
		if (n > items - next)
			n = (uint32_t)(items - next);
		for (uint32_t i = 0; i < n; i++)
			from[i] = &item[(uint64_t)(next + i) % IN_USE];
		for (uint32_t i = 0; i < n; i += done) {
			/* Written again for what did not fit: nobody has it yet. */
			for (uint32_t j = i; j < n; j++)
				((struct item *)from[j])->number = next + j;
			done = n - i > 1 ? spsc_push_many(&q, from + i, n - i) : spsc_push(&q, from[i]);
			CHECK(done <= n - i);
			if (!done)
				sched_yield();
		}
		next += n;
	}
	return NULL;
}

static void consume(void)
{
	uint64_t random = ~seed;
	void *to[BATCH_MAX];
	for (int64_t next = 0; next < items;) {
		uint32_t max = draw_below(&random, 2) ? 1 : (uint32_t)draw_below(&random, BATCH_MAX) + 1;
		uint32_t n = max > 1 ? spsc_pop_many(&q, to, max) : (to[0] = spsc_pop(&q)) != NULL;
		CHECK(n <= max);
		for (uint32_t i = 0; i < n; i++)
			CHECK_EQ(((struct item *)to[i])->number, next++);
		if (!n)
			sched_yield();
	}
}

static void through(uint32_t slots)
{
	pthread_t producer;
	seed = random_seed();
	items = test_rounds(3000000);
	spsc_init(&q, memory, slots);
	q.xtail = q.xhead = q.head_seen = q.tail_seen = 0u - (uint32_t)items / 2; /* wraps half-way */
	CHECK(!pthread_create(&producer, NULL, produce, NULL));
	consume();
	CHECK(!pthread_join(producer, NULL));
	CHECK(!spsc_pop(&q));
}

TEST(items_come_in_order_through_many_slots)
{
	through(SLOTS_MAX);
}

TEST(items_come_in_order_through_two_slots)
{
	through(2);
}
