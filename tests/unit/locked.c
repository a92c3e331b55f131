/* Under mlockall goroutines run, their stacks are all there at once, and guards still guard. */
#include "alloc/os.h"
#include "alloc/stack.h"
#include "runtime/sched.h"
#include "tests/unit/deep.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct test_child child;
static weft_waitgroup join;
static int procs, flags;
static int (*app)(void);

enum { NOT_ALLOWED = 99 };

static void run_locked(void)
{
	if (mlockall(flags))
		_exit(errno == EPERM || errno == ENOMEM ? NOT_ALLOWED : 1);
	_exit(run_weft(procs, app));
}

/* The sanitizers let nobody lock memory: they have too much of it. There, the rest is tested. */
static bool is_locked(void)
{
	return !test_is_slow();
}

static int pages_of(const struct stack *s)
{
	static unsigned char page[STACK_DEFAULT / OS_PAGE];
	CHECK_EQ(mincore(stack_base(s), stack_size(s), page), 0);
	int n = 0;
	for (size_t i = 0; i < sizeof page; i++)
		n += page[i] & 1;
	return n;
}

static void look_at_own_stack(void *arg)
{
	(void)arg;
	struct stack *s = load_acq(&m_g(m_self())->stack);
	weft_yield();
	if (is_locked())
		CHECK_EQ(pages_of(s) == STACK_DEFAULT / OS_PAGE, !(flags & MCL_ONFAULT));
	weft_waitgroup_done(&join);
}

/* More than a P keeps, and into the second chunk; twice, so that they are given back and taken again. */
static int run_many(void)
{
	enum { MANY = 40 };
	for (int round = 0; round < 2; round++) {
		weft_waitgroup_add(&join, MANY);
		for (int i = 0; i < MANY; i++)
			weft_go(look_at_own_stack, NULL);
		weft_waitgroup_wait(&join);
		weft_sleep(20 * WEFT_MS);
	}
	if (is_locked())
		CHECK_STR(os_guard_way(), "mprotect");
	return 5;
}

static void overflow(void *arg)
{
	(void)arg;
	recurse(0);
}

static int run_deep(void)
{
	weft_go(overflow, NULL);
	weft_sleep(60 * WEFT_S);
	return 0;
}

static void in_locked_memory(int (*what)(void), int status, const char *words)
{
	static const int ways[] = {MCL_CURRENT | MCL_FUTURE, MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT};
	app = what;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		for (procs = 1; procs <= 2; procs++) {
			flags = ways[i];
			test_in_child(&child, run_locked);
			if (child.status == NOT_ALLOWED)
				test_skip("memory may not be locked here");
			if (child.status != status || strncmp(child.err, words, strlen(words)))
				test_fail(__FILE__, __LINE__, "status %d (want %d):\n%s", child.status, status, child.err);
		}
}

TEST(goroutines_run_in_locked_memory)
{
	in_locked_memory(run_many, 5, "");
}

TEST(guards_guard_in_locked_memory)
{
	in_locked_memory(run_deep, 2, "fatal: goroutine 2 stack overflow (limit 262144 bytes)\n");
}

static void nothing(void *arg)
{
	(void)arg;
	weft_waitgroup_done(&join);
}

static int lock_and_run_deep(void)
{
	weft_waitgroup_add(&join, 1);
	weft_go(nothing, NULL); /* on the first stack of a chunk, whose guards are there from then on */
	weft_waitgroup_wait(&join);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		_exit(errno == EPERM || errno == ENOMEM ? NOT_ALLOWED : 1);
	return run_deep();
}

static void run_to_be_locked(void)
{
	_exit(run_weft(procs, lock_and_run_deep));
}

/* Guards that were made before stay what they are. */
TEST(guards_guard_in_memory_that_is_locked_later)
{
	for (procs = 1; procs <= 2; procs++) {
		test_in_child(&child, run_to_be_locked);
		if (child.status == NOT_ALLOWED)
			test_skip("memory may not be locked here");
		if (child.status != 2 || !strstr(child.err, " stack overflow (limit 262144 bytes)\n"))
			test_fail(__FILE__, __LINE__, "status %d:\n%s", child.status, child.err);
	}
}
