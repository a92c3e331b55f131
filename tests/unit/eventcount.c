#include "lockfree/eventcount.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

enum { THREADS = 4, MILLISECOND = 1000000 };

static struct eventcount e;

static int64_t now(void)
{
	struct timespec t;
	CHECK(!clock_gettime(CLOCK_MONOTONIC, &t));
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

TEST(with_nobody_waiting_a_notification_writes_nothing)
{
	eventcount_notify_one(&e);
	eventcount_notify_all(&e);
	CHECK_EQ(e.xepoch, 0);
	eventcount_prepare_wait(&e);
	eventcount_cancel_wait(&e);
	eventcount_notify_all(&e);
	CHECK_EQ(e.xepoch, 0);
	CHECK_EQ(e.xwaiters, 0);
}

TEST(a_notification_between_prepare_and_commit_is_not_lost)
{
	uint32_t key = eventcount_prepare_wait(&e);
	eventcount_notify_one(&e);
	CHECK_EQ(eventcount_commit_wait(&e, key, EVENTCOUNT_NEVER), 0);
	key = eventcount_prepare_wait(&e);
	eventcount_notify_all(&e);
	CHECK_EQ(eventcount_commit_wait(&e, key, EVENTCOUNT_NEVER), 0);
	CHECK_EQ(e.xwaiters, 0);
}

TEST(one_before_prepare_does_not_count)
{
	uint32_t key = eventcount_prepare_wait(&e);
	eventcount_notify_one(&e);
	uint32_t later = eventcount_prepare_wait(&e);
	CHECK_EQ(eventcount_commit_wait(&e, later, 0), -ETIMEDOUT);
	CHECK_EQ(eventcount_commit_wait(&e, key, 0), 0);
	CHECK_EQ(e.xwaiters, 0);
}

TEST(a_wait_ends_at_its_timeout_and_not_before)
{
	static const int64_t timeouts[] = {0, 1, 3 * MILLISECOND, 1001 * (int64_t)MILLISECOND};
	for (int i = 0; i < 4; i++) {
		int64_t began = now();
		uint32_t key = eventcount_prepare_wait(&e);
		CHECK_EQ(eventcount_commit_wait(&e, key, timeouts[i]), -ETIMEDOUT);
		CHECK(now() - began >= timeouts[i]);
		CHECK_EQ(e.xwaiters, 0);
	}
}

static _Atomic int signals, returned, ready;

static void *wait_once(void *arg)
{
	(void)arg;
	uint32_t key = eventcount_prepare_wait(&e);
	(void)add_acqrel(&ready, 1);
	CHECK_EQ(eventcount_commit_wait(&e, key, EVENTCOUNT_NEVER), 0);
	(void)add_acqrel(&returned, 1);
	return NULL;
}

TEST(all_are_woken)
{
	pthread_t thread[THREADS];
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, wait_once, NULL));
	while (load_acq(&ready) < THREADS)
		sched_yield();
	eventcount_notify_all(&e);
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK_EQ(e.xwaiters, 0);
}

/* A wake may let several go that are not asleep yet, but each lets one go at least. */
TEST(each_wake_of_one_lets_one_go)
{
	pthread_t thread[THREADS];
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, wait_once, NULL));
	while (load_acq(&ready) < THREADS)
		sched_yield();
	for (int i = 1; i <= THREADS; i++) {
		eventcount_notify_one(&e);
		while (load_acq(&returned) < i)
			sched_yield();
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK_EQ(e.xwaiters, 0);
}

static void count_signal(int signal)
{
	(void)signal;
	(void)add_acqrel(&signals, 1);
}

TEST(a_signal_does_not_end_a_wait)
{
	pthread_t thread;
	struct sigaction act = {.sa_handler = count_signal};
	CHECK(!sigaction(SIGUSR1, &act, NULL));
	CHECK(!pthread_create(&thread, NULL, wait_once, NULL));
	while (!load_acq(&ready))
		sched_yield();
	for (int i = 0; i < 50; i++) {
		struct timespec moment = {.tv_nsec = 200000};
		CHECK(!pthread_kill(thread, SIGUSR1));
		while (load_acq(&signals) <= i)
			nanosleep(&moment, NULL);
		CHECK_EQ(load_acq(&returned), 0);
	}
	eventcount_notify_one(&e);
	CHECK(!pthread_join(thread, NULL));
	CHECK_EQ(returned, 1);
}
