#include "runtime/g.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>

/* Goroutines are only carried here, not looked at: numbers do as well. */
static struct g *numbered(uintptr_t n)
{
	return (struct g *)(n + 1);
}

static struct gqueue q;
static uintptr_t pushed, popped;

static void push(uint32_t n)
{
	static void *some[4 * SEGMENT_SLOTS];
	CHECK(n <= ARRAY_LEN(some));
	for (uint32_t i = 0; i < n; i++)
		some[i] = numbered(pushed++);
	gqueue_push_many(&q, some, n);
	CHECK_EQ(gqueue_len(&q), pushed - popped);
}

static void pop(uint32_t max)
{
	static void *some[4 * SEGMENT_SLOTS];
	CHECK(max <= ARRAY_LEN(some));
	uint64_t held = pushed - popped;
	uint32_t n = gqueue_pop(&q, some, max);
	CHECK_EQ(n, held < max ? held : max);
	for (uint32_t i = 0; i < n; i++)
		CHECK(some[i] == numbered(popped++));
	CHECK_EQ(gqueue_len(&q), pushed - popped);
	CHECK_EQ(gqueue_empty(&q), pushed == popped);
}

TEST(an_empty_queue_gives_nothing)
{
	CHECK(gqueue_empty(&q));
	pop(1);
	push(0);
	pop(10);
	CHECK(gqueue_empty(&q));
}

TEST(the_borders_of_segments)
{
	static const uint32_t sizes[] = {SEGMENT_SLOTS - 1,     SEGMENT_SLOTS,     SEGMENT_SLOTS + 1,
					 2 * SEGMENT_SLOTS - 1, 2 * SEGMENT_SLOTS, 2 * SEGMENT_SLOTS + 1};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (size_t j = 0; j < ARRAY_LEN(sizes); j++) {
			push(sizes[i]);
			pop(sizes[j]);
			push(1);
			pop(sizes[i]);
			pop(4 * SEGMENT_SLOTS);
		}
	}
	CHECK(gqueue_empty(&q));
}

TEST(one_by_one_over_many_segments)
{
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 1000; i++) {
			gqueue_push(&q, numbered(pushed++));
			CHECK_EQ(gqueue_len(&q), i + 1);
		}
		for (int i = 0; i < 1000; i++)
			pop(1);
		CHECK(gqueue_empty(&q));
	}
}

TEST(any_sizes_keep_the_order)
{
	uint64_t random = random_seed();
	for (int64_t i = test_rounds(20000); i > 0; i--) {
		push((uint32_t)draw_below(&random, draw_below(&random, 2) ? 4 : 300));
		pop((uint32_t)draw_below(&random, draw_below(&random, 2) ? 4 : 300));
		while (pushed - popped > 5000)
			pop(4 * SEGMENT_SLOTS);
	}
	while (pushed != popped)
		pop(4 * SEGMENT_SLOTS);
}

/* ---- threads ---- */

enum { PRODUCERS = 2, CONSUMERS = 2 };
static uintptr_t each;
static _Atomic uintptr_t consumed;

static void *produce(void *arg)
{
	void *some[8];
	uint64_t random = (uintptr_t)arg;
	for (uintptr_t i = 0; i < each;) {
		uint32_t n = 0;
		for (uint32_t want = 1 + (uint32_t)draw_below(&random, 8); n < want && i < each; n++)
			some[n] = numbered(i++ * PRODUCERS + (uintptr_t)arg);
		gqueue_push_many(&q, some, n);
	}
	return NULL;
}

/* What one producer pushed comes out in its order, whoever takes it. */
static void *consume(void *arg)
{
	void *some[16];
	uintptr_t last[PRODUCERS] = {0};
	(void)arg;
	while (consumed < each * PRODUCERS) {
		uint32_t n = gqueue_pop(&q, some, 16);
		for (uint32_t i = 0; i < n; i++) {
			uintptr_t number = (uintptr_t)some[i] - 1;
			CHECK(number / PRODUCERS >= last[number % PRODUCERS]);
			last[number % PRODUCERS] = number / PRODUCERS + 1;
		}
		consumed += n;
	}
	return NULL;
}

TEST(producers_against_consumers)
{
	pthread_t thread[PRODUCERS + CONSUMERS];
	each = (uintptr_t)test_rounds(300000);
	for (uintptr_t i = 0; i < PRODUCERS + CONSUMERS; i++)
		CHECK(!pthread_create(&thread[i], NULL, i < PRODUCERS ? produce : consume, (void *)i));
	for (size_t i = 0; i < PRODUCERS + CONSUMERS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK_EQ(consumed, each * PRODUCERS);
	CHECK(gqueue_empty(&q));
}
