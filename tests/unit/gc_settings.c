/* What can be set of the collector: how far the heap may grow, what all may come to, and who pays when there is too much. */
#include "tests/unit/collected.h"

#include <stdlib.h>

static void *kept;
WEFT_ROOT(kept);

TEST_GO(settings_are_given_back)
{
	CHECK_EQ(weft_gc_percent(50), 100);
	CHECK_EQ(weft_gc_percent(WEFT_ASK), 50);
	CHECK_EQ(weft_gc_percent(WEFT_OFF), 50);
	CHECK_EQ(weft_gc_percent(0), WEFT_OFF);
	CHECK_EQ(weft_mem_limit(1 << 30), WEFT_OFF);
	CHECK_EQ(weft_mem_limit(WEFT_ASK), 1 << 30);
	CHECK_EQ(weft_mem_limit(WEFT_OFF), 1 << 30);
	return 0;
}

static void set_percent_outside(void)
{
	weft_gc_percent(50);
}

TEST(settings_before_the_runtime_panic)
{
	test_dies(set_percent_outside, "weft is not running");
}

static __attribute__((noinline)) void allocate_much(void)
{
	for (int i = 0; i < 300000; i++)
		weft_new(thing);
}

TEST_GO(off_means_off_and_zero_collects_all_the_time)
{
	weft_memstats before, off, zero;
	weft_gc_percent(WEFT_OFF);
	weft_mem_stats(&before);
	allocate_much();
	weft_mem_stats(&off);
	CHECK_EQ(off.gc_cycles, before.gc_cycles);
	weft_gc_percent(0);
	for (int i = 0; i < 1000; i++) {
		allocate_much();
		weft_mem_stats(&zero);
		if (zero.gc_cycles >= off.gc_cycles + 3)
			return 0;
	}
	return 1;
}

TEST_GO(a_limit_below_what_lives_is_passed_and_all_goes_on)
{
	enum { LIVES = 32 << 20, LIMIT = 8 << 20 };
	weft_memstats stats;
	weft_set(&kept, weft_new_bytes(LIVES));
	memset(kept, 0x5a, LIVES);
	weft_mem_limit(LIMIT);
	allocate_much();
	for (int i = 0; i < LIVES; i++)
		CHECK(((const char *)kept)[i] == 0x5a);
	weft_mem_stats(&stats);
	CHECK(stats.heap_live >= LIVES && stats.gc_cycles > 0);
	return 0;
}

/* ---- pressure ---- */

/* A list that grows: marking is behind all the time. */
static __attribute__((noinline)) void allocate_what_stays(int n)
{
	for (int i = 0; i < n; i++) {
		struct thing *t = weft_new(thing);
		t->next = kept;
		weft_set(&kept, (void *)t);
	}
}

/* What allocating has cost until three cycles were over. */
static uint64_t assists_under(int policy)
{
	weft_memstats before, after;
	weft_gc_percent(20);
	weft_gc_pressure(policy);
	weft_set(&kept, NULL);
	weft_gc();
	weft_mem_stats(&before);
	for (int i = 0; i < 1000; i++) {
		allocate_what_stays(100);
		allocate_much();
		weft_mem_stats(&after);
		if (after.gc_cycles >= before.gc_cycles + 3)
			return after.assist_ns_total - before.assist_ns_total;
	}
	CHECK(!"three cycles are over");
	return 0;
}

TEST_GO(who_allocates_pays_under_assist_alone)
{
	CHECK(assists_under(WEFT_PRESSURE_ASSIST) > 0);
	CHECK_EQ(assists_under(WEFT_PRESSURE_GROW), 0);
	CHECK_EQ(assists_under(WEFT_PRESSURE_SHED), 0);
	return 0;
}

TEST_GO(work_is_to_be_refused_under_shed_alone_and_while_there_is_pressure)
{
	enum { LIVES = 32 << 20, LIMIT = 8 << 20 };
	weft_set(&kept, weft_new_bytes(LIVES));
	CHECK(!weft_gc_sheds());
	weft_mem_limit(LIMIT);
	weft_gc();
	for (int policy = WEFT_PRESSURE_ASSIST; policy <= WEFT_PRESSURE_SHED; policy++) {
		weft_gc_pressure(policy);
		allocate_what_stays(1000);
		bool sheds = weft_gc_sheds();
		/* A cycle may end at this moment, and what lives is known before the goal is. */
		for (int i = 0; i < 1000 && policy == WEFT_PRESSURE_SHED && !sheds; i++)
			sheds = weft_gc_sheds();
		CHECK_EQ(sheds, policy == WEFT_PRESSURE_SHED);
	}
	weft_mem_limit(WEFT_OFF);
	weft_gc();
	CHECK(!weft_gc_sheds());
	return 0;
}

/* The heap comes to its goal in the midst of a cycle, and what is asked about it is true until that ends. */
TEST_GO(pressure_ends_with_the_cycle)
{
	bool refused = false;
	weft_gc_pressure(WEFT_PRESSURE_SHED);
	weft_gc_percent(5);
	for (int i = 0; i < 20000 && !refused; i++) {
		allocate_what_stays(1000);
		refused = weft_gc_sheds();
	}
	CHECK(refused);
	for (int i = 0; weft_gc_sheds(); i++) {
		CHECK(i < 10000);
		weft_sleep(WEFT_MS);
	}
	return 0;
}

TEST_GO(a_policy_is_given_back)
{
	CHECK_EQ(weft_gc_pressure(WEFT_PRESSURE_SHED), WEFT_PRESSURE_ASSIST);
	CHECK_EQ(weft_gc_pressure(WEFT_ASK), WEFT_PRESSURE_SHED);
	CHECK_EQ(weft_gc_pressure(WEFT_PRESSURE_GROW), WEFT_PRESSURE_SHED);
	return 0;
}

static int ask_for_the_policy(void)
{
	return weft_gc_pressure(WEFT_ASK) != WEFT_PRESSURE_SHED;
}

TEST(a_policy_comes_from_the_environment)
{
	setenv("WEFT_PRESSURE", "shed", 1);
	CHECK_EQ(run_weft(1, ask_for_the_policy), 0);
}

static int set_no_policy(void)
{
	weft_gc_pressure(3);
	return 0;
}

static void run_set_no_policy(void)
{
	exit(run_weft(1, set_no_policy));
}

TEST(what_is_no_policy_panics)
{
	test_dies(run_set_no_policy, "weft_gc_pressure(3): one of enum weft_pressure, or WEFT_ASK");
}
