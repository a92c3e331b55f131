/* The lock that becomes somebody's (runtime/bias.h and bias.c), the same source: whoever is in the section is alone there, and after all
 * that its predecessors did, whether it has come by a plain store, by the spin lock, or by taking the lock away. */
#include "tests/model/atomic.h"
#include "tests/model/fence.h"

#include "tests/test.h"

#include <stdio.h>

/* Nothing switches: runtime/fiber.h, empty. */
#define RUNTIME_FIBER_H
#define fiber_publish(address) ((void)(address))
#define fiber_observe(address) ((void)(address))

#include "alloc/os.h"
#define os_membarrier() explorer_membarrier(__func__)
#define BIAS_AFTER 2 /* the second time in a row, after the first one that is not counted */

#define BIAS_HEAT_MOST 0 /* it only says how long to wait */
#include "runtime/bias.h"

#include "runtime/bias.c"

#include "lockfree/spin.c"

#include MODEL_EDGES

static struct bias lock;
static bias_owner owner;
static struct explorer_use section;
static const struct scenario *scenario;
static int entered, owned;

/* Each thread's script: a and b lock as that P, o as one who has none. A P's M hands it on at a dot: the next thread waits for it. */
static const struct scenario {
	const char *script[3];
	int taken_away; /* at least, in some order */
} scenarios[] = {
	{{"aaaaa", "b", ""}, 1},
	{{"aaaaa", "o", ""}, 1},
	{{"aaaa", "bbbb", ""}, 1},
	{{"aaaa", "bbbbbbbbbbbbbbbbbb", ""}, 1}, /* as often as would make another one its owner */
	{{"aaaa", "b", "o"}, 1},
	{{"aaa.", ".aa", "o"}, 1},
};

static _Atomic uint32_t handed_on;
static int most_losses;

static void start(void)
{
	lock = (struct bias){0};
	section.step = 0;
	entered = owned = 0;
	store_rlx(&owner, 0);
	store_rlx(&handed_on, 0);
	bias_allow();
}

static uint16_t self_of(char as)
{
	return as == 'o' ? 0 : (uint16_t)(as - 'a' + 1);
}

static void thread(int which)
{
	const char *s = scenario->script[which];
	for (int i = 0; s[i]; i++) {
		if (s[i] == '.' && i == 0) {
			explorer_await(__func__, "handed_on", &handed_on, 0, 0, ACQUIRE);
			continue;
		}
		if (s[i] == '.') {
			store_rel(&handed_on, 1);
			continue;
		}
		bias_lock(&lock, &owner, self_of(s[i]));
		explorer_check(explorer_uses(&section), "one is in the section, after those before");
		entered++;
		owned += lock.by_owner;
		explorer_check(!lock.by_owner || self_of(s[i]), "who has no P owns nothing");
		bias_unlock(&lock);
	}
}

static void end(void)
{
	int calls = 0;
	for (int i = 0; i < 3; i++)
		for (const char *s = scenario->script[i]; *s; s++)
			calls += *s != '.';
	explorer_check(entered == calls, "everybody got in");
	explorer_check(load_rlx(&lock.spin.word) == 0 && !load_rlx(&lock.xheld), "the lock is free in the end");
	if (lock.losses > most_losses)
		most_losses = lock.losses;
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		int threads = *scenario->script[2] ? 3 : 2;
		most_losses = 0;
		int preemptions = m || test_is_slow() || threads > 2 ? 2 : 3;
		struct explorer_program p = {threads, start, thread, end, preemptions, 2, NULL, false};
		struct explorer_result r = explore(&p, m);
		if (r.broken)
			return r.broken;
		if (!m)
			fprintf(stderr, "# %s %s %s: %lld executions\n", scenario->script[0], scenario->script[1],
				scenario->script[2], (long long)r.executions);
		if (!m)
			CHECK(most_losses >= scenario->taken_away);
	}
	return NULL;
}

TEST(the_lock_excludes_whoever_owns_it)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	static const struct explorer_mutation spoilt[] = {
		{"no membarrier", "take_away", VERB_FENCE, "", WEAKEN},
		{"the owner is not told", "take_away", VERB_STORE, "owner", OMIT},
		{"nobody is waited for", "take_away", VERB_LOAD, "xheld", BLIND},
		{"the second look at the owner does not count", "bias_try", VERB_STORE, "xheld", OMIT},
	};
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
