/* Parking a goroutine and making it runnable again: what everything that blocks is made of.
 *
 *     the waiter                                  the waker
 *     lock the object                             lock the object
 *     g = wait_begin(why)                         take the waiter off it; if w->many, wait_claim(g)
 *     put a waiter on the object                  copy what is to be copied
 *     unlock                                      unlock
 *     park()                                      ready(g)
 *
 * The goroutine may be found and readied at any moment from the unlock on, even before it has parked: it is
 * still on its stack then, and whoever picks it up waits until it has left (context_wait_off_cpu). No lock is
 * held across a switch. Exactly one ready() answers each park().
 *
 * When several may end one wait (select, deadlines), they agree by wait_claim: who swaps the goroutine's claim
 * word from open to taken is the one.
 *
 * A thread outside the runtime waits by the same calls: it is given a goroutine that stands for it, and sleeps
 * on a futex.
 */
#ifndef RUNTIME_PARK_H
#define RUNTIME_PARK_H

#include "lockfree/epoch.h"
#include "runtime/g.h"

#include <weft/time.h>

/* The calling goroutine, about to wait; its claim is open. */
struct g *wait_begin(enum wait_reason why);

/* It does not wait after all: wait_begin is taken back. */
void wait_cancel(struct g *);

void park(void);

/* Makes it runnable: next on this P, or on the global queue when the caller has none. */
void ready(struct g *);

/* Has the object reclaimed once nobody can be looking at it any more; the entry is part of it. */
void retire(struct epoch_entry *entry, void (*reclaim)(struct epoch_entry *));

/* For who is about to wait until goroutines that it has started have ended: lets the youngest of them run, if it is at hand and has
 * not begun, and comes back when that has ended or waits, or sooner. False: there is none. A waiter that nobody has to
 * know of, and wake, costs half of one that is. */
bool yield_to_child(void);

static inline bool wait_claim(struct g *g)
{
	uint32_t open = 0;
	return load_rlx(&g->xclaim) == open && cas_acqrel(&g->xclaim, &open, 1);
}

/* Parks. If the wait has not ended by the deadline, expired(arg, now) is called, under the lock of a wheel, to end it;
 * on return it is not running any more. */
void park_with(weft_deadline, int64_t (*expired)(void *arg, int64_t now), void *arg);

/* Parks until somebody else claims the wait, or the deadline does. True: it was the deadline. */
bool park_until(struct g *, weft_deadline);

#endif
