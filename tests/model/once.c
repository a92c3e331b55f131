/* Once (runtime/once.c), the same source: two or three goroutines come to it, and come again.
 *
 * What must hold: the function runs once; whoever comes back has seen what it did; and nobody waits for ever.
 */
#include "tests/model/goroutine.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "runtime/once.c"

#include MODEL_EDGES

static weft_once once;
static struct explorer_use done;
static int runs;

static const struct scenario {
	int goroutines, times; /* each comes so often */
	int preemptions, stale_reads;
} scenarios[] = {
	{2, 1, 4, 2},
	{2, 2, 3, 2},
	{3, 1, 3, 1},
	{3, 2, 3, 1},
}, *scenario;

static void start(void)
{
	memset(&once, 0, sizeof once);
	goroutines_start();
	done.step = 0;
	runs = 0;
}

/* With a step in it, so that others may come meanwhile. */
static void run(void *arg)
{
	static _Atomic int nobodys;
	(void)arg;
	runs++;
	(void)add_rlx(&nobodys, 0);
	done = (struct explorer_use){explorer_self(), explorer_step() + 1};
}

static void thread(int which)
{
	for (int i = 0; i < scenario->times; i++) {
		weft_once_do_slow(&once, run, NULL);
		explorer_check(runs == 1 && done.step, "it has been run, once, who comes back");
		explorer_check(done.thread == which || explorer_has_seen(done.thread, done.step), "and what it did is seen");
	}
}

static void end(void)
{
	explorer_check(load_rlx(&inside(&once)->word) == DONE, "it is done in the end");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {scenario->goroutines, start, thread, end, scenario->preemptions,
					     scenario->stale_reads, NULL, false};
		if (!m && test_is_slow())
			p.preemptions--;
		struct explorer_result r = explore(&p, m);
		if (!m)
			fprintf(stderr, "# %d goroutines, %d times: %lld executions\n", scenario->goroutines, scenario->times,
				(long long)r.executions);
		if (r.broken)
			return r.broken;
	}
	return NULL;
}

TEST(once_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}
