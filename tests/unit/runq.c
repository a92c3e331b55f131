#include "lockfree/runq.h"
#include "tests/test.h"

static struct runq q;

static void *item(uintptr_t n)
{
	return (void *)(n + 1);
}

/* An empty queue whose indices are `before` pushes away from wrapping. */
static void start(uint32_t before)
{
	q.tail = 0u - before;
	q.xhead = q.tail;
}

static void push(uintptr_t from, uintptr_t to)
{
	for (uintptr_t i = from; i < to; i++)
		CHECK(runq_push(&q, item(i)));
}

TEST(first_in_first_out_across_the_wrap_of_the_indices)
{
	start(100);
	for (uintptr_t i = 0; i < 1000; i++) {
		push(3 * i, 3 * i + 3);
		for (uintptr_t j = 0; j < 3; j++)
			CHECK(runq_pop(&q) == item(3 * i + j));
		CHECK(runq_pop(&q) == NULL);
	}
}

TEST(a_full_ring_refuses_and_loses_nothing)
{
	for (uint32_t before = 0; before <= RUNQ_SLOTS; before += 64) {
		start(before);
		push(0, RUNQ_SLOTS);
		CHECK(!runq_push(&q, item(999)));
		CHECK_EQ(runq_len(&q), RUNQ_SLOTS);
		CHECK(runq_pop(&q) == item(0));
		CHECK(runq_push(&q, item(RUNQ_SLOTS)));
		CHECK(!runq_push(&q, item(999)));
		for (uintptr_t i = 1; i <= RUNQ_SLOTS; i++)
			CHECK(runq_pop(&q) == item(i));
		CHECK(runq_pop(&q) == NULL);
		CHECK_EQ(runq_len(&q), 0);
	}
}

TEST(the_last_is_popped_across_the_wrap_of_the_indices)
{
	start(2);
	for (int solo = 0; solo < 2; solo++) {
		for (uintptr_t i = 0; i < 1000; i++) {
			push(3 * i, 3 * i + 3);
			CHECK(runq_peek_last(&q, 0) == item(3 * i + 2) && runq_peek_last(&q, 2) == item(3 * i));
			CHECK(runq_peek_last(&q, 3) == NULL);
			CHECK((solo ? runq_pop_last_solo(&q) : runq_pop_last(&q)) == item(3 * i + 2));
			CHECK(runq_pop(&q) == item(3 * i));
			CHECK((solo ? runq_pop_last_solo(&q) : runq_pop_last(&q)) == item(3 * i + 1));
			CHECK((solo ? runq_pop_last_solo(&q) : runq_pop_last(&q)) == NULL);
			CHECK(runq_pop(&q) == NULL && runq_peek_last(&q, 0) == NULL);
			CHECK_EQ(runq_len(&q), 0);
		}
	}
}

TEST(a_full_ring_is_emptied_from_both_ends)
{
	start(100);
	push(0, RUNQ_SLOTS);
	for (uintptr_t i = 0; i < RUNQ_SLOTS / 2; i++) {
		CHECK(runq_pop(&q) == item(i));
		CHECK(runq_pop_last(&q) == item(RUNQ_SLOTS - 1 - i));
	}
	CHECK(runq_pop_last(&q) == NULL);
}

TEST(stealing_takes_the_older_half_rounded_up)
{
	void *taken[RUNQ_SLOTS];
	for (uint32_t n = 0; n <= RUNQ_SLOTS; n++) {
		start(n / 2);
		push(0, n);
		uint32_t want = n - n / 2;
		CHECK_EQ(runq_steal(&q, taken, RUNQ_SLOTS), want);
		for (uint32_t i = 0; i < want; i++)
			CHECK(taken[i] == item(i));
		CHECK_EQ(runq_len(&q), n - want);
		for (uint32_t i = want; i < n; i++)
			CHECK(runq_pop(&q) == item(i));
		CHECK(runq_pop(&q) == NULL);
	}
}

TEST(stealing_takes_no_more_than_asked)
{
	void *taken[RUNQ_SLOTS] = {NULL};
	start(5);
	push(0, 100);
	CHECK_EQ(runq_steal(&q, taken, 7), 7);
	CHECK(taken[6] == item(6) && taken[7] == NULL);
	CHECK_EQ(runq_steal(&q, taken, 1), 1);
	CHECK(taken[0] == item(7));
	CHECK_EQ(runq_steal(&q, taken, 0), 0);
	CHECK(runq_pop(&q) == item(8));
}

TEST(the_solo_pop_takes_the_same_as_the_other)
{
	start(2);
	push(0, 5);
	CHECK(runq_pop_solo(&q) == item(0));
	CHECK(runq_pop(&q) == item(1));
	for (uintptr_t i = 2; i < 5; i++)
		CHECK(runq_pop_solo(&q) == item(i));
	CHECK(runq_pop_solo(&q) == NULL);
	CHECK(runq_push(&q, item(5)));
	CHECK(runq_pop_solo(&q) == item(5));
}

TEST(peeking_looks_ahead_and_takes_nothing)
{
	start(1);
	CHECK(runq_peek(&q, 0) == NULL);
	push(0, 3);
	for (uint32_t i = 0; i < 3; i++)
		CHECK(runq_peek(&q, i) == item(i));
	CHECK(runq_peek(&q, 3) == NULL);
	CHECK(runq_peek(&q, RUNQ_SLOTS) == NULL);
	CHECK_EQ(runq_len(&q), 3);
	CHECK(runq_pop(&q) == item(0));
	CHECK(runq_peek(&q, 0) == item(1));
}

TEST(a_torn_length_is_none)
{
	q.xhead = 10;
	q.tail = 9;
	CHECK_EQ(runq_len(&q), 0);
}
