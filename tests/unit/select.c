#include "tests/unit/waiting.h"

#include <errno.h>
#include <limits.h>

static weft_waitgroup join;

static void send_7(void *c)
{
	int v = 7;
	weft_send(c, &v);
	weft_waitgroup_done(&join);
}

TEST_GO(takes_the_case_that_is_ready)
{
	int v = 0, w = 5;
	weft_chan *a = weft_chan_make(sizeof v, 0), *b = weft_chan_make(sizeof v, 1);
	weft_send(b, &w);
	weft_case cases[] = {WEFT_CASE_RECV(a, &v), WEFT_CASE_RECV(b, &v), WEFT_CASE_RECV(NULL, &v)};
	CHECK_EQ(weft_select(cases, 3), 1);
	CHECK_EQ(v, 5);
	CHECK(cases[1].ok);
	CHECK_EQ(weft_try_select(cases, 3), -EAGAIN);
	weft_case send = WEFT_CASE_SEND(b, &w);
	CHECK_EQ(weft_try_select(&send, 1), 0);
	CHECK_EQ(weft_try_select(&send, 1), -EAGAIN);
	weft_chan_free(a);
	weft_chan_free(b);
	return 0;
}

TEST_GO(waits_for_whoever_comes_first)
{
	int v = 0;
	weft_chan *a = weft_chan_make(sizeof v, 0), *b = weft_chan_make(sizeof v, 0);
	weft_case cases[] = {WEFT_CASE_RECV(a, &v), WEFT_CASE_RECV(b, &v)};
	for (int i = 0; i < 100; i++) {
		weft_waitgroup_add(&join, 1);
		weft_go(send_7, i % 2 ? a : b);
		v = 0;
		CHECK_EQ(weft_select(cases, 2), i % 2 ? 0 : 1);
		CHECK_EQ(v, 7);
		weft_waitgroup_wait(&join);
	}
	weft_chan_free(a);
	weft_chan_free(b);
	return 0;
}

TEST_GO(a_closed_channel_is_ready_and_not_ok)
{
	int v = 3;
	weft_chan *a = weft_chan_make(sizeof v, 0);
	weft_case c = WEFT_CASE_RECV(a, &v);
	weft_close(a);
	c.ok = true;
	CHECK_EQ(weft_select(&c, 1), 0);
	CHECK(!c.ok);
	CHECK_EQ(v, 0);
	weft_chan_free(a);
	return 0;
}

static void close_later(void *c)
{
	weft_sleep(WEFT_MS);
	weft_close(c);
	weft_waitgroup_done(&join);
}

TEST_GO(a_close_wakes_a_waiting_select)
{
	int v = 3;
	weft_chan *a = weft_chan_make(sizeof v, 0), *b = weft_chan_make(sizeof v, 0);
	weft_case cases[] = {WEFT_CASE_RECV(a, &v), WEFT_CASE_RECV(b, NULL)};
	weft_waitgroup_add(&join, 1);
	weft_go(close_later, a);
	CHECK_EQ(weft_select(cases, 2), 0);
	CHECK(!cases[0].ok);
	CHECK_EQ(v, 0);
	weft_waitgroup_wait(&join);
	weft_chan_free(a);
	weft_chan_free(b); /* panics if the select had left itself queued here */
	return 0;
}

TEST_GO(chooses_uniformly_among_the_ready)
{
	enum { CASES = 4, ROUNDS = 8000 };
	weft_chan *c[CASES];
	weft_case cases[CASES];
	int taken[CASES] = {0};
	for (int i = 0; i < CASES; i++) {
		c[i] = weft_chan_make(0, 1);
		weft_send(c[i], NULL);
		cases[i] = WEFT_CASE_RECV(c[i], NULL);
	}
	for (int r = 0; r < ROUNDS; r++) {
		int i = weft_select(cases, CASES);
		taken[i]++;
		weft_send(c[i], NULL);
	}
	/* Each is binomial with mean 2000 and deviation 39: six deviations. */
	for (int i = 0; i < CASES; i++) {
		CHECK(taken[i] > 1766 && taken[i] < 2234);
		weft_chan_free(c[i]);
	}
	return 0;
}

TEST_GO(one_channel_may_stand_in_several_cases)
{
	int v = 1, w = 0;
	weft_chan *a = weft_chan_make(sizeof v, 0);
	weft_case both[] = {WEFT_CASE_SEND(a, &v), WEFT_CASE_RECV(a, &w), WEFT_CASE_RECV(a, &w)};
	CHECK_EQ(weft_try_select(both, 3), -EAGAIN);
	CHECK_EQ(weft_select_until(both, 3, weft_in(WEFT_MS)), -ETIMEDOUT);
	weft_waitgroup_add(&join, 1);
	weft_go(send_7, a);
	int i = weft_select(both + 1, 2);
	CHECK(i == 0 || i == 1);
	CHECK_EQ(w, 7);
	weft_waitgroup_wait(&join);
	weft_chan_free(a);
	return 0;
}

TEST_GO(deadlines_end_it)
{
	weft_chan *a = weft_chan_make(0, 0);
	weft_case c = WEFT_CASE_RECV(a, NULL);
	int64_t before = weft_now();
	CHECK_EQ(weft_select_until(&c, 1, weft_in(3 * WEFT_MS)), -ETIMEDOUT);
	CHECK(weft_now() - before >= 3 * WEFT_MS);
	CHECK_EQ(weft_select_until(NULL, 0, weft_in(WEFT_MS)), -ETIMEDOUT);
	weft_case nil = WEFT_CASE_RECV(NULL, NULL);
	CHECK_EQ(weft_select_until(&nil, 1, weft_in(WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(weft_try_select(NULL, 0), -EAGAIN);
	weft_chan_free(a);
	return 0;
}

TEST_GO(thousands_of_cases)
{
	enum { CASES = 5000 };
	static weft_case cases[CASES];
	static weft_chan *c[CASES];
	int v = 0;
	for (int i = 0; i < CASES; i++) {
		c[i] = weft_chan_make(sizeof v, 0);
		cases[i] = WEFT_CASE_RECV(c[i], &v);
	}
	weft_waitgroup_add(&join, 1);
	weft_go(send_7, c[4321]);
	CHECK_EQ(weft_select(cases, CASES), 4321);
	CHECK_EQ(v, 7);
	weft_waitgroup_wait(&join);
	for (int i = 0; i < CASES; i++)
		weft_chan_free(c[i]);
	return 0;
}

/* ---- as many cases as there may be ---- */

enum { MOST = 65535 };

static weft_case most[MOST];
static int got;

static void make_most(void)
{
	for (int i = 0; i < MOST; i++)
		most[i] = WEFT_CASE_RECV(weft_chan_make(sizeof got, 1), &got);
}

static void free_most(void)
{
	for (int i = 0; i < MOST; i++)
		weft_chan_free(most[i].ch);
}

TEST_GO(the_most_cases_one_of_them_ready)
{
	static const int ready[] = {0, 40000, MOST - 1};
	make_most();
	CHECK_EQ(weft_try_select(most, MOST), -EAGAIN);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(weft_try_send(most[ready[i]].ch, &i), 0);
		CHECK_EQ(weft_select(most, MOST), ready[i]);
		CHECK_EQ(got, i);
	}
	free_most();
	return 0;
}

static void send_when_it_waits(void *c)
{
	await_waiting(WAIT_SELECT, 1);
	send_7(c);
}

TEST_GO(the_most_cases_wait_and_are_woken)
{
	make_most();
	weft_waitgroup_add(&join, 1);
	weft_go(send_when_it_waits, most[MOST - 1].ch);
	CHECK_EQ(weft_select(most, MOST), MOST - 1);
	CHECK_EQ(got, 7);
	weft_waitgroup_wait(&join);
	free_most(); /* panics if the select has left a waiter behind */
	return 0;
}

TEST_GO(the_most_cases_until_a_deadline)
{
	make_most();
	CHECK_EQ(weft_select_until(most, MOST, weft_at(0)), -ETIMEDOUT);
	CHECK_EQ(weft_select_until(most, MOST, weft_in(5 * WEFT_MS)), -ETIMEDOUT);
	weft_waitgroup_add(&join, 1);
	weft_go(send_when_it_waits, most[1].ch);
	CHECK_EQ(weft_select_until(most, MOST, weft_in(3600 * WEFT_S)), 1);
	weft_waitgroup_wait(&join);
	free_most();
	return 0;
}

/* One lock, however many cases. */
TEST_GO(the_most_cases_on_one_channel)
{
	weft_chan *c = weft_chan_make(sizeof got, 0);
	for (int i = 0; i < MOST; i++)
		most[i] = WEFT_CASE_RECV(c, &got);
	weft_waitgroup_add(&join, 1);
	weft_go(send_when_it_waits, c);
	int taken = weft_select(most, MOST);
	CHECK(taken >= 0 && taken < MOST && most[taken].ok);
	CHECK_EQ(got, 7);
	weft_waitgroup_wait(&join);
	weft_chan_free(c);
	return 0;
}

/* Every value goes over exactly once, whatever pairs of selects meet. */
enum { PEERS = 4, VALUES = 20000 };
static weft_chan *x, *y;
static _Atomic long sum, received;

static void select_sender(void *arg)
{
	long n = test_rounds(VALUES);
	for (long i = 1; i <= n; i++) {
		weft_case cases[] = {WEFT_CASE_SEND(x, &i), WEFT_CASE_SEND(y, &i)};
		weft_select(cases, 2);
	}
	(void)arg;
	weft_waitgroup_done(&join);
}

static void select_receiver(void *quit)
{
	for (;;) {
		long v = 0;
		weft_case cases[] = {WEFT_CASE_RECV(x, &v), WEFT_CASE_RECV(y, &v), WEFT_CASE_RECV(quit, NULL)};
		if (weft_select(cases, 3) == 2)
			return;
		sum += v;
		received++;
	}
}

TEST_GO(selects_against_selects_lose_nothing)
{
	weft_chan *quit = weft_chan_make(0, 0);
	long n = test_rounds(VALUES);
	x = weft_chan_make(sizeof(long), 0);
	y = weft_chan_make(sizeof(long), 2);
	weft_waitgroup_add(&join, PEERS);
	for (int i = 0; i < PEERS; i++) {
		weft_go(select_sender, NULL);
		weft_go(select_receiver, quit);
	}
	weft_waitgroup_wait(&join);
	while (weft_chan_len(y))
		weft_yield();
	while (received < PEERS * n)
		weft_sleep(WEFT_MS);
	weft_close(quit);
	CHECK_EQ(received, PEERS * n);
	CHECK_EQ(sum, PEERS * (n * (n + 1) / 2));
	return 0;
}

static int too_many(void)
{
	return weft_select(NULL, 65536);
}

static int negative(void)
{
	return weft_select(NULL, -1);
}

static int too_many_tried(void)
{
	return weft_try_select(most, 65536);
}

static int negative_until(void)
{
	return weft_select_until(most, INT_MIN, weft_in(0));
}

static int (*misuse)(void);

static void run_misuse(void)
{
	run_weft(1, misuse);
}

TEST(counts_that_cannot_be_panic)
{
	misuse = too_many;
	test_dies(run_misuse, "panic: select over 65536 cases: from 0 to 65535\n");
	misuse = negative;
	test_dies(run_misuse, "panic: select over -1 cases: from 0 to 65535\n");
	misuse = too_many_tried;
	test_dies(run_misuse, "panic: select over 65536 cases: from 0 to 65535\n");
	misuse = negative_until;
	test_dies(run_misuse, "panic: select over -2147483648 cases: from 0 to 65535\n");
}
