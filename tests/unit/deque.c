#include "lockfree/deque.h"
#include "tests/test.h"

enum { SLOTS = 8 };

static struct deque d;
static deque_slot memory[SLOTS + 1];

static void *item(uintptr_t n)
{
	return (void *)(n + 1);
}

static void start(void)
{
	deque_init(&d, memory, SLOTS);
	memory[SLOTS] = &d;
}

static void push(uintptr_t from, uintptr_t to)
{
	for (uintptr_t i = from; i < to; i++)
		CHECK(deque_push(&d, item(i)));
}

static void steals(uintptr_t n)
{
	void *got = NULL;
	CHECK_EQ(deque_steal(&d, &got), DEQUE_TAKEN);
	CHECK(got == item(n));
}

static void is_empty(void)
{
	void *got = NULL;
	CHECK(!deque_pop(&d));
	CHECK_EQ(deque_steal(&d, &got), DEQUE_EMPTY);
	CHECK(!got);
	CHECK_EQ(deque_len(&d), 0);
}

TEST(the_owner_gets_the_latest_first)
{
	start();
	for (int round = 0; round < 3 * SLOTS; round++) {
		push(0, 5);
		for (uintptr_t i = 5; i-- > 0;)
			CHECK(deque_pop(&d) == item(i));
		is_empty();
		push(9, 10); /* so that the next round begins at another slot */
		steals(9);
	}
}

TEST(thieves_get_the_oldest_first)
{
	start();
	for (int round = 0; round < 3; round++) {
		push(0, 5);
		for (uintptr_t i = 0; i < 5; i++)
			steals(i);
		is_empty();
	}
}

TEST(both_ends_together_take_each_item_once)
{
	start();
	push(0, 6);
	steals(0);
	CHECK(deque_pop(&d) == item(5));
	steals(1);
	CHECK_EQ(deque_len(&d), 3);
	push(6, 8);
	CHECK(deque_pop(&d) == item(7));
	steals(2);
	steals(3);
	CHECK(deque_pop(&d) == item(6));
	CHECK(deque_pop(&d) == item(4));
	is_empty();
}

TEST(a_full_deque_refuses_and_loses_nothing)
{
	for (uintptr_t before = 0; before < SLOTS; before++) {
		start();
		push(0, before);
		for (uintptr_t i = 0; i < before; i++)
			steals(i);
		push(0, SLOTS);
		CHECK(!deque_push(&d, item(99)));
		CHECK_EQ(deque_len(&d), SLOTS);
		steals(0);
		push(SLOTS, SLOTS + 1);
		CHECK(!deque_push(&d, item(99)));
		for (uintptr_t i = SLOTS; i > 0; i--)
			CHECK(deque_pop(&d) == item(i));
		is_empty();
		CHECK(memory[SLOTS] == &d);
	}
}

TEST(popping_an_empty_deque_changes_nothing)
{
	start();
	for (int i = 0; i < 3 * SLOTS; i++)
		is_empty();
	push(0, SLOTS);
	CHECK(!deque_push(&d, item(99)));
}

/* What a thief finds whose top has been taken while it was reading: here by an owner who has popped the last item. */
TEST(the_last_item_is_taken_through_top)
{
	start();
	push(0, 1);
	int64_t top = d.xtop;
	CHECK(deque_pop(&d) == item(0));
	CHECK_EQ(d.xtop, top + 1);
	CHECK_EQ(d.xbottom, top + 1);
}

static void three_slots(void)
{
	deque_init(&d, memory, 3);
}

static void no_slots(void)
{
	deque_init(&d, memory, 0);
}

TEST(slots_must_be_a_power_of_two)
{
	test_dies(three_slots, "slots");
	test_dies(no_slots, "slots");
}
