/* Wake-ups against Ps that are about to sleep. In each round a goroutine waits, its P goes to sleep, or looks for work, or is
 * just about to do either, and at that moment somebody wakes it: another P, a thread outside, or a timer. One wake-up that is
 * lost, and the test waits for ever. Each test says how many such races it has run, and how often a P slept in them;
 * `WEFTTEST_SOAK=170 ./dev soak 1 stress/idle` makes it ten million. */
#include "tests/random.h"
#include "tests/unit/go.h"

#include <pthread.h>
#include <stdio.h>

enum { ROUNDS = 10000, WITHIN_NS = 30000 };

static weft_chan *there, *back;
static int64_t rounds, slept_at_least; /* percent */
static uint64_t seed;

/* From not at all to longer than a P takes to fall asleep. */
static void dawdle(uint64_t *random)
{
	int64_t ns = draw_below(random, 8) ? (int64_t)draw_below(random, WITHIN_NS) : 0;
	for (int64_t until = weft_now() + ns; weft_now() < until;)
		;
}

/* Ps have slept in so many of them at least, or they were no races. */
static void races_were_run(void)
{
	weft_schedstats s;
	weft_sched_stats(&s);
	fprintf(stderr, "# races=%lld, Ps slept %llu times\n", (long long)rounds, (unsigned long long)s.sleeps);
	CHECK((int64_t)s.sleeps >= rounds / 100 * slept_at_least);
}

static void answer(void *arg)
{
	(void)arg;
	for (int64_t i = 0; i < rounds; i++) {
		CHECK(weft_recv(there, NULL));
		weft_send(back, NULL);
	}
}

static void *ask(void *random)
{
	for (int64_t i = 0; i < rounds; i++) {
		dawdle(random);
		weft_send(there, NULL);
		CHECK(weft_recv(back, NULL));
	}
	return NULL;
}

static void set_up(void)
{
	rounds = test_rounds(ROUNDS);
	there = weft_chan_make(0, 0);
	back = weft_chan_make(0, 1);
}


static void do_not_spin(void)
{
	setenv("WEFT_SPIN", "off", 1);
	slept_at_least = 25;
}

/* ---- another P ---- */

static weft_waitgroup asked;

static void ask_as_goroutine(void *random)
{
	ask(random);
	weft_waitgroup_done(&asked);
}

/* Each on its own P. */
static int ask_from_a_p(void)
{
	int mine = 1 + (seed & 1);
	set_up();
	weft_waitgroup_add(&asked, 1);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 3 - mine}, answer, NULL), 0);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = mine}, ask_as_goroutine, &seed), 0);
	weft_waitgroup_wait(&asked);
	races_were_run();
	return 0;
}

TEST(a_p_wakes_another)
{
	seed = random_seed();
	CHECK_EQ(run_weft(2, ask_from_a_p), 0);
}

TEST(a_p_wakes_another_that_does_not_spin)
{
	do_not_spin();
	seed = random_seed();
	CHECK_EQ(run_weft(2, ask_from_a_p), 0);
}

/* ---- a thread outside ---- */

static int ask_from_outside(void)
{
	pthread_t thread;
	set_up();
	weft_go(answer, NULL);
	CHECK_EQ(pthread_create(&thread, NULL, ask, &seed), 0);
	weft_block_begin();
	CHECK_EQ(pthread_join(thread, NULL), 0);
	weft_block_end();
	races_were_run();
	return 0;
}

TEST(a_thread_outside_wakes_the_only_p)
{
	do_not_spin();
	seed = random_seed();
	CHECK_EQ(run_weft(1, ask_from_outside), 0);
}

TEST(a_thread_outside_wakes_one_of_two_ps)
{
	seed = random_seed();
	CHECK_EQ(run_weft(2, ask_from_outside), 0);
}

/* ---- timers, of a P that sleeps in its poller ---- */

static int sleep_often(void)
{
	weft_listener *l;
	CHECK_EQ(weft_listen(&l, "tcp://127.0.0.1:0", NULL), 0);
	rounds = test_rounds(ROUNDS);
	for (int64_t i = 0; i < rounds; i++)
		weft_sleep((int64_t)draw_below(&seed, WITHIN_NS));
	weft_listener_close(l);
	races_were_run();
	return 0;
}

TEST(a_timer_wakes_the_only_p)
{
	do_not_spin();
	seed = random_seed();
	CHECK_EQ(run_weft(1, sleep_often), 0);
}

TEST(a_timer_wakes_one_of_two_ps)
{
	seed = random_seed();
	CHECK_EQ(run_weft(2, sleep_often), 0);
}

/* ---- no more than one ---- */

/* Each round readies one goroutine: at most one P is woken for it. */
static int count_wakes(void)
{
	weft_schedstats before, after;
	set_up();
	weft_go(answer, NULL);
	weft_sched_stats(&before);
	ask(&seed);
	weft_sched_stats(&after);
	CHECK(after.wakes - before.wakes <= 2 * (uint64_t)rounds + (uint64_t)rounds / 10 + 100);
	return 0;
}

TEST(a_readied_goroutine_wakes_at_most_one_p)
{
	seed = random_seed();
	CHECK_EQ(run_weft(4, count_wakes), 0);
}
