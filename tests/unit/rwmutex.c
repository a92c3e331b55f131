#include "tests/unit/waiting.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static weft_rwmutex lock;
static weft_waitgroup join;
static long left, right; /* equal, but for a writer */
static _Atomic int readers, most_readers;

static void write_many(void *arg)
{
	long n = test_rounds(10000);
	(void)arg;
	for (long i = 0; i < n; i++) {
		weft_rwmutex_lock(&lock);
		left++;
		if (i % 16 == 0)
			weft_yield(); /* while holding it, so that others queue */
		right++;
		weft_rwmutex_unlock(&lock);
	}
	weft_waitgroup_done(&join);
}

static void read_many(void *arg)
{
	long n = test_rounds(20000);
	(void)arg;
	for (long i = 0; i < n; i++) {
		weft_rwmutex_rlock(&lock);
		long seen = left;
		if (i % 16 == 0)
			weft_yield();
		CHECK_EQ(right, seen);
		weft_rwmutex_runlock(&lock);
	}
	weft_waitgroup_done(&join);
}

static void is_free(void)
{
	CHECK_EQ(weft_rwmutex_try_lock(&lock), 0);
	weft_rwmutex_unlock(&lock);
}

TEST_GO(a_writer_is_alone)
{
	weft_waitgroup_add(&join, 8);
	for (int i = 0; i < 4; i++) {
		weft_go(write_many, NULL);
		weft_go(read_many, NULL);
	}
	weft_waitgroup_wait(&join);
	CHECK_EQ(left, 4 * test_rounds(10000));
	is_free();
	return 0;
}

static void read_together(void *arg)
{
	(void)arg;
	weft_rwmutex_rlock(&lock);
	if (++readers > most_readers)
		most_readers = readers;
	while (most_readers < 20) /* for ever, if they do not come in together */
		weft_sleep(WEFT_US);
	readers--;
	weft_rwmutex_runlock(&lock);
	weft_waitgroup_done(&join);
}

/* More of them on a P than one record counts. */
TEST_GO(readers_are_in_it_together)
{
	for (int i = 0; i < 3; i++) {
		most_readers = 0;
		weft_waitgroup_add(&join, 20);
		for (int j = 0; j < 20; j++)
			weft_go(read_together, NULL);
		weft_waitgroup_wait(&join);
	}
	is_free();
	return 0;
}

TEST_GO(try_and_deadline)
{
	CHECK_EQ(weft_rwmutex_try_rlock(&lock), 0);
	CHECK_EQ(weft_rwmutex_try_rlock(&lock), 0);
	CHECK_EQ(weft_rwmutex_try_lock(&lock), -EAGAIN);
	CHECK_EQ(weft_rwmutex_lock_until(&lock, weft_in(2 * WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(weft_rwmutex_rlock_until(&lock, weft_at(0)), 0);
	for (int i = 0; i < 3; i++)
		weft_rwmutex_runlock(&lock);
	CHECK_EQ(weft_rwmutex_lock_until(&lock, weft_at(0)), 0);
	CHECK_EQ(weft_rwmutex_try_lock(&lock), -EAGAIN);
	CHECK_EQ(weft_rwmutex_try_rlock(&lock), -EAGAIN);
	CHECK_EQ(weft_rwmutex_rlock_until(&lock, weft_in(2 * WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(weft_rwmutex_rlock_until(&lock, weft_at(0)), -ETIMEDOUT);
	CHECK_EQ(weft_rwmutex_lock_until(&lock, weft_at(0)), -ETIMEDOUT);
	weft_rwmutex_unlock(&lock);
	CHECK_EQ(weft_rwmutex_try_rlock(&lock), 0);
	weft_rwmutex_runlock(&lock);
	return 0;
}

/* ---- who goes first ---- */

static void write_once(void *arg)
{
	(void)arg;
	weft_rwmutex_lock(&lock);
	note('w');
	weft_rwmutex_unlock(&lock);
	weft_waitgroup_done(&join);
}

static void read_once(void *arg)
{
	(void)arg;
	weft_rwmutex_rlock(&lock);
	note('r');
	weft_yield();
	weft_rwmutex_runlock(&lock);
	weft_waitgroup_done(&join);
}

static void start_and_let_wait(void (*fn)(void *))
{
	weft_waitgroup_add(&join, 1);
	go_and_wait(WAIT_RWMUTEX, fn, NULL);
}

TEST_GO(a_waiting_writer_holds_up_new_readers)
{
	weft_rwmutex_rlock(&lock);
	start_and_let_wait(write_once);
	CHECK_EQ(weft_rwmutex_try_rlock(&lock), -EAGAIN);
	start_and_let_wait(read_once);
	CHECK_EQ(noted(), 0);
	weft_rwmutex_runlock(&lock);
	weft_waitgroup_wait(&join);
	check_noted("wr");
	return 0;
}

TEST_GO(after_a_writer_come_the_readers_that_have_waited)
{
	weft_rwmutex_lock(&lock);
	start_and_let_wait(write_once);
	start_and_let_wait(read_once);
	start_and_let_wait(write_once);
	start_and_let_wait(read_once);
	weft_rwmutex_unlock(&lock);
	weft_waitgroup_wait(&join);
	check_noted("rrww");
	return 0;
}

static void give_up_writing(void *arg)
{
	(void)arg;
	CHECK_EQ(weft_rwmutex_lock_until(&lock, weft_in(WEFT_S)), -ETIMEDOUT);
	weft_waitgroup_done(&join);
}

/* Who waited behind a writer that has given up need not wait for the readers before. */
TEST_GO(a_writer_that_gives_up_lets_readers_in)
{
	weft_rwmutex_rlock(&lock);
	start_and_let_wait(give_up_writing);
	start_and_let_wait(read_once);
	CHECK_EQ(noted(), 0);
	weft_waitgroup_wait(&join);
	check_noted("r");
	weft_rwmutex_runlock(&lock);
	is_free();
	return 0;
}

static _Atomic bool stop;

static void keep_reading(void *arg)
{
	(void)arg;
	while (!stop) {
		weft_rwmutex_rlock(&lock);
		weft_yield(); /* always one of them has it */
		weft_rwmutex_runlock(&lock);
	}
	weft_waitgroup_done(&join);
}

static void keep_writing(void *arg)
{
	(void)arg;
	while (!stop) {
		weft_rwmutex_lock(&lock);
		weft_yield();
		weft_rwmutex_unlock(&lock);
	}
	weft_waitgroup_done(&join);
}

static int starve(void (*others)(void *), void (*lock_it)(weft_rwmutex *), void (*unlock_it)(weft_rwmutex *))
{
	weft_waitgroup_add(&join, 3);
	for (int i = 0; i < 3; i++)
		weft_go(others, NULL);
	for (int i = 0; i < 200; i++) {
		lock_it(&lock);
		unlock_it(&lock);
		weft_yield();
	}
	stop = true;
	weft_waitgroup_wait(&join);
	is_free();
	return 0;
}

TEST_GO(readers_do_not_starve_a_writer)
{
	return starve(keep_reading, weft_rwmutex_lock, weft_rwmutex_unlock);
}

TEST_GO(writers_do_not_starve_a_reader)
{
	return starve(keep_writing, weft_rwmutex_rlock, weft_rwmutex_runlock);
}

/* ---- records ---- */

enum { HELD = 40 };

/* Each begins on the P it is on, and may end on the other one: sleepers are stolen. */
static void read_across_a_sleep(void *arg)
{
	for (int i = 0; i < 50; i++) {
		weft_rwmutex_rlock(arg);
		weft_sleep(10 * WEFT_US);
		weft_rwmutex_runlock(arg);
		weft_yield();
	}
	weft_waitgroup_done(&join);
}

TEST_GO(reading_may_end_on_another_p)
{
	weft_rwmutex locks[4] = {0};
	weft_waitgroup_add(&join, HELD);
	for (int i = 0; i < HELD; i++)
		weft_go(read_across_a_sleep, &locks[i % 4]);
	for (int i = 0; i < 100; i++) {
		weft_rwmutex_lock(&locks[i % 4]);
		weft_rwmutex_unlock(&locks[i % 4]);
		weft_sleep(20 * WEFT_US);
	}
	weft_waitgroup_wait(&join);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(weft_rwmutex_try_lock(&locks[i]), 0);
		weft_rwmutex_unlock(&locks[i]);
	}
	return 0;
}

/* Of more locks at a time than a P has places. */
TEST_GO(one_may_read_many_at_a_time)
{
	static weft_rwmutex locks[HELD];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < HELD; i++)
			weft_rwmutex_rlock(&locks[i]);
		for (int i = 0; i < HELD; i++)
			CHECK_EQ(weft_rwmutex_try_lock(&locks[i]), -EAGAIN);
		for (int i = 0; i < HELD; i++)
			weft_rwmutex_runlock(&locks[i]);
	}
	for (int i = 0; i < HELD; i++)
		CHECK_EQ(weft_rwmutex_try_lock(&locks[i]), 0);
	return 0;
}

/* ---- threads outside ---- */

static void *outside(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		weft_rwmutex_lock(&lock);
		left++;
		right++;
		weft_rwmutex_unlock(&lock);
		weft_rwmutex_rlock(&lock);
		CHECK_EQ(left, right);
		weft_rwmutex_runlock(&lock);
		if (weft_rwmutex_rlock_until(&lock, weft_in(WEFT_US)) == 0)
			weft_rwmutex_runlock(&lock);
	}
	return arg;
}

TEST_GO(threads_outside_read_and_write)
{
	pthread_t thread[2];
	weft_block_begin();
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, outside, NULL), 0);
	weft_block_end();
	weft_waitgroup_add(&join, 2);
	weft_go(write_many, NULL);
	weft_go(read_many, NULL);
	weft_waitgroup_wait(&join);
	weft_block_begin();
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	weft_block_end();
	CHECK_EQ(left, test_rounds(10000) + 4000);
	is_free();
	return 0;
}

/* ---- misuse ---- */

static int unlock_unlocked(void)
{
	weft_rwmutex_unlock(&lock);
	return 0;
}

static int runlock_unlocked(void)
{
	weft_rwmutex_runlock(&lock);
	return 0;
}

static int runlock_too_often(void)
{
	for (int i = 0; i < 2; i++)
		weft_rwmutex_rlock(&lock);
	for (int i = 0; i < 3; i++)
		weft_rwmutex_runlock(&lock);
	return 0;
}

static int runlock_what_is_written(void)
{
	weft_rwmutex_lock(&lock);
	weft_rwmutex_runlock(&lock);
	return 0;
}

static int unlock_what_is_read(void)
{
	weft_rwmutex_rlock(&lock);
	weft_rwmutex_unlock(&lock);
	return 0;
}

static int (*misuse)(void);
static int procs;

static void misused(void)
{
	_exit(run_weft(procs, misuse));
}

TEST(misuse_panics_in_its_words)
{
	int (*const all[])(void) = {unlock_unlocked, runlock_unlocked, runlock_too_often, runlock_what_is_written,
				    unlock_what_is_read};
	for (procs = 1; procs <= 2; procs++) {
		for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
			misuse = all[i];
			test_dies(misused, "panic: unlock of unlocked rwmutex\n");
		}
	}
}

static int copy_unused(void)
{
	weft_rwmutex other = lock;
	weft_rwmutex_rlock(&other);
	weft_rwmutex_runlock(&other);
	return 0;
}

static int copy(void)
{
	weft_rwmutex_rlock(&lock);
	weft_rwmutex other = lock;
	weft_rwmutex_runlock(&other);
	return 0;
}

/* Whether a used one has been copied is looked at where assertions are on. */
TEST(one_may_be_copied_before_its_first_use_and_not_after)
{
#ifdef WEFT_ASSERT_DEBUG
	misuse = copy;
	procs = 1;
	test_dies(misused, "panic: rwmutex copied after its first use\n");
#else
	(void)copy;
#endif
	CHECK_EQ(run_weft(1, copy_unused), 0);
}
