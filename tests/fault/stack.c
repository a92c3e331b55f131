/* Stacks when the kernel refuses: an error, nothing lost, and the next time it works. */
#include "alloc/os.h"
#include "alloc/stack.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

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
	CHECK(after - before < 100 * ((size ? size : STACK_DEFAULT) + STACK_GUARD));
}

TEST(no_address_space_for_a_chunk)
{
	refuse(OS_RESERVE, 0);
}

TEST(no_address_space_for_a_small_stack)
{
	refuse(OS_RESERVE, STACK_LEAST);
}

TEST(no_guard_for_a_small_stack)
{
	refuse(OS_GUARD, STACK_LEAST);
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

/* Asked of the kernel, which says so instead of raising a signal. */
static bool faults(const char *at)
{
	int fd[2];
	CHECK_EQ(pipe(fd), 0);
	ssize_t n = write(fd[1], at, 1);
	bool efault = n < 0 && errno == EFAULT;
	close(fd[0]);
	close(fd[1]);
	return efault;
}

static void take_guarded(int n)
{
	for (int i = 0; i < n; i++) {
		struct stack *s = stack_take(&cache, 0);
		CHECK(s);
		CHECK(faults(s->base - 1) && faults(s->base - STACK_GUARD));
		CHECK(!faults(s->base) && !faults(s->top - 1));
	}
}

TEST(a_batch_that_is_refused_half_way_leaves_no_stack_without_a_guard)
{
	os_fail_at(OS_GUARD, 5, ENOMEM);
	take_guarded(300); /* into the next chunk */
}

TEST(where_many_ranges_at_once_are_refused_they_go_one_by_one)
{
	os_fail_at(OS_MANY, 3, ENOMEM); /* once */
	take_guarded(100);
	os_fail_at(OS_MANY, 1, EINVAL); /* for ever */
	take_guarded(300);
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

/* ---- a goroutine that cannot run ---- */

static void never(void *unused)
{
	(void)unused;
	_exit(1);
}

static const weft_go_opts *opts;
static enum os_call refused;

static int start_refused(void)
{
	CHECK_EQ(weft_go_with(opts, never, NULL), 0);
	os_fail_at(refused, 1, ENOMEM); /* it has not run yet */
	weft_sleep(60 * WEFT_S);
	return 0;
}

static void run_refused(void)
{
	_exit(run_weft(1, start_refused));
}

/* One line: a dump would want memory, and there is none. */
static void dies_with(const char *line)
{
	static struct test_child child;
	test_in_child(&child, run_refused);
	CHECK_EQ(child.status, 2);
	CHECK_STR(child.err, line);
}

TEST(no_stack_for_a_goroutine_is_one_line_that_names_it)
{
	opts = &(weft_go_opts){.stack_size = 1 << 20};
	dies_with("fatal: out of memory for the stack of goroutine 2\n");
	refused = OS_GUARD;
	dies_with("fatal: out of memory for the stack of goroutine 2\n");
	opts = &(weft_go_opts){.name = "worker"};
	dies_with("fatal: out of memory for the stack of goroutine 2 name=worker\n");
	opts = &(weft_go_opts){.name = "small", .stack_size = STACK_LEAST};
	dies_with("fatal: out of memory for the stack of goroutine 2 name=small\n");
	refused = OS_RESERVE;
	dies_with("fatal: out of memory for the stack of goroutine 2 name=small\n");
}

TEST(where_there_is_no_room_for_a_large_chunk_a_small_one_does)
{
	for (int i = 0; i < 16; i++) /* the first chunk, whole */
		CHECK(stack_take(&cache, 0));
	os_fail_at(OS_RESERVE, 1, ENOMEM);
	for (int i = 0; i < 16; i++)
		CHECK(stack_take(&cache, 0));
}
