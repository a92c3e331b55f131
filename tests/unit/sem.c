#include "tests/unit/waiting.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static weft_sem sem;
static weft_waitgroup join;
static _Atomic int64_t held, most_held;

static void hold(int64_t n)
{
	int64_t now = add_rlx(&held, n) + n, before = load_rlx(&most_held);
	while (now > before && !cas_rlx(&most_held, &before, now))
		continue;
	CHECK(now <= 5);
	weft_yield();
	(void)sub_rlx(&held, n);
}

static void hold_some(void *arg)
{
	int64_t n = (int64_t)(intptr_t)arg;
	for (int64_t i = test_rounds(10000); i > 0; i--) {
		weft_sem_acquire(&sem, n);
		hold(n);
		weft_sem_release(&sem, n);
	}
	weft_waitgroup_done(&join);
}

TEST_GO(no_more_is_held_than_there_is)
{
	weft_sem_init(&sem, 5);
	weft_waitgroup_add(&join, 8);
	for (int i = 0; i < 8; i++)
		weft_go(hold_some, (void *)(intptr_t)(1 + i % 5));
	weft_waitgroup_wait(&join);
	CHECK_EQ(most_held, 5);
	CHECK_EQ(weft_sem_try_acquire(&sem, 5), 0);
	CHECK_EQ(weft_sem_try_acquire(&sem, 1), -EAGAIN);
	return 0;
}

TEST_GO(zeroed_it_has_none)
{
	CHECK_EQ(weft_sem_try_acquire(&sem, 1), -EAGAIN);
	CHECK_EQ(weft_sem_try_acquire(&sem, 0), 0);
	weft_sem_release(&sem, 3);
	weft_sem_acquire(&sem, 2);
	CHECK_EQ(weft_sem_try_acquire(&sem, 2), -EAGAIN);
	CHECK_EQ(weft_sem_try_acquire(&sem, 1), 0);
	return 0;
}

TEST_GO(deadlines)
{
	weft_sem_init(&sem, 2);
	CHECK_EQ(weft_sem_acquire_until(&sem, 2, weft_at(0)), 0);
	CHECK_EQ(weft_sem_acquire_until(&sem, 1, weft_at(0)), -ETIMEDOUT);
	CHECK_EQ(weft_sem_acquire_until(&sem, 1, weft_in(2 * WEFT_MS)), -ETIMEDOUT);
	weft_sem_release(&sem, 1);
	CHECK_EQ(weft_sem_acquire_until(&sem, 2, weft_in(WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(weft_sem_acquire_until(&sem, 1, WEFT_NEVER), 0);
	return 0;
}

/* ---- who goes first ---- */

static void acquire_once(void *arg)
{
	int64_t n = (int64_t)(intptr_t)arg;
	weft_sem_acquire(&sem, n);
	note((char)('0' + n));
	weft_waitgroup_done(&join);
}

static void give_up(void *arg)
{
	CHECK_EQ(weft_sem_acquire_until(&sem, (int64_t)(intptr_t)arg, weft_in(WEFT_S)), -ETIMEDOUT);
	weft_waitgroup_done(&join);
}

static void start_and_let_wait(void (*fn)(void *), int64_t n)
{
	weft_waitgroup_add(&join, 1);
	go_and_wait(WAIT_SEM, fn, (void *)(intptr_t)n);
}

TEST_GO(a_large_one_at_the_head_holds_up_small_ones)
{
	start_and_let_wait(acquire_once, 3);
	start_and_let_wait(acquire_once, 1);
	start_and_let_wait(acquire_once, 2);
	weft_sem_release(&sem, 2);
	CHECK_EQ(weft_sem_try_acquire(&sem, 1), -EAGAIN); /* nobody passes, as long as one waits */
	CHECK_EQ(waiting(WAIT_SEM), 3);
	weft_sem_release(&sem, 1);
	check_noted("3");
	weft_sem_release(&sem, 1);
	check_noted("31");
	CHECK_EQ(waiting(WAIT_SEM), 1);
	weft_sem_release(&sem, 2);
	weft_waitgroup_wait(&join);
	check_noted("312");
	return 0;
}

TEST_GO(a_large_one_that_gives_up_lets_small_ones_go)
{
	weft_sem_init(&sem, 2);
	start_and_let_wait(give_up, 3);
	start_and_let_wait(acquire_once, 1);
	start_and_let_wait(acquire_once, 1);
	start_and_let_wait(acquire_once, 2);
	check_noted("11");
	weft_sem_release(&sem, 2);
	weft_waitgroup_wait(&join);
	check_noted("112");
	return 0;
}

TEST_GO(one_release_lets_go_all_that_it_is_enough_for)
{
	for (int i = 0; i < 5; i++)
		start_and_let_wait(acquire_once, 2);
	weft_sem_release(&sem, 9);
	check_noted("2222");
	CHECK_EQ(waiting(WAIT_SEM), 1);
	weft_sem_release(&sem, 1);
	weft_waitgroup_wait(&join);
	check_noted("22222");
	return 0;
}

/* ---- threads outside ---- */

static void *outside(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		weft_sem_acquire(&sem, 2);
		CHECK(add_rlx(&held, 2) + 2 <= 5);
		(void)sub_rlx(&held, 2);
		weft_sem_release(&sem, 2);
		if (weft_sem_acquire_until(&sem, 5, weft_in(WEFT_US)) == 0)
			weft_sem_release(&sem, 5);
	}
	return arg;
}

TEST_GO(threads_outside_acquire_and_release)
{
	pthread_t thread;
	weft_sem_init(&sem, 5);
	CHECK_EQ(pthread_create(&thread, NULL, outside, NULL), 0);
	weft_waitgroup_add(&join, 2);
	weft_go(hold_some, (void *)3);
	weft_go(hold_some, (void *)1);
	weft_waitgroup_wait(&join);
	weft_block_begin();
	pthread_join(thread, NULL);
	weft_block_end();
	CHECK_EQ(weft_sem_try_acquire(&sem, 5), 0);
	return 0;
}

/* ---- misuse ---- */

static int acquire_negative(void)
{
	weft_sem_acquire(&sem, -1);
	return 0;
}

static int release_negative(void)
{
	weft_sem_release(&sem, -1);
	return 0;
}

static int begin_negative(void)
{
	weft_sem_init(&sem, -1);
	return 0;
}

static int release_too_much(void)
{
	weft_sem_release(&sem, INT64_MAX / 4);
	weft_sem_release(&sem, 1);
	return 0;
}

static int want_too_much(void)
{
	return weft_sem_try_acquire(&sem, INT64_MAX);
}

static int copy_unused(void)
{
	weft_sem other = sem;
	weft_sem_release(&other, 1);
	weft_sem_acquire(&other, 1);
	return 0;
}

static int copy(void)
{
	weft_sem_release(&sem, 1);
	weft_sem other = sem;
	weft_sem_acquire(&other, 1);
	return 0;
}

static int (*misuse)(void);

static void misused(void)
{
	_exit(run_weft(1, misuse));
}

static void check_dies(int (*how)(void), const char *words)
{
	misuse = how;
	test_dies(misused, words);
}

TEST(misuse_panics_in_its_words)
{
	check_dies(acquire_negative, "panic: negative semaphore count\n");
	check_dies(release_negative, "panic: negative semaphore count\n");
	check_dies(begin_negative, "panic: negative semaphore count\n");
	check_dies(release_too_much, "panic: semaphore count out of range\n");
	check_dies(want_too_much, "panic: semaphore count out of range\n");
}

/* Whether a used one has been copied is looked at where assertions are on. */
TEST(one_may_be_copied_before_its_first_use_and_not_after)
{
#ifdef WEFT_ASSERT_DEBUG
	check_dies(copy, "panic: semaphore copied after its first use\n");
#else
	(void)copy;
#endif
	CHECK_EQ(run_weft(1, copy_unused), 0);
}
