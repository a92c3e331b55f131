/* The condition variable: goroutines that wait under a mutex until somebody says that it is worth to look again.
 *
 * The word is GUARD (somebody handles the queue: guard.h) and WAITING (the queue is not empty).
 *
 *     wait                                     signal, broadcast
 *     join the queue: settle                   word 0: nobody waits
 *     unlock the mutex                         else take the guard, take the first off, or all
 *     park                                     settle: the last touch
 *     lock the mutex                           ready
 *
 * No signal is lost: who waits is in the queue before it gives the mutex up, and who has had the mutex after it, and
 * signals with it or without it, sees WAITING. None is spent on one that has gone already: it is claimed, or it is
 * passed over. None wakes anybody who was not waiting when it came: a waiter is taken off before it is woken, and parks
 * once.
 *
 * Rejected: moving waiters over to the mutex's queue on a broadcast, so that each wakes when it can have the mutex: it
 * would need the queue of the mutex, and who signals without the mutex would gain nothing.
 *
 * R1 settle: store_rel(word) -> A1 guard_take: cas_acq(word)     plain: the queue
 */
#include "lockfree/assert.h"
#include "runtime/call.h"
#include "runtime/guard.h"

#include <weft/sync.h>

#include <errno.h>

enum { WAITING = 2 };

struct cond {
	_Atomic uint64_t word;
	struct waiters waiters; /* the guard */
	_Atomic(const void *) self;
};
_Static_assert(sizeof(struct cond) == sizeof(weft_cond), "the same thing from outside and inside");

static struct cond *inside(weft_cond *cond)
{
	struct cond *c = (struct cond *)(void *)cond;
	check_not_copied(&c->self, c, "cond");
	return c;
}

/* Gives up the guard: the last touch. */
static void settle(struct cond *c)
{
	store_rel(&c->word, c->waiters.first ? WAITING : 0); /* R1 */
}

/* Before anything is queued: afterwards it would be too late to find that it is not so. */
static void check_locked(weft_mutex *m)
{
	enum { LOCKED = 1 };
	if (unlikely(!(__atomic_load_n(&m->word, __ATOMIC_RELAXED) & LOCKED)))
		weft_panic("unlock of unlocked mutex");
}

static int wait_inside(struct cond *c, weft_mutex *m, bool many, weft_deadline deadline)
{
	struct waiter w = {.many = many};
	bool too_late = false;
	guard_take(&c->word);
	w.g = wait_begin(WAIT_COND);
	waiters_push(&c->waiters, &w);
	settle(c);
	weft_mutex_unlock(m);
	if (!many)
		park();
	else
		too_late = park_until(w.g, deadline);
	if (too_late) {
		guard_take(&c->word);
		if (w.queued)
			waiters_take_off(&c->waiters, &w);
		settle(c);
	}
	weft_mutex_lock(m);
	return too_late ? -ETIMEDOUT : 0;
}

static int wait_call(struct cond *c, weft_mutex *m, bool many, weft_deadline deadline)
{
	check_locked(m);
	bool outermost = call_begin_blocking();
	int err = wait_inside(c, m, many, deadline);
	call_end_blocking(outermost);
	return err;
}

static COLD void wake(struct cond *c, uint64_t (*claim)(struct waiters *, struct waiters *))
{
	struct waiters let = {0};
	bool outermost = call_begin();
	guard_take(&c->word);
	claim(&c->waiters, &let);
	settle(c);
	waiters_ready(&let);
	call_end(outermost);
}

void weft_cond_wait(weft_cond *cond, weft_mutex *m)
{
	wait_call(inside(cond), m, false, WEFT_NEVER);
}

int weft_cond_wait_until(weft_cond *cond, weft_mutex *m, weft_deadline deadline)
{
	return wait_call(inside(cond), m, true, deadline);
}

void weft_cond_signal(weft_cond *cond)
{
	struct cond *c = inside(cond);
	if (load_rlx(&c->word))
		wake(c, waiters_claim_first);
}

void weft_cond_broadcast(weft_cond *cond)
{
	struct cond *c = inside(cond);
	if (load_rlx(&c->word))
		wake(c, waiters_claim_all);
}
