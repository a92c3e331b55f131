#include "tests/unit/waiting.h"

#include <errno.h>
#include <unistd.h>

static weft_waitgroup join;
static weft_mutex lock;
static long count;

static void add_many(void *arg)
{
	long n = test_rounds(50000);
	for (long i = 0; i < n; i++) {
		weft_mutex_lock(&lock);
		count++;
		if (i % 64 == 0)
			weft_yield(); /* while holding it, so that others queue */
		weft_mutex_unlock(&lock);
	}
	(void)arg;
	weft_waitgroup_done(&join);
}

TEST_GO(mutex_excludes)
{
	weft_waitgroup_add(&join, 8);
	for (int i = 0; i < 8; i++)
		weft_go(add_many, NULL);
	weft_waitgroup_wait(&join);
	CHECK_EQ(count, 8 * test_rounds(50000));
	CHECK_EQ(weft_mutex_try_lock(&lock), 0);
	weft_mutex_unlock(&lock);
	return 0;
}

TEST_GO(mutex_try_and_deadline)
{
	CHECK_EQ(weft_mutex_try_lock(&lock), 0);
	CHECK_EQ(weft_mutex_try_lock(&lock), -EAGAIN);
	CHECK_EQ(weft_mutex_lock_until(&lock, weft_in(2 * WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(weft_mutex_lock_until(&lock, weft_at(0)), -ETIMEDOUT);
	weft_mutex_unlock(&lock);
	CHECK_EQ(weft_mutex_lock_until(&lock, weft_at(0)), 0);
	weft_mutex_unlock(&lock);
	return 0;
}

static _Atomic bool stop;

static void hog(void *arg)
{
	(void)arg;
	while (!stop) {
		weft_mutex_lock(&lock);
		weft_yield(); /* whoever has been woken finds it taken */
		weft_mutex_unlock(&lock);
	}
	weft_waitgroup_done(&join);
}

static void lock_once(void *arg)
{
	(void)arg;
	weft_mutex_lock(&lock);
	count++;
	weft_mutex_unlock(&lock);
	weft_waitgroup_done(&join);
}

/* Two that hold it whenever another one runs, and one that is beaten to it every time: without the hand-over it would
 * never get the lock. */
TEST_GO(mutex_starves_nobody)
{
	weft_waitgroup_add(&join, 2);
	weft_go(hog, NULL);
	weft_go(hog, NULL);
	for (int i = 0; i < 50; i++) {
		weft_mutex_lock(&lock);
		weft_mutex_unlock(&lock);
		weft_yield();
	}
	stop = true;
	weft_waitgroup_wait(&join);
	return 0;
}

static uint64_t word(void)
{
	return __atomic_load_n(&lock.word, __ATOMIC_RELAXED);
}

static int lock_while_one_is_on_its_way(void)
{
	weft_waitgroup_add(&join, 2);
	weft_mutex_lock(&lock);
	go_and_wait(WAIT_MUTEX, lock_once, NULL);
	go_and_wait(WAIT_MUTEX, lock_once, NULL);
	CHECK(word() != 1);
	weft_mutex_unlock(&lock);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(word(), 0);
		weft_mutex_lock(&lock);
		CHECK_EQ(word(), 1);
		weft_mutex_unlock(&lock);
	}
	weft_waitgroup_wait(&join);
	CHECK_EQ(count, 2);
	return 0;
}

/* On one P, which is not taken away, it does not run meanwhile. */
TEST(who_locks_while_a_waiter_is_on_its_way_meets_no_queue)
{
	setenv("WEFT_DEBUG", "nopreempt", 1);
	CHECK_EQ(run_weft(1, lock_while_one_is_on_its_way), 0);
}

static void lock_with_deadline(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		if (weft_mutex_lock_until(&lock, weft_in(20 * WEFT_US)) == 0) {
			count++;
			weft_sleep(10 * WEFT_US);
			weft_mutex_unlock(&lock);
		}
	}
	weft_waitgroup_done(&join);
}

TEST_GO(mutex_deadlines_race_with_unlocks)
{
	weft_waitgroup_add(&join, 6);
	for (int i = 0; i < 6; i++)
		weft_go(lock_with_deadline, NULL);
	weft_waitgroup_wait(&join);
	CHECK(count > 0);
	CHECK_EQ(weft_mutex_try_lock(&lock), 0); /* nobody holds it, no waiter is left in the way */
	return 0;
}

static int unlock_unlocked(void)
{
	weft_mutex_unlock(&lock);
	return 0;
}

static int done_too_often(void)
{
	weft_waitgroup_done(&join);
	return 0;
}

static void run_unlock(void)
{
	run_weft(1, unlock_unlocked);
}

static void run_done(void)
{
	run_weft(1, done_too_often);
}

TEST(misuse_panics_in_its_words)
{
	test_dies(run_unlock, "panic: unlock of unlocked mutex\n");
	test_dies(run_done, "panic: negative wait group counter\n");
}

/* ---- wait groups ---- */

static void done_later(void *group)
{
	weft_sleep(WEFT_MS);
	weft_waitgroup_done(group);
}

TEST_GO(waitgroup_waits_for_all)
{
	weft_waitgroup g = {0};
	weft_waitgroup_wait(&g);
	weft_waitgroup_add(&g, 3);
	CHECK_EQ(weft_waitgroup_wait_until(&g, weft_in(WEFT_MS / 10)), -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		weft_go(done_later, &g);
	weft_waitgroup_wait(&g);
	CHECK_EQ(weft_waitgroup_wait_until(&g, weft_at(0)), 0);
	return 0;
}

static void wait_for(void *group)
{
	weft_waitgroup_wait(group);
	weft_waitgroup_done(&join);
}

TEST_GO(waitgroup_lets_every_waiter_go)
{
	weft_waitgroup g = {0};
	weft_waitgroup_add(&g, 1);
	weft_waitgroup_add(&join, 20);
	for (int i = 0; i < 20; i++)
		weft_go(wait_for, &g);
	weft_sleep(WEFT_MS);
	weft_waitgroup_done(&g);
	weft_waitgroup_wait(&join);
	return 0;
}

static void only_done(void *group)
{
	weft_waitgroup_done(group);
}

/* The group lies in a frame that is gone, and overwritten, as soon as wait has returned. */
static __attribute__((noinline)) void wait_on_stack(int n)
{
	weft_waitgroup g = {0};
	weft_waitgroup_add(&g, n);
	for (int i = 0; i < n; i++)
		weft_go(only_done, &g);
	weft_waitgroup_wait(&g);
}

static __attribute__((noinline)) long scribble(void)
{
	volatile long junk[64];
	for (int i = 0; i < 64; i++)
		junk[i] = -1;
	return junk[5];
}

TEST_GO(waitgroup_may_vanish_when_wait_has_returned)
{
	int64_t rounds = test_rounds(20000);
	for (int64_t i = 0; i < rounds; i++) {
		wait_on_stack(1 + (int)(i % 4));
		CHECK_EQ(scribble(), -1);
	}
	return 0;
}

/* ---- misuse ---- */

static _Atomic bool going;

static void finish_misused(void *group)
{
	going = true;
	weft_waitgroup_done(group);
}

/* The last done() finds a waiter about to join, as the word's lowest bit says, and before that has joined somebody adds. */
static int add_beside_a_wait(void)
{
	static weft_waitgroup wg;
	weft_waitgroup_add(&wg, 1);
	__atomic_or_fetch(&wg.word, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 2}, finish_misused, &wg), 0);
	while (!going || __atomic_load_n(&wg.word, __ATOMIC_SEQ_CST) >> 2)
		continue;
	weft_waitgroup_add(&wg, 1);
	__atomic_and_fetch(&wg.word, ~(uint64_t)1, __ATOMIC_SEQ_CST);
	weft_sleep(60 * WEFT_S);
	return 0;
}

static void misuse_by_adding(void)
{
	_exit(run_weft(2, add_beside_a_wait));
}

TEST(adding_beside_a_wait_panics)
{
	test_dies(misuse_by_adding, "panic: wait group misuse: add beside a wait\n");
}

static int add_too_much(void)
{
	static weft_waitgroup wg;
	weft_waitgroup_add(&wg, (int64_t)1 << 62);
	return 0;
}

static void misuse_by_adding_too_much(void)
{
	_exit(run_weft(1, add_too_much));
}

TEST(adding_too_much_panics)
{
	test_dies(misuse_by_adding_too_much, "panic: wait group counter out of range\n");
}
