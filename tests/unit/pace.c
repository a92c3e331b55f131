#include "gc/pace.h"
#include "tests/test.h"

static const uint64_t MIB = (uint64_t)1 << 20;

static struct pace paced(int percent, uint64_t limit)
{
	struct pace p;
	pace_init(&p, &(struct pace_settings){percent, limit, PACE_ASSIST});
	return p;
}

static void check_near(double got, double want)
{
	if (got < want * 0.999 || got > want * 1.001)
		test_fail(__FILE__, __LINE__, "%g, not %g", got, want);
}

static const struct goal_row {
	int percent;
	uint64_t limit, live, stacks, roots, beside; /* MiB */
	uint64_t goal;
} goals[] = {
    {100, 0, 0, 0, 0, 0, 4},
    {50, 0, 0, 0, 0, 0, 2},
    {400, 0, 1, 0, 0, 0, 16},
    {100, 0, 3, 0, 0, 0, 6},
    {100, 0, 100, 0, 0, 0, 200},
    {50, 0, 100, 0, 0, 0, 150},
    {200, 0, 100, 0, 0, 0, 300},
    {100, 0, 100, 20, 10, 0, 230},
    {0, 0, 100, 20, 10, 0, 100},
    /* The limit leaves less than the percentage would. */
    {100, 160, 100, 0, 0, 0, 155},
    {100, 1000, 100, 0, 0, 0, 200},
    {PACE_OFF, 320, 100, 0, 0, 0, 310},
    {PACE_OFF, 420, 100, 0, 0, 100, 310},
    {100, 11, 5, 0, 0, 0, 10},
    /* It leaves less than lives, or nothing at all. */
    {100, 90, 100, 0, 0, 0, 100},
    {100, 90, 100, 0, 0, 95, 100},
    {PACE_OFF, 1, 100, 0, 0, 1000, 100},
};

TEST(the_goal_is_what_the_settings_say)
{
	for (size_t i = 0; i < sizeof goals / sizeof *goals; i++) {
		const struct goal_row *r = &goals[i];
		struct pace p = paced(r->percent, r->limit ? r->limit * MIB : PACE_NO_LIMIT);
		pace_plan(&p, &(struct pace_found){r->live * MIB, r->stacks * MIB, r->roots * MIB}, r->beside * MIB);
		if (p.goal != r->goal * MIB)
			test_fail(__FILE__, __LINE__, "row %zu: %llu MiB and %llu bytes", i, (unsigned long long)(p.goal / MIB),
				  (unsigned long long)(p.goal % MIB));
		CHECK(p.trigger <= p.goal && p.trigger >= r->live * MIB);
	}
}

TEST(without_a_percentage_or_a_limit_there_is_no_cycle)
{
	struct pace p = paced(PACE_OFF, PACE_NO_LIMIT);
	CHECK(p.goal == UINT64_MAX && p.trigger == UINT64_MAX);
	pace_plan(&p, &(struct pace_found){UINT64_MAX / 2, MIB, 0}, MIB);
	CHECK(p.goal == UINT64_MAX && p.trigger == UINT64_MAX);
}

TEST(numbers_too_large_for_64_bits_saturate)
{
	struct pace p = paced(1000, PACE_NO_LIMIT);
	pace_plan(&p, &(struct pace_found){UINT64_MAX / 2, UINT64_MAX / 2, UINT64_MAX / 2}, UINT64_MAX);
	CHECK(p.goal == UINT64_MAX);
	CHECK(pace_work(&p) == UINT64_MAX);
}

/* With a quarter of the time, marking of `work` bytes takes as long as a program needs for work * cons_mark * 3 bytes. */
static const struct trigger_row {
	double cons_mark;
	uint64_t trigger; /* MiB, of a goal of 200, with 100 alive */
} triggers[] = {
    {0, 195}, {0.01, 195}, {0.05, 185}, {0.08, 176}, {0.1, 170}, {0.5, 170}, {100, 170},
};

TEST(marking_begins_so_early_that_it_ends_at_the_goal)
{
	for (size_t i = 0; i < sizeof triggers / sizeof *triggers; i++) {
		struct pace p = paced(100, PACE_NO_LIMIT);
		double cons = triggers[i].cons_mark * 3;
		pace_learn(&p, &(struct pace_cycle){(uint64_t)(cons * 100 * (double)MIB), 100 * MIB, PACE_SHARE});
		pace_plan(&p, &(struct pace_found){100 * MIB, 0, 0}, 0);
		check_near((double)p.trigger, (double)(triggers[i].trigger * MIB));
	}
}

TEST(how_much_time_marking_had_does_not_change_what_is_learnt)
{
	struct pace slow = paced(100, PACE_NO_LIMIT), fast = slow;
	/* A mutator allocates 30 MiB a second, a marker looks at 100: for one second of each P out of four, and for two out of four. */
	pace_learn(&slow, &(struct pace_cycle){3 * 30 * MIB, 100 * MIB, 0.25});
	pace_learn(&fast, &(struct pace_cycle){2 * 30 * MIB, 200 * MIB, 0.5});
	check_near(fast.cons_mark[0], slow.cons_mark[0]);
	check_near(slow.cons_mark[0], 0.3);
}

TEST(the_last_four_cycles_count)
{
	struct pace p = paced(100, PACE_NO_LIMIT);
	for (int i = 0; i < 3; i++)
		pace_learn(&p, &(struct pace_cycle){MIB * 1000, MIB, 0.25});
	for (int i = 0; i < PACE_HISTORY; i++)
		pace_learn(&p, &(struct pace_cycle){15 * MIB, 100 * MIB, 0.25});
	pace_plan(&p, &(struct pace_found){100 * MIB, 0, 0}, 0);
	check_near((double)p.trigger, 185.0 * (double)MIB);
}

TEST(a_cycle_that_measured_nothing_teaches_nothing)
{
	struct pace p = paced(100, PACE_NO_LIMIT);
	pace_learn(&p, &(struct pace_cycle){MIB, 0, 0.25});
	pace_learn(&p, &(struct pace_cycle){MIB, MIB, 0});
	pace_learn(&p, &(struct pace_cycle){MIB, MIB, 1});
	CHECK_EQ(p.cycles, 0);
}

static const struct debt_row {
	uint64_t done, heap; /* MiB; 100 to do, a goal of 200 */
	double debt;
} debts[] = {
    {0, 100, 1},
    {0, 150, 2},
    {50, 150, 1},
    {50, 100, 0.5},
    /* More than was expected is done: some is left. */
    {100, 100, 0.015625},
    {200, 100, 0.015625},
    /* And all that nobody has looked at may be. */
    {100, 150, 1},
    {120, 150, 0.6},
    /* The goal is passed: as if a sixty-fourth of it were left. */
    {0, 200, 32},
    {0, 500, 32},
    {50, 200, 16},
};

TEST(who_allocates_owes_what_is_left_for_what_room_is_left)
{
	struct pace p = paced(100, PACE_NO_LIMIT);
	pace_plan(&p, &(struct pace_found){100 * MIB, 0, 0}, 0);
	for (size_t i = 0; i < sizeof debts / sizeof *debts; i++)
		check_near(pace_debt(&p, debts[i].done * MIB, debts[i].heap * MIB), debts[i].debt);
}

TEST(in_the_first_cycle_all_of_the_heap_may_be_work)
{
	struct pace p = paced(100, PACE_NO_LIMIT); /* its goal is 4 MiB */
	check_near(pace_debt(&p, 0, 3 * MIB), 3);
	check_near(pace_debt(&p, 2 * MIB, 3 * MIB), 1);
}

TEST(a_quarter_of_the_ps_mark)
{
	static const struct {
		unsigned procs, whole;
		double part;
	} rows[] = {{1, 0, 0.25}, {2, 0, 0.5}, {4, 1, 0}, {6, 1, 0.5}, {64, 16, 0}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pace_workers w = pace_workers(rows[i].procs);
		CHECK_EQ(w.whole, rows[i].whole);
		CHECK(w.part == rows[i].part);
	}
}

/* A program of two Ps, step by step: how much of the time marking had when it is stopped as soon as it is limited. */
static double share_of(double wanted, int steps)
{
	struct pace_limiter l;
	double marked = 0;
	pace_limiter_init(&l, 2);
	for (int i = 0; i < steps; i++) {
		double part = pace_limited(&l) ? 0 : wanted;
		pace_limiter_note(&l, 2 * 0.01, 2 * 0.01 * part);
		marked += part;
	}
	return marked / steps;
}

TEST(marking_has_half_of_the_time_at_most)
{
	check_near(share_of(0.25, 10000), 0.25);
	check_near(share_of(0.5, 10000), 0.5);
	double all = share_of(1, 10000);
	CHECK(all > 0.5 && all < 0.52);
	/* For a short while it may have more: the bucket is a second of each P. */
	check_near(share_of(1, 150), 1);
}
