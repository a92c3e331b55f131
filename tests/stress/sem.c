/* Acquirers of all sizes against releases and deadlines: nothing is lost, and nothing is had twice. And a semaphore on a stack, which goes as soon as what was released last has been acquired. */
#include "lockfree/atomic.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <errno.h>

enum { PERMITS = 7, TASKS = 12 };

static weft_sem sem;
static weft_waitgroup join;
static _Atomic int64_t held, refusals;

static int acquire(int64_t n, uint64_t *random)
{
	switch (draw_below(random, 4)) {
	case 0:
		return weft_sem_try_acquire(&sem, n);
	case 1:
		return weft_sem_acquire_until(&sem, n, weft_in((int64_t)draw_below(random, 20000)));
	default:
		weft_sem_acquire(&sem, n);
		return 0;
	}
}

static void use_it(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t i = test_rounds(60000); i > 0; i--) {
		int64_t n = 1 + (int64_t)draw_below(&random, draw_below(&random, 8) ? 2 : PERMITS);
		int err = acquire(n, &random);
		if (err) {
			CHECK(err == -EAGAIN || err == -ETIMEDOUT);
			(void)add_rlx(&refusals, 1);
			continue;
		}
		CHECK(add_rlx(&held, n) + n <= PERMITS);
		uint64_t how = draw_below(&random, 256);
		if (how == 0)
			weft_sleep((int64_t)draw_below(&random, 20000));
		else if (how < 16)
			weft_yield();
		(void)sub_rlx(&held, n);
		weft_sem_release(&sem, n);
	}
	weft_waitgroup_done(&join);
}

static int exclusion(void)
{
	weft_sem_init(&sem, PERMITS);
	weft_waitgroup_add(&join, TASKS);
	for (uintptr_t i = 1; i <= TASKS; i++)
		weft_go(use_it, (void *)i);
	weft_waitgroup_wait(&join);
	CHECK(refusals > 0);
	CHECK_EQ(weft_sem_try_acquire(&sem, PERMITS), 0);
	CHECK_EQ(weft_sem_try_acquire(&sem, 1), -EAGAIN);
	return 0;
}

TEST(nothing_is_lost_and_nothing_had_twice)
{
	CHECK_EQ(run_weft(2, exclusion), 0);
}

TEST(nor_on_more_ps_than_cores)
{
	CHECK_EQ(run_weft(5, exclusion), 0);
}

/* ---- from one to another ---- */

static void put_in(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t rest = test_rounds(200000), n; rest > 0; rest -= n) {
		n = 1 + (int64_t)draw_below(&random, 5);
		n = n < rest ? n : rest;
		weft_sem_release(&sem, n);
		if (draw_below(&random, 16) == 0)
			weft_yield();
	}
	weft_waitgroup_done(&join);
}

/* Deadlines come and go: what is released when one gives up goes to the next. */
static void take_out(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t rest = test_rounds(200000), n; rest > 0;) {
		n = 1 + (int64_t)draw_below(&random, 5);
		n = n < rest ? n : rest;
		if (draw_below(&random, 2) == 0)
			weft_sem_acquire(&sem, n);
		else if (weft_sem_acquire_until(&sem, n, weft_in((int64_t)draw_below(&random, 5000))))
			continue;
		rest -= n;
	}
	weft_waitgroup_done(&join);
}

static int from_one_to_another(void)
{
	weft_waitgroup_add(&join, 6);
	for (uintptr_t i = 1; i <= 3; i++) {
		weft_go(put_in, (void *)i);
		weft_go(take_out, (void *)(i + 3));
	}
	weft_waitgroup_wait(&join);
	CHECK_EQ(weft_sem_try_acquire(&sem, 1), -EAGAIN);
	return 0;
}

TEST(all_that_is_released_is_acquired)
{
	CHECK_EQ(run_weft(2, from_one_to_another), 0);
}

/* ---- a semaphore that goes ---- */

static _Atomic(weft_sem *) next;

static void release_what_goes(void *arg)
{
	(void)arg;
	for (int64_t i = test_rounds(100000); i > 0; i--) {
		weft_sem *s;
		while (!(s = load_acq(&next)))
			weft_yield();
		store_rlx(&next, NULL);
		weft_sem_release(s, 1);
	}
	weft_waitgroup_done(&join);
}

static __attribute__((noinline)) void own_one(uint64_t *random)
{
	weft_sem s = {0};
	store_rel(&next, &s);
	for (uint64_t n = draw_below(random, 200); n > 0; n--)
		cpu_relax();
	weft_sem_acquire(&s, 1);
}

/* Over where the semaphore was. */
static __attribute__((noinline)) void scribble(void)
{
	volatile char junk[1024];
	for (size_t i = 0; i < sizeof junk; i++)
		junk[i] = 0x5a;
	for (int i = 0; i < 50; i++)
		cpu_relax();
	for (size_t i = 0; i < sizeof junk; i++)
		CHECK_EQ(junk[i], 0x5a);
}

static int own_many(void)
{
	uint64_t random = 3;
	weft_waitgroup_add(&join, 1);
	weft_go(release_what_goes, NULL);
	for (int64_t i = test_rounds(100000); i > 0; i--) {
		own_one(&random);
		scribble();
	}
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(it_may_vanish_when_the_last_permit_has_been_acquired)
{
	CHECK_EQ(run_weft(2, own_many), 0);
}
