/* The run queue (lockfree/runq.h), the same source, with few slots, under every interleaving of its owner and one
 * or two thieves up to some preemptions and stale reads.
 *
 * What must hold: every item leaves once; each taker gets them in order, but for the owner's last ones, each of which is the
 * youngest; a thief never sees a tail older than the head that goes with it, but for the one less of a last one
 * that was taken meanwhile; and who took an item has done so, in the sense of happens-before, when its slot is written again.
 */
#include "tests/model/atomic.h"

#include "tests/test.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef RUNQ_SLOTS
#define RUNQ_SLOTS 2u
#endif
#include "lockfree/runq.h"

#include MODEL_EDGES

enum { ITEMS_MAX = 8, TAKERS = 3 };

/* The indices wrap within the program. */
static const uint32_t first_index = 0u - 2;

static struct runq q;
static struct variant {
	const char *name;
	bool (*push)(struct runq *, void *);
	void *(*pop)(struct runq *);
	void *(*pop_last)(struct runq *);
	uint32_t (*steal)(struct runq *, void **, uint32_t);
} real = {"as it is", runq_push, runq_pop, runq_pop_last, runq_steal}, use;

static const char *script; /* of the owner: P pushes, p pops, l pops the last */
static uint32_t pushed;    /* items so far; item n is the number n + 1 */
static uint32_t last_popped;
static uint32_t in_slot[RUNQ_SLOTS]; /* the item that was pushed there; none: ITEMS_MAX */
static uint8_t taken[ITEMS_MAX];
static struct {
	int taker;
	uint32_t step;
} took[ITEMS_MAX];
static uintptr_t last[TAKERS];

static void start(void)
{
	memset(&q, 0, sizeof q);
	q.tail = first_index;
	q.xhead = first_index;
	pushed = last_popped = 0;
	for (uint32_t i = 0; i < RUNQ_SLOTS; i++)
		in_slot[i] = ITEMS_MAX;
	memset(taken, 0, sizeof taken);
	memset(last, 0, sizeof last);
}

/* False: it is none. */
static bool leaves(int taker, uintptr_t n)
{
	explorer_check(n >= 1 && n <= pushed, "what is taken was pushed");
	if (n < 1 || n > ITEMS_MAX)
		return false;
	explorer_check(++taken[n - 1] == 1, "an item is taken once");
	took[n - 1].taker = taker;
	took[n - 1].step = explorer_step();
	return true;
}

static void take(int taker, void *item)
{
	uintptr_t n = (uintptr_t)item;
	if (!leaves(taker, n))
		return;
	explorer_check(n > last[taker], "a taker gets the items in order");
	last[taker] = n;
}

static void take_last(void *item)
{
	uintptr_t n = (uintptr_t)item;
	if (!leaves(0, n))
		return;
	for (uintptr_t younger = n; younger < pushed; younger++)
		explorer_check(taken[younger] == 1, "the last one is the youngest");
	last_popped++;
}

static void push(void)
{
	uint32_t n = pushed++, slot = load_rlx(&q.tail) % RUNQ_SLOTS; /* a thief may have it before runq_push returns */
	if (!use.push(&q, (void *)(uintptr_t)(n + 1))) {
		pushed = n;
		return;
	}
	uint32_t before = in_slot[slot];
	in_slot[slot] = n;
	if (before == ITEMS_MAX)
		return;
	explorer_check(taken[before] == 1, "a slot is free when it is written");
	if (taken[before] == 1)
		explorer_check(explorer_has_seen(took[before].taker, took[before].step),
			       "a slot is written after it was read");
}

/* A thief's tail is at least as new as the head it was read after. */
static void saw(int which, const void *address, uint64_t value)
{
	static uint32_t head[TAKERS];
	if (address == &q.xhead)
		head[which] = (uint32_t)value;
	else if (address == &q.tail && which > 0)
		explorer_check((int32_t)((uint32_t)value - head[which]) >= (strchr(script, 'l') ? -1 : 0),
			       "a thief's tail is not older than its head");
}

static void thread(int which)
{
	void *to[RUNQ_SLOTS];
	if (which > 0) {
		uint32_t n = use.steal(&q, to, RUNQ_SLOTS);
		explorer_check(n <= RUNQ_SLOTS, "no more is taken than there is room for");
		for (uint32_t i = 0; i < n && i < RUNQ_SLOTS; i++)
			take(which, to[i]);
		return;
	}
	for (const char *s = script; *s; s++) {
		void *item;
		if (*s == 'P')
			push();
		else if (*s == 'p' && (item = use.pop(&q)))
			take(0, item);
		else if (*s == 'l' && (item = use.pop_last(&q)))
			take_last(item);
	}
}

/* What is left in the ring is what has not been taken. */
static void end(void)
{
	uint32_t head = (uint32_t)load_rlx(&q.xhead), tail = load_rlx(&q.tail), left = 0;
	explorer_check(tail - head <= RUNQ_SLOTS, "0 <= tail - head <= slots");
	explorer_check(tail - first_index == pushed - last_popped, "the tail counts pushes, and pops of the last");
	for (uint32_t n = 0; n < pushed; n++)
		left += !taken[n];
	explorer_check(left == tail - head, "an item is in the ring or was taken");
	for (uint32_t at = head; at - head < left; at++) {
		uintptr_t n = (uintptr_t)load_rlx(&q.slot[at % RUNQ_SLOTS]);
		explorer_check(n >= 1 && n <= pushed && !taken[n - 1], "what is in the ring has not been taken");
	}
}

/* The last pushes write slots again. */
#ifndef SCRIPTS
#define SCRIPTS "PPpPp", "PPPpPP", "PpPpPp", "PPlPl", "PlPPl", "PPpPl"
#endif
static const char *const scripts[] = {SCRIPTS};

static struct explorer_program against(int thieves, const char *owner, int preemptions, int stale_reads)
{
	script = owner;
	return (struct explorer_program){1 + thieves, start, thread, end, preemptions, stale_reads,
					 saw, false};
}

static void holds(int thieves, int preemptions, int stale_reads)
{
	use = real;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct explorer_program p = against(thieves, scripts[i], preemptions, stale_reads);
		struct explorer_result r = explore(&p, NULL);
		fprintf(stderr, "# %s against %d: %lld executions\n", script, thieves,
			(long long)r.executions);
		if (!r.broken)
			continue;
		explorer_tell();
		test_fail(__FILE__, __LINE__, "not so: %s", r.broken);
	}
}

TEST(one_thief)
{
	holds(1, test_is_slow() ? 3 : 5, 2);
}

TEST(two_thieves)
{
	holds(2, test_is_slow() ? 2 : 3, 1);
}

/* ---- the model sees what it should ---- */

static const char *caught(const struct variant *variant, const struct explorer_mutation *m)
{
	use = *variant;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		for (int thieves = 1; thieves <= 2; thieves++) {
			struct explorer_program p = against(thieves, scripts[i], 4 - thieves, 3 - thieves);
			struct explorer_result r = explore(&p, m);
			if (r.broken)
				return r.broken;
		}
	}
	return NULL;
}

static void must_be_caught(const char *name, const struct variant *variant, const struct explorer_mutation *m)
{
	const char *what = caught(variant, m);
	if (!what)
		test_fail(__FILE__, __LINE__, "%s is not caught", name);
	fprintf(stderr, "# %s: not so: %s\n", name, what);
}

TEST(every_spoilt_edge_is_caught)
{
	for (size_t i = 0; i < ARRAY_LEN(edges); i++)
		must_be_caught(edges[i].name, &real, &edges[i]);
}

/* What the essay rules out, written down. */

static bool push_unchecked(struct runq *r, void *item)
{
	uint32_t tail = load_rlx(&r->tail);
	(void)load_acq(&r->xhead);
	store_rlx(&r->slot[tail % RUNQ_SLOTS], item);
	store_rel(&r->tail, tail + 1);
	return true;
}

static bool push_publishing_first(struct runq *r, void *item)
{
	uint32_t tail = load_rlx(&r->tail);
	if (tail - (uint32_t)load_acq(&r->xhead) >= RUNQ_SLOTS)
		return false;
	store_rel(&r->tail, tail + 1);
	store_rlx(&r->slot[tail % RUNQ_SLOTS], item);
	return true;
}

static void *pop_last_lowering_late(struct runq *r)
{
	uint32_t at = load_rlx(&r->tail) - 1;
	uint64_t head = load_rlx(&r->xhead);
	if ((uint32_t)head == at + 1)
		return NULL;
	void *item = load_rlx(&r->slot[at % RUNQ_SLOTS]);
	if (!cas_rel(&r->xhead, &head, head + RUNQ_LAST_POPPED))
		return NULL;
	store_rel(&r->tail, at);
	return item;
}

static void *pop_last_uncounted(struct runq *r)
{
	uint32_t at = load_rlx(&r->tail) - 1;
	uint64_t head = load_rlx(&r->xhead);
	if ((uint32_t)head == at + 1)
		return NULL;
	void *item = load_rlx(&r->slot[at % RUNQ_SLOTS]);
	store_rel(&r->tail, at);
	if (cas_rel(&r->xhead, &head, head))
		return item;
	store_rel(&r->tail, at + 1);
	return NULL;
}

static uint32_t steal_one(struct runq *r, void **to, bool tail_first, bool late)
{
	uint32_t tail = tail_first ? load_acq(&r->tail) : 0;
	uint64_t head = load_acq(&r->xhead);
	if (!tail_first)
		tail = load_acq(&r->tail);
	if (tail == (uint32_t)head)
		return 0;
	if (!late)
		to[0] = load_rlx(&r->slot[head % RUNQ_SLOTS]);
	if (!cas_acqrel(&r->xhead, &head, head + 1))
		return 0;
	if (late)
		to[0] = load_rlx(&r->slot[head % RUNQ_SLOTS]);
	return 1;
}

static uint32_t steal_tail_first(struct runq *r, void **to, uint32_t max)
{
	(void)max;
	return steal_one(r, to, true, false);
}

static uint32_t steal_reading_late(struct runq *r, void **to, uint32_t max)
{
	(void)max;
	return steal_one(r, to, false, true);
}

TEST(every_forbidden_variant_is_caught)
{
	static const struct variant variants[] = {
		{"push that never finds it full", push_unchecked, runq_pop, runq_pop_last, runq_steal},
		{"push that publishes before it writes", push_publishing_first, runq_pop, runq_pop_last, runq_steal},
		{"solo pop beside thieves", runq_push, runq_pop_solo, runq_pop_last, runq_steal},
		{"solo pop of the last beside thieves", runq_push, runq_pop, runq_pop_last_solo, runq_steal},
		{"pop of the last that lowers the tail late", runq_push, runq_pop, pop_last_lowering_late, runq_steal},
		{"pop of the last that is not counted", runq_push, runq_pop, pop_last_uncounted, runq_steal},
		{"steal that reads the tail first", runq_push, runq_pop, runq_pop_last, steal_tail_first},
		{"steal that reads slots once head has moved", runq_push, runq_pop, runq_pop_last, steal_reading_late},
	};
	for (size_t i = 0; i < ARRAY_LEN(variants); i++)
		must_be_caught(variants[i].name, &variants[i], NULL);
}
