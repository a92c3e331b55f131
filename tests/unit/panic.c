#include "tests/unit/go.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What has been deferred and run, in order: a letter each. */
static char trail[64];

static void leave(void *letter)
{
	size_t n = strlen(trail);
	trail[n] = *(const char *)letter;
	trail[n + 1] = 0;
}

static void *letter(const char *s)
{
	return (void *)(uintptr_t)s;
}

static void expect(const char *want)
{
	CHECK_STR(trail, want);
	trail[0] = 0;
}

/* ---- leaving a block ---- */

static void fall_through(void)
{
	WEFT_DEFER(leave, letter("a"));
	WEFT_DEFER(leave, letter("b"));
	leave(letter("-"));
}

static int give_back(void)
{
	WEFT_DEFER(leave, letter("a"));
	return (leave(letter("-")), 7);
}

static void loop(void)
{
	for (int i = 0; i < 4; i++) {
		WEFT_DEFER(leave, letter("a"));
		if (i == 1)
			continue;
		if (i == 2)
			break;
		leave(letter("-"));
	}
	leave(letter("."));
}

static void go_out_and_back(void)
{
	int times = 0;
	{
again:
		leave(letter("-"));
		WEFT_DEFER(leave, letter("a"));
		if (++times < 2)
			goto again;
		goto out;
	}
out:
	leave(letter("."));
}

static void nested(void)
{
	WEFT_DEFER(leave, letter("a"));
	{
		WEFT_DEFER(leave, letter("b")); WEFT_DEFER(leave, letter("c"));
		leave(letter("-"));
	}
	WEFT_DEFER(leave, letter("d"));
	leave(letter("."));
}

static void evaluated_at_once(void)
{
	const char *which = "a";
	WEFT_DEFER(leave, letter(which));
	which = "b";
	leave(letter(which));
}

TEST_GO(a_deferred_call_runs_when_its_block_is_left_last_first)
{
	fall_through();
	expect("-ba");
	CHECK_EQ(give_back(), 7);
	expect("-a");
	loop();
	expect("-aaa.");
	go_out_and_back();
	expect("-a-a.");
	nested();
	expect("-cb.da");
	evaluated_at_once();
	expect("ba");
	return 0;
}

/* ---- a panic that is stopped ---- */

static void deep(void *left)
{
	int n = *(const int *)left, less = n - 1;
	char here[] = {(char)('a' + n), 0}; /* and must still be there */
	WEFT_DEFER(leave, here);
	if (n > 0)
		deep(&less);
	else if (here[0] == 'a')
		weft_panic("at %d of %s", n, "them");
}

TEST_GO(a_panic_runs_deferred_calls_while_their_frames_are_there)
{
	weft_panic_info info = {0};
	int five = 5;
	CHECK_EQ(weft_protect(deep, &five, &info), 1);
	expect("abcdef");
	CHECK_STR(info.message, "at 0 of them");
	CHECK_EQ(info.goroutine, weft_goroutine_id());
	CHECK_EQ(weft_protect(deep, &five, NULL), 1);
	expect("abcdef");
	return 0;
}

static void no_panic(void *letter_)
{
	WEFT_DEFER(leave, letter_);
}

TEST_GO(what_does_not_panic_is_left_alone)
{
	weft_panic_info info = {.message = "as it was", .goroutine = 5};
	CHECK_EQ(weft_protect(no_panic, letter("a"), &info), 0);
	expect("a");
	CHECK_STR(info.message, "as it was");
	CHECK_EQ(info.goroutine, 5);
	return 0;
}

static void say_much(void *unused)
{
	char much[400];
	(void)unused;
	memset(much, 'x', sizeof much);
	weft_panic("%.*s", (int)sizeof much, much);
}

TEST_GO(a_message_is_cut_to_its_room)
{
	weft_panic_info info;
	CHECK_EQ(weft_protect(say_much, NULL, &info), 1);
	CHECK_EQ(strlen(info.message), sizeof info.message - 1);
	return 0;
}

static void panic_a(void *unused)
{
	(void)unused;
	weft_panic("a");
}

static void panic_b(void *unused)
{
	(void)unused;
	weft_panic("b");
}

/* The deferred calls outside a protect are no business of its. */
static void protect_inside(void *message)
{
	weft_panic_info info;
	WEFT_DEFER(leave, letter("o"));
	CHECK_EQ(weft_protect(panic_a, NULL, &info), 1);
	leave(letter("-"));
	if (message)
		weft_panic("again: %s", info.message);
}

TEST_GO(protects_nest_and_a_panic_may_be_raised_anew)
{
	weft_panic_info info;
	CHECK_EQ(weft_protect(protect_inside, NULL, NULL), 0);
	expect("-o");
	CHECK_EQ(weft_protect(protect_inside, "", &info), 1);
	expect("-o");
	CHECK_STR(info.message, "again: a");
	return 0;
}

/* ---- panics in deferred calls ---- */

static void two_panics(void *unused)
{
	(void)unused;
	WEFT_DEFER(leave, letter("a"));
	WEFT_DEFER(panic_b, NULL);
	WEFT_DEFER(leave, letter("c"));
	weft_panic("replaced");
}

static void panic_on_the_way_out(void *unused)
{
	(void)unused;
	WEFT_DEFER(leave, letter("a"));
	WEFT_DEFER(panic_b, NULL);
}

TEST_GO(a_panic_in_a_deferred_call_replaces_the_one_under_way)
{
	weft_panic_info info;
	CHECK_EQ(weft_protect(two_panics, NULL, &info), 1);
	expect("ca");
	CHECK_STR(info.message, "b");
	CHECK_EQ(weft_protect(panic_on_the_way_out, NULL, &info), 1);
	expect("a");
	CHECK_STR(info.message, "b");
	return 0;
}

static void stop_one_inside(void *unused)
{
	(void)unused;
	leave(letter("("));
	CHECK_EQ(weft_protect(two_panics, NULL, NULL), 1);
	leave(letter(")"));
}

static void panic_around_another(void *unused)
{
	(void)unused;
	WEFT_DEFER(leave, letter("x"));
	WEFT_DEFER(stop_one_inside, NULL);
	weft_panic("the outer");
}

TEST_GO(a_deferred_call_may_protect_and_the_panic_goes_on)
{
	weft_panic_info info;
	CHECK_EQ(weft_protect(panic_around_another, NULL, &info), 1);
	expect("(ca)x");
	CHECK_STR(info.message, "the outer");
	return 0;
}

static void twice_as_deep(void *left)
{
	int n = *(const int *)left, less = n - 1;
	weft_panic_info info;
	if (n == 0)
		weft_panic("bottom");
	CHECK_EQ(weft_protect(twice_as_deep, &less, &info), 1);
	weft_panic("%d over %.200s", n, info.message);
}

TEST_GO(protects_and_panics_nest_deeply)
{
	weft_panic_info info;
	int thirty = 30;
	CHECK_EQ(weft_protect(twice_as_deep, &thirty, &info), 1);
	CHECK(!strncmp(info.message, "30 over 29 over 28 over ", 24));
	return 0;
}

static void panic_often(void *unused)
{
	(void)unused;
	weft_panic_info info;
	for (int i = 0; i < 10000; i++)
		CHECK_EQ(weft_protect(panic_a, NULL, &info), 1);
}

/* Nothing is left over of any. */
TEST_GO(ten_thousand_panics_leave_nothing_behind)
{
	panic_often(NULL);
	return 0;
}

/* ---- exit ---- */

static weft_waitgroup over;

static void is_over(void *unused)
{
	(void)unused;
	weft_waitgroup_done(&over);
}

/* Runs it on a goroutine, to the end of that. */
static void on_a_goroutine(void (*fn)(void *))
{
	weft_waitgroup_add(&over, 1);
	weft_go(fn, NULL);
	weft_waitgroup_wait(&over);
}

static void exit_deep(void *unused)
{
	(void)unused;
	WEFT_DEFER(leave, letter("b"));
	weft_exit_goroutine();
}

static void exit_protected(void *unused)
{
	(void)unused;
	WEFT_DEFER(is_over, NULL);
	WEFT_DEFER(leave, letter("a"));
	weft_protect(exit_deep, NULL, NULL);
	leave(letter("!"));
}

static void panic_and_exit(void *unused)
{
	(void)unused;
	WEFT_DEFER(leave, letter("c"));
	WEFT_DEFER(exit_deep, NULL);
	weft_panic("forgotten");
}

static void exit_in_a_panic(void *unused)
{
	(void)unused;
	WEFT_DEFER(is_over, NULL);
	weft_protect(panic_and_exit, NULL, NULL);
	leave(letter("!"));
}

static void exit_and_exit(void *unused)
{
	(void)unused;
	WEFT_DEFER(is_over, NULL);
	WEFT_DEFER(exit_deep, NULL);
	weft_exit_goroutine();
}

TEST_GO(exit_runs_deferred_calls_and_passes_through_protects)
{
	on_a_goroutine(exit_protected);
	expect("ba");
	on_a_goroutine(exit_in_a_panic);
	expect("bc");
	on_a_goroutine(exit_and_exit);
	expect("b");
	return 0;
}

static void exit_and_panic(void *unused)
{
	(void)unused;
	WEFT_DEFER(leave, letter("c"));
	WEFT_DEFER(two_panics, NULL);
	weft_exit_goroutine();
}

static void panic_in_an_exit(void *unused)
{
	(void)unused;
	WEFT_DEFER(is_over, NULL);
	WEFT_DEFER(leave, letter("d"));
	weft_protect(exit_and_panic, NULL, NULL);
	leave(letter("!"));
}

static void protect_in_an_exit(void *unused)
{
	(void)unused;
	WEFT_DEFER(is_over, NULL);
	WEFT_DEFER(stop_one_inside, NULL);
	weft_exit_goroutine();
}

TEST_GO(an_exit_cannot_be_stopped)
{
	on_a_goroutine(panic_in_an_exit);
	expect("cacd");
	on_a_goroutine(protect_in_an_exit);
	expect("(ca)");
	return 0;
}

static weft_chan *main_is_over;

static void close_it(void *ch)
{
	weft_close(ch);
}

static void watch_main(void *unused)
{
	(void)unused;
	CHECK(!weft_recv(main_is_over, NULL));
	printf("the others go on\n");
	fflush(stdout);
	_exit(0);
}

static int main_exits(void)
{
	main_is_over = weft_chan_make(0, 0);
	WEFT_DEFER(close_it, main_is_over);
	weft_go(watch_main, NULL);
	weft_exit_goroutine();
}

static void run_main_exits(void)
{
	run_weft(1, main_exits);
}

TEST(main_exits_with_its_deferred_calls_and_the_others_go_on)
{
	struct test_child child;
	test_in_child(&child, run_main_exits);
	CHECK_STR(child.out, "the others go on\n");
	CHECK_EQ(child.status, 0);
}

/* ---- threads outside ---- */

static void *on_a_thread(void *unused)
{
	weft_panic_info info = {.goroutine = 1};
	int three = 3;
	fall_through();
	CHECK_EQ(weft_protect(deep, &three, &info), 1);
	CHECK_STR(info.message, "at 0 of them");
	CHECK_EQ(info.goroutine, 0);
	CHECK_EQ(weft_protect(two_panics, NULL, NULL), 1);
	return unused;
}

static void run_thread(void)
{
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, on_a_thread, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	expect("-baabcdca");
}

TEST_GO(a_thread_outside_defers_and_panics_too)
{
	run_thread();
	return 0;
}

TEST(so_does_one_where_weft_does_not_run)
{
	on_a_thread(NULL);
	expect("-baabcdca");
	run_thread();
}
