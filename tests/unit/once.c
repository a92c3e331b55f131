#include "tests/unit/waiting.h"

#include <pthread.h>

static weft_once once, inner;
static weft_waitgroup join;
static int runs; /* not atomic: whoever comes back from once sees it */
static _Atomic bool go_on;

static void count_run(void *arg)
{
	CHECK(arg == &once);
	for (int i = 0; i < 10; i++)
		weft_yield(); /* others come meanwhile */
	runs++;
}

static void come(void *arg)
{
	for (int i = 0; i < 3; i++) {
		weft_once_do(arg, count_run, arg);
		CHECK_EQ(runs, 1);
	}
	weft_waitgroup_done(&join);
}

TEST_GO(it_runs_once)
{
	weft_waitgroup_add(&join, 20);
	for (int i = 0; i < 20; i++)
		weft_go(come, &once);
	weft_waitgroup_wait(&join);
	CHECK_EQ(runs, 1);
	return 0;
}

static void run_when_told(void *arg)
{
	while (!go_on)
		weft_sleep(10 * WEFT_US);
	*(int *)arg += 1;
}

static void come_and_see(void *arg)
{
	(void)arg;
	weft_once_do(&once, run_when_told, &runs);
	CHECK_EQ(runs, 1);
	weft_waitgroup_done(&join);
}

TEST_GO(whoever_comes_meanwhile_waits_for_the_end)
{
	weft_waitgroup_add(&join, 5);
	go_and_wait(WAIT_SLEEP, come_and_see, NULL);
	for (int i = 0; i < 4; i++)
		go_and_wait(WAIT_MUTEX, come_and_see, NULL);
	CHECK_EQ(runs, 0);
	go_on = true;
	weft_waitgroup_wait(&join);
	return 0;
}

static void run_inner(void *arg)
{
	(*(int *)arg)++;
}

static void run_outer(void *arg)
{
	weft_once_do(&inner, run_inner, arg);
	weft_once_do(&inner, run_inner, arg);
}

TEST_GO(one_may_come_to_another_once)
{
	weft_once_do(&once, run_outer, &runs);
	CHECK_EQ(runs, 1);
	return 0;
}

static void *come_from_outside(void *arg)
{
	weft_once_do(&once, run_when_told, &runs);
	CHECK_EQ(runs, 1);
	return arg;
}

TEST_GO(threads_outside_wait_too)
{
	pthread_t thread[3];
	weft_waitgroup_add(&join, 1);
	go_and_wait(WAIT_SLEEP, come_and_see, NULL);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, come_from_outside, NULL), 0);
	await_waiting(WAIT_MUTEX, 3);
	go_on = true;
	weft_block_begin();
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	weft_block_end();
	weft_waitgroup_wait(&join);
	return 0;
}
