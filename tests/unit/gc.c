#include "runtime/call.h"
#include "runtime/collect.h"
#include "tests/unit/collected.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- objects ---- */

TEST_GO(a_new_object_is_zeroed_whoever_had_its_memory)
{
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 20000; i++) {
			struct thing *t = weft_new(thing);
			CHECK(!t->next && t->number == 0);
			t->next = t;
			t->number = UINT64_MAX;
		}
		weft_gc();
	}
	return 0;
}

struct aligned {
	_Alignas(64) char bytes[64];
	struct thing *thing;
};
WEFT_TYPE(aligned, struct aligned, thing);

struct line {
	_Alignas(128) struct thing *thing;
};
WEFT_TYPE(line, struct line, thing);

struct page {
	_Alignas(4096) char bytes[4096];
};
WEFT_TYPE_LEAF(page, struct page);

struct large {
	struct thing *first;
	char gap[1000];
	struct thing *last[3];
};
WEFT_TYPE(large, struct large, first, last);

union either {
	struct thing *thing;
	uint64_t number;
};
WEFT_TYPE_CONSERVATIVE(either, union either);

struct plain {
	uint64_t hidden;
};
WEFT_TYPE_LEAF(plain, struct plain);

TEST_GO(objects_are_aligned_as_their_types_are)
{
	for (size_t i = 0; i < 100; i++) {
		CHECK_EQ((uintptr_t)weft_new(aligned) % 64, 0);
		CHECK_EQ((uintptr_t)weft_new_array(aligned, 1 + i) % 64, 0);
		CHECK_EQ((uintptr_t)weft_new_bytes(16 + i) % 8, 0);
		CHECK_EQ((uintptr_t)weft_new(line) % 128, 0);
		CHECK_EQ((uintptr_t)weft_new_array(line, 1 + i) % 128, 0);
		CHECK_EQ((uintptr_t)weft_new(page) % 4096, 0);
	}
	return 0;
}

static struct thing *root;
WEFT_ROOT(root);
static struct large *large_root[2];
WEFT_ROOT(large_root);
static void *any_root;
WEFT_ROOT(any_root);

static __attribute__((noinline)) void fill_root(void)
{
	for (int i = 0; i < WATCHED; i++) {
		struct thing *t = watch_new(i);
		t->next = root;
		weft_set(&root, t);
	}
}

TEST_GO(a_root_keeps_what_can_be_reached_from_it)
{
	fill_root();
	CHECK_ALL_ALIVE();
	CHECK_ALL_ALIVE();
	weft_set(&root, NULL);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static __attribute__((noinline)) void fill_large(size_t count)
{
	struct large *l = weft_new_array(large, count);
	for (int i = 0; i < WATCHED; i++) {
		struct large *at = &l[(size_t)i * count / WATCHED];
		struct thing *t = watch_new(i);
		t->next = i % 2 ? at->first : at->last[2];
		*(i % 2 ? &at->first : &at->last[2]) = t;
	}
	weft_set(&large_root[1], l);
}

TEST_GO(types_larger_than_a_map_have_their_pointers_found)
{
	for (size_t count = 1; count < 1000; count *= 10) {
		fill_large(count);
		CHECK_ALL_ALIVE();
		weft_set(&large_root[1], NULL);
		CHECK_MOSTLY_DEAD();
	}
	return 0;
}

static __attribute__((noinline)) void fill_pointers(size_t count)
{
	void **v = weft_new_ptrs(count);
	for (int i = 0; i < WATCHED; i++)
		v[(size_t)i * count / WATCHED] = watch_new(i);
	weft_set(&any_root, (void *)v);
}

TEST_GO(arrays_of_pointers_keep_what_they_point_to)
{
	for (size_t count = WATCHED; count < 1000000; count *= 20) {
		fill_pointers(count);
		CHECK_ALL_ALIVE();
		weft_set(&any_root, NULL);
		CHECK_MOSTLY_DEAD();
	}
	return 0;
}

static __attribute__((noinline)) void fill_unions(void)
{
	union either *u = weft_new_array(either, WATCHED);
	for (int i = 0; i < WATCHED; i++)
		u[i].thing = watch_new(i);
	weft_set(&any_root, (void *)u);
}

TEST_GO(conservative_types_keep_what_any_word_points_to)
{
	fill_unions();
	CHECK_ALL_ALIVE();
	weft_set(&any_root, NULL);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static __attribute__((noinline)) void hide_in_leaves(void)
{
	struct plain *p = weft_new_array(plain, WATCHED);
	for (int i = 0; i < WATCHED; i++)
		p[i].hidden = (uintptr_t)watch_new(i);
	weft_set(&any_root, (void *)p);
}

TEST_GO(leaves_keep_nothing)
{
	hide_in_leaves();
	CHECK_MOSTLY_DEAD();
	return 0;
}

static __attribute__((noinline)) void point_inside(int to)
{
	for (int i = 0; i < WATCHED; i++)
		watch_new(i);
	struct thing *t = weft_weak_get(watched[to]);
	weft_set(&any_root, (void *)&t->number);
}

TEST_GO(a_pointer_into_an_object_keeps_it)
{
	point_inside(3);
	CHECK(alive_after_gc() >= 1);
	CHECK(weft_weak_get(watched[3]) != NULL);
	return 0;
}

TEST_GO(a_type_is_looked_for_once_and_what_it_allocates_is_counted)
{
	weft_memstats before, after;
	weft_mem_stats(&before);
	for (int i = 0; i < 1000; i++)
		weft_new(thing);
	weft_new_bytes(100000);
	weft_mem_stats(&after);
	CHECK_EQ(after.allocs - before.allocs, 1001);
	weft_gc();
	weft_mem_stats(&after);
	CHECK(after.frees >= 900);
	CHECK_EQ(after.gc_cycles, before.gc_cycles + 1);
	CHECK(after.pause_ns_max > 0 && after.pause_ns_max <= after.pause_ns_total);
	return 0;
}

/* ---- storing ---- */

TEST_GO(swap_and_cas_are_atomic_and_give_what_was_there)
{
	struct thing *a = weft_new(thing), *b = weft_new(thing), *plain = NULL;
	CHECK(weft_swap(&root, a) == NULL);
	CHECK(weft_swap(&root, b) == a);
	CHECK(!weft_cas(&root, a, NULL) && weft_get(&root) == b);
	CHECK(weft_cas(&root, b, NULL) && weft_get(&root) == NULL);
	weft_set(&plain, a);
	CHECK(plain == a);
	return 0;
}

TEST_GO(copy_copies_overlapping_objects)
{
	struct thing *v = weft_new_array(thing, 10);
	for (uint64_t i = 0; i < 10; i++)
		v[i].number = i;
	weft_copy(thing, v + 2, v, 8);
	for (uint64_t i = 0; i < 8; i++)
		CHECK_EQ(v[i + 2].number, i);
	weft_copy(thing, v, v + 2, 8);
	for (uint64_t i = 0; i < 8; i++)
		CHECK_EQ(v[i].number, i);
	return 0;
}

/* ---- bad input ---- */

static int allocate_too_much(void)
{
	weft_new_bytes(SIZE_MAX);
	return 0;
}

static void run_too_much(void)
{
	exit(run_weft(1, allocate_too_much));
}

static int allocate_too_many(void)
{
	weft_new_array(thing, SIZE_MAX / 2);
	return 0;
}

static void run_too_many(void)
{
	exit(run_weft(1, allocate_too_many));
}

TEST(an_allocation_that_no_heap_could_hold_panics)
{
	test_dies(run_too_much, "allocation of 18446744073709551615 objects of 1 bytes: more than a heap can be");
	test_dies(run_too_many, "more than a heap can be");
}

static void allocate_outside(void)
{
	weft_new(thing);
}

TEST(allocation_outside_goroutines_panics)
{
	test_dies(allocate_outside, "collected memory is for goroutines and attached threads");
}

static int free_by_hand(void)
{
	weft_free(weft_new(thing));
	return 0;
}

static void run_free_by_hand(void)
{
	exit(run_weft(1, free_by_hand));
}

TEST(freeing_a_collected_object_by_hand_is_fatal)
{
	test_dies(run_free_by_hand, "weft_free of a collected object");
}

/* Nobody who has a P allocates; this thread does until it has been collected after three times. */
static _Atomic bool collected;

static void *allocate_outside_ps(void *unused)
{
	weft_memstats stats = {0};
	CHECK_EQ(weft_attach(), 0);
	for (int i = 0; stats.gc_cycles < 3; i++) {
		CHECK(i < 100000); /* 5 GB */
		weft_new_bytes(50000);
		weft_mem_stats(&stats);
	}
	CHECK(stats.frees > 0);
	collected = true;
	weft_detach();
	return unused;
}

TEST_GO(garbage_of_a_thread_without_a_p_is_collected)
{
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, allocate_outside_ps, NULL), 0);
	while (!collected)
		weft_sleep(WEFT_MS);
	pthread_join(thread, NULL);
	return 0;
}

/* Nothing else would begin a cycle. */
static int allocate_under_stress(void)
{
	weft_memstats stats;
	weft_gc_percent(WEFT_OFF);
	for (int i = 0; i < WATCHED; i++) {
		struct thing *t = watch_new(i);
		t->next = weft_get(&root);
		weft_set(&root, t);
	}
	for (int i = 0; i < 100000; i++) {
		for (int k = 0; k < 50; k++)
			weft_new(thing)->number = 7;
		CHECK_EQ(alive(), WATCHED);
		weft_mem_stats(&stats);
		if (stats.gc_cycles >= 20)
			return 0;
	}
	return 1;
}

TEST(under_stress_cycles_follow_each_other)
{
	setenv("WEFT_DEBUG", "gcstress=10", 1);
	CHECK_EQ(run_weft(2, allocate_under_stress), 0);
}

/* ---- stores while a cycle begins ---- */

/* Has the lock under which phases begin, in one in which some know of the cycle, and others may not. */
static void stand_while_arming(void)
{
	for (;;) {
		weft_gc();
		gc_ask(&collector, GC_WHY_ASKED);
		bool outermost = call_begin();
		gc_step(&collector, NULL, 0, GC_SPARE);
		call_end(outermost);
		spin_lock(&collector.step);
		if (gc_phase(&collector) == GC_ARMING)
			return;
		spin_unlock(&collector.step);
	}
}

static void end_cycle(void)
{
	uint32_t cycle = load_acq(&collector.xcycle);
	spin_unlock(&collector.step);
	while ((int32_t)(load_acq(&collector.xended) - cycle) < 0)
		weft_sleep(50000);
}

struct pair {
	struct thing *first;
	uint64_t number;
	struct thing *second;
};
WEFT_TYPE(pair, struct pair, first, second);

static struct pair pairs[WATCHED / 2 + 1];
WEFT_ROOT(pairs);

static __attribute__((noinline)) void fill_pairs(void)
{
	for (int i = 0; i < WATCHED / 2; i++) {
		weft_set(&pairs[i].first, watch_new(2 * i));
		weft_set(&pairs[i].second, watch_new(2 * i + 1));
		pairs[i].number = (uint64_t)i;
	}
}

static __attribute__((noinline)) void overwrite_by_sets(void)
{
	for (int i = 0; i < WATCHED / 2; i++) {
		weft_set(&pairs[i].first, NULL);
		CHECK(weft_swap(&pairs[i].second, NULL) != NULL);
	}
}

/* By a copy of nothing, and by one that overlaps. */
static __attribute__((noinline)) void overwrite_by_copies(void)
{
	static const struct pair none[WATCHED / 2];
	weft_copy(pair, pairs + 1, pairs, WATCHED / 2);
	for (int i = 0; i < WATCHED / 2; i++)
		CHECK(pairs[i + 1].number == (uint64_t)i && pairs[i + 1].first->number == 1000 + 2 * (uint64_t)i);
	weft_copy(pair, pairs, pairs + 1, WATCHED / 2);
	for (int i = 0; i < WATCHED / 2; i++)
		CHECK(pairs[i].number == (uint64_t)i && pairs[i].second->number == 1001 + 2 * (uint64_t)i);
	weft_copy(pair, pairs, none, WATCHED / 2);
	weft_set(&pairs[WATCHED / 2].first, NULL);
	weft_set(&pairs[WATCHED / 2].second, NULL);
}

static void keep_what_is_overwritten(void (*overwrite)(void))
{
	fill_pairs();
	CHECK_ALL_ALIVE();
	stand_while_arming();
	overwrite();
	end_cycle();
	CHECK_EQ(alive(), WATCHED); /* to the end of that cycle */
	CHECK_MOSTLY_DEAD();
}

TEST_GO(what_is_overwritten_while_a_cycle_begins_lives_through_it)
{
	keep_what_is_overwritten(overwrite_by_sets);
	keep_what_is_overwritten(overwrite_by_copies);
	return 0;
}
