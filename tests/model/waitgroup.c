/* The wait group (runtime/waitgroup.c), the same source: two or three goroutines count down and wait, one of
 * them until a deadline that may come at any moment.
 *
 * What must hold: who has waited comes after all that was done before the count came down, and not before; the list
 * is touched by one at a time; nobody waits for ever; in the end nobody is in the list; and who has waited may give
 * the memory back, for the last done() has let go of it.
 */
#include "tests/model/goroutine.h"
#include "tests/model/scenarios.h"

#include "tests/test.h"

#include <string.h>

#include "runtime/waitgroup.c"

#include MODEL_EDGES

static weft_waitgroup group;
static int undone, counts;
static _Atomic uint32_t said;
static struct work {
	int thread;
	uint32_t step;
} done[4];

static const struct scenario {
	const char *script[3]; /* of each: + adds one, a adds one and says so, p waits until that is said, d is done with
				* one, w waits, u waits until a deadline, f waits and gives the memory back */
	int count;             /* at first */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"d", "w", ""}, 1, 5, 2},
	{{"+dd", "w", ""}, 1, 4, 1},
	{{"d", "w", "w"}, 1, 2, 1},
	{{"d", "d", "w"}, 2, 3, 1},
	{{"d", "d", "f"}, 2, 3, 2},
	{{"+dd", "f", ""}, 1, 4, 1},
	{{"d", "uf", ""}, 1, 2, 2},
	{{"d", "u", "w"}, 1, 1, 1},
	{{"d", "u", "w"}, 1, 2, 0},
	{{"d", "uw", "d"}, 2, 2, 0},
	{{"d", "uaw", "pd"}, 1, 2, 1}, /* used again after a time-out */
}, *scenario;

static bool has_deadline(void)
{
	return strchr(scenario->script[1], 'u');
}

static void start(void)
{
	memset(&group, 0, sizeof group);
	explorer_watch(&group, sizeof group);
	goroutines_start();
	undone = scenario->count;
	memset(&said, 0, sizeof said);
	counts = 0;
	if (undone)
		weft_waitgroup_add(&group, undone);
}

static void count_down(int which)
{
	done[counts++] = (struct work){which, explorer_step() + 1};
	undone--;
	weft_waitgroup_done(&group);
}

static void has_waited(void)
{
	explorer_check(undone == 0, "what is waited for is done");
	for (int i = 0; i < counts; i++)
		explorer_check(explorer_has_seen(done[i].thread, done[i].step), "and was done before");
}

static void thread(int which)
{
	if (which == scripts(scenario->script)) {
		model_clock_runs();
		return;
	}
	for (const char *s = scenario->script[which]; *s; s++) {
		if (*s == '+') {
			undone++;
			weft_waitgroup_add(&group, 1);
		} else if (*s == 'a') {
			undone++;
			weft_waitgroup_add(&group, 1);
			store_rel(&said, 1);
		} else if (*s == 'p') {
			await_acq(&said, 0);
		} else if (*s == 'd') {
			count_down(which);
		} else if (*s == 'u') {
			if (weft_waitgroup_wait_until(&group, weft_at(1)) == 0)
				has_waited();
		} else {
			weft_waitgroup_wait(&group);
			has_waited();
		}
		if (*s == 'f')
			explorer_vanish(&group, sizeof group);
	}
	if (has_deadline() && which == 1)
		model_clock_stops();
}

static void end(void)
{
	struct waitgroup *wg = inside(&group);
	explorer_check(load_rlx(&wg->word) == 0 && !wg->first, "nothing is left to be done, and nobody waits");
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

TEST(the_wait_group_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}

TEST(who_gives_up_waits_for_the_last_done)
{
	static const struct explorer_mutation spoilt = {"waits for nobody", "withdraw", VERB_LOAD, "word", BLIND};
	explorer_catches(first_failure, &spoilt, 1);
}
