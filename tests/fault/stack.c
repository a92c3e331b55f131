/* Stacks when the kernel refuses: an error, nothing lost, and the next time it works. */
#include "alloc/os.h"
#include "alloc/stack.h"
#include "tests/test.h"

#include <errno.h>
#include <stdint.h>

static struct stack_cache cache;

TEST(the_nth_use_fails_and_only_that)
{
	char *base = os_reserve(OS_PAGE * 4);
	CHECK(base);
	os_fail_at(OS_DISCARD, 3, EIO);
	CHECK_EQ(os_discard(base, OS_PAGE), 0);
	CHECK_EQ(os_discard(base, OS_PAGE), 0);
	CHECK_EQ(os_discard(base, OS_PAGE), -EIO);
	CHECK_EQ(os_discard(base, OS_PAGE), 0);
	os_fail_at(OS_GUARD, 1, EPERM);
	os_fail_at(OS_GUARD, 0, 0); /* taken back */
	CHECK_EQ(os_guard(base, OS_PAGE), 0);
	os_fail_at(OS_PIN, 1, EINVAL);
	CHECK_EQ(os_pin(0), -EINVAL);
	os_fail_at(OS_RESERVE, 1, ENOMEM);
	CHECK(!os_reserve(OS_PAGE));
	CHECK(os_reserve(OS_PAGE));
	os_release(base, OS_PAGE * 4);
}

TEST(discarded_pages_read_as_zeroes)
{
	char *base = os_reserve(OS_PAGE * 2);
	base[0] = base[OS_PAGE] = 1;
	CHECK_EQ(os_discard(base, OS_PAGE), 0);
	CHECK_EQ(base[0], 0);
	CHECK_EQ(base[OS_PAGE], 1);
	os_release(base, OS_PAGE * 2);
}

/* Makes each of the first uses of a call fail in turn, on the way to a stack of this size. */
static void refuse(enum os_call call, size_t size)
{
	size_t before = stack_bytes_reserved();
	int failures = 0;
	for (int nth = 1; nth <= 64; nth++) {
		stack_flush(&cache);
		os_fail_at(call, nth, ENOMEM);
		struct stack *s = stack_take(&cache, size);
		os_fail_at(call, 0, 0);
		failures += !s;
		if (!s)
			s = stack_take(&cache, size);
		CHECK(s);
		*s->base = s->top[-1] = 1;
		stack_give(&cache, s);
	}
	CHECK(failures > 0);
	stack_flush(&cache);
	size_t after = stack_bytes_reserved();
	CHECK(size > STACK_DEFAULT ? after == before : after >= before);
}

TEST(no_address_space_for_a_chunk)
{
	refuse(OS_RESERVE, 0);
}

TEST(no_address_space_for_a_large_stack)
{
	refuse(OS_RESERVE, 1 << 20);
}

TEST(no_guard)
{
	refuse(OS_GUARD, 0);
}

TEST(no_guard_for_a_large_stack)
{
	refuse(OS_GUARD, 1 << 20);
}

/* A failure in the middle of a batch costs nothing: what has been cut is used. */
TEST(a_batch_that_fails_half_way_gives_what_it_has)
{
	os_fail_at(OS_GUARD, 5, ENOMEM);
	struct stack *s = stack_take(&cache, 0);
	CHECK(s);
	CHECK_EQ(cache.n, 3);
	for (int i = 0; i < 3; i++)
		CHECK(stack_take(&cache, 0));
	CHECK_EQ(cache.n, 0);
	CHECK(stack_take(&cache, 0)); /* the slot whose guard failed is tried again */
}

TEST(pages_that_cannot_be_given_back_are_kept)
{
	enum { MANY = STACK_DEPOT_WARM + 100 };
	static struct stack *s[MANY];
	for (int i = 0; i < MANY; i++)
		s[i] = stack_take(&cache, 0);
	for (int i = 0; i < MANY; i++)
		stack_give(&cache, s[i]);
	os_fail_at(OS_DISCARD, 1, EINVAL);
	stack_flush(&cache);
	for (int i = 0; i < MANY; i++)
		CHECK(stack_take(&cache, 0));
}
