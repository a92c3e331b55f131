/* The condition variable (runtime/cond.c), the same source, with a mutex that is the model's: two or three goroutines take
 * tokens, and wait until there are some, one of them until a deadline that may come at any moment; others put tokens in, and
 * signal each once.
 *
 * What must hold: a token that has been signalled is taken, so that nobody waits for ever; the queue is touched by one at a
 * time; each waiter is woken once; whoever has waited has the mutex; and in the end nobody is in the queue.
 */
#include "tests/model/goroutine.h"
#include "tests/model/scenarios.h"

#include "tests/test.h"

#include <string.h>

#include <weft/sync.h>

static weft_cond condition;
static weft_mutex mutex = {.word = 1}; /* what cond.c looks at: it is locked */
static _Atomic uint32_t held;
static struct explorer_use section;
static int tokens;

static void model_mutex_lock(weft_mutex *m)
{
	(void)m;
	for (uint32_t unlocked = 0; !cas_acq(&held, &unlocked, 1); unlocked = 0)
		(void)await_acq(&held, 1);
	explorer_check(explorer_uses(&section), "one has the mutex, after those before");
}

static void model_mutex_unlock(weft_mutex *m)
{
	(void)m;
	section.step = explorer_step() + 1;
	store_rel(&held, 0);
}

#define weft_mutex_lock   model_mutex_lock
#define weft_mutex_unlock model_mutex_unlock
#include "runtime/cond.c"

#include MODEL_EDGES

static const struct scenario {
	const char *script[3]; /* of each: t takes a token, d so if one comes before a deadline, p puts one in and signals under
				* the mutex, s so but signals after it, b puts two in and broadcasts */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"t", "p", ""}, 4, 2},
	{{"t", "s", ""}, 4, 2},
	{{"tt", "sp", ""}, 3, 1},
	{{"t", "t", "b"}, 2, 1},
	{{"t", "t", "sp"}, 2, 1},
	{{"s", "d", ""}, 2, 1},
	{{"t", "d", "pp"}, 1, 1},
}, *scenario;

static bool has_deadline(void)
{
	return strchr(scenario->script[1], 'd');
}

static void start(void)
{
	memset(&condition, 0, sizeof condition);
	memset(&held, 0, sizeof held);
	explorer_watch(&condition, sizeof condition);
	explorer_private(&inside(&condition)->self, sizeof(void *));
	goroutines_start();
	section.step = 0;
	tokens = 0;
}

static void take(bool hurried)
{
	weft_mutex_lock(&mutex);
	int err = 0;
	while (tokens == 0 && !err) {
		if (hurried)
			err = weft_cond_wait_until(&condition, &mutex, weft_at(1));
		else
			weft_cond_wait(&condition, &mutex);
		explorer_check(load_rlx(&held) == 1 && section.thread == explorer_self(), "who has waited has the mutex");
	}
	if (tokens > 0)
		tokens--;
	weft_mutex_unlock(&mutex);
}

static void put(int n, bool within)
{
	void (*say)(weft_cond *) = n > 1 ? weft_cond_broadcast : weft_cond_signal;
	weft_mutex_lock(&mutex);
	tokens += n;
	if (within)
		say(&condition);
	weft_mutex_unlock(&mutex);
	if (!within)
		say(&condition);
}

static void thread(int which)
{
	if (which == scripts(scenario->script)) {
		model_clock_runs();
		return;
	}
	for (const char *s = scenario->script[which]; *s; s++) {
		if (*s == 't' || *s == 'd')
			take(*s == 'd');
		else
			put(*s == 'b' ? 2 : 1, *s != 's');
	}
	if (has_deadline() && which == 1)
		model_clock_stops();
}

static void end(void)
{
	struct cond *c = inside(&condition);
	explorer_check(load_rlx(&c->word) == 0 && !c->waiters.first, "nobody is in the queue in the end");
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

TEST(the_condition_variable_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}

/* What a look that finds nobody would lose. */
TEST(a_signal_that_is_not_seen_is_missed)
{
	static const struct explorer_mutation spoilt = {"nobody waits", "weft_cond_signal", VERB_LOAD, "word", BLIND};
	explorer_catches(first_failure, &spoilt, 1);
}
