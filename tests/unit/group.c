#include "tests/unit/go.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int running, most, runs;

static int succeed(weft_ctx *ctx, void *arg)
{
	(void)ctx, (void)arg;
	runs++;
	return 0;
}

static int fail_with(weft_ctx *ctx, void *error)
{
	(void)ctx;
	return (int)(intptr_t)error;
}

static int wait_for_the_end(weft_ctx *ctx, void *arg)
{
	(void)arg;
	CHECK(!weft_recv(weft_ctx_done(ctx), NULL));
	runs++;
	return weft_ctx_err(ctx);
}

TEST_GO(wait_waits_for_all)
{
	weft_group *g = weft_group_make(NULL);
	for (int i = 0; i < 1000; i++)
		weft_group_go(g, succeed, NULL);
	CHECK_EQ(weft_group_wait(g), 0);
	CHECK_EQ(runs, 1000);
	CHECK_EQ(weft_group_wait(weft_group_make(weft_ctx_background())), 0);
	return 0;
}

TEST_GO(the_first_error_in_time_cancels_the_others_and_stays)
{
	weft_group *g = weft_group_make(NULL);
	weft_ctx *ctx = weft_ctx_ref(weft_group_ctx(g));
	for (int i = 0; i < 10; i++)
		weft_group_go(g, wait_for_the_end, NULL);
	weft_group_go(g, fail_with, (void *)(intptr_t)-ENOENT);
	CHECK_EQ(weft_group_wait(g), -ENOENT);
	CHECK_EQ(runs, 10);
	CHECK_EQ(weft_ctx_err(ctx), -ECANCELED);
	CHECK_STR(weft_ctx_cause(ctx), "No such file or directory");
	weft_ctx_free(ctx);
	return 0;
}

TEST_GO(wait_cancels_the_context)
{
	weft_group *g = weft_group_make(NULL);
	weft_ctx *ctx = weft_ctx_ref(weft_group_ctx(g));
	weft_group_go(g, succeed, NULL);
	CHECK_EQ(weft_group_wait(g), 0);
	CHECK_EQ(weft_ctx_err(ctx), -ECANCELED);
	weft_ctx_free(ctx);
	return 0;
}

TEST_GO(the_parents_cancellation_reaches_the_group)
{
	weft_ctx *parent = weft_ctx_with_timeout(weft_ctx_background(), WEFT_MS);
	weft_group *g = weft_group_make(parent);
	weft_group_go(g, wait_for_the_end, NULL);
	CHECK_EQ(weft_group_wait(g), -ETIMEDOUT);
	weft_ctx_free(parent);
	return 0;
}

/* The first ones stay until three have been inside at once, which a loaded
 * machine cannot promise by time alone. */
static int run_beside_others(weft_ctx *ctx, void *arg)
{
	(void)ctx, (void)arg;
	int now = ++running, before = most;
	while (before < now && !atomic_compare_exchange_weak(&most, &before, now))
		;
	do
		weft_yield();
	while (most < 3);
	weft_sleep(10 * WEFT_US);
	running--;
	return 0;
}

TEST_GO(never_more_than_the_limit)
{
	weft_group *g = weft_group_make(NULL);
	weft_group_limit(g, 5);
	weft_group_limit(g, 3);
	for (int i = 0; i < 100; i++)
		weft_group_go(g, run_beside_others, NULL);
	CHECK_EQ(weft_group_wait(g), 0);
	CHECK_EQ(most, 3);
	return 0;
}

static int wait_on(weft_ctx *ctx, void *ch)
{
	(void)ctx;
	weft_recv(ch, NULL);
	return 0;
}

TEST_GO(try_go_says_when_the_limit_is_reached)
{
	weft_chan *ch = weft_chan_make(0, 0);
	weft_group *g = weft_group_make(NULL);
	weft_group_limit(g, 2);
	CHECK_EQ(weft_group_try_go(g, wait_on, ch), 0);
	CHECK_EQ(weft_group_try_go(g, wait_on, ch), 0);
	CHECK_EQ(weft_group_try_go(g, wait_on, ch), -EAGAIN);
	weft_send(ch, NULL);
	while (weft_group_try_go(g, wait_on, ch))
		weft_yield();
	weft_close(ch);
	CHECK_EQ(weft_group_wait(g), 0);
	weft_chan_free(ch);
	return 0;
}

static int leave(weft_ctx *ctx, void *arg)
{
	(void)ctx, (void)arg;
	weft_exit_goroutine();
}

TEST_GO(who_exits_has_ended)
{
	weft_group *g = weft_group_make(NULL);
	weft_group_limit(g, 1);
	for (int i = 0; i < 3; i++)
		weft_group_go(g, leave, NULL);
	CHECK_EQ(weft_group_wait(g), 0);
	return 0;
}

static int panic(weft_ctx *ctx, void *arg)
{
	(void)ctx, (void)arg;
	weft_panic("in a group");
}

static int wait_for_a_panic(void)
{
	weft_group *g = weft_group_make(NULL);
	weft_group_go(g, panic, NULL);
	weft_group_wait(g);
	return 0;
}

static void run_panic(void)
{
	_exit(run_weft(2, wait_for_a_panic));
}

/* The deferred end of the function lets the waiter go on: that is not to end the program before the panic does. */
TEST(a_panic_ends_the_program_whoever_waits_for_the_group)
{
	for (int i = 0; i < 20; i++)
		test_dies(run_panic, "panic: in a group");
}

static int limit_of_nothing(void)
{
	weft_group_limit(weft_group_make(NULL), 0);
	return 0;
}

static int limit_too_late(void)
{
	weft_group *g = weft_group_make(NULL);
	weft_group_go(g, succeed, NULL);
	weft_group_limit(g, 1);
	return 0;
}

static int (*misuse)(void);

static void run_misuse(void)
{
	run_weft(1, misuse);
}

TEST(misuse_is_told)
{
	misuse = limit_of_nothing;
	test_dies(run_misuse, "panic: group limit of 0: at least 1");
	misuse = limit_too_late;
	test_dies(run_misuse, "panic: group limit after the first go");
}
