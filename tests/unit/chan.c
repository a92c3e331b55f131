/* Channels, behaviour by behaviour, after the Go specification and memory model. */
#include "tests/unit/go.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static weft_chan *ch;
static weft_waitgroup join;

static void send_42(void *c)
{
	int v = 42;
	weft_send(c, &v);
	weft_waitgroup_done(&join);
}

TEST_GO(unbuffered_send_meets_receive)
{
	int v = 0;
	ch = weft_chan_make(sizeof v, 0);
	weft_waitgroup_add(&join, 1);
	weft_go(send_42, ch);
	CHECK(weft_recv(ch, &v));
	CHECK_EQ(v, 42);
	weft_waitgroup_wait(&join);
	weft_chan_free(ch);
	return 0;
}

TEST_GO(buffered_keeps_order_and_length)
{
	ch = weft_chan_make(sizeof(int), 3);
	CHECK_EQ(weft_chan_cap(ch), 3);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 3; i++) {
			CHECK_EQ(weft_try_send(ch, &i), 0);
			CHECK_EQ(weft_chan_len(ch), i + 1);
		}
		int extra = 9;
		CHECK_EQ(weft_try_send(ch, &extra), -EAGAIN);
		for (int i = 0, v; i < 3; i++) {
			CHECK_EQ(weft_try_recv(ch, &v), 1);
			CHECK_EQ(v, i);
		}
		CHECK_EQ(weft_try_recv(ch, &extra), -EAGAIN);
		CHECK_EQ(extra, 9);
	}
	weft_chan_free(ch);
	return 0;
}

TEST_GO(close_drains_then_zeroes)
{
	int v = 7;
	ch = weft_chan_make(sizeof v, 2);
	weft_send(ch, &v);
	weft_close(ch);
	v = 1;
	CHECK(weft_recv(ch, &v));
	CHECK_EQ(v, 7);
	CHECK(!weft_recv(ch, &v));
	CHECK_EQ(v, 0);
	v = 1;
	CHECK_EQ(weft_try_recv(ch, &v), 0);
	CHECK_EQ(v, 0);
	v = 1;
	CHECK_EQ(weft_recv_until(ch, &v, weft_at(0)), 0);
	CHECK_EQ(v, 0);
	weft_chan_free(ch);
	return 0;
}

static _Atomic int drained;

static void receive_close(void *c)
{
	int v = 5;
	if (!weft_recv(c, &v) && v == 0)
		drained++;
	weft_waitgroup_done(&join);
}

TEST_GO(close_wakes_every_receiver)
{
	ch = weft_chan_make(sizeof(int), 0);
	weft_waitgroup_add(&join, 10);
	for (int i = 0; i < 10; i++)
		weft_go(receive_close, ch);
	weft_sleep(2 * WEFT_MS);
	weft_close(ch);
	weft_waitgroup_wait(&join);
	CHECK_EQ(drained, 10);
	weft_chan_free(ch);
	return 0;
}

static _Atomic int order[100], norder;

static void receive_in_turn(void *arg)
{
	int v;
	weft_recv(ch, &v);
	order[norder++] = (int)(intptr_t)arg * 1000 + v;
	weft_waitgroup_done(&join);
}

static int app_receivers_are_served_first_come_first_served(void)
{
	ch = weft_chan_make(sizeof(int), 0);
	weft_waitgroup_add(&join, 5);
	for (intptr_t i = 0; i < 5; i++) {
		weft_go(receive_in_turn, (void *)i);
		weft_yield();
	}
	for (int i = 0; i < 5; i++)
		weft_send(ch, &i);
	weft_waitgroup_wait(&join);
	for (int i = 0; i < 5; i++) {
		bool found = false;
		for (int j = 0; j < 5; j++)
			found |= order[j] == i * 1001;
		CHECK(found);
	}
	return 0;
}

TEST(receivers_are_served_first_come_first_served)
{
	CHECK_EQ(run_weft(1, app_receivers_are_served_first_come_first_served), 0);
}

TEST_GO(a_waiting_sender_refills_the_buffer_in_order)
{
	int v = 1;
	ch = weft_chan_make(sizeof v, 1);
	weft_send(ch, &v);
	weft_waitgroup_add(&join, 1);
	weft_go(send_42, ch);
	weft_sleep(WEFT_MS);
	CHECK_EQ(weft_chan_len(ch), 1);
	CHECK(weft_recv(ch, &v));
	CHECK_EQ(v, 1);
	CHECK(weft_recv(ch, &v));
	CHECK_EQ(v, 42);
	weft_waitgroup_wait(&join);
	weft_chan_free(ch);
	return 0;
}

TEST_GO(elements_of_every_size_arrive_whole)
{
	static unsigned char in[65536], out[65536];
	static const size_t sizes[] = {0, 1, 2, 3, 4, 7, 8, 12, 16, 100, 4096, 65536};
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		for (size_t i = 0; i < sizes[s]; i++)
			in[i] = (unsigned char)(i * 7 + s);
		memset(out, 0xee, sizeof out);
		weft_chan *c = weft_chan_make(sizes[s], 2);
		weft_send(c, in);
		CHECK(weft_recv(c, out));
		CHECK(!memcmp(in, out, sizes[s]));
		CHECK(sizes[s] == sizeof out || out[sizes[s]] == 0xee);
		weft_chan_free(c);
	}
	return 0;
}

TEST_GO(null_elements_discard_and_signal)
{
	weft_chan *sized = weft_chan_make(sizeof(int), 1), *empty = weft_chan_make(0, 1);
	int v = 3;
	weft_send(sized, &v);
	CHECK(weft_recv(sized, NULL));
	weft_send(empty, NULL);
	CHECK(weft_recv(empty, NULL));
	weft_close(sized);
	CHECK(!weft_recv(sized, NULL));
	weft_chan_free(sized);
	weft_chan_free(empty);
	return 0;
}

TEST_GO(a_nil_channel_is_never_ready)
{
	int v = 0;
	CHECK_EQ(weft_try_send(NULL, &v), -EAGAIN);
	CHECK_EQ(weft_try_recv(NULL, &v), -EAGAIN);
	CHECK_EQ(weft_chan_len(NULL), 0);
	CHECK_EQ(weft_chan_cap(NULL), 0);
	CHECK_EQ(weft_send_until(NULL, &v, weft_in(WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(weft_recv_until(NULL, &v, weft_in(WEFT_MS)), -ETIMEDOUT);
	weft_chan_free(NULL);
	return 0;
}

TEST_GO(deadlines_end_waits_and_leave_nothing_behind)
{
	int v = 11;
	ch = weft_chan_make(sizeof v, 0);
	int64_t before = weft_now();
	CHECK_EQ(weft_recv_until(ch, &v, weft_in(5 * WEFT_MS)), -ETIMEDOUT);
	CHECK(weft_now() - before >= 5 * WEFT_MS);
	CHECK_EQ(weft_send_until(ch, &v, weft_in(WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(weft_recv_until(ch, &v, weft_at(0)), -ETIMEDOUT);
	CHECK_EQ(weft_try_send(ch, &v), -EAGAIN);
	CHECK_EQ(weft_try_recv(ch, &v), -EAGAIN);
	weft_chan_free(ch); /* panics if somebody were still queued */
	return 0;
}

TEST_GO(a_ready_operation_wins_over_a_past_deadline)
{
	int v = 3;
	ch = weft_chan_make(sizeof v, 1);
	CHECK_EQ(weft_send_until(ch, &v, weft_at(0)), 0);
	CHECK_EQ(weft_recv_until(ch, &v, weft_at(0)), 1);
	weft_chan_free(ch);
	return 0;
}

WEFT_CHAN_OF(int64_t, longs);

TEST_GO(typed_channels_need_no_casts)
{
	longs c = longs_make(1);
	int64_t v = 0;
	longs_send(c, 99);
	CHECK_EQ(longs_len(c), 1);
	CHECK_EQ(longs_try_send(c, 1), -EAGAIN);
	CHECK_EQ(longs_send_until(c, 1, weft_at(0)), -ETIMEDOUT);
	CHECK(longs_recv(c, &v));
	CHECK_EQ(v, 99);
	CHECK_EQ(longs_try_recv(c, &v), -EAGAIN);
	CHECK_EQ(longs_recv_until(c, &v, weft_at(0)), -ETIMEDOUT);
	CHECK_EQ(longs_cap(c), 1);
	longs_close(c);
	longs_free(c);
	return 0;
}

/* ---- misuse ---- */

static int send_on_closed(void)
{
	int v = 0;
	ch = weft_chan_make(sizeof v, 1);
	weft_close(ch);
	weft_send(ch, &v);
	return 0;
}

static int try_send_on_closed(void)
{
	int v = 0;
	ch = weft_chan_make(sizeof v, 1);
	weft_close(ch);
	weft_try_send(ch, &v);
	return 0;
}

static int close_under_a_sender(void)
{
	ch = weft_chan_make(sizeof(int), 0);
	weft_waitgroup_add(&join, 1);
	weft_go(send_42, ch);
	weft_sleep(WEFT_MS);
	weft_close(ch);
	weft_waitgroup_wait(&join);
	return 0;
}

static int close_twice(void)
{
	ch = weft_chan_make(0, 0);
	weft_close(ch);
	weft_close(ch);
	return 0;
}

static int close_nil(void)
{
	weft_close(NULL);
	return 0;
}

static int free_under_a_waiter(void)
{
	ch = weft_chan_make(sizeof(int), 0);
	weft_go(send_42, ch);
	weft_sleep(100 * WEFT_MS);
	weft_chan_free(ch);
	return 0;
}

static int make_too_large(void)
{
	weft_chan_make(8, SIZE_MAX);
	return 0;
}

static int make_element_too_large(void)
{
	weft_chan_make(65537, 1);
	return 0;
}

static int (*misuse)(void);

static void run_misuse(void)
{
	run_weft(2, misuse);
}

static void panics(int (*app)(void), const char *words)
{
	misuse = app;
	test_dies(run_misuse, words);
}

TEST(send_on_closed_panics)
{
	panics(send_on_closed, "panic: send on closed channel\n\ngoroutine 1 [running]:\n");
	panics(try_send_on_closed, "panic: send on closed channel\n");
	panics(close_under_a_sender, "panic: send on closed channel\n");
}

TEST(closing_twice_or_nil_panics)
{
	panics(close_twice, "panic: close of closed channel\n");
	panics(close_nil, "panic: close of nil channel\n");
}

TEST(free_of_a_channel_with_a_waiter_panics)
{
	panics(free_under_a_waiter, "panic: free of a channel on which a goroutine waits\n");
}

TEST(sizes_that_cannot_be_panic)
{
	panics(make_too_large, "panic: channel size out of range");
	panics(make_element_too_large, "panic: channel element of 65537 bytes: at most 65536\n");
}
