/* What a panic that nobody stops prints, and how the program ends. */
#include "tests/unit/go.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Keeps the call before it from becoming a jump, which would leave no frame. */
static void stay(void)
{
	__asm__ volatile("" ::: "memory");
}

static struct test_child child;
static int (*app)(void);

static void run_app(void)
{
	run_weft(2, app);
}

static void die(int (*what)(void))
{
	app = what;
	test_in_child(&child, run_app);
	CHECK_EQ(child.status, 2);
}

/* `s` is where something begins; what comes behind it. */
static const char *skip(const char *s, const char *words)
{
	if (strncmp(s, words, strlen(words)))
		test_fail(__FILE__, __LINE__, "not \"%s\", but:\n%s", words, s);
	return s + strlen(words);
}

static bool has_line(const char *text, const char *frame, const char *file)
{
	const char *at = strstr(text, frame), *end = at ? strchr(at, '\n') : NULL;
	const char *name = at ? strstr(at, file) : NULL;
	return end && name && name < end;
}

static void say_bye(void *unused)
{
	(void)unused;
	weft_yield();
	fprintf(stderr, "bye\n");
}

static __attribute__((noinline)) void raise_it(void)
{
	WEFT_DEFER(say_bye, NULL);
	weft_panic("no use: %d", 42);
}

static void worker(void *unused)
{
	(void)unused;
	raise_it();
	stay();
}

static int start_worker(void)
{
	weft_go_with(&(weft_go_opts){.name = "worker"}, worker, NULL);
	weft_sleep(3600 * WEFT_S);
	return 0;
}

/* Deferred calls, the message, one goroutine with the place of the panic and who has started it, and nothing else. */
TEST(deferred_calls_run_then_the_message_the_place_and_the_creator_are_printed)
{
	die(start_worker);
	const char *at = skip(child.err, "bye\npanic: no use: 42\n\ngoroutine 2 [running] name=worker:\n  ");
	CHECK(has_line(at, "  raise_it+0x", "  uncaught.c:"));
	CHECK(has_line(at, "  worker+0x", "  uncaught.c:"));
	const char *creator = strstr(at, "\ncreated by goroutine 1 at uncaught.c:");
	CHECK(creator);
	CHECK(strstr(creator, " in start_worker\n"));
	CHECK_STR(strchr(creator + 1, '\n'), "\n");
}

static void raise_another(void *unused)
{
	(void)unused;
	weft_panic("the other");
}

static int replace(void)
{
	WEFT_DEFER(say_bye, NULL);
	WEFT_DEFER(raise_another, NULL);
	weft_panic("the one");
}

TEST(of_two_the_last_is_told_and_the_trace_has_both)
{
	die(replace);
	const char *at = skip(child.err, "bye\npanic: the other\n\ngoroutine 1 [running]:\n  ");
	CHECK(!strstr(child.err, "panic: the one"));
	CHECK(has_line(at, "  raise_another+0x", "  uncaught.c:"));
	CHECK(has_line(strstr(at, "  raise_another+0x"), "  replace+0x", "  uncaught.c:"));
}

static void raise_again(void *info)
{
	weft_panic("again: %s", ((weft_panic_info *)info)->message);
}

static int raise_anew(void)
{
	weft_panic_info info;
	CHECK_EQ(weft_protect(raise_another, NULL, &info), 1);
	raise_again(&info);
	return 0;
}

TEST(one_that_is_raised_anew_is_not_stopped_twice)
{
	die(raise_anew);
	skip(child.err, "panic: again: the other\n\ngoroutine 1 [running]:\n  ");
}

static int panic_in_exit(void)
{
	WEFT_DEFER(say_bye, NULL);
	WEFT_DEFER(raise_another, NULL);
	weft_exit_goroutine();
}

TEST(one_in_an_exit_that_nobody_stops_ends_the_program)
{
	die(panic_in_exit);
	skip(child.err, "bye\npanic: the other\n\ngoroutine 1 [running]:\n  ");
}

static void close_again(void *ch)
{
	weft_close(ch);
	stay();
}

static int misuse_in_deferred(void)
{
	weft_chan *ch = weft_chan_make(0, 0);
	WEFT_DEFER(close_again, ch);
	weft_close(ch);
	stay();
	return 0;
}

TEST(misuse_in_a_deferred_call_is_told_like_any)
{
	die(misuse_in_deferred);
	const char *at = skip(child.err, "panic: close of closed channel\n\ngoroutine 1 [running]:\n  ");
	CHECK(has_line(at, "  close_again+0x", "  uncaught.c:"));
	CHECK(strstr(at, "  misuse_in_deferred+0x"));
}

static void *panic_outside(void *unused)
{
	raise_it();
	return unused;
}

static int start_thread(void)
{
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, panic_outside, NULL), 0);
	weft_sleep(3600 * WEFT_S);
	return 0;
}

TEST(a_thread_outside_is_told_as_such)
{
	die(start_thread);
	const char *at = skip(child.err, "bye\npanic: no use: 42\n\nthread outside the runtime:\n  ");
	CHECK(has_line(at, "  raise_it+0x", "  uncaught.c:"));
}

static void be_fatal(void *unused)
{
	(void)unused;
	WEFT_DEFER(say_bye, NULL);
	weft_select(NULL, 0);
}

static int protect_a_fatal_error(void)
{
	weft_protect(be_fatal, NULL, NULL);
	printf("stopped\n");
	return 0;
}

TEST(a_fatal_error_is_not_stopped_and_runs_nothing)
{
	die(protect_a_fatal_error);
	skip(child.err, "fatal: all goroutines are asleep - deadlock!\n");
	CHECK(!strstr(child.err, "bye"));
	CHECK_STR(child.out, "");
}

static __attribute__((noinline)) int recurse(volatile char *above)
{
	volatile char here[1024];
	here[0] = *above;
	return here[0] ? 0 : recurse(here) + here[1];
}

static void overflow(void *unused)
{
	volatile char none = 0;
	(void)unused;
	WEFT_DEFER(say_bye, NULL);
	recurse(&none);
}

static int protect_an_overflow(void)
{
	weft_protect(overflow, NULL, NULL);
	printf("stopped\n");
	return 0;
}

TEST(nor_is_a_stack_overflow)
{
	die(protect_an_overflow);
	skip(child.err, "fatal: goroutine 1 stack overflow (limit ");
	CHECK(!strstr(child.err, "bye"));
	CHECK_STR(child.out, "");
}
