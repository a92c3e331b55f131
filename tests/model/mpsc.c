/* The queue with many producers and one consumer (lockfree/mpsc.h), the same source.
 *
 * What must hold: every item is popped once, those of one producer in its order, after all that was done before it was
 * pushed, and then its memory may go; a node is linked after it was made ready; EMPTY is not said of an item whose push
 * the consumer knows of, and BUSY only while some push may be under way.
 */
#include "tests/model/atomic.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "lockfree/assert.h"
#include "lockfree/mpsc.h"

#include MODEL_EDGES

enum { THREADS = 4, ITEMS = 3 }; /* of each producer */

static struct mpsc q;
static struct item {
	struct mpsc_node node;
	uint32_t begun, done; /* steps of its producer; of the model */
	bool popped;
} item[THREADS][ITEMS];
static int pushes[THREADS], last[THREADS];
static _Atomic uint32_t said;
static bool empty_for_busy; /* what the essay rules out */

static const struct scenario {
	const char *script[THREADS]; /* of each producer: P pushes, s pushes and says so. The last thread is the consumer:
				      * p pops, w waits until somebody has said so */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"PP", "pppp"}, 5, 3},
	{{"P", "P", "ppp"}, 4, 2},
	{{"PP", "P", "pppp"}, 3, 1},
	{{"P", "sP", "wpp"}, 3, 2},
	{{"P", "P", "P", "pppp"}, 2, 0},
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
	mpsc_init(&q);
	memset(item, 0, sizeof item);
	memset(pushes, 0, sizeof pushes);
	memset(last, 0, sizeof last);
	store_rlx(&said, 0);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < ITEMS; i++)
			explorer_ordered(&item[t][i].node, sizeof item[t][i].node);
	explorer_ordered(&q.stub, sizeof q.stub);
	explorer_watch(&q.first, sizeof q.first);
}

static void push(int which, char how)
{
	struct item *n = &item[which][pushes[which]++];
	n->begun = explorer_step() + 1;
	mpsc_push(&q, &n->node);
	n->done = explorer_step();
	if (how == 's')
		store_rel(&said, 1);
}

static void check_empty(void)
{
	for (int t = 0; t < threads() - 1; t++)
		for (int i = 0; i < pushes[t]; i++)
			explorer_check(item[t][i].popped || !item[t][i].done || !explorer_has_seen(t, item[t][i].done),
				       "it is not empty when an item is known to be there");
}

static void check_busy(void)
{
	bool may_be = false;
	for (int t = 0; t < threads() - 1; t++)
		for (int i = 0; i < pushes[t]; i++)
			may_be |= !item[t][i].done || !explorer_has_seen(t, item[t][i].done);
	explorer_check(may_be, "it is not busy when no push is under way");
}

static void popped(struct mpsc_node *node, int me)
{
	struct item *n = (struct item *)(void *)node;
	uintptr_t at = (uintptr_t)n - (uintptr_t)item;
	if (at >= sizeof item)
		return explorer_check(false, "what is popped was pushed");
	int t = (int)(at / sizeof item[0]), i = (int)(at % sizeof item[0] / sizeof *n);
	explorer_check(!n->popped, "an item is popped once");
	explorer_check(i == last[t]++, "a producer's items come in its order");
	n->popped = true;
	if (me < 0)
		return;
	explorer_check(explorer_has_seen(t, n->begun), "and after they were pushed");
	explorer_vanish(&n->node, sizeof n->node);
}

static void pop(int me)
{
	struct mpsc_node *node = NULL;
	enum mpsc_result r = mpsc_pop(&q, &node);
	if (empty_for_busy && r == MPSC_BUSY)
		r = MPSC_EMPTY;
	if (r == MPSC_TAKEN)
		popped(node, me);
	else if (r == MPSC_EMPTY)
		check_empty();
	else
		check_busy();
}

static void thread(int which)
{
	for (const char *s = scenario->script[which]; *s; s++) {
		if (*s == 'p')
			pop(which);
		else if (*s == 'w')
			await_acq(&said, 0);
		else
			push(which, *s);
	}
}

static void end(void)
{
	struct mpsc_node *node;
	enum mpsc_result r;
	while ((r = mpsc_pop(&q, &node)) == MPSC_TAKEN)
		popped(node, -1);
	explorer_check(r == MPSC_EMPTY, "nobody stands in the window in the end");
	for (int t = 0; t < threads() - 1; t++)
		explorer_check(last[t] == pushes[t], "and nothing is lost");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {threads(), start, thread, end, scenario->preemptions, scenario->stale_reads,
					     NULL, false};
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

TEST(busy_is_not_empty)
{
	empty_for_busy = true;
	CHECK_STR(first_failure(NULL), "it is not empty when an item is known to be there");
}
