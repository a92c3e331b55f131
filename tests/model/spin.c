/* The spin lock (lockfree/spin.h and spin.c), the same source: whoever is in the section is alone there, and after
 * all that its predecessors did. */
#include "tests/model/atomic.h"

#include "tests/test.h"

#include <stdio.h>

#include "lockfree/spin.h"

#include "lockfree/spin.c"

#include MODEL_EDGES

static struct spin lock;
static struct explorer_use section;
static const char *const *script; /* of each thread: l locks, t tries */
static int entered, tries_failed;

static void start(void)
{
	section.step = 0;
	entered = tries_failed = 0;
}

static void thread(int which)
{
	for (const char *s = script[which]; *s; s++) {
		if (*s == 'l') {
			spin_lock(&lock);
		} else if (!spin_try_lock(&lock)) {
			tries_failed++;
			continue;
		}
		entered++;
		explorer_check(explorer_uses(&section), "one is in the section, after those before");
		spin_unlock(&lock);
	}
}

static void end(void)
{
	int calls = 0;
	for (int i = 0; i < 3; i++)
		for (const char *s = script[i]; *s; s++)
			calls++;
	explorer_check(entered + tries_failed == calls, "everybody got in, or was told");
	explorer_check(tries_failed < calls, "somebody got in");
	explorer_check(load_rlx(&lock.word) == 0, "the lock is free in the end");
}

static const char *const scripts[][3] = {{"ll", "ll", ""}, {"l", "l", "l"}, {"lt", "tl", "t"}};

static const char *first_failure(const struct explorer_mutation *m)
{
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		script = scripts[i];
		struct explorer_program p = {3, start, thread, end, m || test_is_slow() ? 2 : 3, 2, NULL, false};
		struct explorer_result r = explore(&p, m);
		if (r.broken)
			return r.broken;
		if (!m)
			fprintf(stderr, "# %s %s %s: %lld executions\n", script[0], script[1], script[2],
				(long long)r.executions);
	}
	return NULL;
}

TEST(the_lock_excludes)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}
