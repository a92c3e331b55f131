/* The collector on a host without a runtime (tests/gc/toy_host.h), under seeds: what a program can reach stays as it is, what it cannot goes
 * with the next cycle; and of the things that the argument in gc/cycle.h needs, none can be left out unnoticed. */
#include "tests/gc/toy_host.h"
#include "tests/random.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 12000, SEEDS = 2000, SEEDS_FOR_FAULT = 40000 };

/* What is wrong with the run of this seed; NULL: nothing. */
static const char *run(uint64_t seed, enum toy_fault fault, uint32_t *cycles)
{
	struct toy *t = toy_make(seed, fault);
	toy_run(t, STEPS);
	if (!t->wrong)
		toy_end(t);
	const char *wrong = t->wrong;
	*cycles += t->cycles;
	toy_free(t);
	return wrong;
}

TEST(what_is_reachable_stays_and_the_rest_goes)
{
	uint64_t seed = random_seed();
	uint32_t cycles = 0;
	int64_t n = test_rounds(SEEDS);
	for (int64_t i = 0; i < n; i++, seed++) {
		const char *wrong = run(seed, TOY_SOUND, &cycles);
		if (wrong)
			test_fail(__FILE__, __LINE__, "WEFTTEST_SEED=%" PRIu64 ": %s", seed, wrong);
	}
	fprintf(stderr, "# cycles=%u\n", cycles);
	CHECK(cycles > n);
}

/* Some seed finds it. */
static void is_found(enum toy_fault fault)
{
	uint32_t cycles = 0;
	for (uint64_t seed = 1; seed <= SEEDS_FOR_FAULT; seed++) {
		const char *wrong = run(seed, fault, &cycles);
		if (wrong) {
			fprintf(stderr, "# seed=%" PRIu64 ": %s\n", seed, wrong);
			return;
		}
	}
	test_fail(__FILE__, __LINE__, "no seed of %d has found it", SEEDS_FOR_FAULT);
}

TEST(found_no_deletion_barrier)
{
	is_found(TOY_NO_DELETION);
}

TEST(found_a_deletion_barrier_that_looks_too_soon)
{
	is_found(TOY_DELETION_TOO_SOON);
}

TEST(found_no_insertion_barrier)
{
	is_found(TOY_NO_INSERTION);
}

TEST(found_no_first_handshake)
{
	is_found(TOY_NO_FIRST_PASS);
}

TEST(found_no_handshake_at_the_end)
{
	is_found(TOY_NO_THIRD_PASS);
}

TEST(found_stacks_looked_at_before_all_shade)
{
	is_found(TOY_EARLY_SCAN);
}

TEST(found_black_allocation_by_a_grey_stack)
{
	is_found(TOY_BLACK_BEFORE_SCAN);
}

TEST(found_white_allocation_by_a_black_stack)
{
	is_found(TOY_WHITE_AFTER_SCAN);
}

TEST(found_no_drain_at_the_end)
{
	is_found(TOY_NO_DRAIN);
}

TEST(found_no_flush_before_white_allocation)
{
	is_found(TOY_NO_FLUSH);
}

TEST(found_a_section_not_looked_at)
{
	is_found(TOY_NO_SECTION);
}

TEST(found_back_from_a_section_unseen)
{
	is_found(TOY_BACK_UNSEEN);
}

TEST(found_roots_not_looked_at)
{
	is_found(TOY_NO_ROOTS);
}

TEST(found_a_new_goroutine_s_argument_not_shaded)
{
	is_found(TOY_BIRTH_UNSHADED);
}

TEST(found_a_weak_pointer_s_object_not_shaded)
{
	is_found(TOY_WEAK_UNSHADED);
}

TEST(found_an_object_shaded_before_a_weak_pointer_is_attached)
{
	is_found(TOY_WEAK_SHADED_TOO_SOON);
}

TEST(found_a_colour_found_out_before_the_shared_cache_is_locked)
{
	is_found(TOY_COLOUR_TOO_SOON);
}

TEST(found_marking_before_stacks_that_run_are_looked_at)
{
	is_found(TOY_NO_LOOK);
}
