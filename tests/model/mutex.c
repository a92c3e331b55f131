/* The mutex (runtime/mutex.c), the same source: two or three goroutines lock, try, and lock until a deadline that
 * may come at any moment.
 *
 * What must hold: whoever holds it is alone, and after all that holders before did; its queue is touched by one at
 * a time; nobody waits for ever while it is free, nor is refused; in the end it is as it was at first, whoever gave up; and the
 * last one out may give its memory back.
 *
 * What callers inline (weft/sync.h) begins the functions here as well, and is tried there.
 */
#include "tests/model/goroutine.h"
#include "tests/model/scenarios.h"

#include "tests/test.h"

#include <string.h>

#include "runtime/mutex.c"

#include MODEL_EDGES

static weft_mutex mutex;
static struct explorer_use section;
static int users;
static bool refused, gave_up; /* T, d */

static const struct scenario {
	const char *script[3]; /* of each: l locks, d locks until a deadline, t tries, T too where only one that gives up is left, f locks and is a user less */
	int preemptions, stale_reads;
	bool solo; /* nobody spins */
} scenarios[] = {
	{{"ll", "ll", ""}, 3, 1, true},
	{{"lt", "tl", ""}, 3, 2, true},
	{{"ll", "l", "l"}, 2, 1, false},
	{{"ll", "l", "l"}, 2, 1, true},
	{{"l", "d", ""}, 3, 1, true},
	{{"l", "d", "l"}, 1, 1, true},
	{{"l", "d", "l"}, 2, 0, true},
	{{"ll", "d", ""}, 2, 1, true},
	{{"lT", "d", ""}, 2, 1, true},
	{{"f", "f", "f"}, 3, 0, true},
	{{"f", "df", ""}, 2, 1, true},
}, *scenario;

static bool has_deadline(void)
{
	return strchr(scenario->script[1], 'd');
}

static void start(void)
{
	memset(&mutex, 0, sizeof mutex);
	explorer_watch(&mutex, sizeof mutex);
	goroutines_start();
	for (int i = 0; i < scripts(scenario->script); i++)
		model_m[i].p.solo = scenario->solo;
	section.step = 0;
	users = scripts(scenario->script);
	refused = gave_up = false;
}

static void thread(int which)
{
	if (which == scripts(scenario->script)) {
		model_clock_runs();
		return;
	}
	for (const char *s = scenario->script[which]; *s; s++) {
		bool last = false;
		if (*s == 'd' && weft_mutex_lock_until(&mutex, weft_at(1))) {
			gave_up = true;
			continue;
		}
		if (*s == 't' && weft_mutex_try_lock(&mutex))
			continue;
		if (*s == 'T' && weft_mutex_try_lock(&mutex)) {
			refused = true;
			continue;
		}
		if (*s == 'l' || *s == 'f')
			weft_mutex_lock_slow(&mutex);
		explorer_check(explorer_uses(&section), "one holds it, after those before");
		if (*s == 'f')
			last = --users == 0;
		weft_mutex_unlock_slow(&mutex);
		if (last)
			explorer_vanish(&mutex, sizeof mutex);
	}
	if (has_deadline() && which == 1)
		model_clock_stops();
}

static void end(void)
{
	struct mutex *m = inside(&mutex);
	explorer_check(load_rlx(&m->word) == 0 && !m->first && !m->on_its_way, "it is free in the end, and nobody is in the queue");
	explorer_check(!refused || !gave_up, "who tries is refused only if somebody has it");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {scripts(scenario->script) + has_deadline(), start, thread, end,
					     scenario->preemptions, scenario->stale_reads, NULL, false};
		const char *broken = explore_scripts(scenario->script, p, m);
		if (broken)
			return broken;
	}
	return NULL;
}

TEST(the_mutex_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}

TEST(a_touch_after_the_last_one_is_caught)
{
	static const struct explorer_mutation spoilt = {"settled twice", "settle", VERB_STORE, "word", REPEAT};
	explorer_catches(first_failure, &spoilt, 1);
}
