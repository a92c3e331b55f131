#include "tests/unit/go.h"

#include <errno.h>

static _Atomic int fired;
static weft_waitgroup join;

static void fire(void *arg)
{
	(void)arg;
	fired++;
	weft_waitgroup_done(&join);
}

TEST_GO(sleep_lasts_at_least_as_long_as_asked)
{
	for (int64_t ns = 1000; ns <= 10 * WEFT_MS; ns *= 10) {
		int64_t before = weft_now();
		weft_sleep(ns);
		CHECK(weft_now() - before >= ns);
	}
	weft_sleep(0);
	weft_sleep(-5);
	return 0;
}

TEST_GO(timer_fires_once_on_a_goroutine)
{
	weft_timer t = {0};
	weft_waitgroup_add(&join, 1);
	weft_timer_start(&t, WEFT_MS, fire, NULL);
	weft_waitgroup_wait(&join);
	CHECK_EQ(fired, 1);
	CHECK(!weft_timer_stop(&t));
	return 0;
}

TEST_GO(a_stopped_timer_does_not_fire)
{
	weft_timer t = {0};
	CHECK(!weft_timer_stop(&t));
	weft_timer_start(&t, WEFT_MS, fire, NULL);
	CHECK(weft_timer_stop(&t));
	CHECK(!weft_timer_stop(&t));
	weft_sleep(3 * WEFT_MS);
	CHECK_EQ(fired, 0);
	return 0;
}

TEST_GO(reset_arms_again)
{
	weft_timer t = {0};
	weft_waitgroup_add(&join, 2);
	weft_timer_start(&t, 3600 * WEFT_S, fire, NULL);
	CHECK(weft_timer_reset(&t, WEFT_MS));
	while (fired < 1)
		weft_sleep(WEFT_MS / 4);
	CHECK(!weft_timer_reset(&t, 0));
	weft_waitgroup_wait(&join);
	CHECK_EQ(fired, 2);
	return 0;
}

TEST_GO(after_and_after_func)
{
	weft_waitgroup_add(&join, 1);
	weft_after_func(WEFT_MS, fire, NULL);
	int64_t before = weft_now(), at = 0;
	weft_chan *c = weft_after(2 * WEFT_MS), *never = weft_after(3600 * WEFT_S);
	CHECK(weft_recv(c, &at));
	CHECK(at - before >= 2 * WEFT_MS);
	weft_chan_free(c);
	weft_chan_free(never);
	weft_waitgroup_wait(&join);
	CHECK_EQ(fired, 1);
	return 0;
}

TEST_GO(ticker_does_not_drift_and_holds_one_tick)
{
	weft_ticker *t = weft_ticker_make(WEFT_MS);
	int64_t first, v = 0;
	CHECK(weft_recv(weft_ticker_chan(t), &first));
	for (int i = 0; i < 20; i++) {
		CHECK(weft_recv(weft_ticker_chan(t), &v));
		CHECK_EQ((v - first) % WEFT_MS, 0);
	}
	CHECK(v - first >= 20 * WEFT_MS);
	weft_sleep(10 * WEFT_MS);
	CHECK_EQ(weft_chan_len(weft_ticker_chan(t)), 1);
	weft_ticker_free(t);
	return 0;
}

enum { TIMERS = 50 };

/* The later one is set, the earlier it is due. False: setting them took so long that this need not be so. */
static bool set_backwards(weft_chan **c, int64_t gap)
{
	int64_t began = weft_now();
	for (int i = 0; i < TIMERS; i++)
		c[i] = weft_after((TIMERS - i) * gap);
	return weft_now() - began < gap;
}

TEST_GO(timers_fire_in_order_of_their_time)
{
	weft_chan *c[TIMERS];
	bool ordered = false;
	for (int64_t gap = 100 * WEFT_US; !ordered; gap *= 2) {
		int64_t last = 0, at;
		ordered = set_backwards(c, gap);
		for (int i = TIMERS; i-- > 0; last = at) {
			CHECK(weft_recv(c[i], &at));
			CHECK(!ordered || at >= last);
			weft_chan_free(c[i]);
		}
	}
	return 0;
}

static weft_timer shared;

static void reset_often(void *arg)
{
	int64_t n = test_rounds(5000);
	(void)arg;
	for (int64_t i = 0; i < n; i++) {
		weft_timer_stop(&shared);
		if (i % 3 == 0)
			weft_yield();
	}
	weft_waitgroup_done(&join);
}

static void count_only(void *arg)
{
	(void)arg;
	fired++;
}

TEST_GO(stops_from_other_goroutines_race_with_firing)
{
	weft_waitgroup_add(&join, 3);
	for (int i = 0; i < 3; i++)
		weft_go(reset_often, NULL);
	int64_t started = 0, rounds = test_rounds(5000);
	for (; started < rounds; started++) {
		weft_timer_stop(&shared);
		weft_timer_start(&shared, started % 7 * WEFT_US, count_only, NULL);
	}
	weft_waitgroup_wait(&join);
	weft_timer_stop(&shared);
	weft_sleep(WEFT_MS);
	CHECK(fired <= started);
	return 0;
}

TEST_GO(deadlines_saturate)
{
	CHECK_EQ(weft_in(INT64_MAX).ns, INT64_MAX);
	CHECK_EQ(weft_at(5).ns, 5);
	CHECK_EQ(WEFT_NEVER.ns, INT64_MAX);
	return 0;
}

static int bad_ticker(void)
{
	weft_ticker_make(0);
	return 0;
}

static int bad_reset(void)
{
	weft_timer t = {0};
	weft_timer_reset(&t, 1);
	return 0;
}

static void run_bad_ticker(void)
{
	run_weft(1, bad_ticker);
}

static void run_bad_reset(void)
{
	run_weft(1, bad_reset);
}

TEST(misuse_panics)
{
	test_dies(run_bad_ticker, "panic: non-positive interval for a ticker\n");
	test_dies(run_bad_reset, "panic: reset of a timer that was never started\n");
}
