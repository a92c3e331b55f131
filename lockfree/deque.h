/* A work-stealing deque: its owner pushes and pops at the bottom, last in, first out; thieves take from the top, one at a
 * time, the oldest first.
 *
 * Invariant: top - 1 <= bottom <= top + slots; slots [top, bottom) hold items, each of which leaves once: through the
 * owner, who has moved bottom below it, or by a compare-and-swap of top. The two meet at the last item, and only there:
 *
 *     pop                                  steal
 *     bottom = b = bottom - 1 (R1)         t = top
 *     full fence (R3, A3)                  full fence (R3, A3)
 *     t = top                              is t below bottom (A1)
 *     t < b: item b is the owner's         read item t
 *     t = b: the last one: cas top         cas top: t -> t + 1 (R2): item t is the thief's
 *            (either way bottom = b + 1)
 *
 * Each writes one index and then reads the other: without the fences the owner could take the last item by bottom alone,
 * while a thief that has not seen bottom move takes it by top. With them at least one of the two sees the other.
 *
 * R1 deque_push, deque_pop: store_rel(xbottom)  ->  A1 deque_steal: load_acq(xbottom)   the slots' contents
 * R2 deque_steal: cas_rel(xtop)                 ->  A2 deque_push: load_acq(xtop)       the slot may be reused
 * R3 deque_pop, deque_steal: fence_full()       ->  A3 deque_pop, deque_steal: fence_full()   one sees the other's index
 *
 * A thief may find the bottom that a pop has left, and must have the items below it all the same: so pop releases too.
 *
 * A thief reads a slot before it owns it. The owner writes there again only once top has passed, and then the thief's
 * compare-and-swap fails; slots are atomics, relaxed, so that this race is defined. Indices have 64 bits and do not wrap.
 *
 * Top and bottom have lines of their own: see weft-lockfree deque-push-pop-contended, and -packed beside it.
 *
 * Bounded: a full deque refuses, and the caller, who has somewhere to put what does not fit (a shared queue), keeps the
 * decision how much memory work that nobody has begun may take. A deque that grows needs an array twice as large in
 * the middle of a push, and the old one for as long as some thief may still read it.
 *
 * Chase and Lev, "Dynamic circular work-stealing deque" (2005); the orders are those of Le, Pop, Cohen and Zappa Nardelli,
 * "Correct and efficient work-stealing for weak memory models" (2013), but for their release fence in push, in whose
 * place the stores of bottom release, and their sequentially consistent compare-and-swaps, which are weaker: that a full
 * fence orders what was read before it, too, is what C++20 has mended (P0668). Which of the two to have, this or runq.h:
 * the latest first is for work that divides itself, the oldest first for goroutines, which want to be treated alike.
 */
#ifndef LOCKFREE_DEQUE_H
#define LOCKFREE_DEQUE_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "lockfree/fence.h"

#include <stddef.h>

typedef _Atomic(void *) deque_slot;

struct deque {
	ON_OWN_LINE _Atomic int64_t xtop;    /* thieves CAS, and the owner at the last item */
	ON_OWN_LINE _Atomic int64_t xbottom; /* owner writes */
	ON_OWN_LINE deque_slot *slot;        /* caller's memory */
	int64_t slots;                       /* a power of two */
};
_Static_assert(offsetof(struct deque, xbottom) - offsetof(struct deque, xtop) == CACHE_LINE,
	       "thieves' writes leave the owner's line alone");
_Static_assert(offsetof(struct deque, slot) - offsetof(struct deque, xbottom) == CACHE_LINE,
	       "and neither touches what all read");

enum deque_result { DEQUE_TAKEN, DEQUE_EMPTY, DEQUE_LOST };
enum { DEQUE_SLOTS_MAX = 1 << 30 };

/* `memory` has room for `slots`: a power of two, at most DEQUE_SLOTS_MAX. */
static inline void deque_init(struct deque *d, deque_slot *memory, int64_t slots)
{
	assert_always(slots > 0 && slots <= DEQUE_SLOTS_MAX && (slots & (slots - 1)) == 0);
	store_rlx(&d->xtop, 0);
	store_rlx(&d->xbottom, 0);
	d->slot = memory;
	d->slots = slots;
}

static inline deque_slot *deque_at(struct deque *d, int64_t index)
{
	return &d->slot[index & (d->slots - 1)];
}

/* Any thread: how many there are, or were a moment ago. */
static inline int64_t deque_len(struct deque *d)
{
	int64_t n = load_rlx(&d->xbottom) - load_rlx(&d->xtop);
	return n < 0 ? 0 : n;
}

/* Owner. False: full, nothing was pushed. The item is not NULL. */
static inline bool deque_push(struct deque *d, void *item)
{
	int64_t bottom = load_rlx(&d->xbottom), top = load_acq(&d->xtop); /* A2 */
	assert_debug(item);
	if (unlikely(bottom - top >= d->slots))
		return false;
	store_rlx(deque_at(d, bottom), item);
	store_rel(&d->xbottom, bottom + 1); /* R1 */
	return true;
}

/* Owner: the item pushed last. NULL: empty. */
static inline void *deque_pop(struct deque *d)
{
	int64_t bottom = load_rlx(&d->xbottom) - 1;
	store_rel(&d->xbottom, bottom); /* R1 */
	fence_full();                   /* R3, A3 */
	int64_t top = load_rlx(&d->xtop);
	void *item = NULL;
	if (likely(top <= bottom))
		item = load_rlx(deque_at(d, bottom));
	if (likely(top < bottom))
		return item;
	if (top == bottom && !cas_rlx(&d->xtop, &top, top + 1))
		item = NULL;
	store_rel(&d->xbottom, bottom + 1); /* R1 */
	return item;
}

/* Any other thread: the oldest item. DEQUE_LOST: somebody else got it, there may be more. */
static inline enum deque_result deque_steal(struct deque *d, void **item)
{
	int64_t top = load_rlx(&d->xtop);
	fence_full();                     /* R3, A3 */
	if (top >= load_acq(&d->xbottom)) /* A1 */
		return DEQUE_EMPTY;
	*item = load_rlx(deque_at(d, top));
	return cas_rel(&d->xtop, &top, top + 1) ? DEQUE_TAKEN : DEQUE_LOST; /* R2 */
}

#endif
