/* A spin lock that costs who takes it time and again no locked instruction.
 *
 * A lock that one P has taken so often in a row, with nobody else in between, becomes that P's. From then on the P takes it by a
 * plain store, and whoever else comes takes it away first:
 *
 *     the owner                                somebody else
 *     xheld := true                            take the spin lock
 *     (only the compiler is held back)         owner := nobody
 *     look at owner                            membarrier
 *       itself: the lock is held               wait until xheld is false
 *       nobody: xheld := false; as others do   the lock is held, by the spin lock, as it is from now on
 *
 * Either the owner sees that it is none any more, or the other sees that it holds the lock: membarrier is the fence of both, as in a
 * call into weft (call.h). Only under the spin lock does a lock become somebody's, or nobody's. Who holds the lock is inside a call, so
 * that its P stays its own; the P may have another M the next time, which has come by it in an order.
 *
 * Only one P is ever a lock's owner: a former one may have been kept from its core between its two looks, and what it does to xheld
 * then would be done to another's.
 *
 * Taking a lock away costs 1 to 15 µs, so it is earned by many times and lost for many more: BIAS_AFTER in a row, eight times as many
 * after each time that it was taken away, and after BIAS_LOSSES of those never again. A lock between two Ps costs what a spin lock does, and
 * a count.
 *
 * A locked instruction is 2 ns on one machine and 8 on another; a send and a receive through a channel within one P are two
 * of them, and little else (bench: chan-spsc, ping-pong).
 *
 * After Kawachiya, Koseki and Onodera, "Lock Reservation" (2002), and Dice, Moir and Scherer, "Quickly Reacquirable Locks" (2003).
 *
 * R1 bias_unlock, bias_try: store_rel(xheld) -> A1 take_away: load_acq(xheld)    what it guards
 */
#ifndef RUNTIME_BIAS_H
#define RUNTIME_BIAS_H

#include "lockfree/fence.h"
#include "lockfree/spin.h"
#include "runtime/fiber.h"

/* The part that whoever holds the lock writes. Zeroed at first. */
struct bias {
	struct spin spin;
	uint16_t last;      /* who took it last; this and the next three: under the spin lock */
	uint16_t streak;    /* times in a row */
	uint16_t first;     /* who has owned it; nobody else ever does */
	uint8_t losses;
	_Atomic uint8_t heat; /* how often those who came found it taken, of late; looked at without the lock */
	bool by_owner;      /* the holder: how it came by it */
	_Atomic bool xheld; /* the owner writes */
};

/* The part that is looked at: 1 + the number of a P; 0: nobody's. */
typedef _Atomic uint16_t bias_owner;

/* From now on locks may become somebody's: membarrier is to be had, or there is one thread. */
void bias_allow(void);

/* By who is not its owner; self may be 0, who will never be. */
void bias_lock_shared(struct bias *, bias_owner *, uint16_t self);

static inline bool bias_try(struct bias *b, bias_owner *owner, uint16_t self)
{
	if (load_rlx(owner) != self || !self)
		return false;
	assert_debug(!load_rlx(&b->xheld));
	store_rlx(&b->xheld, true);
	fence_compiler();
	if (likely(load_rlx(owner) == self)) {
		fiber_observe(b);
		b->by_owner = true;
		return true;
	}
	store_rel(&b->xheld, false); /* R1 */
	return false;
}

/* Within a call (call.h): self is the caller's P, and stays so until it is unlocked. */
static inline void bias_lock(struct bias *b, bias_owner *owner, uint16_t self)
{
	if (!bias_try(b, owner, self))
		bias_lock_shared(b, owner, self);
}

static inline void bias_unlock(struct bias *b)
{
	/* A P's goroutines come one after the other, and the last may give the memory back: only ThreadSanitizer must be told. */
	if (b->by_owner) {
		store_rel(&b->xheld, false); /* R1 */
		fiber_publish(b);
	} else {
		fiber_publish(b);
		spin_unlock(&b->spin);
	}
}

#endif
