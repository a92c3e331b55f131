#include "tests/unit/waiting.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static weft_mutex mutex;
static weft_cond cond, other;
static weft_waitgroup join;

/* ---- a buffer of two ---- */

enum { ROOM = 2 };
static int buffered;
static int64_t sum;

static void fill(void *arg)
{
	int64_t n = test_rounds(20000);
	(void)arg;
	for (int64_t i = 0; i < n; i++) {
		weft_mutex_lock(&mutex);
		while (buffered == ROOM)
			weft_cond_wait(&other, &mutex);
		buffered++;
		weft_cond_signal(&cond);
		weft_mutex_unlock(&mutex);
	}
	weft_waitgroup_done(&join);
}

static void drain(void *arg)
{
	int64_t n = test_rounds(20000);
	(void)arg;
	for (int64_t i = 0; i < n; i++) {
		weft_mutex_lock(&mutex);
		while (buffered == 0)
			weft_cond_wait(&cond, &mutex);
		buffered--;
		sum++;
		weft_mutex_unlock(&mutex);
		weft_cond_signal(&other); /* without the mutex does as well */
	}
	weft_waitgroup_done(&join);
}

TEST_GO(what_is_signalled_is_seen)
{
	weft_waitgroup_add(&join, 6);
	for (int i = 0; i < 3; i++) {
		weft_go(fill, NULL);
		weft_go(drain, NULL);
	}
	weft_waitgroup_wait(&join);
	CHECK_EQ(sum, 3 * test_rounds(20000));
	CHECK_EQ(buffered, 0);
	return 0;
}

/* ---- who wakes ---- */

static void wait_once(void *arg)
{
	weft_mutex_lock(&mutex);
	weft_cond_wait(&cond, &mutex);
	CHECK_EQ(weft_mutex_try_lock(&mutex), -EAGAIN); /* it has it again */
	note((char)('0' + (int)(intptr_t)arg));
	weft_mutex_unlock(&mutex);
	weft_waitgroup_done(&join);
}

static void start_waiters(int n)
{
	weft_waitgroup_add(&join, n);
	for (intptr_t i = 0; i < n; i++)
		go_and_wait(WAIT_COND, wait_once, (void *)i);
}

TEST_GO(a_signal_wakes_the_one_that_has_waited_longest)
{
	start_waiters(5);
	for (int i = 0; i < 5; i++) {
		weft_cond_signal(&cond);
		while (noted() == i)
			weft_yield();
		weft_sleep(WEFT_US);
		CHECK_EQ(noted(), i + 1);
		CHECK_EQ(waiting(WAIT_COND), 4 - i);
	}
	weft_waitgroup_wait(&join);
	check_noted("01234");
	return 0;
}

TEST_GO(a_broadcast_wakes_all_that_wait)
{
	start_waiters(5);
	weft_mutex_lock(&mutex);
	weft_cond_broadcast(&cond);
	weft_mutex_unlock(&mutex);
	weft_waitgroup_wait(&join);
	CHECK_EQ(noted(), 5);
	return 0;
}

static int wait_until(weft_deadline deadline)
{
	weft_mutex_lock(&mutex);
	int err = weft_cond_wait_until(&cond, &mutex, deadline);
	CHECK_EQ(weft_mutex_try_lock(&mutex), -EAGAIN);
	weft_mutex_unlock(&mutex);
	return err;
}

TEST_GO(a_signal_that_nobody_waits_for_is_gone)
{
	weft_cond_signal(&cond);
	weft_cond_broadcast(&cond);
	CHECK_EQ(wait_until(weft_in(2 * WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(wait_until(weft_at(0)), -ETIMEDOUT);
	return 0;
}

static void signal_soon(void *arg)
{
	(void)arg;
	await_waiting(WAIT_COND, 1);
	weft_mutex_lock(&mutex);
	weft_cond_signal(&cond);
	weft_mutex_unlock(&mutex);
	weft_waitgroup_done(&join);
}

TEST_GO(a_signal_before_the_deadline)
{
	weft_waitgroup_add(&join, 2);
	weft_go(signal_soon, NULL);
	CHECK_EQ(wait_until(weft_in(600 * WEFT_S)), 0);
	weft_go(signal_soon, NULL);
	CHECK_EQ(wait_until(WEFT_NEVER), 0);
	weft_waitgroup_wait(&join);
	return 0;
}

/* One that has given up is no longer in the way of a signal. */
TEST_GO(a_signal_goes_past_one_that_has_given_up)
{
	CHECK_EQ(wait_until(weft_in(WEFT_MS)), -ETIMEDOUT);
	start_waiters(1);
	weft_cond_signal(&cond);
	weft_waitgroup_wait(&join);
	return 0;
}

/* ---- threads outside ---- */

static void *drain_outside(void *arg)
{
	drain(NULL);
	return arg;
}

static void *fill_outside(void *arg)
{
	fill(NULL);
	return arg;
}

TEST_GO(threads_outside_wait_and_signal)
{
	pthread_t thread[2];
	weft_waitgroup_add(&join, 4);
	CHECK_EQ(pthread_create(&thread[0], NULL, fill_outside, NULL), 0);
	CHECK_EQ(pthread_create(&thread[1], NULL, drain_outside, NULL), 0);
	weft_go(fill, NULL);
	weft_go(drain, NULL);
	weft_waitgroup_wait(&join);
	weft_block_begin();
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	weft_block_end();
	CHECK_EQ(buffered, 0);
	return 0;
}

/* ---- misuse ---- */

static int wait_without_mutex(void)
{
	weft_cond_wait(&cond, &mutex);
	return 0;
}

static int copy_unused(void)
{
	weft_cond copied = cond;
	weft_cond_signal(&copied);
	return 0;
}

static int copy(void)
{
	weft_cond_signal(&cond);
	weft_cond copied = cond;
	weft_cond_signal(&copied);
	return 0;
}

static int (*misuse)(void);

static void misused(void)
{
	_exit(run_weft(1, misuse));
}

TEST(misuse_panics_in_its_words)
{
	misuse = wait_without_mutex;
	test_dies(misused, "panic: unlock of unlocked mutex\n");
}

/* Whether a used one has been copied is looked at where assertions are on. */
TEST(one_may_be_copied_before_its_first_use_and_not_after)
{
#ifdef WEFT_ASSERT_DEBUG
	misuse = copy;
	test_dies(misused, "panic: cond copied after its first use\n");
#else
	(void)copy;
#endif
	CHECK_EQ(run_weft(1, copy_unused), 0);
}
