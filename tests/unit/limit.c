/* Limits by rate, circuit breakers and retries: on a simulation's clock, so that every time is exact. */
#include "tests/unit/go.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* A TEST whose time passes only when everybody sleeps, and to the nanosecond. */
#define TEST_TIME(name)                                                                            \
	static int app_##name(void);                                                               \
	TEST(name)                                                                                 \
	{                                                                                          \
		setenv("WEFT_DEBUG", "seed=7,nodelay", 1);                                         \
		CHECK_EQ(run_weft(1, app_##name), 0);                                              \
	}                                                                                          \
	static int app_##name(void)

/* ---- rate ---- */

TEST_TIME(a_bucket_is_full_at_first_and_holds_no_more_than_its_burst)
{
	weft_limiter *l = weft_limiter_make(10, 5);
	for (int round = 0; round < 2; round++) {
		CHECK(!weft_limiter_allow(l, 6));
		CHECK(weft_limiter_allow(l, 3));
		CHECK(weft_limiter_allow(l, 2));
		CHECK(!weft_limiter_allow(l, 1));
		CHECK(weft_limiter_allow(l, 0));
		weft_sleep(3600 * WEFT_S);
	}
	weft_limiter_free(l);
	return 0;
}

TEST_TIME(tokens_come_one_by_one_at_their_time)
{
	weft_limiter *l = weft_limiter_make(10, 5);
	CHECK(weft_limiter_allow(l, 5));
	weft_sleep(100 * WEFT_MS - 1);
	CHECK(!weft_limiter_allow(l, 1));
	weft_sleep(1);
	CHECK(weft_limiter_allow(l, 1));
	CHECK(!weft_limiter_allow(l, 1));
	weft_sleep(300 * WEFT_MS);
	CHECK(!weft_limiter_allow(l, 4));
	CHECK(weft_limiter_allow(l, 3));
	weft_limiter_free(l);
	return 0;
}

/* A rate whose tokens are no whole number of nanoseconds apart, for eleven days. */
TEST_TIME(exact_over_a_long_run)
{
	enum { SECONDS = 1000000 };
	int64_t began = weft_now(), taken = 0;
	weft_limiter *l = weft_limiter_make(3, 1);
	while (weft_now() - began < SECONDS * WEFT_S) {
		CHECK_EQ(weft_limiter_wait_until(l, 1, WEFT_NEVER), 0);
		taken++;
		if (taken % 1000 == 0)
			weft_sleep(WEFT_MS); /* less than a token: nothing is lost by it */
	}
	CHECK(taken >= 3 * SECONDS && taken <= 3 * SECONDS + 2);
	weft_limiter_free(l);
	return 0;
}

static weft_limiter *shared;
static int served[3];
static weft_waitgroup join;

static void wait_in_turn(void *number)
{
	static _Atomic int next;
	CHECK_EQ(weft_limiter_wait_until(shared, 1, WEFT_NEVER), 0);
	served[next++] = (int)(intptr_t)number;
	weft_waitgroup_done(&join);
}

TEST_TIME(who_waits_first_is_served_first)
{
	shared = weft_limiter_make(1, 1);
	CHECK(weft_limiter_allow(shared, 1));
	int64_t began = weft_now();
	weft_waitgroup_add(&join, 3);
	for (intptr_t i = 0; i < 3; i++) {
		weft_go(wait_in_turn, (void *)i);
		weft_sleep(WEFT_MS);
	}
	CHECK(!weft_limiter_allow(shared, 1)); /* all that comes is taken */
	weft_waitgroup_wait(&join);
	CHECK_EQ(weft_now() - began, 3 * WEFT_S);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(served[i], i);
	weft_limiter_free(shared);
	return 0;
}

TEST_TIME(what_cannot_be_in_time_is_told_at_once_and_takes_nothing)
{
	weft_limiter *l = weft_limiter_make(1, 2);
	int64_t began = weft_now();
	CHECK_EQ(weft_limiter_wait_until(l, 3, WEFT_NEVER), -ETIMEDOUT);
	CHECK_EQ(weft_limiter_wait_until(l, 2, weft_at(0)), 0); /* there already: the deadline does not matter */
	CHECK_EQ(weft_limiter_wait_until(l, 1, weft_in(WEFT_S - 1)), -ETIMEDOUT);
	CHECK_EQ(weft_now(), began);
	CHECK_EQ(weft_limiter_wait_until(l, 1, weft_in(WEFT_S)), 0);
	CHECK_EQ(weft_now(), began + WEFT_S);
	weft_limiter_free(l);
	return 0;
}

TEST_TIME(what_lies_beyond_the_clock_takes_nothing)
{
	weft_limiter *l = weft_limiter_make(1, 10000000000), *slow = weft_limiter_make(1e-18, 1);
	CHECK(weft_limiter_allow(l, 10000000000) && weft_limiter_allow(slow, 1));
	CHECK_EQ(weft_limiter_wait_until(l, 10000000000, WEFT_NEVER), -ETIMEDOUT);
	CHECK_EQ(weft_limiter_wait_until(l, 1, weft_in(5 * WEFT_S)), 0);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(weft_limiter_wait_until(slow, 1, WEFT_NEVER), -ETIMEDOUT);
	CHECK(!weft_limiter_allow(slow, 1));
	weft_limiter_free(l);
	weft_limiter_free(slow);
	return 0;
}

TEST_TIME(no_rate_and_no_limit)
{
	weft_limiter *none = weft_limiter_make(0, 3), *all = weft_limiter_make(INFINITY, 1);
	CHECK(weft_limiter_allow(none, 1));
	CHECK(weft_limiter_allow(none, 2));
	weft_sleep(3600 * WEFT_S);
	CHECK(!weft_limiter_allow(none, 1));
	CHECK_EQ(weft_limiter_wait_until(none, 1, WEFT_NEVER), -ETIMEDOUT);
	for (int i = 0; i < 1000; i++)
		CHECK(weft_limiter_allow(all, 1000000));
	weft_limiter_free(none);
	weft_limiter_free(all);
	return 0;
}

/* ---- circuit breaker ---- */

static const weft_breaker_opts quick = {
	.window_ns = 10 * WEFT_S, .min_calls = 10, .failure_ratio = 0.5, .slow_ns = WEFT_S, .slow_ratio = 0.8, .open_ns = 5 * WEFT_S, .probes = 2};

static void report(weft_breaker *b, int n, int err, int64_t took)
{
	for (int i = 0; i < n; i++) {
		CHECK(weft_breaker_allow(b));
		weft_breaker_report(b, err, took);
	}
}

TEST_TIME(it_opens_at_the_ratio_and_not_before_there_are_enough)
{
	weft_breaker *b = weft_breaker_make(&quick);
	weft_sleep(60 * WEFT_S);
	report(b, 9, -EIO, 0);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_CLOSED);
	weft_sleep(20 * WEFT_S); /* out of the window */
	report(b, 6, 0, 0);
	report(b, 5, -EIO, 0);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_CLOSED);
	report(b, 1, -EIO, 0);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_OPEN);
	CHECK(!weft_breaker_allow(b));
	weft_breaker_free(b);
	return 0;
}

TEST_TIME(a_good_call_may_be_the_one_that_makes_them_enough)
{
	weft_breaker *b = weft_breaker_make(&quick);
	weft_sleep(60 * WEFT_S);
	report(b, 9, -EIO, 0);
	report(b, 1, 0, 0);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_OPEN);
	weft_breaker_free(b);
	return 0;
}

TEST_TIME(slow_calls_open_it_too)
{
	weft_breaker *b = weft_breaker_make(&quick);
	weft_sleep(60 * WEFT_S);
	report(b, 3, 0, WEFT_S - 1);
	report(b, 11, 0, WEFT_S);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_CLOSED);
	report(b, 1, 0, WEFT_S);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_OPEN);
	weft_breaker_free(b);
	return 0;
}

static weft_breaker *opened(void)
{
	weft_breaker *b = weft_breaker_make(&quick);
	weft_sleep(60 * WEFT_S);
	report(b, 10, -EIO, 0);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_OPEN);
	weft_sleep(5 * WEFT_S - 1);
	CHECK(!weft_breaker_allow(b));
	weft_sleep(1);
	return b;
}

TEST_TIME(half_open_lets_its_probes_pass_and_closes_when_all_are_good)
{
	weft_breaker *b = opened();
	CHECK(weft_breaker_allow(b));
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_HALF_OPEN);
	CHECK(weft_breaker_allow(b));
	CHECK(!weft_breaker_allow(b));
	weft_breaker_report(b, -EIO, WEFT_S); /* of a call that began before */
	weft_breaker_report(b, 0, 0);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_HALF_OPEN);
	weft_breaker_report(b, 0, 0);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_CLOSED);
	report(b, 9, -EIO, 0); /* what was before is forgotten */
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_CLOSED);
	weft_breaker_free(b);
	return 0;
}

TEST_TIME(a_bad_probe_opens_it_again)
{
	weft_breaker *b = opened();
	CHECK(weft_breaker_allow(b));
	weft_breaker_report(b, -EIO, 0);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_OPEN);
	CHECK(!weft_breaker_allow(b));
	weft_sleep(5 * WEFT_S);
	CHECK(weft_breaker_allow(b));
	weft_sleep(2 * WEFT_S);
	weft_breaker_report(b, 0, 2 * WEFT_S); /* slow is bad */
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_OPEN);
	weft_breaker_free(b);
	return 0;
}

TEST_TIME(a_probe_that_is_never_reported_is_given_to_another)
{
	weft_breaker *b = opened();
	CHECK(weft_breaker_allow(b));
	weft_breaker_report(b, 0, 0);
	CHECK(weft_breaker_allow(b)); /* lost */
	weft_sleep(5 * WEFT_S - 1);
	CHECK(!weft_breaker_allow(b));
	weft_sleep(1);
	CHECK(weft_breaker_allow(b));
	CHECK(!weft_breaker_allow(b));
	weft_breaker_report(b, 0, 0);
	CHECK_EQ(weft_breaker_now(b), WEFT_BREAKER_CLOSED);
	weft_breaker_free(b);
	return 0;
}

/* ---- retries ---- */

TEST_TIME(attempts_are_counted)
{
	weft_retry r = {.attempts = 4, .base_ns = WEFT_MS};
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weft_retry_next(&r), 0);
	CHECK_EQ(weft_retry_next(&r), -EAGAIN);
	weft_retry once = {.attempts = 1};
	CHECK_EQ(weft_retry_next(&once), -EAGAIN);
	return 0;
}

/* The bound doubles and stays; below it anything comes, the whole width being used. */
TEST_TIME(waits_are_jittered_over_the_whole_of_a_bound_that_doubles)
{
	enum { RUNS = 2000, ATTEMPTS = 7 };
	int64_t longest[ATTEMPTS] = {0}, sum[ATTEMPTS] = {0};
	static const int64_t bound_ms[ATTEMPTS] = {0, 10, 20, 40, 80, 100, 100};
	for (int run = 0; run < RUNS; run++) {
		weft_retry r = {.attempts = ATTEMPTS, .base_ns = 10 * WEFT_MS, .most_ns = 100 * WEFT_MS};
		for (int i = 1; i < ATTEMPTS; i++) {
			int64_t before = weft_now();
			CHECK_EQ(weft_retry_next(&r), 0);
			int64_t waited = weft_now() - before;
			longest[i] = waited > longest[i] ? waited : longest[i];
			sum[i] += waited;
		}
	}
	for (int i = 1; i < ATTEMPTS; i++) {
		CHECK(longest[i] <= bound_ms[i] * WEFT_MS && longest[i] > bound_ms[i] * WEFT_MS * 99 / 100);
		CHECK(sum[i] / RUNS > bound_ms[i] * WEFT_MS * 45 / 100 && sum[i] / RUNS < bound_ms[i] * WEFT_MS * 55 / 100);
	}
	return 0;
}

TEST_TIME(a_budget_keeps_retries_a_part_of_the_calls)
{
	weft_retry_budget budget;
	weft_retry_budget_init(&budget, 0.1, 0, 10);
	int retries = 0;
	for (int call = 0; call < 1000; call++) {
		weft_retry r = {.attempts = 3, .base_ns = 1, .budget = &budget};
		weft_retry_budget_earn(&budget);
		while (weft_retry_next(&r) == 0)
			retries++;
	}
	CHECK_EQ(retries, 109); /* ten at first, a tenth of 1000; the first call's share finds the budget full */
	weft_retry r = {.attempts = 3, .budget = &budget};
	CHECK_EQ(weft_retry_next(&r), -EBUSY);
	return 0;
}

TEST_TIME(a_budget_earns_with_time)
{
	weft_retry_budget budget;
	weft_retry_budget_init(&budget, 0, 2, 5);
	for (int i = 0; i < 5; i++) {
		weft_retry r = {.base_ns = 1, .budget = &budget};
		CHECK_EQ(weft_retry_next(&r), 0);
	}
	weft_retry spent = {.base_ns = 1, .budget = &budget}, later = spent;
	CHECK_EQ(weft_retry_next(&spent), -EBUSY);
	weft_sleep(WEFT_S / 2);
	CHECK_EQ(weft_retry_next(&later), 0);
	return 0;
}

static void cancel_soon(void *ctx)
{
	weft_sleep(WEFT_S);
	weft_ctx_cancel(ctx, NULL);
}

TEST_TIME(a_context_ends_the_wait)
{
	weft_ctx *c = weft_ctx_with_cancel(weft_ctx_background());
	int64_t began = weft_now();
	weft_go(cancel_soon, c);
	weft_retry r = {.attempts = 1000, .base_ns = 3600 * WEFT_S, .most_ns = 3600 * WEFT_S, .ctx = c};
	int err;
	while (!(err = weft_retry_next(&r)))
		;
	CHECK_EQ(err, -ECANCELED);
	CHECK(weft_now() <= began + WEFT_S);
	CHECK_EQ(weft_retry_next(&r), -ECANCELED);
	weft_ctx_free(c);

	c = weft_ctx_with_timeout(weft_ctx_background(), 1);
	began = weft_now();
	r = (weft_retry){.base_ns = 3600 * WEFT_S, .most_ns = 3600 * WEFT_S, .ctx = c};
	CHECK_EQ(weft_retry_next(&r), -ETIMEDOUT);
	CHECK_EQ(weft_now(), began);
	weft_ctx_free(c);
	return 0;
}

/* ---- misuse ---- */

static void (*misuse)(void);

static int call_misuse(void)
{
	misuse();
	return 0;
}

static void run_misuse(void)
{
	run_weft(1, call_misuse);
}

static void negative_rate(void)
{
	weft_limiter_make(-1, 1);
}

static void no_number(void)
{
	weft_limiter_make(NAN, 1);
}

static void too_slow(void)
{
	weft_limiter_make(1e-30, 1000000);
}

static void negative_tokens(void)
{
	weft_limiter_allow(weft_limiter_make(1, 1), -1);
}

static void ratio_above_one(void)
{
	weft_breaker_opts o = {.failure_ratio = 1.5};
	weft_breaker_make(&o);
}

static void negative_window(void)
{
	weft_breaker_opts o = {.window_ns = -1};
	weft_breaker_make(&o);
}

static void negative_wait(void)
{
	weft_retry r = {.base_ns = -1};
	weft_retry_next(&r);
}

TEST(nonsensical_settings_are_told)
{
	static const struct {
		void (*fn)(void);
		const char *words;
	} all[] = {
		{negative_rate, "panic: limiter of -1 per second, burst 1"},
		{no_number, "panic: limiter of nan per second, burst 1"},
		{too_slow, "panic: limiter of 1e-30 per second, burst 1000000: out of range"},
		{negative_tokens, "panic: -1 tokens of a limiter"},
		{ratio_above_one, "panic: circuit breaker with a ratio that is not above 0 and at most 1"},
		{negative_window, "panic: circuit breaker with a negative setting"},
		{negative_wait, "panic: retry with a negative setting"},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		misuse = all[i].fn;
		test_dies(run_misuse, all[i].words);
	}
}
