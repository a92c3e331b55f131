/* Channels whose lock becomes a P's, and is taken away again. */
#include "runtime/chan.h"
#include "runtime/sched.h"
#include "tests/unit/go.h"

#include <pthread.h>

enum { ENOUGH = 200 }; /* times in a row, for a lock that nobody has lost yet */

static weft_chan *ch;
static weft_waitgroup join;

static void use(int times)
{
	int v = 7, got = 0;
	for (int i = 0; i < times; i++) {
		CHECK_EQ(weft_try_send(ch, &v), 0);
		CHECK_EQ(weft_try_recv(ch, &got), 1);
		CHECK_EQ(got, v);
	}
}

static bool is_owned(void)
{
	return load_rlx(&ch->owner) != 0;
}

static void use_enough(void *arg)
{
	(void)arg;
	use(ENOUGH << 6);
	weft_waitgroup_done(&join);
}

static void use_once(void *arg)
{
	(void)arg;
	use(1);
	weft_waitgroup_done(&join);
}

static void *use_outside(void *arg)
{
	(void)arg;
	use(1);
	return NULL;
}

static void run_on(int p, void (*fn)(void *))
{
	weft_go_opts opts = {.pin = p};
	weft_waitgroup_add(&join, 1);
	CHECK_EQ(weft_go_with(&opts, fn, NULL), 0);
	weft_waitgroup_wait(&join);
}

static int own_and_lose(void)
{
	ch = weft_chan_make(sizeof(int), 1);
	for (int losses = 0; losses < 3; losses++) {
		CHECK(!is_owned());
		run_on(1, use_enough);
		CHECK(is_owned());
		run_on(1, use_once);
		CHECK(is_owned());
		run_on(2, use_once);
		CHECK(!is_owned());
	}
	run_on(1, use_enough);
	CHECK(!is_owned()); /* three times is enough */
	weft_chan_free(ch);
	return 0;
}

TEST(a_lock_is_earned_lost_and_at_last_shared)
{
	CHECK_EQ(run_weft(2, own_and_lose), 0);
}

static int lose_to_a_thread(void)
{
	pthread_t thread;
	ch = weft_chan_make(sizeof(int), 1);
	use(ENOUGH);
	CHECK(is_owned());
	CHECK_EQ(pthread_create(&thread, NULL, use_outside, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(!is_owned());
	weft_chan_free(ch);
	return 0;
}

static int own_one_after_the_other(void)
{
	ch = weft_chan_make(sizeof(int), 1);
	run_on(1, use_enough);
	CHECK(is_owned());
	run_on(2, use_enough);
	CHECK(!is_owned()); /* it has been another's */
	run_on(1, use_enough);
	CHECK(is_owned());
	weft_chan_free(ch);
	return 0;
}

TEST(only_one_p_ever_owns_a_lock)
{
	CHECK_EQ(run_weft(2, own_one_after_the_other), 0);
}

TEST(a_thread_outside_takes_a_lock_away)
{
	CHECK_EQ(run_weft(1, lose_to_a_thread), 0);
}

static void select_both(void *arg)
{
	int v = 0;
	weft_case cases[] = {WEFT_CASE_RECV(ch, &v), WEFT_CASE_RECV(arg, &v)};
	for (int i = 0; i < 2; i++)
		CHECK(weft_select(cases, 2) >= 0 && v == 7);
	weft_waitgroup_done(&join);
}

/* One channel of a select is the selecting P's own, the other another P's. */
static int select_over_two_owners(void)
{
	static weft_chan *mine;
	ch = mine = weft_chan_make(sizeof(int), 1);
	run_on(1, use_enough);
	ch = weft_chan_make(sizeof(int), 1);
	run_on(2, use_enough);
	CHECK(is_owned() && load_rlx(&mine->owner));
	weft_waitgroup_add(&join, 1);
	weft_go_opts opts = {.pin = 1};
	CHECK_EQ(weft_go_with(&opts, select_both, mine), 0);
	for (int i = 0; i < 10; i++)
		weft_yield();
	weft_send(mine, &(int){7});
	weft_send(ch, &(int){7});
	weft_waitgroup_wait(&join);
	weft_chan_free(mine);
	weft_chan_free(ch);
	return 0;
}

TEST(a_select_takes_what_is_its_own_and_what_is_not)
{
	CHECK_EQ(run_weft(2, select_over_two_owners), 0);
}

static int never_owned(void)
{
	ch = weft_chan_make(sizeof(int), 1);
	use(ENOUGH << 6);
	CHECK(!is_owned());
	weft_chan_free(ch);
	return 0;
}

TEST(nobias_leaves_it_nobodys)
{
	setenv("WEFT_DEBUG", "nobias", 1);
	CHECK_EQ(run_weft(1, never_owned), 0);
}
