/* A bounded queue with many producers and many consumers, first in, first out.
 *
 * Each push and each pop has a position: the tail counts pushes, the head pops. Position p is at home in one slot, the
 * place of p % slots, whose number says whose turn it is:
 *
 *     number = p             free, for the push at p
 *     number = p + 1         it holds the item of p, for the pop at p
 *     number = p + slots     free again, for the push a round later
 *
 * Invariant: a slot's item is touched only by who has taken a position (by a compare-and-swap of the tail, or the head)
 * whose turn it is, until that one says whose turn is next. So the items are plain memory.
 *
 *     push                                 pop
 *     is it p's turn (A2)                  is it p + 1's turn (A1)
 *     take p: cas tail                     take p: cas head
 *     write the item                       read the item
 *     number = p + 1 (R1)                  number = p + slots (R2)
 *
 * R1 mpmc_push: store_rel(xnumber)  ->  A1 mpmc_pop: load_acq(xnumber)    the item
 * R2 mpmc_pop: store_rel(xnumber)   ->  A2 mpmc_push: load_acq(xnumber)   the slot may be reused
 *
 * Head and tail order nothing: they are taken relaxed, once each.
 *
 * It is not lock-free in the strict sense: whoever has taken a position and is then stopped holds up those who come to
 * his slot. They do not wait; they are told that it is full, or empty, though items lie behind. Items of one producer
 * come in its order, and each consumer gets them in that order.
 *
 * A slot has 16 bytes, so neighbours share a line. MPMC_DENSE leaves them so: a core that pops several items in a row, or
 * pushes several, has the line of the next ones already, which is worth more than anything else between two
 * cores. MPMC_SPREAD puts neighbouring positions into different groups of lines, by turning the bits of the position: for
 * many cores, each of which takes a position here and there, so that a line in which one writes is not taken
 * away by the next one meanwhile. It costs a rotation, and no memory; a group of lines for each slot would take eight
 * times as much, of cache as well. weft-lockfree mpmc-contended and mpmc-both-contended have both, and what head and
 * tail in one line cost.
 *
 * Vyukov, "Bounded MPMC queue" (2010). Rejected: queues of nodes (Michael and Scott 1996), which need memory for each
 * item and somebody to give it back late; and fetch-and-add on the indices (LCRQ, 2013), which is faster under many cores,
 * and cannot refuse.
 */
#ifndef LOCKFREE_MPMC_H
#define LOCKFREE_MPMC_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <stddef.h>

struct mpmc_slot {
	_Atomic uint32_t xnumber; /* who has the turn hands it on */
	void *item;
};

struct mpmc {
	ON_OWN_LINE _Atomic uint32_t xtail;   /* producers CAS */
	ON_OWN_LINE _Atomic uint32_t xhead;   /* consumers CAS */
	ON_OWN_LINE struct mpmc_slot *memory; /* caller's */
	uint32_t mask;
	uint8_t bits, turn; /* slots = 1 << bits; a place is a position whose bits are turned left by so many */
};
_Static_assert(offsetof(struct mpmc, xhead) - offsetof(struct mpmc, xtail) == CACHE_LINE,
	       "pushes leave the consumers' line alone");
_Static_assert(offsetof(struct mpmc, memory) - offsetof(struct mpmc, xhead) == CACHE_LINE,
	       "and neither touches what all read");

enum mpmc_layout { MPMC_DENSE, MPMC_SPREAD };
enum { MPMC_SLOTS_MIN = 2, MPMC_SLOTS_MAX = 1 << 30, MPMC_TURN = 3 };
_Static_assert(sizeof(struct mpmc_slot) << MPMC_TURN == 128, "turned, neighbours are a group of lines apart");
_Static_assert(MPMC_SLOTS_MIN > 1, "or p + 1 and p + slots are the same turn");

/* `memory` has room for `slots`: a power of two from MPMC_SLOTS_MIN to MPMC_SLOTS_MAX. */
void mpmc_init(struct mpmc *, struct mpmc_slot *memory, uint32_t slots, enum mpmc_layout);

static inline struct mpmc_slot *mpmc_at(struct mpmc *q, uint32_t position)
{
	uint32_t place = position & q->mask;
	return &q->memory[(place << q->turn & q->mask) | place >> (q->bits - q->turn)];
}

/* Any thread: how many there are, or were a moment ago. */
static inline uint32_t mpmc_len(struct mpmc *q)
{
	uint32_t head = load_rlx(&q->xhead), n = load_rlx(&q->xtail) - head;
	return n > q->mask + 1 ? 0 : n; /* torn between two loads: as good as empty */
}

/* Any thread. False: full, or its slot is being emptied. The item is not NULL. */
static inline bool mpmc_push(struct mpmc *q, void *item)
{
	uint32_t tail = load_rlx(&q->xtail);
	assert_debug(item);
	for (;;) {
		struct mpmc_slot *s = mpmc_at(q, tail);
		int32_t turn = (int32_t)(load_acq(&s->xnumber) - tail); /* A2 */
		if (turn < 0)
			return false;
		if (turn > 0) { /* others have been faster */
			tail = load_rlx(&q->xtail);
		} else if (cas_rlx(&q->xtail, &tail, tail + 1)) {
			s->item = item;
			store_rel(&s->xnumber, tail + 1); /* R1 */
			return true;
		}
	}
}

/* Any thread. NULL: empty, or its slot is being filled. */
static inline void *mpmc_pop(struct mpmc *q)
{
	uint32_t head = load_rlx(&q->xhead);
	for (;;) {
		struct mpmc_slot *s = mpmc_at(q, head);
		int32_t turn = (int32_t)(load_acq(&s->xnumber) - (head + 1)); /* A1 */
		if (turn < 0)
			return NULL;
		if (turn > 0) {
			head = load_rlx(&q->xhead);
		} else if (cas_rlx(&q->xhead, &head, head + 1)) {
			void *item = s->item;
			store_rel(&s->xnumber, head + q->mask + 1); /* R2 */
			return item;
		}
	}
}

#endif
