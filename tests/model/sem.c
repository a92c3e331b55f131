/* The semaphore (runtime/sem.c), the same source: two or three goroutines acquire and release, one of them until a deadline
 * that may come at any moment.
 *
 * What must hold: nobody has what there is not; who acquires comes after those whose release it needed; who came first is
 * let in first; the queue is touched by one at a time; nobody waits for ever while there is enough; in the end all is there
 * again; and who has acquired what was released last may give the memory back.
 */
#include "tests/model/goroutine.h"
#include "tests/model/scenarios.h"

#include "tests/test.h"

#include <string.h>

#include "runtime/sem.c"

#include MODEL_EDGES

static weft_sem sem;
static int64_t left; /* as those that acquire and release know */
static struct explorer_use used[4];

static const struct scenario {
	const char *script[3]; /* of each: 1, 2, 3 acquires as many and releases them, d so 2 until a deadline, t tries 1, T so, and cannot fail; P puts two in, + puts
				* one in; - takes one out, f so and gives the memory back */
	int permits;           /* at first */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"11", "11", ""}, 1, 3, 2},
	{{"1t", "t1", ""}, 1, 3, 2},
	{{"12", "21", ""}, 2, 3, 1},
	{{"1", "2", "1"}, 2, 2, 1},
	{{"2", "3", "1"}, 3, 2, 1},
	{{"1", "1", "1"}, 1, 2, 1},
	{{"1", "d", ""}, 2, 2, 1},
	{{"1", "d", "1"}, 2, 2, 0},
	{{"1", "d", "1"}, 2, 1, 1},
	{{"++", "d", "2"}, 0, 2, 0},
	{{"+", "f", ""}, 0, 3, 2},
	{{"+", "+", "-f"}, 0, 2, 1},
	{{"-", "PT", ""}, 0, 2, 1},
}, *scenario;

static bool has_deadline(void)
{
	return strchr(scenario->script[1], 'd');
}

static void start(void)
{
	memset(&sem, 0, sizeof sem);
	memset(used, 0, sizeof used);
	weft_sem_init(&sem, scenario->permits);
	left = scenario->permits;
	explorer_watch(&sem, sizeof sem);
	explorer_private(&inside(&sem)->self, sizeof(void *));
	goroutines_start();
}

/* Between acquiring and releasing there is a step, so that others may come in. */
static void stay(void)
{
	static _Atomic int nobodys;
	(void)add_rlx(&nobodys, 0);
}

/* Who has all there ever is comes after all that had some. */
static void acquired(int which, int64_t n)
{
	left -= n;
	explorer_check(left >= 0, "nobody has what there is not");
	for (int i = 0; n == scenario->permits && i < scripts(scenario->script); i++)
		explorer_check(used[i].step == 0 || i == which || explorer_has_seen(i, used[i].step),
			       "who acquires comes after those who released");
}

static void release(int which, int64_t n)
{
	used[which] = (struct explorer_use){which, explorer_step() + 1};
	left += n;
	weft_sem_release(&sem, n);
}

static void hold(int which, int64_t n)
{
	acquired(which, n);
	stay();
	release(which, n);
}

static void thread(int which)
{
	if (which == scripts(scenario->script)) {
		model_clock_runs();
		return;
	}
	for (const char *s = scenario->script[which]; *s; s++) {
		if (*s == '+') {
			release(which, 1);
		} else if (*s == '-' || *s == 'f') {
			weft_sem_acquire(&sem, 1);
			acquired(which, 1);
		} else if (*s == 't') {
			if (weft_sem_try_acquire(&sem, 1) == 0)
				hold(which, 1);
		} else if (*s == 'P') {
			release(which, 2);
		} else if (*s == 'T') {
			explorer_check(weft_sem_try_acquire(&sem, 1) == 0, "what is there all the while can be had");
			acquired(which, 1);
		} else if (*s == 'd') {
			if (weft_sem_acquire_until(&sem, 2, weft_at(1)) == 0)
				hold(which, 2);
		} else {
			weft_sem_acquire(&sem, *s - '0');
			hold(which, *s - '0');
		}
		if (*s == 'f') {
			for (int i = 0; i < scripts(scenario->script); i++)
				explorer_check(i == which || explorer_has_seen(i, used[i].step), "it comes after the release");
			explorer_vanish(&sem, sizeof sem);
		}
	}
	if (has_deadline() && which == 1)
		model_clock_stops();
}

static void end(void)
{
	struct sem *s = inside(&sem);
	explorer_check(load_rlx(&s->word) == (uint64_t)left * ONE && !s->waiters.first,
		       "all is there in the end, and nobody waits");
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

TEST(the_semaphore_holds)
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
