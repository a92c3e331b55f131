#include "alloc/os.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static weft_waitgroup join;
static _Atomic int64_t done;

static void task(void *arg)
{
	(void)arg;
	done++;
	weft_waitgroup_done(&join);
}

TEST_GO(every_goroutine_runs)
{
	int64_t n = test_rounds(100000);
	weft_waitgroup_add(&join, n);
	for (int64_t i = 0; i < n; i++)
		weft_go(task, NULL);
	weft_waitgroup_wait(&join);
	CHECK_EQ(done, n);
	CHECK_EQ(weft_goroutine_id(), 1);
	return 0;
}

static void spawn_tree(void *depth)
{
	intptr_t d = (intptr_t)depth;
	if (d > 0) {
		weft_waitgroup_add(&join, 2);
		weft_go(spawn_tree, (void *)(d - 1));
		weft_go(spawn_tree, (void *)(d - 1));
	}
	done++;
	weft_waitgroup_done(&join);
}

TEST_GO(trees_of_goroutines_finish)
{
	weft_waitgroup_add(&join, 1);
	weft_go(spawn_tree, (void *)12);
	weft_waitgroup_wait(&join);
	CHECK_EQ(done, (1 << 13) - 1);
	return 0;
}

static _Atomic int steps[3];

static void step(void *arg)
{
	_Atomic int *mine = arg;
	for (int i = 0; i < 1000; i++) {
		++*mine;
		weft_yield();
	}
	weft_waitgroup_done(&join);
}

static int yields_are_fair(void)
{
	weft_waitgroup_add(&join, 3);
	for (int i = 0; i < 3; i++)
		weft_go(step, &steps[i]);
	for (int i = 0; i < 500; i++) {
		weft_yield();
		CHECK(steps[0] - steps[2] <= 2 && steps[0] >= steps[2]);
	}
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(yielding_goroutines_take_turns)
{
	CHECK_EQ(run_weft(1, yields_are_fair), 0);
}

static weft_chan *a, *b;
static _Atomic bool stop;

static void bounce(void *arg)
{
	(void)arg;
	while (weft_recv(a, NULL))
		weft_send(b, NULL);
}

static void serve(void *arg)
{
	(void)arg;
	while (!stop) {
		weft_send(a, NULL);
		weft_recv(b, NULL);
	}
	weft_close(a);
	weft_waitgroup_done(&join);
}

/* Two goroutines that ready each other through runnext, and one that only yields: it gets its turn all the same. */
static int runnext_shares(void)
{
	a = weft_chan_make(0, 0);
	b = weft_chan_make(0, 0);
	weft_waitgroup_add(&join, 1);
	weft_go(bounce, NULL);
	weft_go(serve, NULL);
	for (int i = 0; i < 1000; i++)
		weft_yield();
	stop = true;
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(a_pair_that_readies_each_other_starves_nobody)
{
	CHECK_EQ(run_weft(1, runnext_shares), 0);
}

static void yield_until_stopped(void *arg)
{
	(void)arg;
	while (!stop)
		weft_yield();
	weft_waitgroup_done(&join);
}

/* The local queue is never empty, and a timer fires nevertheless. */
static int timers_are_not_starved(void)
{
	weft_waitgroup_add(&join, 2);
	weft_go(yield_until_stopped, NULL);
	weft_go(yield_until_stopped, NULL);
	weft_sleep(WEFT_MS);
	stop = true;
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(a_full_queue_does_not_starve_timers)
{
	CHECK_EQ(run_weft(1, timers_are_not_starved), 0);
}

/* ---- options ---- */

struct copied {
	int values[100];
};

static void check_copy(void *arg)
{
	const struct copied *c = arg;
	for (int i = 0; i < 100; i++)
		CHECK_EQ(c->values[i], i);
	weft_waitgroup_done(&join);
}

static void check_small_copy(void *arg)
{
	CHECK_EQ(*(int *)arg, 4711);
	weft_waitgroup_done(&join);
}

TEST_GO(arguments_are_copied)
{
	struct copied c;
	int small = 4711;
	for (int i = 0; i < 100; i++)
		c.values[i] = i;
	weft_waitgroup_add(&join, 2);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.arg_size = sizeof c}, check_copy, &c), 0);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.arg_size = sizeof small}, check_small_copy, &small), 0);
	memset(&c, 0xff, sizeof c);
	small = 0;
	weft_waitgroup_wait(&join);
	return 0;
}

static void use_stack(void *size)
{
	size_t n = (size_t)size;
	volatile char *room = __builtin_alloca(n);
	for (size_t i = 0; i < n; i += 1024)
		room[i] = 1;
	weft_yield();
	CHECK(room[0] == 1);
	weft_waitgroup_done(&join);
}

TEST_GO(stacks_are_as_large_as_asked)
{
	weft_waitgroup_add(&join, 3);
	weft_go(use_stack, (void *)(200 * 1024));
	CHECK_EQ(weft_go_with(&(weft_go_opts){.stack_size = 4 << 20}, use_stack, (void *)(4000 * 1024)), 0);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.stack_size = 1}, use_stack, (void *)(8 * 1024)), 0);
	weft_waitgroup_wait(&join);
	return 0;
}

static weft_chan *where;

static void note_thread(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		pthread_t me = pthread_self();
		weft_send(where, &me);
		weft_yield();
	}
	weft_waitgroup_done(&join);
}

TEST_GO(a_pinned_goroutine_stays_on_its_p)
{
	pthread_t first, other;
	where = weft_chan_make(sizeof(pthread_t), 0);
	weft_waitgroup_add(&join, 1);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = weft_procs()}, note_thread, NULL), 0);
	weft_recv(where, &first);
	for (int i = 1; i < 200; i++) {
		weft_recv(where, &other);
		CHECK(pthread_equal(first, other));
	}
	weft_waitgroup_wait(&join);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = weft_procs() + 1}, note_thread, NULL), -EINVAL);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = -1}, note_thread, NULL), -EINVAL);
	return 0;
}

static void exit_deep(void *arg);

static void exit_deep(void *arg)
{
	static void (*volatile again)(void *) = exit_deep;
	if (arg)
		again((char *)arg - 1);
	done++;
	weft_waitgroup_done(&join);
	weft_exit_goroutine();
}

TEST_GO(a_goroutine_may_end_anywhere)
{
	for (int round = 0; round < 100; round++) {
		weft_waitgroup_add(&join, 3);
		for (int i = 0; i < 3; i++)
			weft_go(exit_deep, (void *)(intptr_t)i);
		weft_waitgroup_wait(&join);
	}
	CHECK_EQ(done, 300);
	return 0;
}

TEST_GO(goroutines_are_counted)
{
	CHECK_EQ(weft_num_goroutine(), 1);
	a = weft_chan_make(0, 0);
	b = weft_chan_make(0, 0);
	weft_go(bounce, NULL);
	CHECK_EQ(weft_num_goroutine(), 2);
	weft_close(a);
	while (weft_num_goroutine() != 1)
		weft_yield();
	weft_schedstats s;
	weft_sched_stats(&s);
	CHECK_EQ(s.started - s.ended, 1);
	return 0;
}

/* ---- blocking ---- */

static void block(void *arg)
{
	weft_block_begin();
	usleep((useconds_t)(intptr_t)arg);
	weft_block_end();
	task(NULL);
}

/* More blocking calls than Ps, each of 20 ms: others run meanwhile, and all of them overlap. */
TEST_GO(a_blocking_call_does_not_stop_the_others)
{
	int ran = 0;
	weft_waitgroup_add(&join, 10);
	for (int i = 0; i < 10; i++)
		weft_go(block, (void *)20000);
	while (done < 10) {
		weft_sleep(WEFT_MS / 2);
		ran++;
	}
	weft_waitgroup_wait(&join);
	CHECK(ran > 2);
	return 0;
}

TEST_GO(short_blocking_calls_keep_their_p)
{
	int64_t n = test_rounds(20000);
	for (int64_t i = 0; i < n; i++) {
		weft_block_begin();
		weft_block_end();
	}
	return 0;
}

static int nested_block(void)
{
	weft_block_begin();
	weft_block_begin();
	return 0;
}

static int park_in_block(void)
{
	weft_block_begin();
	weft_sleep(1);
	return 0;
}

static int (*misuse)(void);
static void run_on_two(void);

static int end_without_begin(void)
{
	weft_block_end();
	return 0;
}

static int yield_in_block(void)
{
	weft_block_begin();
	weft_yield();
	return 0;
}

static int exit_in_block(void)
{
	weft_block_begin();
	weft_exit_goroutine();
}

/* No call is long enough for the P to be taken away, and the sleeper gets its turn all the same. */
static void block_in_a_row(void *arg)
{
	(void)arg;
	while (!stop) {
		weft_block_begin();
		usleep(20);
		weft_block_end();
	}
	weft_waitgroup_done(&join);
}

TEST_GO(blocking_calls_in_a_row_starve_nobody)
{
	weft_waitgroup_add(&join, 2);
	weft_go(block_in_a_row, NULL);
	weft_go(block_in_a_row, NULL);
	for (int i = 0; i < 5; i++)
		weft_sleep(WEFT_MS);
	stop = true;
	weft_waitgroup_wait(&join);
	return 0;
}

enum { MANY_BLOCKED = 60, SPARE_AT_MOST = 16 };

static _Atomic int blocked_now;

static void block_until_all_do(void *arg)
{
	(void)arg;
	weft_block_begin();
	blocked_now++;
	while (blocked_now < MANY_BLOCKED)
		usleep(1000);
	weft_block_end();
	weft_waitgroup_done(&join);
}

static uint64_t threads_now(void)
{
	weft_schedstats s;
	weft_sched_stats(&s);
	return s.threads;
}

/* Each needs a thread, all at once; afterwards they are not kept. */
TEST_GO(threads_that_many_blocking_calls_needed_end_again)
{
	weft_waitgroup_add(&join, MANY_BLOCKED);
	for (int i = 0; i < MANY_BLOCKED; i++)
		weft_go(block_until_all_do, NULL);
	weft_waitgroup_wait(&join);
	while (threads_now() > (uint64_t)weft_procs() + SPARE_AT_MOST)
		weft_sleep(WEFT_MS);
	return 0;
}

/* Threads that sysmon starts block no signals of the program's. */
TEST_GO(threads_that_take_over_ps_block_no_signals)
{
	sigset_t blocked;
	weft_waitgroup_add(&join, MANY_BLOCKED);
	for (int i = 0; i < MANY_BLOCKED; i++)
		weft_go(block_until_all_do, NULL);
	for (int i = 0; i < 20; i++) {
		weft_sleep(WEFT_MS);
		CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
		CHECK(!sigismember(&blocked, SIGTERM) && !sigismember(&blocked, SIGSEGV));
	}
	weft_waitgroup_wait(&join);
	return 0;
}

/* ---- goroutines that each run for long ---- */

static _Atomic int turns;

static void compute_a_little(void *pinned)
{
	while (!stop) {
		for (int64_t until = weft_now() + 100 * WEFT_US; weft_now() < until;)
			;
		turns += !pinned;
		weft_yield();
	}
	weft_waitgroup_done(&join);
}

/* Every step is as long as many: each is a look around, and runnext has its turn all the same. */
static int tick_beside_long_steps(void)
{
	weft_ticker *t = weft_ticker_make(WEFT_MS);
	weft_waitgroup_add(&join, 2);
	weft_go(compute_a_little, NULL);
	weft_go(compute_a_little, NULL);
	for (int i = 0; i < 300; i++)
		CHECK(weft_recv(weft_ticker_chan(t), NULL));
	stop = true;
	weft_waitgroup_wait(&join);
	weft_ticker_free(t);
	return 0;
}

TEST(long_steps_do_not_starve_who_is_readied)
{
	CHECK_EQ(run_weft(1, tick_beside_long_steps), 0);
}

static int turn_beside_pinned_ones(void)
{
	weft_waitgroup_add(&join, 3);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 1}, compute_a_little, &join), 0);
	weft_go(compute_a_little, NULL);
	while (turns < 1000)
		weft_yield();
	stop = true;
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(long_steps_of_pinned_goroutines_do_not_starve_the_ring)
{
	CHECK_EQ(run_weft(1, turn_beside_pinned_ones), 0);
}

/* ---- a P that computes, and others that could help ---- */

static _Atomic bool helped;

static void help(void *arg)
{
	(void)arg;
	helped = true;
}

static int compute_until_timer_has_fired(void)
{
	weft_sleep(WEFT_MS); /* the other P has gone to sleep */
	weft_after_func(WEFT_MS, help, NULL);
	while (!helped)
		;
	return 0;
}

static int compute_until_child_has_run(void)
{
	for (int i = 0; i < 20; i++) {
		helped = false;
		weft_sleep(WEFT_MS);
		weft_go(help, NULL);
		while (!helped)
			;
	}
	return 0;
}

static void help_on_message(void *arg)
{
	(void)arg;
	while (weft_recv(a, NULL))
		helped = true;
}

/* Two that ready each other first, so that wakes have proved useless. */
static int compute_until_receiver_has_run(void)
{
	a = weft_chan_make(0, 0);
	weft_go(help_on_message, NULL);
	for (int i = 0; i < 10000; i++)
		weft_send(a, NULL);
	weft_sleep(WEFT_MS);
	helped = false;
	weft_send(a, NULL);
	while (!helped)
		;
	return 0;
}

TEST(an_idle_p_does_what_a_computing_one_leaves_lying)
{
	static int (*const programs[])(void) = {compute_until_child_has_run, compute_until_timer_has_fired,
						compute_until_receiver_has_run};
	static const char *const names[] = {"child", "timer", "receiver"};
	for (int i = 0; i < 3; i++) {
		static struct test_child child;
		misuse = programs[i];
		test_in_child(&child, run_on_two);
		if (child.status)
			test_fail(__FILE__, __LINE__, "%s: status %d", names[i], child.status);
	}
}

static void pinned_yielder(void *arg)
{
	(void)arg;
	while (!stop)
		weft_yield();
	weft_waitgroup_done(&join);
}

TEST_GO(pinned_goroutines_do_not_starve_the_global_queue)
{
	weft_waitgroup_add(&join, 2);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 1}, pinned_yielder, NULL), 0);
	weft_block_begin();
	usleep(50000); /* the P is taken: we come back through the global queue */
	weft_block_end();
	stop = true;
	weft_waitgroup_wait(&join);
	return 0;
}

/* Goroutines that are readied through the global queue while they are still on their way into park. */
static void echo_pairs(void *arg)
{
	(void)arg;
	for (int v; weft_recv(a, &v);)
		weft_send(b, &v);
}

static void *send_from_outside(void *arg)
{
	int64_t rounds = test_rounds(20000);
	(void)arg;
	for (int64_t i = 0; i < rounds; i++) {
		int v = (int)i, w;
		weft_send(a, &v);
		weft_send(a, &v);
		weft_recv(b, &w);
		weft_recv(b, &w);
	}
	return NULL;
}

TEST_GO(wakes_from_outside_meet_goroutines_that_are_parking)
{
	pthread_t threads[2];
	a = weft_chan_make(sizeof(int), 0);
	b = weft_chan_make(sizeof(int), 8);
	for (int i = 0; i < 4; i++)
		weft_go(echo_pairs, NULL);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, send_from_outside, NULL), 0);
	weft_block_begin();
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	weft_block_end();
	return 0;
}


static void run_misuse(void)
{
	run_weft(1, misuse);
}

static void dies(int (*app)(void), const char *words)
{
	misuse = app;
	test_dies(run_misuse, words);
}

TEST(misuse_of_blocking_sections_panics)
{
	dies(nested_block, "panic: weft_block_begin inside a blocking section\n");
	dies(park_in_block, "panic: blocking call of weft's between weft_block_begin and weft_block_end\n");
	dies(yield_in_block, "panic: blocking call of weft's between weft_block_begin and weft_block_end\n");
	dies(exit_in_block, "panic: blocking call of weft's between weft_block_begin and weft_block_end\n");
	dies(end_without_begin, "panic: weft_block_end without weft_block_begin\n");
}

/* ---- threads outside ---- */

static void *outside(void *arg)
{
	int v;
	(void)arg;
	for (int i = 0; i < 1000; i++) {
		weft_send(a, &i);
		if (!weft_recv(b, &v) || v != i + 1)
			return NULL;
	}
	weft_go(task, NULL);
	weft_sleep(WEFT_MS);
	return (void *)1;
}

TEST_GO(a_thread_outside_may_send_receive_and_start)
{
	if (os_threads() <= 0)
		test_skip("nobody says how many threads there are");
	pthread_t thread;
	void *result;
	a = weft_chan_make(sizeof(int), 0);
	b = weft_chan_make(sizeof(int), 1);
	weft_waitgroup_add(&join, 1);
	CHECK_EQ(pthread_create(&thread, NULL, outside, NULL), 0);
	for (int i = 0, v; i < 1000; i++) {
		weft_recv(a, &v);
		v++;
		weft_send(b, &v);
	}
	weft_waitgroup_wait(&join);
	weft_block_begin();
	CHECK_EQ(pthread_join(thread, &result), 0);
	weft_block_end();
	CHECK(result == (void *)1);
	return 0;
}

/* ---- the end ---- */

static void compute_for_ever(void *arg)
{
	(void)arg;
	for (volatile long i = 0;; i++)
		;
}

static int leave_others_behind(void)
{
	weft_go(yield_until_stopped, NULL);
	weft_go(compute_for_ever, NULL);
	weft_sleep(WEFT_MS);
	return 5;
}

static void run_leave_others_behind(void)
{
	_exit(run_weft(2, leave_others_behind));
}

TEST(the_program_ends_with_its_main_goroutine)
{
	static struct test_child child;
	test_in_child(&child, run_leave_others_behind);
	CHECK_EQ(child.status, 5);
	CHECK_STR(child.err, "");
}

static int wait_for_nobody(void)
{
	a = weft_chan_make(0, 0);
	weft_go(bounce, NULL);
	weft_recv(a, NULL);
	weft_recv(a, NULL);
	return 0;
}

static int lock_twice(void)
{
	static weft_mutex m;
	weft_mutex_lock(&m);
	weft_mutex_lock(&m);
	return 0;
}

static int leave_main(void)
{
	weft_exit_goroutine();
}

static void run_on_two(void)
{
	int status = run_weft(2, misuse);
	if (status)
		_exit(status);
}

TEST(a_total_deadlock_is_fatal)
{
	static const char head[] = "fatal: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\n";
	dies(wait_for_nobody, head);
	misuse = wait_for_nobody;
	test_dies(run_on_two, head);
	dies(lock_twice, "deadlock!\n\ngoroutine 1 [mutex]:\n");
	dies(leave_main, "deadlock!\n");
}

/* It might have done something for the one that waits, and ends while all Ps sleep. */
static void *do_nothing_for_a_while(void *arg)
{
	usleep(20000);
	return arg;
}

static int wait_for_a_thread(void)
{
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, do_nothing_for_a_while, NULL), 0);
	pthread_detach(thread);
	return wait_for_nobody();
}

TEST(a_deadlock_that_a_thread_outside_leaves_behind_is_fatal)
{
	dies(wait_for_a_thread, "deadlock!\n");
	misuse = wait_for_a_thread;
	test_dies(run_on_two, "deadlock!\n");
}

TEST(a_dump_names_states_creators_and_lines)
{
	uintptr_t word = 1, seen;
	if (os_peek((uintptr_t)&word, &seen) == -ENOSYS)
		test_skip("no process_vm_readv(2)");
	static struct test_child child;
	misuse = wait_for_nobody;
	test_in_child(&child, run_misuse);
	CHECK(strstr(child.err, "created by goroutine 1 at sched.c:"));
	CHECK(strstr(child.err, " in wait_for_nobody\n"));
	CHECK(strstr(child.err, "  bounce+0x"));
	CHECK(strstr(child.err, "  sched.c:"));
}

static int main_twice(void)
{
	return weft_main(0, NULL, weft_test_main);
}

TEST(weft_main_runs_once)
{
	dies(main_twice, "panic: weft_main called twice\n");
}
