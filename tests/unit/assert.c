#include "lockfree/assert.h"
#include "tests/test.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static void die_with_long_line(void)
{
	char long_word[2000];
	memset(long_word, 'x', sizeof long_word - 1);
	long_word[sizeof long_word - 1] = 0;
	fatal("%s", long_word);
}

static void say_hook(void)
{
	CHECK(write(STDERR_FILENO, "hook ran\n", 9) == 9);
}

static void die_with_hook(void)
{
	crash_hook = say_hook;
	fatal("no %s left", "beans");
}

static void die_in_hook(void)
{
	crash_hook = die_with_long_line;
	fatal("first");
}

static void die_of_assertion(void)
{
	int zero = 0;
	assert_always(zero == 1);
}

TEST(fatal_prints_one_line_and_ends_with_2)
{
	test_dies(die_with_hook, "fatal: no beans left\nhook ran\n");
}

TEST(fatal_cuts_a_line_that_is_too_long)
{
	static struct test_child child;
	test_in_child(&child, die_with_long_line);
	CHECK_EQ(child.status, 2);
	CHECK(strlen(child.err) < 600 && child.err[strlen(child.err) - 1] == '\n');
}

TEST(a_crash_inside_the_crash_hook_ends_at_once)
{
	static struct test_child child;
	test_in_child(&child, die_in_hook);
	CHECK_EQ(child.status, 2);
	CHECK_STR(child.err, "fatal: first\n");
}

static void *go_on_and_die(void *from)
{
	crash_moves_here(*(pthread_t *)from);
	die_with_long_line();
	return NULL;
}

/* As a dump does that wants room (runtime/dump.c). */
static void let_another_go_on(void)
{
	pthread_t me = pthread_self(), thread;
	CHECK_EQ(pthread_create(&thread, NULL, go_on_and_die, &me), 0);
	pthread_join(thread, NULL);
}

static void die_in_a_thread_of_the_hook(void)
{
	crash_hook = let_another_go_on;
	fatal("first");
}

TEST(so_does_one_in_a_thread_that_goes_on_for_the_hook)
{
	static struct test_child child;
	test_in_child(&child, die_in_a_thread_of_the_hook);
	CHECK_EQ(child.status, 2);
	CHECK_STR(child.err, "fatal: first\n");
}

TEST(assertion_names_expression_and_place)
{
	test_dies(die_of_assertion, "fatal: assertion failed: zero == 1 (");
}
