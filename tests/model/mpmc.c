/* The queue with many producers and many consumers (lockfree/mpmc.h and mpmc.c), the same source, with two slots.
 *
 * What must hold: the item pushed at a position is popped there, once, after all that was done before it was pushed;
 * the slot is written again after it was read; and in the end every item was popped or is there.
 */
#include "tests/model/atomic.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "lockfree/mpmc.h"

#include "lockfree/mpmc.c"

#include MODEL_EDGES

enum { SLOTS = 2, THREADS = 4, ITEMS_MAX = 8, POSITIONS = 8 };

/* The positions wrap within the program. */
static const uint32_t first = 0u - 1;

static struct mpmc q;
static struct mpmc_slot memory[SLOTS];
static uint32_t number[THREADS]; /* of a slot, as the thread has read it last */
static uint32_t pushed, popped;
static struct {
	int thread;
	uint32_t step;
} put[ITEMS_MAX], took[POSITIONS];
static void *at[POSITIONS];

static const struct scenario {
	const char *script[THREADS]; /* of each thread: P pushes, p pops */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"PPP", "ppp"}, 5, 3},
	{{"PP", "P", "pp"}, 3, 1},
	{{"PPP", "pp", "p"}, 3, 1},
	{{"Pp", "Pp"}, 4, 2},
	{{"PpP", "Pp", "p"}, 3, 1},
	{{"P", "P", "p", "p"}, 2, 1},
}, *scenario;

static int threads(void)
{
	int n = 0;
	while (n < THREADS && scenario->script[n])
		n++;
	return n;
}

static void start(void)
{
	memset(memory, 0, sizeof memory);
	mpmc_init(&q, memory, SLOTS, MPMC_SPREAD);
	store_rlx(&q.xtail, first);
	store_rlx(&q.xhead, first);
	for (uint32_t i = 0; i < SLOTS; i++)
		store_rlx(&mpmc_at(&q, first + i)->xnumber, first + i);
	explorer_watch(memory, sizeof memory);
	pushed = popped = 0;
	memset(at, 0, sizeof at);
	memset(took, 0, sizeof took);
}

static void saw(int which, const void *address, uint64_t value)
{
	for (int i = 0; which >= 0 && i < SLOTS; i++)
		if (address == &memory[i].xnumber)
			number[which] = (uint32_t)value;
}

static void push(int which)
{
	uint32_t n = pushed++; /* it may be taken before the push returns */
	put[n].thread = which;
	put[n].step = explorer_step() + 1;
	if (!mpmc_push(&q, (void *)(uintptr_t)(n + 1))) {
		put[n].step = 0;
		return;
	}
	uint32_t p = number[which] - first;
	if (p >= POSITIONS)
		return explorer_check(false, "a position is a count of pushes");
	explorer_check(!at[p] || at[p] == (void *)(uintptr_t)(n + 1), "an item is popped at its position");
	at[p] = (void *)(uintptr_t)(n + 1);
	if (p >= SLOTS)
		explorer_check(took[p - SLOTS].step && explorer_has_seen(took[p - SLOTS].thread, took[p - SLOTS].step),
			       "a slot is written after it was read");
}

static void pop(int which)
{
	void *item = mpmc_pop(&q);
	if (!item)
		return;
	uint32_t p = number[which] - first - 1;
	uintptr_t n = (uintptr_t)item - 1;
	if (p >= POSITIONS || n >= pushed)
		return explorer_check(false, "what is popped was pushed");
	popped++;
	explorer_check(!took[p].step, "a position is popped once");
	explorer_check(!at[p] || at[p] == item, "an item is popped at its position");
	explorer_check(explorer_has_seen(put[n].thread, put[n].step), "and after it was pushed");
	at[p] = item;
	took[p].thread = which;
	took[p].step = explorer_step();
}

static void thread(int which)
{
	for (const char *s = scenario->script[which]; *s; s++)
		*s == 'P' ? push(which) : pop(which);
}

static void end(void)
{
	uint32_t there = 0, all = 0;
	for (uint32_t i = 0; i < pushed; i++)
		all += put[i].step != 0;
	explorer_check(mpmc_len(&q) == all - popped, "what was not popped is there");
	for (void *item; there < ITEMS_MAX && (item = mpmc_pop(&q)); there++)
		explorer_check((uintptr_t)item <= pushed && at[popped + there] == item, "where it was pushed");
	explorer_check(popped + there == all, "and nothing is lost");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {threads(), start, thread, end, scenario->preemptions, scenario->stale_reads,
					     saw, false};
		if ((m || test_is_slow()) && p.preemptions > 2)
			p.preemptions = 2;
		struct explorer_result r = explore(&p, m);
		if (!m)
			fprintf(stderr, "# %zu: %lld executions\n", (size_t)(scenario - scenarios), (long long)r.executions);
		if (r.broken)
			return r.broken;
	}
	return NULL;
}

TEST(the_queue_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}

TEST(a_position_is_taken_by_a_comparison)
{
	static const struct explorer_mutation spoilt[] = {
		{"push without a comparison", "mpmc_push", VERB_CAS, "xtail", SPLIT},
		{"pop without a comparison", "mpmc_pop", VERB_CAS, "xhead", SPLIT},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
