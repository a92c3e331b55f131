/* The work-stealing deque (lockfree/deque.h), the same source, with two slots: an owner against one or two thieves.
 *
 * What must hold: every item leaves once, to a taker who comes after all that was done before it was pushed; a thief gets
 * the oldest, the owner the latest; and who took an item has done so, in the sense of happens-before, when its slot is
 * written again.
 */
#include "tests/model/atomic.h"
#include "tests/model/fence.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "lockfree/deque.h"

#include MODEL_EDGES

enum { SLOTS = 2, THREADS = 3, ITEMS_MAX = 8, INDICES = 8 };

static struct deque d;
static deque_slot memory[SLOTS];
static int64_t index_seen[THREADS]; /* the owner's last bottom, a thief's last top */
static uint32_t pushed;             /* item n is the number n + 1 */
static struct {
	uint32_t put; /* the owner's step; 0: it did not fit */
	bool taken;
} item[ITEMS_MAX];
static struct {
	int thread;
	uint32_t step;
} took[INDICES];

static const struct scenario {
	const char *owner; /* P pushes, p pops */
	int steals[2];     /* how often each of the thieves tries */
	int preemptions, stale_reads;
} scenarios[] = {
	{"PPpp", {2, 0}, 5, 2},
	{"PpPpPp", {2, 0}, 4, 2},
	{"PPpPPp", {3, 0}, 4, 2},
	{"PPPpP", {2, 0}, 4, 2},
	{"PPpp", {1, 1}, 3, 1},
	{"PpPPP", {1, 1}, 3, 1},
}, *scenario;

static void start(void)
{
	memset(memory, 0, sizeof memory);
	deque_init(&d, memory, SLOTS);
	pushed = 0;
	memset(item, 0, sizeof item);
	memset(took, 0, sizeof took);
}

static void saw(int which, const void *address, uint64_t value)
{
	if (which >= 0 && address == (which ? &d.xtop : &d.xbottom))
		index_seen[which] = (int64_t)value;
}

static void push(void)
{
	uint32_t n = pushed++; /* a thief may have it before deque_push returns */
	item[n].put = explorer_step() + 1;
	if (!deque_push(&d, (void *)(uintptr_t)(n + 1))) {
		item[n].put = 0;
		return;
	}
	int64_t before = index_seen[0] - SLOTS;
	if (before >= 0 && before < INDICES && took[before].step)
		explorer_check(explorer_has_seen(took[before].thread, took[before].step),
			       "a slot is written after it was read");
}

static bool take(void *p, int me)
{
	uintptr_t n = (uintptr_t)p - 1;
	if (n >= pushed || !item[n].put) {
		explorer_check(false, "what is taken was pushed");
		return false;
	}
	explorer_check(!item[n].taken, "an item is taken once");
	explorer_check(me <= 0 || explorer_has_seen(0, item[n].put), "and after it was pushed");
	item[n].taken = true;
	for (uint32_t i = 0; me > 0 && i < n; i++)
		explorer_check(item[i].taken || !item[i].put, "a thief gets the oldest");
	for (uint32_t i = (uint32_t)n + 1; me == 0 && i < pushed; i++)
		explorer_check(item[i].taken || !item[i].put, "the owner gets the latest");
	return true;
}

static void steal(int me)
{
	void *p;
	if (deque_steal(&d, &p) != DEQUE_TAKEN || !take(p, me))
		return;
	int64_t at = index_seen[me];
	if (at < 0 || at >= INDICES)
		return explorer_check(false, "top counts what is taken there");
	took[at].thread = me;
	took[at].step = explorer_step();
}

static void thread(int which)
{
	void *p;
	for (int i = 0; which > 0 && i < scenario->steals[which - 1]; i++)
		steal(which);
	for (const char *s = which ? "" : scenario->owner; *s; s++) {
		if (*s == 'P')
			push();
		else if ((p = deque_pop(&d)))
			take(p, 0);
	}
}

static void end(void)
{
	for (void *p; (p = deque_pop(&d)) && take(p, -1);)
		;
	for (uint32_t n = 0; n < pushed; n++)
		explorer_check(item[n].taken || !item[n].put, "nothing is lost");
	explorer_check(load_rlx(&d.xbottom) == load_rlx(&d.xtop), "it is empty in the end");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {scenario->steals[1] ? 3 : 2, start, thread, end, scenario->preemptions,
					     scenario->stale_reads, saw, false};
		if ((m || test_is_slow()) && p.preemptions > 2)
			p.preemptions = 2;
		struct explorer_result r = explore(&p, m);
		if (!m)
			fprintf(stderr, "# %s: %lld executions\n", scenario->owner, (long long)r.executions);
		if (r.broken)
			return r.broken;
	}
	return NULL;
}

TEST(the_deque_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}

TEST(the_owner_must_compare_for_the_last_item)
{
	static const struct explorer_mutation spoilt = {"pop without a comparison", "deque_pop", VERB_CAS, "xtop", SPLIT};
	explorer_catches(first_failure, &spoilt, 1);
}
