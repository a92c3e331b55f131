/* A hierarchical timing wheel: set, stop and reset in constant time, from any core.
 *
 * Time is cut into ticks of 1.024 µs. Level 0 has a slot for each of the next 64 ticks, level 1 for each of
 * the next 64 blocks of 64 ticks, and so on; nine levels reach further than int64_t nanoseconds. A timer lies
 * on the level of the highest six-bit digit in which its tick differs from the wheel's current one; when
 * the wheel's time enters that digit's block, the block's slot is emptied onto lower levels (each timer falls
 * at most eight times). Invariant: every timer whose tick lies at or before `tick` has been taken out, and one
 * bit per slot says whether it holds anything, so the next time to look is found by counting zeroes.
 *
 * The expiry that a slot stands for is a lower bound: a sleeper may wake early, once per level at most, to
 * let timers fall. Within its slot a timer fires when its own nanosecond has come.
 *
 * The timers are the callers' memory. A wheel belongs to a P, which fires it; anybody may set and stop, under
 * the wheel's lock. A call-back runs under that lock, touches no timer, and is not running any more once
 * timer_cancel has returned: whoever arms a TIMER_CALL in memory that will go cancels it first, fired or not.
 * A TIMER_GO is not touched once it has left the wheel.
 *
 * After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7. Rejected: a heap
 * (Go: O(log n) under the lock, 130 ns with 100,000 pending) and a coarse wheel without the last level
 * (an RPC deadline of 50 µs needs the microsecond).
 *
 * R1 wheel_set: cas_acqrel(wheel)  ->  A1 timer_cancel: load_acq(wheel)   which lock guards the timer
 */
#ifndef RUNTIME_WHEEL_H
#define RUNTIME_WHEEL_H

#include "lockfree/spin.h"

#include <weft/time.h>

enum {
	WHEEL_BITS = 6,
	WHEEL_SLOTS = 1 << WHEEL_BITS,
	WHEEL_LEVELS = 9,
	WHEEL_TICK_BITS = 10, /* a tick is 1.024 µs */
};
_Static_assert(WHEEL_BITS * WHEEL_LEVELS + WHEEL_TICK_BITS >= 63, "every int64_t has its slot");

struct wheel;

/* What happens at the time: returns the time of the next firing, or 0. Under the wheel's lock. */
typedef int64_t timer_call(void *arg, int64_t now);

/* weft_timer, seen from inside. */
struct timer {
	struct timer *next, **link; /* in its slot; the wheel's lock */
	int64_t when;
	union {
		void (*go)(void *); /* TIMER_GO */
		timer_call *call;   /* TIMER_CALL */
	};
	void *arg;
	_Atomic(struct wheel *) xwheel; /* NULL: not pending */
	uint32_t slot;
	uint32_t kind;
	uint64_t reserved[2];
};
enum { TIMER_NEW, TIMER_GO, TIMER_CALL, TIMER_MARK };
_Static_assert(sizeof(struct timer) == sizeof(weft_timer), "the same thing from outside and inside");
_Static_assert(offsetof(struct timer, kind) == offsetof(weft_timer, flags), "and in the same order");

struct wheel {
	ON_OWN_LINE struct spin lock;
	struct timer *falling;   /* taken out of its slot, on its way to where it belongs now */
	uint64_t tick;           /* everything due at or before it has been taken out */
	uint64_t full[WHEEL_LEVELS];
	_Atomic int64_t xnext;   /* when to look again; INT64_MAX: holds nothing */
	_Atomic uint64_t pending;
	ON_OWN_LINE struct timer *slot[WHEEL_LEVELS * WHEEL_SLOTS];
};

void wheel_init(struct wheel *, int64_t now);

struct wheel_change {
	bool was_pending;
	bool nearer; /* the time at which to look again has come nearer */
};

/* Sets a timer; one that is pending is taken out first, of whichever wheel. */
struct wheel_change wheel_set(struct wheel *, struct timer *, int64_t when);

/* Takes it out of whichever wheel it is in. True: it was pending. */
bool timer_cancel(struct timer *);

/* Starts fn(arg) as a goroutine. */
typedef void wheel_go(void (*fn)(void *), void *arg);

/* Fires what is due at `now`: TIMER_CALL by calling, TIMER_GO through `go`, both under the lock. How many
 * fired. Only the P's holder, or a thief that found the P computing, calls this. */
unsigned wheel_advance(struct wheel *, int64_t now, wheel_go *go);

enum wheel_look { WHEEL_EMPTY, WHEEL_SLOT_ENDS, WHEEL_SLOT_GOES_ON };

/* Calls see(to, arg) with the arguments of `most` timers of a slot, under the lock. If there are more, the mark stands before the next: the call goes on
 * from there, unless the slot has been emptied meanwhile, and the mark is nowhere, as when it is zeroed. A slot of
 * level 0 is looked at as a whole: the nearest time is read there, and a mark has none. What has been set since the slot was begun may be passed over. */
enum wheel_look wheel_look(struct wheel *, struct timer *mark, unsigned slot, unsigned most, void (*see)(void *to, void *arg), void *to);

static inline bool timer_pending(struct timer *t)
{
	return load_acq(&t->xwheel) != NULL;
}

#endif
