/* Trees of goroutines that do everything a goroutine can wait for, on as many Ps as there are cores and on more:
 * all of them finish. And deadlines against wakers, so often that each wins. */
#include "tests/random.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <sched.h>

enum { LOCKS = 4 };

static weft_waitgroup join;
static weft_mutex lock[LOCKS];
static int64_t guarded[LOCKS];
static _Atomic int64_t finished, planted, budget;
static uint64_t seed;
static weft_chan *meeting;

static void something(uint64_t *random)
{
	uint64_t n;
	switch (draw_below(random, 10)) {
	case 0:
		weft_sleep((int64_t)draw_below(random, 50) * WEFT_US);
		return;
	case 1:
	case 2:
		weft_yield();
		return;
	case 3:
		weft_block_begin();
		for (n = draw_below(random, 3); n > 0; n--)
			sched_yield();
		weft_block_end();
		return;
	case 4:
		n = draw_below(random, LOCKS);
		if (weft_mutex_lock_until(&lock[n], weft_in((int64_t)draw_below(random, 50) * WEFT_US)))
			return;
		guarded[n]++;
		weft_mutex_unlock(&lock[n]);
		return;
	case 5:
		if (weft_mutex_try_lock(&lock[0]))
			return;
		guarded[0]++;
		weft_yield();
		guarded[0]--;
		weft_mutex_unlock(&lock[0]);
		return;
	case 6:
		weft_send_until(meeting, NULL, weft_in((int64_t)draw_below(random, 50) * WEFT_US));
		return;
	case 7:
		weft_recv_until(meeting, NULL, weft_in((int64_t)draw_below(random, 50) * WEFT_US));
		return;
	case 8:
		n = draw_below(random, LOCKS);
		weft_mutex_lock(&lock[n]);
		guarded[n]++;
		weft_mutex_unlock(&lock[n]);
		return;
	default:
		for (n = draw_below(random, 1000); n > 0; n--)
			__asm__ volatile("" ::: "memory");
	}
}

static void grow(void *arg)
{
	uint64_t random = seed + (uintptr_t)arg;
	for (uint64_t n = draw_below(&random, 6); n > 0; n--) {
		something(&random);
		if (budget-- > 0) {
			planted++;
			weft_go_opts opts = {.pin = draw_below(&random, 16) ? 0 : 1,
					     .stack_size = draw_below(&random, 64) ? 0 : 1 << 20};
			weft_waitgroup_add(&join, 1);
			CHECK_EQ(weft_go_with(&opts, grow, (void *)(uintptr_t)draw(&random)), 0);
		}
	}
	finished++;
	weft_waitgroup_done(&join);
}

static int trees(void)
{
	uint64_t random = seed = random_seed();
	int64_t roots = 0;
	meeting = weft_chan_make(0, 0);
	budget = test_rounds(100000);
	while (budget > 0) {
		weft_waitgroup_add(&join, 20);
		for (int i = 0; i < 20; i++)
			weft_go(grow, (void *)(uintptr_t)draw(&random));
		roots += 20;
		weft_waitgroup_wait(&join);
	}
	CHECK_EQ(finished, roots + planted);
	while (weft_num_goroutine() > 1) /* the last ones have said so, and are about to end */
		weft_yield();
	for (int i = 0; i < LOCKS; i++)
		CHECK_EQ(weft_mutex_try_lock(&lock[i]), 0);
	return 0;
}

TEST(trees_that_wait_for_everything_p1)
{
	CHECK_EQ(run_weft(1, trees), 0);
}

TEST(trees_that_wait_for_everything_p2)
{
	CHECK_EQ(run_weft(2, trees), 0);
}

TEST(trees_that_wait_for_everything_p4)
{
	CHECK_EQ(run_weft(4, trees), 0);
}

TEST(trees_without_spinning_p4)
{
	setenv("WEFT_SPIN", "off", 1);
	CHECK_EQ(run_weft(4, trees), 0);
}

/* ---- a timer and a waker want the same goroutine ---- */

static weft_chan *baton;
static _Atomic bool over;
static _Atomic int64_t sent;

static void wake_at_random(void *arg)
{
	uint64_t random = seed + (uintptr_t)arg;
	while (!over) {
		for (uint64_t n = draw_below(&random, 400); n > 0; n--)
			__asm__ volatile("" ::: "memory");
		sent += weft_try_send(baton, NULL) == 0;
		if (draw_below(&random, 8) == 0)
			weft_yield();
	}
	weft_waitgroup_done(&join);
}

static int races(void)
{
	uint64_t random = seed = random_seed();
	int64_t received = 0, late = 0;
	baton = weft_chan_make(0, 0);
	weft_waitgroup_add(&join, 1);
	weft_go(wake_at_random, (void *)1);
	for (int64_t i = test_rounds(200000); i > 0; i--) {
		int result = weft_recv_until(baton, NULL, weft_in((int64_t)draw_below(&random, 4000)));
		CHECK(result == 1 || result == -ETIMEDOUT);
		received += result == 1;
		late += result != 1;
	}
	over = true;
	weft_waitgroup_wait(&join);
	CHECK_EQ(received, sent);
	fprintf(stderr, "# %lld in time, %lld late\n", (long long)received, (long long)late);
	return 0;
}

TEST(deadlines_against_wakers_p1)
{
	CHECK_EQ(run_weft(1, races), 0);
}

TEST(deadlines_against_wakers_p2)
{
	CHECK_EQ(run_weft(2, races), 0);
}

TEST(deadlines_against_wakers_p4)
{
	CHECK_EQ(run_weft(4, races), 0);
}
