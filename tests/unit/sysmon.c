/* How soon a blocking section that lasts is found, after many that did not: how far sysmon's looks are apart, and how many of them
 * it takes. */
#include "runtime/sysmon.h"
#include "tests/unit/go.h"

#include <stdatomic.h>
#include <unistd.h>

enum { SOON = 20 * WEFT_US, HANDED_ON_WITHIN = 100 * WEFT_US, RAREST = 640 * WEFT_US, MANY = 1000 };

static int64_t pause_after_many(struct look_pace *p, enum blocked_look saw)
{
	int64_t pause = 0;
	for (int i = 0; i < MANY; i++)
		pause = look_pace_next(p, saw);
	return pause;
}

TEST(looks_become_rare_while_nothing_waits)
{
	struct look_pace p = {0};
	CHECK_EQ(look_pace_next(&p, LOOK_NOTHING_WAITS), SOON);
	CHECK_EQ(pause_after_many(&p, LOOK_NOTHING_WAITS), RAREST);
}

/* A section begins somewhere in a pause; the look behind it sees it, and the one after that sees it again. */
TEST(two_looks_in_a_row_are_within_100_us_while_something_waits)
{
	struct look_pace p = {0};
	int64_t last = pause_after_many(&p, LOOK_ONE_IS_ON);
	int64_t each = 0;
	for (int i = 0; i < 10; i++) {
		int64_t next = look_pace_next(&p, LOOK_ONE_IS_ON);
		CHECK(last + next <= HANDED_ON_WITHIN);
		each += next;
		last = next;
	}
	CHECK(each / 10 >= 2 * SOON); /* and they cost no more than half of what they do at first */
	last = pause_after_many(&p, LOOK_SOMETHING_WAITS);
	CHECK(last + look_pace_next(&p, LOOK_ONE_IS_ON) <= HANDED_ON_WITHIN);
	CHECK(last >= 4 * SOON);
}

TEST(the_look_that_sees_something_wait_is_the_last_rare_one)
{
	struct look_pace p = {0};
	pause_after_many(&p, LOOK_NOTHING_WAITS);
	CHECK_EQ(look_pace_next(&p, LOOK_ONE_IS_ON), SOON);
	CHECK(SOON + look_pace_next(&p, LOOK_ONE_IS_ON) <= HANDED_ON_WITHIN);
}

/* Not at once: the next section may begin before sysmon sleeps, and would have to wake it. */
TEST(looks_end_some_time_after_the_sections)
{
	struct look_pace p = {0};
	CHECK_EQ(look_pace_next(&p, LOOK_NO_SECTIONS), 0);
	CHECK_EQ(look_pace_next(&p, LOOK_NOTHING_WAITS), SOON);
	int more = 0;
	while (look_pace_next(&p, LOOK_NO_SECTIONS))
		CHECK(++more < 10);
	CHECK(more > 1);
	CHECK_EQ(look_pace_next(&p, LOOK_NOTHING_WAITS), SOON);
}

TEST(looks_are_frequent_again_after_a_hand_over)
{
	struct look_pace p = {0};
	pause_after_many(&p, LOOK_NOTHING_WAITS);
	CHECK_EQ(look_pace_next(&p, LOOK_HANDED_ON), SOON);
	CHECK_EQ(look_pace_next(&p, LOOK_NOTHING_WAITS), SOON);
}

/* ---- the thread ---- */

static _Atomic bool stop, in_section, others_ran;
static _Atomic uint64_t looks;
static weft_waitgroup join;

static uint64_t looks_now(void)
{
	return atomic_load_explicit(&sysmon.looks, memory_order_relaxed);
}

static void wait_for_the_p(void *arg)
{
	(void)arg;
	while (!stop) {
		if (in_section && !others_ran) {
			looks = looks_now() - looks;
			others_ran = true;
		}
		weft_yield();
	}
	weft_waitgroup_done(&join);
}

static uint64_t handed_on(void)
{
	weft_schedstats s;
	weft_sched_stats(&s);
	return s.handed_on;
}

static int long_after_short(void)
{
	enum { THE_ONE_UNDER_WAY = 1, TWO = 2, UNTIL_THE_OTHER_RUNS = 20 };
	weft_waitgroup_add(&join, 1);
	weft_go(wait_for_the_p, NULL);
	for (int64_t i = test_rounds(20000); i > 0; i--) {
		weft_block_begin();
		weft_block_end();
	}
	uint64_t before = handed_on();
	weft_block_begin();
	looks = looks_now();
	in_section = true;
	while (!others_ran)
		usleep(1000);
	weft_block_end();
	CHECK_EQ(handed_on() - before, 1);
	CHECK(looks <= THE_ONE_UNDER_WAY + TWO + UNTIL_THE_OTHER_RUNS);
	stop = true;
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(a_long_section_after_many_short_ones_is_handed_on)
{
	CHECK_EQ(run_weft(1, long_after_short), 0);
}
