/* The readers-writer mutex (runtime/rwmutex.c), the same source: two or three goroutines read and write, try, wait until a
 * deadline that may come at any moment, and end on another P what they began on one.
 *
 * What must hold: a writer is alone, and after all that writers and readers did before; readers come after the writers
 * before; the queues are touched by one at a time; nobody waits for ever; in the end the lock is as it was at first, and
 * no record is left; and the last one out may give its memory back.
 */
#include "tests/model/goroutine.h"
#include "tests/model/scenarios.h"

#include "tests/test.h"

#include <string.h>

#include "runtime/rwmutex.c"

#include MODEL_EDGES

static weft_rwmutex lock;
static struct explorer_use written, looked[4];
static int writers, readers, users;

static const struct scenario {
	const char *script[3]; /* of each: r reads, m reads and goes to the P of the next meanwhile, b the same and comes
				* back, q tries to read, w writes, t tries to write, d writes if it may until a deadline, e reads
				* so; f writes and is a user less, and the last one gives the memory back */
	unsigned p[3];         /* where each begins */
	int preemptions, stale_reads;
	bool biased; /* at first */
	bool solo;   /* nobody spins */
} scenarios[] = {
	{{"r", "w", ""}, {0, 1, 0}, 3, 2, true, true},
	{{"rr", "ww", ""}, {0, 1, 0}, 3, 1, true, true},
	{{"rr", "wr", ""}, {0, 1, 0}, 3, 1, false, true},
	{{"rw", "wr", ""}, {0, 1, 0}, 3, 1, false, true},
	{{"r", "w", "r"}, {0, 1, 0}, 2, 1, true, true},
	{{"r", "w", "w"}, {0, 1, 0}, 2, 0, true, true},
	{{"m", "w", ""}, {0, 1, 0}, 3, 1, true, true},
	{{"m", "rr", ""}, {0, 1, 0}, 3, 1, true, true},
	{{"m", "r", "w"}, {0, 1, 0}, 2, 0, true, true},
	{{"mm", "r", "w"}, {0, 0, 1}, 2, 0, true, true},
	{{"r", "w", "rw"}, {0, 1, 1}, 2, 1, true, true}, /* a record of one time is moved at the next */
	{{"rw", "tq", ""}, {0, 1, 0}, 2, 1, true, true},
	{{"r", "d", ""}, {0, 1, 0}, 2, 1, true, true},
	{{"w", "e", ""}, {0, 1, 0}, 2, 1, true, true},
	{{"r", "d", "r"}, {0, 1, 0}, 1, 1, true, true},
	{{"w", "e", "w"}, {0, 1, 0}, 2, 0, false, true},
	{{"rf", "f", ""}, {0, 1, 0}, 3, 1, true, true},
	{{"f", "rf", "f"}, {0, 1, 0}, 2, 0, true, true},
	{{"r", "w", "r"}, {0, 1, 0}, 2, 0, false, false},
}, *scenario;

static bool has_deadline(void)
{
	return strpbrk(scenario->script[1], "de");
}

static void start(void)
{
	memset(&lock, 0, sizeof lock);
	memset(records, 0, sizeof records);
	memset(looked, 0, sizeof looked);
	explorer_watch(&lock, sizeof lock);
	explorer_private(&inside(&lock)->self, sizeof(void *));
	goroutines_start();
	for (int i = 0; i < scripts(scenario->script); i++) {
		model_m[i].p.solo = scenario->solo;
		model_m[i].p.index = scenario->p[i];
	}
	lock.word = scenario->biased ? BIASED : 0;
	written.step = 0;
	writers = readers = 0;
	users = scripts(scenario->script);
}

static void has_read(int which)
{
	struct explorer_use before = written;
	explorer_check(!writers, "nobody writes who reads");
	explorer_check(before.step == 0 || before.thread == which || explorer_has_seen(before.thread, before.step),
		       "what is read has been written before");
	looked[which] = (struct explorer_use){which, explorer_step() + 1};
}

static void has_written(void)
{
	explorer_check(writers == 1 && !readers, "a writer is alone");
	explorer_check(explorer_uses(&written), "and after the writers before");
	for (int i = 0; i < scripts(scenario->script); i++)
		explorer_check(looked[i].step == 0 || explorer_has_seen(i, looked[i].step), "and the readers");
}

/* Between taking and giving back there is a step, so that others may come in. */
static void stay(void)
{
	static _Atomic int nobodys;
	(void)add_rlx(&nobodys, 0);
}

static bool enter(char what)
{
	switch (what) {
	case 'q':
		return weft_rwmutex_try_rlock(&lock) == 0;
	case 'e':
		return weft_rwmutex_rlock_until(&lock, weft_at(1)) == 0;
	case 't':
		return weft_rwmutex_try_lock(&lock) == 0;
	case 'd':
		return weft_rwmutex_lock_until(&lock, weft_at(1)) == 0;
	case 'w':
	case 'f':
		weft_rwmutex_lock(&lock);
		return true;
	default:
		weft_rwmutex_rlock(&lock);
		return true;
	}
}

static void leave(int which, char what)
{
	struct p *p = &model_m[which].p;
	if (what == 'm' || what == 'b')
		p->index = !p->index;
	if (strchr("tdwf", what))
		weft_rwmutex_unlock(&lock);
	else
		weft_rwmutex_runlock(&lock);
	if (what == 'b')
		p->index = !p->index;
}

static void thread(int which)
{
	if (which == scripts(scenario->script)) {
		model_clock_runs();
		return;
	}
	for (const char *s = scenario->script[which]; *s; s++) {
		int *inside_now = strchr("tdwf", *s) ? &writers : &readers;
		if (!enter(*s))
			continue;
		++*inside_now;
		if (inside_now == &writers)
			has_written();
		else
			has_read(which);
		stay();
		bool last = *s == 'f' && --users == 0;
		--*inside_now;
		leave(which, *s);
		if (last)
			explorer_vanish(&lock, sizeof lock);
	}
	if (has_deadline() && which == 1)
		model_clock_stops();
}

static void end(void)
{
	struct rwmutex *rw = inside(&lock);
	explorer_check((load_rlx(&rw->word) & ~(uint64_t)BIASED) == 0 && !rw->writers.first && !rw->readers.first,
		       "it is free in the end, and nobody is in a queue");
	for (unsigned i = 0; i < MAX_PS; i++)
		explorer_check(load_rlx(slot_of(rw, i)) == 0, "no record is left");
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

TEST(the_readers_writer_mutex_holds)
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
