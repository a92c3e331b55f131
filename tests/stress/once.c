/* Many come at the same moment, again and again, to a new one each time: it runs once, and who comes back sees what it did. */
#include "lockfree/atomic.h"
#include "tests/random.h"
#include "tests/unit/go.h"

enum { TASKS = 4 };

static struct thing {
	weft_once once;
	int64_t made; /* not atomic */
} *things;

static weft_waitgroup join;
static _Atomic int64_t ran;

static void make(void *arg)
{
	struct thing *t = arg;
	(void)add_rlx(&ran, 1);
	if ((t - things) % 8 == 0)
		weft_yield();
	t->made = t - things;
}

static void come(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t i = 0, n = test_rounds(500000); i < n; i++) {
		weft_once_do(&things[i].once, make, &things[i]);
		CHECK_EQ(things[i].made, i);
		if (draw_below(&random, 64) == 0)
			weft_yield();
	}
	weft_waitgroup_done(&join);
}

static int once_each(void)
{
	things = weft_calloc((size_t)test_rounds(500000), sizeof *things);
	weft_waitgroup_add(&join, TASKS);
	for (uintptr_t i = 1; i <= TASKS; i++)
		weft_go(come, (void *)i);
	weft_waitgroup_wait(&join);
	CHECK_EQ(ran, test_rounds(500000));
	return 0;
}

TEST(it_runs_once)
{
	CHECK_EQ(run_weft(2, once_each), 0);
}

TEST(it_runs_once_on_more_ps_than_cores)
{
	CHECK_EQ(run_weft(5, once_each), 0);
}
