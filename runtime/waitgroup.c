/* The wait group: a count, and those who wait for it to come down to zero.
 *
 * The word is count * 4, plus GUARD (a waiter handles the list) and WAITING (the list is not empty). Count and flags share
 * a word so that the last done() learns from the very operation that brings the count to zero whether it must look at the
 * list: if no flag is set nobody waits and it touches nothing more, and if one is set the waiter is there, or about
 * to be, and cannot return before done() has let it go.
 *
 *     wait                                         done
 *     count 0, no flag: return                     word -= 4
 *     count 0, flag: a done() is at it: look again count not 0, or no flag: return
 *     cas: set GUARD (only while count > 0)        GUARD: wait until it has been cleared
 *     join the list                                take the list away
 *     clear GUARD, set WAITING                     word := 0: the last touch
 *     park                                         ready all
 *
 * From the moment in which the count comes down to zero until the word is cleared, the group is that done()'s alone: waiters take
 * GUARD only above zero. So it takes the list and clears the word without a locked operation; only a waiter that holds
 * GUARD already is waited for, who always joins. To add meanwhile is misuse, and panics where it is seen, as in Go.
 * One whose deadline has come leaves the list under GUARD, taken as above, and waits for the done() that has seen a
 * flag: else that done() would come upon a group that has been given back, or is in use for something else.
 *
 * R1 weft_waitgroup_add: add_acqrel(word) -> A1 take_guard_to_wait: load_acq(word)  what was done before done()
 * R2 settle: cas_rel(word)    -> A2 take_guard_to_wait: cas_acq(word)       plain: the list
 * R2 settle: cas_rel(word)    -> A2 weft_waitgroup_add: add_acqrel(word)    plain: the list
 * R2 settle: cas_rel(word)    -> A2 await_guard: load_acq(word)             plain: the list
 * R3 let_go: store_rel(word)  -> A3 take_guard_to_wait: load_acq(word)      plain: the memory, which may go
 */
#include "lockfree/assert.h"
#include "runtime/call.h"
#include "runtime/panic.h"
#include "runtime/park.h"

#include <weft/sync.h>

#include <errno.h>
#include <sched.h>

enum { GUARD = 1, WAITING = 2, FLAGS = 3, ONE = 4 };
static const int64_t most = INT64_MAX / ONE;

struct group_waiter {
	struct group_waiter *next, **link;
	struct g *g;
	bool many, queued;
};

struct waitgroup {
	_Atomic int64_t word;
	struct group_waiter *first; /* the guard */
};
_Static_assert(sizeof(struct waitgroup) == sizeof(weft_waitgroup), "the same thing from outside and inside");

static struct waitgroup *inside(weft_waitgroup *wg)
{
	return (struct waitgroup *)(void *)wg;
}

static int64_t count_of(int64_t word)
{
	return word >> 2;
}

static void pause_a_little(unsigned round)
{
	if (round % 64 == 63)
		sched_yield();
	cpu_relax();
}

/* The count is zero, and a waiter is about to join. */
static COLD void await_guard(struct waitgroup *wg)
{
	for (unsigned round = 0; load_acq(&wg->word) & GUARD; round++) /* A2 */
		pause_a_little(round);
}

/* Gives up the guard, and says in the flags what is so then: the last touch. The count may change meanwhile; who
 * brings it to zero sees a flag, and its flag is left to it. The word. */
static int64_t settle(struct waitgroup *wg)
{
	int64_t word = load_rlx(&wg->word), want;
	do
		want = (word & ~(int64_t)FLAGS) | (wg->first || count_of(word) == 0 ? WAITING : 0);
	while (!cas_rel(&wg->word, &word, want)); /* R2 */
	return want;
}

static struct group_waiter *take_list(struct waitgroup *wg)
{
	struct group_waiter *all = NULL, **last = &all, *w;
	while ((w = wg->first)) {
		wg->first = w->next;
		w->queued = false;
		if (w->many && !wait_claim(w->g))
			continue;
		w->next = NULL;
		*last = w;
		last = &w->next;
	}
	return all;
}

static void ready_all(struct group_waiter *w)
{
	while (w) {
		struct group_waiter *next = w->next;
		ready(w->g);
		w = next;
	}
}

/* Takes the guard while there is something to wait for. False: there is nothing, and no done() is at it any more. */
static bool take_guard_to_wait(struct waitgroup *wg)
{
	for (unsigned round = 0;; round++) {
		int64_t word = load_acq(&wg->word); /* A1, A3 */
		if (count_of(word) == 0 && !(word & FLAGS))
			return false;
		if (count_of(word) > 0 && !(word & GUARD) && cas_acq(&wg->word, &word, word | GUARD))
			return true;
		pause_a_little(round);
	}
}

/* Somebody has added again before the waiters were let go. They are, and what has been added stays. */
static COLD _Noreturn void misused(struct waitgroup *wg)
{
	if (take_guard_to_wait(wg)) {
		struct group_waiter *w = take_list(wg);
		settle(wg);
		ready_all(w);
	}
	weft_panic("wait group misuse: add beside a wait");
}

/* The count has come down to zero, and somebody waits: `word` is what that has left. */
static void let_go(struct waitgroup *wg, int64_t word)
{
	bool outermost = call_begin();
	if (unlikely(word & GUARD))
		await_guard(wg);
	if (unlikely(count_of(load_rlx(&wg->word)) != 0))
		misused(wg);
	struct group_waiter *w = take_list(wg);
	store_rel(&wg->word, 0); /* R3 */
	ready_all(w);
	call_end(outermost);
}

/* As if it had not been: what a panic of add leaves. */
static COLD _Noreturn void undo(struct waitgroup *wg, int64_t n)
{
	add_rlx(&wg->word, -n * ONE);
	weft_panic(n < 0 ? "negative wait group counter" : "wait group counter out of range");
}

void weft_waitgroup_add(weft_waitgroup *group, int64_t n)
{
	struct waitgroup *wg = inside(group);
	if (unlikely(n > most || n < -most))
		weft_panic("wait group counter out of range");
	if (n < 0 && unlikely(count_of(load_rlx(&wg->word)) + n < 0)) /* before others see it, and panic in its place */
		weft_panic("negative wait group counter");
	int64_t word = add_acqrel(&wg->word, n * ONE) + n * ONE; /* R1, A2 */
	if (unlikely(count_of(word) < 0))
		undo(wg, n);
	if (n < 0 && count_of(word) == 0 && (word & FLAGS))
		let_go(wg, word);
}

void weft_waitgroup_done(weft_waitgroup *group)
{
	weft_waitgroup_add(group, -1);
}

/* False: there is nothing to wait for. */
static bool join(struct waitgroup *wg, struct group_waiter *w)
{
	if (!take_guard_to_wait(wg))
		return false;
	w->g = wait_begin(WAIT_GROUP);
	w->next = wg->first;
	w->queued = true;
	wg->first = w;
	settle(wg);
	return true;
}

/* The deadline has ended it; it may be on the list still. A done() that has brought the count to zero meanwhile is
 * waited for: the caller may do with the group as it likes afterwards. */
static void withdraw(struct waitgroup *wg, struct group_waiter *w)
{
	if (!take_guard_to_wait(wg))
		return;
	for (struct group_waiter **link = &wg->first; w->queued && *link; link = &(*link)->next) {
		if (*link == w) {
			*link = w->next;
			break;
		}
	}
	int64_t word = settle(wg);
	for (unsigned round = 0; count_of(word) == 0 && (word & FLAGS); round++) {
		pause_a_little(round);
		word = load_rlx(&wg->word);
	}
}

/* As long as something comes of it. */
static void let_children_run(struct waitgroup *wg)
{
	int64_t left = count_of(load_rlx(&wg->word)), before;
	do
		before = left;
	while (left > 0 && yield_to_child() && (left = count_of(load_rlx(&wg->word))) < before);
}

void weft_waitgroup_wait(weft_waitgroup *group)
{
	struct group_waiter w = {.many = false};
	bool outermost = call_begin_blocking();
	let_children_run(inside(group));
	if (join(inside(group), &w))
		park();
	call_end_blocking(outermost);
}

static int wait_inside(struct waitgroup *wg, weft_deadline deadline)
{
	struct group_waiter w = {.many = true};
	if (!join(wg, &w) || !park_until(w.g, deadline))
		return 0;
	withdraw(wg, &w);
	return -ETIMEDOUT;
}

int weft_waitgroup_wait_until(weft_waitgroup *group, weft_deadline deadline)
{
	bool outermost = call_begin_blocking();
	int err = wait_inside(inside(group), deadline);
	call_end_blocking(outermost);
	return err;
}
