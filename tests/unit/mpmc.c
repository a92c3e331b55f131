#include "lockfree/mpmc.h"
#include "tests/test.h"

#include <string.h>

enum { SLOTS_MAX = 64 };

static struct mpmc q;
static struct mpmc_slot memory[SLOTS_MAX + 1];

static void *item(uintptr_t n)
{
	return (void *)(n + 1);
}

/* An empty queue that is `before` pushes away from where positions wrap. */
static void start(uint32_t slots, enum mpmc_layout layout, uint32_t before)
{
	memset(memory, 0, sizeof memory);
	memory[slots].item = &q;
	mpmc_init(&q, memory, slots, layout);
	q.xtail = q.xhead = 0u - before;
	for (uint32_t p = 0u - before, i = 0; i < slots; i++, p++)
		mpmc_at(&q, p)->xnumber = p;
}

static void in_order(uint32_t slots, enum mpmc_layout layout)
{
	start(slots, layout, 3 * slots / 2);
	for (uintptr_t i = 0; i < 3; i++) {
		for (uintptr_t j = 0; j < slots; j++)
			CHECK(mpmc_push(&q, item(100 * i + j)));
		CHECK_EQ(mpmc_len(&q), slots);
		CHECK(!mpmc_push(&q, item(9999)));
		for (uintptr_t j = 0; j < slots; j++)
			CHECK(mpmc_pop(&q) == item(100 * i + j));
		CHECK_EQ(mpmc_len(&q), 0);
		CHECK(mpmc_pop(&q) == NULL);
	}
	CHECK(memory[slots].item == &q);
}

TEST(first_in_first_out_until_full_across_the_wrap)
{
	for (uint32_t slots = MPMC_SLOTS_MIN; slots <= SLOTS_MAX; slots *= 2) {
		in_order(slots, MPMC_DENSE);
		in_order(slots, MPMC_SPREAD);
	}
}

TEST(a_place_that_is_free_again_is_used)
{
	start(4, MPMC_SPREAD, 5);
	for (uintptr_t i = 0; i < 4; i++)
		CHECK(mpmc_push(&q, item(i)));
	for (uintptr_t i = 0; i < 10; i++) {
		CHECK(mpmc_pop(&q) == item(i));
		CHECK(mpmc_push(&q, item(i + 4)));
		CHECK(!mpmc_push(&q, item(9999)));
	}
}

TEST(every_position_of_a_round_has_a_slot_of_its_own)
{
	for (uint32_t slots = MPMC_SLOTS_MIN; slots <= SLOTS_MAX; slots *= 2) {
		for (enum mpmc_layout layout = MPMC_DENSE; layout <= MPMC_SPREAD; layout++) {
			bool used[SLOTS_MAX] = {false};
			start(slots, layout, 7);
			for (uint32_t p = 0u - 7, i = 0; i < slots; i++, p++) {
				ptrdiff_t at = mpmc_at(&q, p) - memory;
				CHECK(at >= 0 && at < slots && !used[at]);
				used[at] = true;
			}
		}
	}
}

TEST(spread_neighbours_are_lines_apart_and_dense_ones_are_not)
{
	start(SLOTS_MAX, MPMC_SPREAD, 0);
	for (uint32_t p = 0; p + 1 < SLOTS_MAX; p++) {
		ptrdiff_t apart = (char *)mpmc_at(&q, p + 1) - (char *)mpmc_at(&q, p);
		CHECK(apart >= CACHE_LINE || apart <= -CACHE_LINE);
	}
	start(SLOTS_MAX, MPMC_DENSE, 0);
	for (uint32_t p = 0; p + 1 < SLOTS_MAX; p++)
		CHECK(mpmc_at(&q, p + 1) == mpmc_at(&q, p) + 1);
}

/* Who has taken a position and is stopped there: others are told, and go on once it is through. */
TEST(a_stopped_push_or_pop_holds_up_its_slot_alone)
{
	start(4, MPMC_SPREAD, 0);
	uint32_t stopped = q.xtail++;
	CHECK(mpmc_push(&q, item(1)));
	CHECK(mpmc_pop(&q) == NULL);
	CHECK_EQ(mpmc_len(&q), 2);
	mpmc_at(&q, stopped)->item = item(0);
	mpmc_at(&q, stopped)->xnumber = stopped + 1;
	CHECK(mpmc_push(&q, item(2)) && mpmc_push(&q, item(3)));
	stopped = q.xhead++;
	CHECK(mpmc_pop(&q) == item(1));
	CHECK(!mpmc_push(&q, item(4)));
	mpmc_at(&q, stopped)->xnumber = stopped + 4;
	CHECK(mpmc_push(&q, item(4)) && mpmc_push(&q, item(5)) && !mpmc_push(&q, item(6)));
	for (uintptr_t i = 2; i <= 5; i++)
		CHECK(mpmc_pop(&q) == item(i));
}

static void one_slot(void)
{
	mpmc_init(&q, memory, 1, MPMC_DENSE);
}

static void six_slots(void)
{
	mpmc_init(&q, memory, 6, MPMC_DENSE);
}

TEST(slots_must_be_a_power_of_two_from_two_on)
{
	test_dies(one_slot, "slots");
	test_dies(six_slots, "slots");
}

TEST(a_torn_length_is_none)
{
	start(4, MPMC_DENSE, 0);
	q.xhead = 10;
	q.xtail = 9;
	CHECK_EQ(mpmc_len(&q), 0);
}
