#include "lockfree/spsc.h"
#include "tests/test.h"

enum { SLOTS = 8 };

static struct spsc q;
static void *memory[SLOTS + 1];

static void *item(uintptr_t n)
{
	return (void *)(n + 1);
}

/* An empty ring whose indices are `before` pushes away from wrapping. */
static void start(uint32_t before)
{
	spsc_init(&q, memory, SLOTS);
	memory[SLOTS] = &q;
	q.xtail = q.xhead = q.head_seen = q.tail_seen = 0u - before;
}

static void push(uintptr_t from, uintptr_t to)
{
	for (uintptr_t i = from; i < to; i++)
		CHECK(spsc_push(&q, item(i)));
}

TEST(first_in_first_out_across_the_wrap_of_the_indices)
{
	start(10);
	for (uintptr_t i = 0; i < 20; i++) {
		push(3 * i, 3 * i + 3);
		for (uintptr_t j = 0; j < 3; j++)
			CHECK(spsc_pop(&q) == item(3 * i + j));
		CHECK(spsc_pop(&q) == NULL);
	}
}

TEST(a_full_ring_refuses_and_loses_nothing)
{
	for (uint32_t before = 0; before <= SLOTS; before++) {
		start(before);
		push(0, SLOTS);
		CHECK(!spsc_push(&q, item(99)));
		CHECK_EQ(spsc_len(&q), SLOTS);
		CHECK(spsc_pop(&q) == item(0));
		push(SLOTS, SLOTS + 1);
		CHECK(!spsc_push(&q, item(99)));
		for (uintptr_t i = 1; i <= SLOTS; i++)
			CHECK(spsc_pop(&q) == item(i));
		CHECK(spsc_pop(&q) == NULL);
		CHECK(memory[SLOTS] == &q);
	}
}

TEST(a_batch_is_cut_to_what_fits_and_to_what_is_there)
{
	void *from[2 * SLOTS], *to[2 * SLOTS] = {NULL};
	for (uintptr_t i = 0; i < 2 * SLOTS; i++)
		from[i] = item(i);
	for (uint32_t there = 0; there <= SLOTS; there++) {
		start(3);
		CHECK_EQ(spsc_push_many(&q, from, there), there);
		CHECK_EQ(spsc_push_many(&q, from + there, SLOTS + 5), SLOTS - there);
		CHECK_EQ(spsc_push_many(&q, from, 1), 0);
		CHECK_EQ(spsc_pop_many(&q, to, there), there);
		CHECK_EQ(spsc_pop_many(&q, to + there, 2 * SLOTS), SLOTS - there);
		CHECK_EQ(spsc_pop_many(&q, to, 1), 0);
		for (uintptr_t i = 0; i < SLOTS; i++)
			CHECK(to[i] == item(i));
		CHECK(to[SLOTS] == NULL);
	}
}

TEST(a_batch_of_none_does_nothing)
{
	start(1);
	CHECK_EQ(spsc_push_many(&q, NULL, 0), 0);
	push(0, 1);
	CHECK_EQ(spsc_pop_many(&q, NULL, 0), 0);
	CHECK_EQ(spsc_len(&q), 1);
}

/* What lets the two run apart: a side looks at the other's index only when it must. */
TEST(the_other_index_is_looked_at_when_the_ring_seems_full_or_empty)
{
	start(0);
	push(0, SLOTS);
	CHECK(spsc_pop(&q) && spsc_pop(&q));
	CHECK_EQ(q.head_seen, 0);
	CHECK_EQ(q.tail_seen, SLOTS);
	push(SLOTS, SLOTS + 1);
	CHECK_EQ(q.head_seen, 2);
	CHECK(spsc_pop(&q));
	push(SLOTS + 1, SLOTS + 2);
	CHECK_EQ(q.head_seen, 2);
	CHECK_EQ(q.tail_seen, SLOTS);
}

TEST(a_ring_of_one_slot_holds_one)
{
	spsc_init(&q, memory, 1);
	for (uintptr_t i = 0; i < 5; i++) {
		push(i, i + 1);
		CHECK(!spsc_push(&q, item(99)));
		CHECK(spsc_pop(&q) == item(i));
		CHECK(!spsc_pop(&q));
	}
}

static void three_slots(void)
{
	spsc_init(&q, memory, 3);
}

static void no_slots(void)
{
	spsc_init(&q, memory, 0);
}

TEST(slots_must_be_a_power_of_two)
{
	test_dies(three_slots, "slots");
	test_dies(no_slots, "slots");
}

TEST(a_torn_length_is_none)
{
	start(0);
	q.xhead = 10;
	q.xtail = 9;
	CHECK_EQ(spsc_len(&q), 0);
}
