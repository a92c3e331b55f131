/* One owner against thieves. Every item is taken exactly once, and each taker gets the items in the order in
 * which they were pushed: head only grows. What the owner pops at the other end is the youngest that it has not had. */
#include "lockfree/runq.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { THIEVES_MAX = 3 };

static struct runq q;
static uint8_t *taken;
static int64_t items;
static _Atomic bool finished;
static uint64_t seed;

static uintptr_t leaves(void *p)
{
	uintptr_t n = (uintptr_t)p;
	CHECK(n >= 1 && n <= (uintptr_t)items);
	taken[n - 1]++; /* who takes it twice races, and ThreadSanitizer says so too */
	return n;
}

/* A taker's next item: `last` is its previous one. */
static void take(void *p, uintptr_t *last)
{
	uintptr_t n = leaves(p);
	CHECK(n > *last);
	*last = n;
}

static void *steal(void *arg)
{
	uint64_t random = seed + (uintptr_t)arg;
	uintptr_t last = 0;
	void *to[RUNQ_SLOTS];
	while (!load_acq(&finished)) {
		uint32_t max = (uint32_t)(draw(&random) % RUNQ_SLOTS + 1);
		uint32_t n = runq_steal(&q, to, max);
		CHECK(n <= max && n <= RUNQ_SLOTS / 2);
		for (uint32_t i = 0; i < n; i++)
			take(to[i], &last);
		if (n == 0 && draw_below(&random, 64) == 0)
			sched_yield();
	}
	return NULL;
}

static void own(uint64_t *random)
{
	uintptr_t last = 0, next = 1, youngest = UINTPTR_MAX; /* MAX: the one that was pushed last */
	while (next <= (uintptr_t)items) {
		uint64_t pushes = draw_below(random, draw_below(random, 8) ? 8 : 2 * RUNQ_SLOTS);
		uint64_t pops = draw_below(random, 8), last_pops = draw_below(random, 8);
		while (pushes-- && next <= (uintptr_t)items && runq_push(&q, (void *)next)) {
			next++;
			youngest = UINTPTR_MAX;
		}
		void *p;
		while (pops-- && (p = runq_pop(&q)))
			take(p, &last);
		while (last_pops-- && (p = runq_pop_last(&q))) {
			uintptr_t n = leaves(p);
			CHECK(n > last && n < youngest && (youngest < UINTPTR_MAX || n == next - 1));
			youngest = n;
		}
		if (draw_below(random, 4096) == 0)
			sched_yield();
	}
	for (void *p; (p = runq_pop(&q));)
		take(p, &last);
}

static void against(uintptr_t thieves)
{
	pthread_t thread[THIEVES_MAX];
	seed = random_seed();
	items = test_rounds(2000000);
	taken = calloc((size_t)items, 1);
	CHECK(taken);
	q.tail = 0u - (uint32_t)items / 4; /* wraps on the way */
	q.xhead = q.tail;
	for (uintptr_t i = 0; i < thieves; i++)
		CHECK(pthread_create(&thread[i], NULL, steal, (void *)(i + 1)) == 0);
	uint64_t random = seed;
	own(&random);
	store_rel(&finished, true);
	for (uintptr_t i = 0; i < thieves; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK_EQ(runq_len(&q), 0);
	for (int64_t i = 0; i < items; i++)
		CHECK_EQ(taken[i], 1);
	free(taken);
}

TEST(one_thief)
{
	against(1);
}

TEST(three_thieves)
{
	against(3);
}
