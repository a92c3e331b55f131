/* Misuse is a panic that can be stopped, and what was misused is as usable as before. */
#include "runtime/call.h"
#include "tests/unit/sockets.h"
#include "tests/unit/waiting.h"

#include <stdatomic.h>

/* What fn panics with. */
static void panics(void (*fn)(void *), void *arg, const char *words)
{
	weft_panic_info info;
	CHECK_EQ(weft_protect(fn, arg, &info), 1);
	CHECK_STR(info.message, words);
	CHECK(!load_rlx(&m_self()->xinside));
}

/* ---- channels ---- */

static void send(void *ch)
{
	weft_send(ch, &(int){1});
}

static void try_send(void *ch)
{
	weft_try_send(ch, &(int){1});
}

static void send_until(void *ch)
{
	weft_send_until(ch, &(int){1}, weft_in(WEFT_S));
}

static void close_it(void *ch)
{
	weft_close(ch);
}

static void free_it(void *ch)
{
	weft_chan_free(ch);
}

static void select_some(void *ch, int n)
{
	weft_case cases[12];
	for (int i = 0; i < n; i++)
		cases[i] = WEFT_CASE_SEND(ch, &(int){1});
	weft_select(cases, n);
}

static void select_few(void *ch)
{
	select_some(ch, 2);
}

static void select_many(void *ch)
{
	select_some(ch, 12);
}

static void select_less_than_none(void *ch)
{
	select_some(ch, -1);
}

static void make_too_large(void *unused)
{
	(void)unused;
	weft_chan_make(8, SIZE_MAX);
}

TEST_GO(a_closed_channel_can_be_drained_after_all_that)
{
	int got = 0;
	weft_chan *ch = weft_chan_make(sizeof(int), 2);
	weft_send(ch, &(int){42});
	weft_close(ch);
	panics(send, ch, "send on closed channel");
	panics(try_send, ch, "send on closed channel");
	panics(send_until, ch, "send on closed channel");
	panics(select_few, ch, "send on closed channel");
	panics(select_many, ch, "send on closed channel");
	panics(close_it, ch, "close of closed channel");
	panics(close_it, NULL, "close of nil channel");
	panics(select_less_than_none, ch, "select over -1 cases: from 0 to 65535");
	panics(make_too_large, NULL, "channel size out of range: 18446744073709551615 elements of 8 bytes");
	CHECK(weft_recv(ch, &got));
	CHECK_EQ(got, 42);
	CHECK(!weft_recv(ch, &got));
	weft_chan_free(ch);
	return 0;
}

static weft_waitgroup over;
static void (*way)(void *);

static void wait_and_see(void *ch)
{
	panics(way, ch, "send on closed channel");
	weft_waitgroup_done(&over);
}

/* Those that wait are told where they wait. */
TEST_GO(senders_that_wait_panic_when_the_channel_is_closed)
{
	static void (*const ways[])(void *) = {send, send_until, select_few, select_many};
	for (int i = 0; i < 4; i++) {
		weft_chan *ch = weft_chan_make(sizeof(int), 0);
		way = ways[i];
		weft_waitgroup_add(&over, 3);
		for (int j = 0; j < 3; j++)
			weft_go(wait_and_see, ch);
		weft_sleep(5 * WEFT_MS);
		weft_close(ch);
		weft_waitgroup_wait(&over);
		weft_chan_free(ch);
	}
	return 0;
}

static void receive(void *ch)
{
	int64_t got = 0;
	CHECK(weft_recv(ch, &got));
	CHECK(got != 0);
	weft_waitgroup_done(&over);
}

TEST_GO(a_channel_on_which_a_goroutine_waits_is_not_freed)
{
	weft_chan *ch = weft_after(3600 * WEFT_S); /* its timer stays, too */
	int64_t now = weft_now();
	weft_waitgroup_add(&over, 1);
	go_and_wait(WAIT_RECV, receive, ch);
	panics(free_it, ch, "free of a channel on which a goroutine waits");
	weft_send(ch, &now);
	weft_waitgroup_wait(&over);
	weft_chan_free(ch);
	return 0;
}

/* ---- sync ---- */

static void unlock(void *m)
{
	weft_mutex_unlock(m);
}

static void take_turns(void *m)
{
	for (int i = 0; i < 100; i++) {
		weft_mutex_lock(m);
		weft_yield();
		weft_mutex_unlock(m);
	}
	weft_waitgroup_done(&over);
}

TEST_GO(a_mutex_works_after_an_unlock_too_many)
{
	weft_mutex m = {0};
	for (int round = 0; round < 3; round++) {
		panics(unlock, &m, "unlock of unlocked mutex");
		weft_waitgroup_add(&over, 4);
		for (int i = 0; i < 4; i++)
			weft_go(take_turns, &m);
		weft_waitgroup_wait(&over);
		CHECK_EQ(weft_mutex_try_lock(&m), 0);
		weft_mutex_unlock(&m);
	}
	return 0;
}

static void add_minus_3(void *wg)
{
	weft_waitgroup_add(wg, -3);
}

static void add_too_much(void *wg)
{
	weft_waitgroup_add(wg, INT64_MAX);
}

static void await(void *wg)
{
	weft_waitgroup_wait(wg);
	weft_waitgroup_done(&over);
}

TEST_GO(a_wait_group_keeps_its_count_and_its_waiters)
{
	weft_waitgroup wg = {0};
	panics(add_minus_3, &wg, "negative wait group counter");
	weft_waitgroup_wait(&wg);
	weft_waitgroup_add(&wg, 2);
	weft_waitgroup_add(&over, 2);
	for (int i = 0; i < 2; i++)
		go_and_wait(WAIT_GROUP, await, &wg);
	panics(add_minus_3, &wg, "negative wait group counter");
	panics(add_too_much, &wg, "wait group counter out of range");
	weft_waitgroup_done(&wg);
	CHECK_EQ(weft_waitgroup_wait_until(&wg, weft_in(WEFT_MS)), -ETIMEDOUT);
	weft_waitgroup_done(&wg);
	weft_waitgroup_wait(&over);
	return 0;
}

static weft_waitgroup shared;
static _Atomic bool going;

static void finish(void *wg)
{
	weft_waitgroup_done(wg);
}

static void finish_misused(void *wg)
{
	going = true;
	panics(finish, wg, "wait group misuse: add beside a wait");
	weft_waitgroup_done(&over);
}

static _Atomic bool misusing;

static void misuse_for_a_while(void *group)
{
	for (int i = 0; i < 2000; i++)
		panics(add_minus_3, group, "negative wait group counter");
	misusing = false;
	weft_waitgroup_done(&over);
}

/* What others do right meanwhile goes well. */
TEST_GO(a_negative_add_is_seen_by_nobody)
{
	weft_waitgroup wg = {0};
	weft_waitgroup_add(&wg, 1);
	weft_waitgroup_add(&over, 1);
	misusing = true;
	weft_go(misuse_for_a_while, &wg);
	while (misusing) {
		weft_waitgroup_add(&wg, 1);
		weft_waitgroup_done(&wg);
		weft_yield();
	}
	weft_waitgroup_wait(&over);
	weft_waitgroup_done(&wg);
	weft_waitgroup_wait(&wg);
	return 0;
}

/* The last done() finds a waiter about to join, as the word's lowest bit says, and before that has joined somebody adds. */
static int add_beside_a_wait(void)
{
	weft_waitgroup_add(&shared, 1);
	weft_waitgroup_add(&over, 2);
	go_and_wait(WAIT_GROUP, await, &shared);
	__atomic_or_fetch(&shared.word, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 2}, finish_misused, &shared), 0);
	while (!going || __atomic_load_n(&shared.word, __ATOMIC_SEQ_CST) >> 2)
		continue;
	weft_waitgroup_add(&shared, 1);
	__atomic_and_fetch(&shared.word, ~(uint64_t)1, __ATOMIC_SEQ_CST);
	weft_waitgroup_wait(&over);
	CHECK_EQ(weft_waitgroup_wait_until(&shared, weft_in(WEFT_MS)), -ETIMEDOUT);
	weft_waitgroup_done(&shared);
	weft_waitgroup_wait(&shared);
	return 0;
}

TEST(who_waits_is_let_go_by_misuse_and_what_was_added_stays)
{
	CHECK_EQ(run_weft(2, add_beside_a_wait), 0);
}

/* ---- sockets ---- */

static void read_one(void *c)
{
	char byte;
	weft_read(c, &byte, 1);
}

static void read_first(void *c)
{
	char byte;
	CHECK_EQ(weft_read(c, &byte, 1), 1);
	weft_waitgroup_done(&over);
}

/* Whoever came second gives up his use of the connection: else its descriptor would never be closed. */
TEST_GO(a_connection_read_by_two_serves_the_first_and_can_be_closed)
{
	weft_conn *a, *b;
	connect_pair("tcp://127.0.0.1:0", &a, &b);
	int before = open_descriptors();
	weft_waitgroup_add(&over, 1);
	go_and_wait(WAIT_READ, read_first, b);
	panics(read_one, b, "two goroutines in the same direction of one connection");
	write_whole(a, "x", 1);
	weft_waitgroup_wait(&over);
	weft_conn_close(b);
	CHECK_EQ(open_descriptors(), before - 1);
	weft_conn_close(a);
	return 0;
}

/* ---- the rest ---- */

static void start_no_timer(void *t)
{
	weft_timer_start(t, 0, NULL, NULL);
}

static void reset_no_timer(void *t)
{
	weft_timer_reset(t, 0);
}

static void end_no_section(void *unused)
{
	(void)unused;
	weft_block_end();
}

static void detach(void *unused)
{
	(void)unused;
	weft_detach();
}

static int again(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}

static void run_again(void *unused)
{
	(void)unused;
	weft_main(0, NULL, again);
}

TEST_GO(other_misuse_can_be_stopped_too)
{
	weft_timer t = {0};
	panics(start_no_timer, &t, "timer without a function");
	panics(reset_no_timer, &t, "reset of a timer that was never started");
	panics(end_no_section, NULL, "weft_block_end without weft_block_begin");
	panics(detach, NULL, "weft_detach of a thread that is not attached");
	panics(run_again, NULL, "weft_main called twice");
	weft_sleep(WEFT_MS);
	return 0;
}
