#include "alloc/pages.h"
#include "alloc/os.h"
#include "tests/random.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = ARENA_PAGES << PAGE_SHIFT, ANY = -1 };

static struct pages pages;

static void begin(size_t narenas)
{
	CHECK_EQ(pages_init(&pages, narenas * ARENA_BYTES), 0);
	CHECK_EQ((uintptr_t)pages.base % ARENA_BYTES, 0);
}

static char *take(size_t n)
{
	return pages_take(&pages, n, ANY).at;
}

static size_t page_of(const void *at)
{
	CHECK(pages_has(&pages, (uintptr_t)at));
	return pages_index(&pages, (uintptr_t)at);
}

/* What is in use, in pages. */
static void check_use(size_t narenas, size_t taken, size_t free)
{
	struct pages_use use = pages_use(&pages);
	CHECK_EQ(use.arenas, narenas * ARENA_BYTES);
	CHECK_EQ(use.taken, taken * PAGE_BYTES);
	CHECK_EQ(use.free, free * PAGE_BYTES);
	CHECK_EQ(use.empty, use.arenas - use.taken - use.free);
}

TEST(runs_are_the_first_that_fit)
{
	begin(2);
	char *a = take(3), *b = take(5), *c = take(1);
	CHECK_EQ(page_of(a), 0);
	CHECK_EQ(page_of(b), 3);
	CHECK_EQ(page_of(c), 8);
	pages_give(&pages, b, 5);
	CHECK_EQ(page_of(take(6)), 9);
	CHECK_EQ(page_of(take(4)), 3);
	CHECK_EQ(page_of(take(1)), 7);
	pages_give(&pages, a, 1);
	pages_give(&pages, a + PAGE_BYTES, 2);
	CHECK_EQ(page_of(take(3)), 0);
	check_use(1, 15, 0);
	pages_fini(&pages);
}

TEST(an_address_is_of_the_heap_or_not)
{
	begin(1);
	uintptr_t base = (uintptr_t)pages.base;
	CHECK(pages_has(&pages, base) && pages_has(&pages, base + ARENA_BYTES - 1));
	CHECK(!pages_has(&pages, base - 1) && !pages_has(&pages, base + ARENA_BYTES) && !pages_has(&pages, 0));
	CHECK_EQ(pages_index(&pages, base + 2 * PAGE_BYTES - 1), 1);
	pages_fini(&pages);
}

TEST(fresh_and_released_pages_are_zeroed_and_others_are_said_not_to_be)
{
	begin(1);
	struct pages_run run = pages_take(&pages, 4, ANY);
	CHECK(run.zeroed);
	memset(run.at, 1, 4 * PAGE_BYTES);
	pages_give(&pages, run.at, 4);
	check_use(1, 0, 4);
	run = pages_take(&pages, 5, ANY);
	CHECK(!run.zeroed && page_of(run.at) == 0);
	pages_give(&pages, run.at, 5);
	check_use(1, 0, 5);
	CHECK_EQ(pages_release(&pages, SIZE_MAX), 5 * PAGE_BYTES);
	check_use(1, 0, 0);
	run = pages_take(&pages, 5, ANY);
	CHECK(run.zeroed);
	for (size_t i = 0; i < 5 * PAGE_BYTES; i++)
		CHECK_EQ(((char *)run.at)[i], 0);
	pages_fini(&pages);
}

TEST(what_is_released_is_what_was_asked_for_from_the_high_end)
{
	begin(2);
	char *low = take(100), *between = take(1), *high = take(100);
	take(1);
	pages_give(&pages, low, 100);
	pages_give(&pages, high, 100);
	CHECK_EQ(pages_release(&pages, 30 * PAGE_BYTES + 1), 30 * PAGE_BYTES);
	check_use(1, 2, 170);
	CHECK(!pages_take(&pages, 80, ANY).zeroed);
	CHECK_EQ(pages_release(&pages, 90 * PAGE_BYTES), 90 * PAGE_BYTES);
	CHECK_EQ(page_of(between), 100);
	check_use(1, 82, 0);
	CHECK_EQ(pages_release(&pages, SIZE_MAX), 0);
	pages_fini(&pages);
}

TEST(a_release_that_the_system_refuses_changes_nothing)
{
	begin(1);
	char *run = take(10);
	pages_give(&pages, run, 10);
	os_fail_at(OS_DISCARD, 1, ENOMEM);
	CHECK_EQ(pages_release(&pages, SIZE_MAX), 0);
	check_use(1, 0, 10);
	CHECK_EQ(pages_release(&pages, SIZE_MAX), 10 * PAGE_BYTES);
	pages_fini(&pages);
}

TEST(runs_larger_than_an_arena_begin_with_one)
{
	begin(6);
	CHECK_EQ(page_of(take(ARENA_PAGES)), 0);
	char *large = take(2 * ARENA_PAGES + 10);
	CHECK_EQ(page_of(large), ARENA_PAGES);
	CHECK_EQ(page_of(take(ARENA_PAGES - 10)), 3 * ARENA_PAGES + 10);
	check_use(4, 4 * ARENA_PAGES, 0);
	pages_give(&pages, large, 2 * ARENA_PAGES + 10);
	CHECK_EQ(page_of(take(ARENA_PAGES + 1)), ARENA_PAGES);
	CHECK_EQ(page_of(take(ARENA_PAGES + 1)), 4 * ARENA_PAGES);
	CHECK(!take(ARENA_PAGES + 1));
	CHECK(!take(ARENA_PAGES));
	CHECK_EQ(page_of(take(ARENA_PAGES - 1)), 2 * ARENA_PAGES + 1);
	pages_fini(&pages);
}

TEST(the_last_arena_is_the_beginning_of_a_large_run)
{
	begin(4);
	char *one = take(1);
	pages_give(&pages, one, 1);
	CHECK_EQ(page_of(take(3 * ARENA_PAGES)), 0);
	pages_fini(&pages);
}

TEST(a_full_heap_says_so)
{
	begin(1);
	CHECK(!take(ARENA_PAGES + 1));
	CHECK(!take(0));
	CHECK(!take(SIZE_MAX));
	char *all = take(ARENA_PAGES);
	CHECK(all && !take(1));
	pages_give(&pages, all + PAGE_BYTES, 1);
	CHECK_EQ(page_of(take(1)), 1);
	pages_fini(&pages);
}

TEST(a_smaller_reservation_is_better_than_none)
{
	os_fail_at(OS_RESERVE, 1, ENOMEM);
	begin(4);
	CHECK_EQ(pages.npages, 2 * ARENA_PAGES);
	pages_fini(&pages);
	os_fail_at(OS_RESERVE, 1, ENOMEM);
	CHECK_EQ(pages_init(&pages, 1), -ENOMEM);
}

TEST(a_nodes_pages_come_from_its_arenas)
{
	begin(3);
	char *a = pages_take(&pages, 10, 0).at, *b = pages_take(&pages, 10, 1).at;
	CHECK_EQ(page_of(a), 0);
	CHECK_EQ(page_of(b), ARENA_PAGES);
	CHECK_EQ(page_of(pages_take(&pages, 10, 0).at), 10);
	CHECK_EQ(page_of(pages_take(&pages, ARENA_PAGES - 20, 0).at), 20);
	CHECK_EQ(page_of(pages_take(&pages, ARENA_PAGES, 0).at), 2 * ARENA_PAGES);
	/* No more of its own: another node's is better than none. */
	CHECK_EQ(page_of(pages_take(&pages, 10, 0).at), ARENA_PAGES + 10);
	CHECK_EQ(page_of(pages_take(&pages, 10, ANY).at), ARENA_PAGES + 20);
	pages_fini(&pages);
}

/* ---- against a model ---- */

enum { MODEL_ARENAS = 3, MODEL_PAGES = MODEL_ARENAS * ARENA_PAGES };

/* Of each page: whose it is (0: nobody's), and whether something was written there since it was zeroed. */
static uint32_t owner[MODEL_PAGES];
static bool written[MODEL_PAGES];

static bool model_fits(size_t n)
{
	size_t run = 0;
	for (size_t i = 0; i < MODEL_PAGES && run < n; i++)
		run = owner[i] ? 0 : run + 1;
	return run >= n;
}

static void model_take(size_t n, uint32_t who)
{
	struct pages_run run = pages_take(&pages, n, ANY);
	if (!run.at) {
		CHECK(n > ARENA_PAGES / 2 || !model_fits(2 * n));
		return;
	}
	size_t at = page_of(run.at);
	bool zeroed = true;
	for (size_t i = at; i < at + n; i++) {
		CHECK_EQ(owner[i], 0);
		owner[i] = who;
		zeroed = zeroed && !written[i];
		written[i] = true;
	}
	CHECK_EQ(run.zeroed, zeroed);
	for (size_t i = 0; i < n; i++) {
		uint64_t *word = (uint64_t *)(void *)((char *)run.at + i * PAGE_BYTES + 8 * (who % 1024));
		if (zeroed)
			CHECK_EQ(*word, 0);
		*word = who;
	}
}

static void model_give(uint32_t who)
{
	for (size_t i = 0, n; i < MODEL_PAGES; i += n) {
		for (n = 1; i + n < MODEL_PAGES && owner[i + n] == owner[i];)
			n++;
		if (owner[i] != who)
			continue;
		CHECK_EQ(*(uint64_t *)(void *)(pages.base + i * PAGE_BYTES + 8 * (who % 1024)), who);
		memset(owner + i, 0, n * sizeof *owner);
		pages_give(&pages, pages.base + i * PAGE_BYTES, n);
	}
}

static void model_release(size_t n)
{
	size_t released = pages_release(&pages, n * PAGE_BYTES) / PAGE_BYTES, seen = 0;
	for (size_t i = MODEL_PAGES; i-- > 0 && seen < released;) {
		if (owner[i] || !written[i])
			continue;
		written[i] = false;
		seen++;
	}
	CHECK_EQ(seen, released);
}

static void model_check(void)
{
	size_t taken = 0, free = 0;
	for (size_t i = 0; i < MODEL_PAGES; i++) {
		taken += owner[i] != 0;
		free += !owner[i] && written[i];
	}
	struct pages_use use = pages_use(&pages);
	CHECK_EQ(use.taken, taken * PAGE_BYTES);
	CHECK_EQ(use.free, free * PAGE_BYTES);
}

TEST(a_long_random_history_agrees_with_a_model)
{
	uint64_t random = 7;
	begin(MODEL_ARENAS);
	for (int64_t i = 1, n = test_rounds(6000); i <= n; i++) {
		uint64_t how = draw_below(&random, 100);
		if (how < 45)
			model_take(1 + draw_below(&random, draw_below(&random, 20) ? 40 : 5000), (uint32_t)i);
		else if (how < 46)
			model_take(ARENA_PAGES + draw_below(&random, ARENA_PAGES), (uint32_t)i);
		else if (how < 97)
			model_give(1 + (uint32_t)draw_below(&random, (uint64_t)i));
		else
			model_release(1 + draw_below(&random, 500));
		if (i % 100 == 0)
			model_check();
	}
	model_check();
	pages_fini(&pages);
}

/* ---- by several at once ---- */

enum { THREADS = 4 };

static void *take_and_give(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t i = 0, rounds = test_rounds(20000); i < rounds; i++) {
		size_t n = 1 + draw_below(&random, 30);
		struct pages_run run = pages_take(&pages, n, ANY);
		CHECK(run.at);
		uint64_t *first = run.at, *last = (uint64_t *)(void *)((char *)run.at + n * PAGE_BYTES) - 1;
		if (run.zeroed)
			CHECK(*first == 0 && *last == 0);
		*first = *last = random;
		if (i % 64 == 0)
			pages_release(&pages, 20 * PAGE_BYTES);
		CHECK(*first == random && *last == random);
		pages_give(&pages, run.at, n);
	}
	return NULL;
}

TEST(threads_have_pages_of_their_own)
{
	pthread_t thread[THREADS];
	begin(2);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, take_and_give, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	struct pages_use use = pages_use(&pages);
	CHECK_EQ(use.taken, 0);
	pages_fini(&pages);
}
