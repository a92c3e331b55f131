/* Signals against deadlines: one that is given up takes no signal with it. Each token is signalled once, so one that is spent
 * on nobody leaves a token and a waiter behind, and in the end all wait. */
#include "lockfree/atomic.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <errno.h>

enum { TASKS = 6 };

static weft_mutex mutex;
static weft_cond cond;
static weft_waitgroup join;
static int64_t tokens;
static _Atomic int64_t too_late;

static void put(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t i = test_rounds(200000); i > 0; i--) {
		bool within = draw_below(&random, 2);
		weft_mutex_lock(&mutex);
		tokens++;
		if (within)
			weft_cond_signal(&cond);
		weft_mutex_unlock(&mutex);
		if (!within)
			weft_cond_signal(&cond);
		if (draw_below(&random, 16) == 0)
			weft_sleep((int64_t)draw_below(&random, 5000));
	}
	weft_waitgroup_done(&join);
}

static void take(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t i = test_rounds(200000); i > 0;) {
		bool hurried = draw_below(&random, 2);
		weft_mutex_lock(&mutex);
		while (tokens == 0) {
			if (!hurried) {
				weft_cond_wait(&cond, &mutex);
			} else if (weft_cond_wait_until(&cond, &mutex, weft_in((int64_t)draw_below(&random, 5000)))) {
				(void)add_rlx(&too_late, 1);
				break;
			}
		}
		if (tokens > 0) {
			tokens--;
			i--;
		}
		weft_mutex_unlock(&mutex);
	}
	weft_waitgroup_done(&join);
}

static int tokens_pass(void)
{
	weft_waitgroup_add(&join, 2 * TASKS);
	for (uintptr_t i = 1; i <= TASKS; i++) {
		weft_go(put, (void *)i);
		weft_go(take, (void *)(i + TASKS));
	}
	weft_waitgroup_wait(&join);
	CHECK_EQ(tokens, 0);
	CHECK(too_late > 0);
	return 0;
}

TEST(no_signal_is_lost_to_a_deadline)
{
	CHECK_EQ(run_weft(2, tokens_pass), 0);
}

TEST(nor_on_more_ps_than_cores)
{
	CHECK_EQ(run_weft(5, tokens_pass), 0);
}

/* ---- broadcasts ---- */

static int64_t round_now;
static int at_the_barrier;

static void meet_again_and_again(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t i = 0, n = test_rounds(20000); i < n; i++) {
		weft_mutex_lock(&mutex);
		CHECK_EQ(round_now, i);
		if (++at_the_barrier == TASKS) {
			at_the_barrier = 0;
			round_now++;
			weft_cond_broadcast(&cond);
		}
		while (round_now == i)
			weft_cond_wait(&cond, &mutex);
		weft_mutex_unlock(&mutex);
		if (draw_below(&random, 16) == 0)
			weft_yield();
	}
	weft_waitgroup_done(&join);
}

static int barrier(void)
{
	weft_waitgroup_add(&join, TASKS);
	for (uintptr_t i = 1; i <= TASKS; i++)
		weft_go(meet_again_and_again, (void *)i);
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(a_broadcast_wakes_every_one)
{
	CHECK_EQ(run_weft(2, barrier), 0);
}
