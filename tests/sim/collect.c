/* Goroutines that share collected lists while cycles follow each other, under seeds: what can be reached is whole, and the same seed is the
 * same run. */
#include "tests/sim/workload.h"

#include <weft/weft.h>

#include <inttypes.h>
#include <stdlib.h>

enum { WORKERS = 12, ROUNDS = 400, LISTS = 8, LENGTH = 40, MAGIC = 0xabcdef };

struct cell {
	struct cell *next;
	uint64_t magic;
	int64_t left; /* how many follow */
};
WEFT_TYPE(cell, struct cell, next);

static struct cell *lists[LISTS];
WEFT_ROOT(lists);
static weft_waitgroup workers;

static void check(const struct cell *c)
{
	for (; c; c = c->next)
		CHECK(c->magic == MAGIC && (c->next ? c->next->left == c->left - 1 : c->left == 0));
}

static struct cell *longer(struct cell *list)
{
	struct cell *c = weft_new(cell);
	CHECK(!c->next && !c->magic && !c->left);
	if (list && list->left >= LENGTH)
		list = NULL;
	c->magic = MAGIC;
	c->left = list ? list->left + 1 : 0;
	c->next = list;
	return c;
}

static void work(void *arg)
{
	uint64_t r = (uintptr_t)arg * 2654435761u;
	struct cell *mine = NULL;
	for (int i = 0; i < ROUNDS; i++) {
		r = r * 6364136223846793005u + 1442695040888963407u;
		mine = longer(mine);
		if (r >> 60 == 0)
			weft_set(&lists[r >> 32 & (LISTS - 1)], mine);
		if (r >> 60 == 1)
			check(weft_get(&lists[r >> 32 & (LISTS - 1)]));
		if (r >> 60 == 2)
			weft_yield();
		if (r >> 60 == 3)
			weft_sleep(10 * WEFT_US);
		check(mine);
	}
	weft_waitgroup_done(&workers);
}

static int share_lists(void)
{
	weft_memstats stats;
	weft_waitgroup_add(&workers, WORKERS);
	for (uintptr_t i = 0; i < WORKERS; i++)
		weft_go(work, (void *)(i + 1));
	weft_waitgroup_wait(&workers);
	weft_mem_stats(&stats);
	return stats.gc_cycles == 0;
}

static struct test_child child;

static struct sim_trace run(uint64_t seed)
{
	struct sim_trace t;
	simulate(&child, seed, ",gcstress=5", share_lists);
	if (child.status || !sim_trace_of(&child, &t))
		test_fail(__FILE__, __LINE__, "status %d; seed %" PRIu64 "\n%s", child.status, seed, child.err);
	return t;
}

TEST(what_can_be_reached_is_whole_under_every_seed)
{
	int64_t n = test_rounds(100);
	for (int64_t i = 0; i < n; i++)
		run((uint64_t)i);
}

TEST(the_same_seed_is_the_same_run)
{
	struct sim_trace a = run(7), b = run(7), c = run(8);
	CHECK(a.hash == b.hash && a.events == b.events);
	CHECK(a.hash != c.hash);
}
