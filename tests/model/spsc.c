/* The ring with one producer and one consumer (lockfree/spsc.h), the same source, with two slots.
 *
 * What must hold: items come in order, none is lost; who gets one comes after all that was done before it was pushed;
 * and a slot is written again after it was read.
 */
#include "tests/model/atomic.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "lockfree/spsc.h"

#include MODEL_EDGES

enum { SLOTS = 2, ITEMS_MAX = 8 };

static struct spsc q;
static void *memory[SLOTS];
static uint32_t pushed, popped;      /* item n is the number n + 1 */
static uint32_t put_at[ITEMS_MAX];   /* the producer's step */
static uint32_t taken_at[ITEMS_MAX]; /* the consumer's */

static const struct scenario {
	const char *producer, *consumer; /* 1: one item, 2 and 3: a batch of so many at most */
	uint32_t first_index;
	int preemptions, stale_reads;
} scenarios[] = {
	{"1111", "1111", 0u - 2, 5, 3},
	{"232", "322", 0u - 3, 5, 3},
	{"1221", "1112", 0u - 1, 5, 3},
	{"2121", "2311", 0, 5, 3},
}, *scenario;

static void start(void)
{
	memset(memory, 0, sizeof memory);
	spsc_init(&q, memory, SLOTS);
	store_rlx(&q.xtail, scenario->first_index);
	store_rlx(&q.xhead, scenario->first_index);
	q.head_seen = q.tail_seen = scenario->first_index;
	explorer_watch(memory, sizeof memory);
	pushed = popped = 0;
	memset(taken_at, 0, sizeof taken_at);
}

static void push(uint32_t n)
{
	void *from[3];
	for (uint32_t i = 0; i < n; i++) {
		from[i] = (void *)(uintptr_t)(pushed + i + 1);
		put_at[pushed + i] = explorer_step() + 1; /* it may be taken before the push returns */
	}
	uint32_t done = n == 1 ? spsc_push(&q, from[0]) : spsc_push_many(&q, from, n);
	explorer_check(done <= n && done <= SLOTS, "no more is pushed than asked");
	for (uint32_t i = 0; i < done; i++, pushed++)
		if (pushed >= SLOTS)
			explorer_check(taken_at[pushed - SLOTS] && explorer_has_seen(1, taken_at[pushed - SLOTS]),
				       "a slot is written after it was read");
}

static void pop(uint32_t max)
{
	void *to[3];
	uint32_t n = max == 1 ? (to[0] = spsc_pop(&q)) != NULL : spsc_pop_many(&q, to, max);
	explorer_check(n <= max && n <= SLOTS, "no more is popped than asked");
	for (uint32_t i = 0; i < n; i++, popped++) {
		explorer_check((uintptr_t)to[i] == popped + 1, "items come in order");
		explorer_check(explorer_has_seen(0, put_at[popped]), "and after they were pushed");
		taken_at[popped] = explorer_step();
	}
}

static void thread(int which)
{
	for (const char *s = which ? scenario->consumer : scenario->producer; *s; s++)
		which ? pop((uint32_t)(*s - '0')) : push((uint32_t)(*s - '0'));
}

static void end(void)
{
	explorer_check(spsc_len(&q) == pushed - popped, "what was not popped is there");
	for (void *item; (item = spsc_pop(&q)); popped++)
		explorer_check((uintptr_t)item == popped + 1, "in order");
	explorer_check(popped == pushed, "and nothing is lost");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {2, start, thread, end, scenario->preemptions, scenario->stale_reads, NULL, false};
		if (m || test_is_slow())
			p.preemptions = 3;
		struct explorer_result r = explore(&p, m);
		if (!m)
			fprintf(stderr, "# %s %s: %lld executions\n", scenario->producer, scenario->consumer,
				(long long)r.executions);
		if (r.broken)
			return r.broken;
	}
	return NULL;
}

TEST(the_ring_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}
