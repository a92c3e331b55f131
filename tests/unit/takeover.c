/* Goroutines that compute: what they delay, what becomes of them, and what they may do. A body that computes does so until
 * somebody else has done something, so that without the take-over the test would hang. */
#include "alloc/os.h"
#include "runtime/call.h"
#include "runtime/park.h"
#include "tests/unit/sockets.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static _Atomic bool done;
static weft_waitgroup join, computing;

static void compute_until_done(void *arg)
{
	(void)arg;
	while (!done)
		;
	weft_waitgroup_done(&join);
}

static void start_computing(int n)
{
	weft_waitgroup_add(&join, n);
	for (int i = 0; i < n; i++)
		weft_go(compute_until_done, NULL);
}

static void stop_computing(void)
{
	done = true;
	weft_waitgroup_wait(&join);
}

static weft_schedstats stats(void)
{
	weft_schedstats s;
	weft_sched_stats(&s);
	return s;
}

/* ---- what they delay ---- */

TEST_GO(one_on_each_p_stops_no_ticker)
{
	weft_ticker *t = weft_ticker_make(WEFT_MS);
	start_computing(weft_procs());
	for (int i = 0; i < 20; i++)
		CHECK(weft_recv(weft_ticker_chan(t), NULL));
	stop_computing();
	weft_ticker_free(t);
	CHECK(stats().taken >= 1);
	return 0;
}

enum { BURST_NS = 4000000 };

/* Returns how long it has taken. */
static int64_t compute_for(int64_t ns)
{
	int64_t began = weft_now(), now;
	while ((now = weft_now()) - began < ns)
		;
	return now - began;
}

static void tick_until_done(void *ticks)
{
	while (!done) {
		weft_sleep(WEFT_MS / 2);
		++*(_Atomic int *)ticks;
	}
	weft_waitgroup_done(&join);
}

/* Bursts with a sleep after each leave the P where it was when it looked for work: that is no reason to think that one burst
 * has lasted from the first look to the last. What waits meanwhile, timers, does not change that. */
TEST_GO(bursts_between_sleeps_are_not_one_long_computation)
{
	static _Atomic int ticks;
	uint64_t before = stats().taken, long_ones = 0;
	weft_waitgroup_add(&join, 1);
	weft_go(tick_until_done, &ticks);
	for (int i = 0; i < 100; i++) {
		long_ones += compute_for(BURST_NS) > 2 * BURST_NS;
		weft_sleep(WEFT_MS / 10);
	}
	CHECK(stats().taken - before <= long_ones);
	stop_computing();
	CHECK(ticks > 0);
	return 0;
}

static void count_down(void *left)
{
	--*(_Atomic int *)left;
}

TEST_GO(one_on_each_p_stops_no_new_goroutines)
{
	static _Atomic int left = 1000;
	start_computing(weft_procs());
	for (int i = 0; i < 1000; i++) {
		weft_go(count_down, &left);
		if (i % 100 == 0)
			weft_yield();
	}
	while (left)
		weft_yield();
	stop_computing();
	return 0;
}

static void echo(void *listener)
{
	weft_conn *c;
	char byte;
	CHECK_EQ(weft_accept(listener, &c), 0);
	while (weft_read(c, &byte, 1) == 1)
		CHECK_EQ(weft_write(c, &byte, 1), 1);
	weft_conn_close(c);
}

TEST_GO(one_on_each_p_stops_no_sockets)
{
	char text[ADDRESS_MAX], byte = 'x';
	weft_listener *l = listen_at("tcp://127.0.0.1:0", text);
	weft_conn *c;
	weft_go(echo, l);
	CHECK_EQ(weft_dial(&c, text, WEFT_NEVER), 0);
	start_computing(weft_procs());
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(weft_write(c, &byte, 1), 1);
		CHECK_EQ(weft_read(c, &byte, 1), 1);
	}
	stop_computing();
	weft_conn_close(c);
	weft_listener_close(l);
	return 0;
}

/* Nobody else comes to a call for a long time: sysmon is all there is. */
static _Atomic int rounds;

static void compute_in_turn(void *arg)
{
	int mine = (int)(intptr_t)arg;
	while (rounds % 4 != mine)
		;
	rounds++;
	weft_waitgroup_done(&join);
}

TEST_GO(those_that_wait_for_each_other_all_come_to_run)
{
	weft_waitgroup_add(&join, 4);
	for (intptr_t i = 4; i-- > 0;)
		weft_go(compute_in_turn, (void *)i);
	weft_waitgroup_wait(&join);
	CHECK_EQ(rounds, 4);
	return 0;
}

/* Nobody needs the P: it is left where it is. */
static int compute_alone(void)
{
	int64_t until = weft_now() + 100 * WEFT_MS;
	while (weft_now() < until)
		;
	CHECK_EQ(stats().taken, 0);
	CHECK_EQ(stats().given_up, 0);
	return 0;
}

TEST(one_that_nobody_waits_for_keeps_its_p)
{
	CHECK_EQ(run_weft(2, compute_alone), 0);
}

/* ---- inside most of the time ---- */

static weft_chan *full, *roomy;

static void try_until_done(void *arg)
{
	(void)arg;
	while (!done)
		CHECK_EQ(weft_try_send(full, NULL), -EAGAIN);
	weft_waitgroup_done(&join);
}

TEST_GO(calls_that_never_block_do_not_keep_a_p)
{
	full = weft_chan_make(0, 0);
	weft_waitgroup_add(&join, weft_procs());
	for (int i = 0; i < weft_procs(); i++)
		weft_go(try_until_done, NULL);
	while (stats().taken + stats().given_up == 0)
		weft_sleep(WEFT_MS);
	stop_computing();
	weft_chan_free(full);
	return 0;
}

static void send_and_receive_until_done(void *arg)
{
	(void)arg;
	while (!done) {
		weft_send(roomy, NULL);
		weft_recv(roomy, NULL);
	}
	weft_waitgroup_done(&join);
}

TEST_GO(calls_that_may_block_yield_when_asked)
{
	roomy = weft_chan_make(0, 64);
	weft_waitgroup_add(&join, weft_procs());
	for (int i = 0; i < weft_procs(); i++)
		weft_go(send_and_receive_until_done, NULL);
	while (!stats().asked) /* on a busy machine the P may be taken first */
		weft_sleep(WEFT_MS);
	stop_computing();
	weft_chan_free(roomy);
	return 0;
}

/* ---- what becomes of them ---- */

static int my_tid(void)
{
	return (int)syscall(SYS_gettid);
}

static bool p_is_gone(void)
{
	return sched_getscheduler(0) == SCHED_BATCH;
}

/* Somebody sleeps on every P. */
static void sleep_until_done(void *arg)
{
	(void)arg;
	while (!done)
		weft_sleep(WEFT_MS);
	weft_waitgroup_done(&join);
}

static int compute_until_taken(void)
{
	while (!p_is_gone())
		;
	return my_tid();
}

static void have_every_p_wanted(void)
{
	weft_waitgroup_add(&join, weft_procs());
	for (int i = 1; i <= weft_procs(); i++)
		CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = i}, sleep_until_done, NULL), 0);
	weft_sleep(WEFT_MS);
}

/* It is lowered, and what never blocks leaves it where it is; what may block gives it a P and an ordinary thread. */
TEST_GO(one_whose_p_is_taken_moves_only_when_it_may_block)
{
	weft_timer timer = {0};
	weft_chan *c = weft_chan_make(0, 1);
	int nice_at_first = getpriority(PRIO_PROCESS, 0);
	have_every_p_wanted();
	int tid = compute_until_taken();
	CHECK(getpriority(PRIO_PROCESS, 0) > nice_at_first);
	CHECK_EQ(weft_try_send(c, NULL), 0);
	CHECK_EQ(weft_try_recv(c, NULL), 1);
	weft_waitgroup_add(&join, 1);
	weft_go(sleep_until_done, NULL);
	weft_timer_start(&timer, WEFT_S, compute_until_done, NULL);
	CHECK(weft_timer_stop(&timer));
	weft_chan_free(c);
	CHECK_EQ(my_tid(), tid);
	CHECK(p_is_gone());
	weft_yield();
	CHECK(my_tid() != tid);
	CHECK(!p_is_gone());
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), nice_at_first);
	stop_computing();
	return 0;
}

static void end_without_p(void *arg)
{
	(void)arg;
	compute_until_taken();
	weft_waitgroup_done(&computing);
}

static void exit_without_p(void *arg)
{
	(void)arg;
	compute_until_taken();
	weft_waitgroup_done(&computing);
	weft_exit_goroutine();
}

static void block_without_p(void *arg)
{
	(void)arg;
	compute_until_taken();
	weft_block_begin();
	sched_yield();
	weft_block_end();
	CHECK(!p_is_gone());
	weft_waitgroup_done(&computing);
}

static long threads_now(void)
{
	return (long)stats().threads;
}

TEST_GO(one_whose_p_is_taken_may_end_exit_and_block)
{
	static void (*const ways[])(void *) = {end_without_p, exit_without_p, block_without_p};
	for (int i = 0; i < 9; i++) {
		done = false;
		have_every_p_wanted();
		weft_waitgroup_add(&computing, 1);
		weft_go(ways[i % 3], NULL);
		weft_waitgroup_wait(&computing);
		stop_computing();
	}
	while (weft_num_goroutine() > 1) /* who has said that it is done has yet to end */
		weft_yield();
	CHECK(threads_now() <= weft_procs() + 16 + 9);
	return 0;
}

static void block_shortly(void *arg)
{
	(void)arg;
	for (int i = 0; i < 500; i++) {
		weft_block_begin();
		usleep(60);
		weft_block_end();
	}
	weft_waitgroup_done(&computing);
}

/* Whoever has a P after all these sections is known to be the one. */
TEST_GO(one_that_computes_after_many_blocking_calls_is_taken_too)
{
	for (int i = 0; i < 5; i++) {
		done = false;
		weft_waitgroup_add(&computing, 4);
		for (int j = 0; j < 4; j++)
			weft_go(block_shortly, NULL);
		weft_waitgroup_wait(&computing);
		have_every_p_wanted();
		compute_until_taken();
		stop_computing();
	}
	return 0;
}

static int compute_and_wait_for_ever(void)
{
	static _Atomic int left = 1;
	weft_after_func(WEFT_MS, count_down, &left);
	compute_until_taken();
	for (int64_t until = weft_now() + 20 * WEFT_MS; left || weft_now() < until;)
		; /* the timer's goroutine has ended, and the P sleeps */
	weft_select(NULL, 0);
	return 0;
}

static void deadlock_without_p(void)
{
	cpu_set_t one;
	int cpus[1];
	CHECK_EQ(os_affinity(cpus, 1), 1);
	CPU_ZERO(&one);
	CPU_SET((size_t)cpus[0], &one);
	CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
	run_weft(1, compute_and_wait_for_ever);
}

/* On one core, where its new M runs before the thread that it has left. */
TEST(a_deadlock_of_one_whose_p_was_taken_is_fatal)
{
	test_dies(deadlock_without_p, "fatal: all goroutines are asleep - deadlock!\n");
}

static weft_mutex contested;

static void lock_and_compute(void *lockers)
{
	weft_mutex_lock(&contested);
	compute_until_taken();
	weft_mutex_unlock(&contested);
	weft_waitgroup_done(lockers);
}

TEST_GO(those_that_wait_for_a_mutex_of_one_whose_p_is_taken_get_it)
{
	static weft_waitgroup lockers;
	have_every_p_wanted();
	weft_waitgroup_add(&lockers, 3);
	for (int i = 0; i < 3; i++)
		weft_go(lock_and_compute, &lockers);
	weft_waitgroup_wait(&lockers);
	stop_computing();
	return 0;
}

static struct epoch_entry retired;
static _Atomic bool reclaimed;

static void reclaim(struct epoch_entry *entry)
{
	CHECK(entry == &retired);
	reclaimed = true;
}

/* Memory that it might be looking at is given back all the same. */
TEST_GO(one_that_computes_holds_up_no_reclamation)
{
	have_every_p_wanted();
	start_computing(1);
	while (!stats().taken)
		weft_sleep(WEFT_MS);
	bool outermost = call_begin();
	retire(&retired, reclaim);
	call_end(outermost);
	while (!reclaimed)
		weft_sleep(WEFT_MS);
	stop_computing();
	return 0;
}

/* ---- real-time policies ---- */

static int compute_in_real_time(void)
{
	have_every_p_wanted();
	CHECK_EQ(sched_getscheduler(0), SCHED_RR);
	compute_until_taken();
	weft_yield();
	CHECK_EQ(sched_getscheduler(0), SCHED_RR);
	stop_computing();
	return 0;
}

/* On one core, where sysmon must come before the thread that computes, and the new M must not come before others. */
TEST(one_that_computes_in_real_time_is_taken_too)
{
	cpu_set_t one;
	int cpus[1];
	struct sched_param priority = {.sched_priority = 1};
	CHECK_EQ(os_affinity(cpus, 1), 1);
	CPU_ZERO(&one);
	CPU_SET((size_t)cpus[0], &one);
	CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
	if (sched_setscheduler(0, SCHED_RR, &priority))
		test_skip("no real-time scheduling without privileges");
	CHECK_EQ(run_weft(1, compute_in_real_time), 0);
}

/* ---- when it cannot be done ---- */

static int compute_while_another_waits(void)
{
	have_every_p_wanted();
	int64_t until = weft_now() + 100 * WEFT_MS;
	while (weft_now() < until)
		CHECK(!p_is_gone());
	stop_computing();
	return 0;
}

static int nothing_is_taken_and_it_is_counted(void)
{
	have_every_p_wanted();
	while (!stats().refused)
		CHECK(!p_is_gone());
	stop_computing();
	CHECK_EQ(stats().taken, 0);
	CHECK_EQ(stats().threads, 1);
	return 0;
}

TEST(at_the_cap_nothing_is_taken)
{
	setenv("WEFT_MAXTHREADS", "0", 1);
	CHECK_EQ(run_weft(1, nothing_is_taken_and_it_is_counted), 0);
}

static int nothing_is_taken(void)
{
	compute_while_another_waits();
	CHECK_EQ(stats().taken, 0);
	CHECK_EQ(stats().refused, 0);
	return 0;
}

TEST(without_membarrier_nothing_is_taken)
{
	os_fail_at(OS_MEMBARRIER, 1, ENOSYS);
	CHECK_EQ(run_weft(1, nothing_is_taken), 0);
}

TEST(nopreempt_takes_nothing)
{
	setenv("WEFT_DEBUG", "nopreempt", 1);
	CHECK_EQ(run_weft(1, nothing_is_taken), 0);
}
