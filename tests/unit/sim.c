/* What a simulation promises: the same run from the same seed, a clock that nobody waits for, and a plain word where it
 * cannot do what is asked. */
#include "tests/sim/workload.h"

#include "alloc/os.h"
#include "runtime/sim.h"

#include <weft/weft.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct test_child child;

static struct sim_trace passes(uint64_t seed, const char *more, int (*app)(void))
{
	struct sim_trace t = {0};
	simulate(&child, seed, more, app);
	if (child.status || !sim_trace_of(&child, &t))
		test_fail(__FILE__, __LINE__, "seed %" PRIu64 ": status %d\n%s", seed, child.status, child.err);
	return t;
}

/* Each with and without delays. */
static void passes_on_seeds(int n, int (*app)(void))
{
	for (int i = 0; i < n; i++) {
		passes((uint64_t)i, "", app);
		passes((uint64_t)i, ",nodelay", app);
	}
}

static void dies(uint64_t seed, const char *words, int (*app)(void))
{
	struct sim_trace t;
	simulate(&child, seed, "", app);
	if (child.status != 2 || !strstr(child.err, words))
		test_fail(__FILE__, __LINE__, "status %d (want 2), stderr (want \"%s\"):\n%s", child.status, words,
			  child.err);
	CHECK(sim_trace_of(&child, &t) && t.seed == seed);
}

/* ---- the same seed ---- */

/* A program that has been started anew, elsewhere in memory, by another process. */
static struct sim_trace run_anew(const char *seed)
{
	static char path[PATH_MAX + 32];
	struct sim_trace t = {0};
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
	CHECK(n > 0);
	strcpy(strrchr(path, '/'), "/sim_run");
	test_program(&child, (const char *const[]){path, seed, NULL});
	CHECK_EQ(child.status, 0);
	CHECK(sscanf(child.out, "seed %" SCNu64 ": %" SCNu64 " events, trace %" SCNx64 "\n", &t.seed, &t.events,
		     &t.hash) == 3);
	return t;
}

/* As many processes that compute, until they are ended. */
static void load_machine(pid_t *pids, int n)
{
	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i] == 0)
			for (volatile int spin = 0;;)
				spin = !spin;
	}
}

TEST(the_same_seed_is_the_same_run_in_another_process_and_under_load)
{
	enum { SEEDS = 6, LOAD = 3 };
	struct sim_trace calm[SEEDS];
	pid_t pids[LOAD];
	char seed[32];
	for (int i = 0; i < SEEDS; i++) {
		snprintf(seed, sizeof seed, "%d", i);
		calm[i] = run_anew(seed);
	}
	load_machine(pids, LOAD);
	for (int i = 0; i < SEEDS; i++) {
		snprintf(seed, sizeof seed, "%d", i);
		struct sim_trace t = run_anew(seed);
		CHECK(t.seed == calm[i].seed && t.events == calm[i].events && t.hash == calm[i].hash);
	}
	for (int i = 0; i < LOAD; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

TEST(the_largest_seed_is_one_too)
{
	CHECK(passes(UINT64_MAX, "", workload).seed == UINT64_MAX);
}

static int select_for_itself(void)
{
	weft_chan *ch[4];
	int64_t v = 0, picked = 0;
	for (int i = 0; i < 4; i++) {
		ch[i] = weft_chan_make(sizeof v, 40);
		for (int k = 0; k < 40; k++)
			weft_send(ch[i], &v);
	}
	for (int k = 0; k < 20; k++) {
		weft_case c[4];
		for (int i = 0; i < 4; i++)
			c[i] = WEFT_CASE_RECV(ch[i], &v);
		picked = picked * 4 + weft_select(c, 4);
	}
	printf("%" PRId64 "\n", picked);
	fflush(stdout);
	return 0;
}

TEST(what_select_takes_follows_from_the_seed)
{
	static char first[64];
	struct sim_trace one = passes(7, "", select_for_itself);
	strcpy(first, child.out);
	struct sim_trace again = passes(7, "", select_for_itself);
	CHECK_STR(child.out, first);
	CHECK(one.hash == again.hash);
	passes(8, "", select_for_itself);
	CHECK(strcmp(child.out, first));
}

/* ---- the clock ---- */

static int64_t real_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * WEFT_S + t.tv_nsec;
}

static int sleep_for_a_year(void)
{
	int64_t began = weft_now(), really = real_now();
	weft_sleep(365 * 24 * 3600 * WEFT_S);
	CHECK(weft_now() - began >= 365 * 24 * 3600 * WEFT_S);
	CHECK(weft_now() - began < 365 * 24 * 3600 * WEFT_S + WEFT_S);
	CHECK(real_now() - really < 20 * WEFT_S);
	return 0;
}

TEST(a_sleep_takes_no_time)
{
	passes_on_seeds(3, sleep_for_a_year);
}

/* Nobody is delayed: everything is due in its own nanosecond. */
static int meet_deadlines(void)
{
	weft_chan *never = weft_chan_make(0, 0);
	for (int64_t ns = 1; ns < 10 * WEFT_S; ns = ns * 3 + 1) {
		int64_t began = weft_now();
		CHECK_EQ(weft_recv_until(never, NULL, weft_in(ns)), -ETIMEDOUT);
		CHECK_EQ(weft_now(), began + ns);
		weft_sleep(ns);
		CHECK_EQ(weft_now(), began + 2 * ns);
		weft_case c = WEFT_CASE_RECV(never, NULL);
		CHECK_EQ(weft_select_until(&c, 1, weft_in(ns)), -ETIMEDOUT);
		CHECK_EQ(weft_now(), began + 3 * ns);
	}
	return 0;
}

TEST(deadlines_are_exact)
{
	for (uint64_t seed = 0; seed < 20; seed++)
		passes(seed, ",nodelay", meet_deadlines);
}

enum { ORDERED = 60 };

static struct ordered {
	weft_timer timer;
	int64_t due;
} ordered[ORDERED];
static _Atomic int fired;
static weft_waitgroup all_fired;

static void fires_in_turn(void *arg)
{
	struct ordered *o = arg;
	CHECK_EQ(weft_now(), o->due);
	CHECK_EQ(atomic_fetch_add(&fired, 1), o - ordered);
	weft_waitgroup_done(&all_fired);
}

static void start_some(void *arg)
{
	for (int i = (int)(intptr_t)arg; i >= 0; i -= 4)
		weft_timer_start(&ordered[i].timer, ordered[i].due - weft_now(), fires_in_turn, &ordered[i]);
}

/* A nanosecond apart, in the wheels of several Ps. */
static int fire_in_order(void)
{
	weft_waitgroup_add(&all_fired, ORDERED);
	for (int i = 0; i < ORDERED; i++)
		ordered[i].due = weft_now() + WEFT_MS + i;
	for (intptr_t i = 0; i < 4; i++) {
		weft_go_opts opts = {.pin = 1 + (int)i};
		CHECK_EQ(weft_go_with(&opts, start_some, (void *)(ORDERED - 1 - i)), 0);
	}
	weft_waitgroup_wait(&all_fired);
	return 0;
}

TEST(timers_fire_in_order_to_the_nanosecond)
{
	for (uint64_t seed = 0; seed < 20; seed++)
		passes(seed, ",nodelay", fire_in_order);
}

static int tick_ten_thousand_times(void)
{
	enum { TICKS = 10000, PERIOD = 12345 };
	int64_t began = weft_now(), tick;
	weft_ticker *t = weft_ticker_make(PERIOD);
	for (int i = 1; i <= TICKS; i++) {
		CHECK(weft_recv(weft_ticker_chan(t), &tick));
		CHECK_EQ(tick, began + (int64_t)i * PERIOD);
		CHECK_EQ(weft_now(), tick);
		if (i % 7 == 0)
			weft_sleep(PERIOD / 2);
	}
	weft_ticker_free(t);
	return 0;
}

TEST(tickers_do_not_drift)
{
	passes(1, ",nodelay", tick_ten_thousand_times);
}

/* Who asks for the time again and again sees it go on, whether it yields or not. */
static int wait_for_the_clock(void)
{
	int64_t until = weft_now() + 2 * WEFT_MS;
	while (weft_now() < until)
		weft_yield();
	until += 2 * WEFT_MS;
	while (weft_now() < until)
		;
	return 0;
}

TEST(a_program_that_asks_for_the_time_sees_it_pass)
{
	passes_on_seeds(3, wait_for_the_clock);
}

static _Atomic int64_t late_fired;

static void fires_late(void *unused)
{
	(void)unused;
	atomic_store(&late_fired, weft_now());
}

/* The P on which the timer is computes: another fires it (idle.c). */
static int compute_beside_a_timer(void)
{
	static weft_timer timer;
	int64_t began = weft_now();
	weft_timer_start(&timer, WEFT_MS, fires_late, NULL);
	sim_work(50 * WEFT_MS);
	CHECK_EQ(weft_now(), began + 50 * WEFT_MS);
	CHECK(atomic_load(&late_fired) >= began + WEFT_MS);
	CHECK(atomic_load(&late_fired) <= began + 12 * WEFT_MS);
	return 0;
}

TEST(timers_of_a_p_that_computes_are_fired_by_another)
{
	for (uint64_t seed = 0; seed < 10; seed++)
		passes(seed, ",nodelay", compute_beside_a_timer);
}

static int pass_real_time_in_a_section(void)
{
	int64_t began = weft_now(), really = real_now();
	weft_block_begin();
	usleep(20000);
	weft_block_end();
	CHECK(real_now() - really >= 20 * WEFT_MS);
	CHECK(weft_now() - began < WEFT_MS);
	return 0;
}

TEST(a_blocking_section_takes_no_virtual_time)
{
	passes(1, ",nodelay", pass_real_time_in_a_section);
}

/* ---- what goes wrong ---- */

static int wait_for_ever(void)
{
	weft_chan *never = weft_chan_make(0, 0);
	weft_sleep(WEFT_S);
	weft_recv(never, NULL);
	return 0;
}

TEST(a_deadlock_is_told_with_the_seed)
{
	for (uint64_t seed = 0; seed < 5; seed++)
		dies(seed, "fatal: all goroutines are asleep - deadlock!\n", wait_for_ever);
	CHECK(strstr(child.err, "goroutine 1 [chan receive]:"));
}

static int panic_at_once(void)
{
	weft_panic("no use");
}

TEST(a_panic_is_told_with_the_seed)
{
	dies(5, "panic: no use\n", panic_at_once);
}

static int exit_at_once(void)
{
	exit(3);
}

TEST(an_exit_is_told_with_the_seed)
{
	struct sim_trace t;
	simulate(&child, 9, "", exit_at_once);
	CHECK_EQ(child.status, 3);
	CHECK(sim_trace_of(&child, &t) && t.seed == 9);
}

/* A condition by hand. Who waits looks at the flag, says so, and only then begins to wait: a wake-up that comes in
 * between is lost. With `signal_kept` it is not. */
static bool signal_kept;
static _Atomic bool flag;
static weft_chan *signal_ch, *log_ch;

static void set_flag(void *unused)
{
	(void)unused;
	weft_sleep(10);
	atomic_store(&flag, true);
	weft_try_send(signal_ch, NULL);
}

static int wait_for_flag(void)
{
	signal_ch = weft_chan_make(0, signal_kept);
	log_ch = weft_chan_make(0, 100);
	weft_go(set_flag, NULL);
	weft_sleep(10);
	if (!atomic_load(&flag)) {
		weft_send(log_ch, NULL);
		weft_recv(signal_ch, NULL);
	}
	CHECK(atomic_load(&flag));
	return 0;
}

/* The first seed under which it fails; -1: none. */
static int first_failing(int seeds)
{
	for (int seed = 0; seed < seeds; seed++) {
		simulate(&child, (uint64_t)seed, "", wait_for_flag);
		if (child.status)
			return seed;
	}
	return -1;
}

TEST(a_lost_wake_up_is_found_and_comes_again_with_its_seed)
{
	struct sim_trace found, again;
	int seed = first_failing(1000);
	CHECK(seed >= 0);
	CHECK(sim_trace_of(&child, &found));
	for (int i = 0; i < 5; i++) {
		simulate(&child, (uint64_t)seed, "", wait_for_flag);
		CHECK_EQ(child.status, 2);
		CHECK(strstr(child.err, "fatal: all goroutines are asleep - deadlock!\n"));
		CHECK(sim_trace_of(&child, &again) && again.hash == found.hash && again.events == found.events);
	}
	signal_kept = true;
	CHECK_EQ(first_failing(test_is_slow() ? 50 : 500), -1);
}

/* ---- what there is not ---- */

static int ask_for_what_is_outside(void)
{
	weft_listener *l;
	weft_conn *c;
	pid_t pid;
	const char *const argv[] = {"true", NULL};
	CHECK_EQ(weft_listen(&l, "tcp://127.0.0.1:0", NULL), -ENOTSUP);
	CHECK_EQ(weft_dial(&c, "tcp://127.0.0.1:1", weft_in(WEFT_S)), -ENOTSUP);
	CHECK_EQ(weft_wait_fd(STDIN_FILENO, POLLIN, weft_in(WEFT_S)), -ENOTSUP);
	CHECK_EQ(weft_spawn_process(&pid, argv, NULL), -ENOTSUP);
	CHECK_EQ(weft_signal_notify(weft_chan_make(sizeof(int), 1), SIGUSR1), -ENOTSUP);
	return 0;
}

TEST(sockets_processes_and_signals_are_refused)
{
	passes(1, "", ask_for_what_is_outside);
}

static void *attach(void *unused)
{
	CHECK_EQ(weft_attach(), -ENOTSUP);
	return unused;
}

static void *send_from_outside(void *ch)
{
	weft_try_send(ch, NULL);
	return NULL;
}

static void run_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0);
	weft_block_begin();
	pthread_join(thread, NULL);
	weft_block_end();
}

static int attach_a_thread(void)
{
	run_thread(attach, NULL);
	return 0;
}

static int let_a_thread_send(void)
{
	run_thread(send_from_outside, weft_chan_make(0, 1));
	return 0;
}

TEST(threads_outside_are_refused)
{
	passes(1, "", attach_a_thread);
	dies(1, "panic: call from a thread that weft did not make: not in a simulation (WEFT_DEBUG=seed)\n",
	     let_a_thread_send);
}

static _Atomic int tid;

static void same_thread(void *wg)
{
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(os_thread(), atomic_load(&tid));
		weft_yield();
	}
	weft_waitgroup_done(wg);
}

static int use_one_thread(void)
{
	weft_waitgroup wg = {0};
	atomic_store(&tid, os_thread());
	weft_waitgroup_add(&wg, 20);
	for (int i = 0; i < 20; i++)
		weft_go(same_thread, &wg);
	weft_waitgroup_wait(&wg);
	return 0;
}

TEST(all_goroutines_run_on_one_thread)
{
	passes_on_seeds(3, use_one_thread);
}

static int has_four_ps(void)
{
	return weft_procs() != 4;
}

static int has_nine_ps(void)
{
	return weft_procs() != 9;
}

TEST(there_are_four_ps_unless_it_is_said_otherwise)
{
	passes(1, "", has_four_ps);
	setenv("WEFT_PROCS", "9", 1);
	passes(1, "", has_nine_ps);
	setenv("WEFT_PROCS", "1", 1);
	passes(1, "", workload);
	setenv("WEFT_PROCS", "64", 1);
	passes(1, "", workload);
}

TEST(it_runs_without_stealing)
{
	for (uint64_t seed = 0; seed < 20; seed++)
		passes(seed, ",nosteal", workload);
}
