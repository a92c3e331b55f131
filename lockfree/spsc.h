/* A ring with one producer and one consumer, each a thread of its own.
 *
 * Invariant: 0 <= tail - head <= slots, in wrapping 32-bit arithmetic; slots [head, tail) hold items, and belong to the
 * consumer; the others belong to the producer. So the slots are plain memory.
 *
 *     producer                             consumer
 *     is there room: load head (A2)        is there an item: load tail (A1)
 *     write slots                          read slots
 *     publish tail (R1)                    give back, head (R2)
 *
 * R1 spsc_push, spsc_push_many: store_rel(xtail)  ->  A1 spsc_there: load_acq(xtail)   the slots' contents
 * R2 spsc_pop, spsc_pop_many: store_rel(xhead)    ->  A2 spsc_room: load_acq(xhead)    the slots may be reused
 *
 * Each side remembers the other's index as it was when it last looked, and looks again only when that says full, or
 * empty: a producer that has found the ring half empty goes on for half a ring without touching a line that the consumer
 * writes. What a side writes, its index and what it remembers, is one group of lines; what both only read is a third.
 * weft-lockfree spsc-contended and spsc-contended-packed show what that buys.
 *
 * Rejected: a flag in each slot instead of indices (FastForward). It needs no index of the other side at all, but both sides
 * write every slot's line, and how much there is can only be counted. Lamport, "Specifying Concurrent Program
 * Modules" (1983); the remembered index is Lee, Bu and Chandranmenon, MCRingBuffer (2010).
 */
#ifndef LOCKFREE_SPSC_H
#define LOCKFREE_SPSC_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <stddef.h>

struct spsc {
	ON_OWN_LINE _Atomic uint32_t xtail; /* producer writes */
	uint32_t head_seen;                 /* producer: no newer than head */
	ON_OWN_LINE _Atomic uint32_t xhead; /* consumer writes */
	uint32_t tail_seen;                 /* consumer: no newer than tail */
	ON_OWN_LINE void **slot;            /* caller's memory */
	uint32_t slots;                     /* a power of two */
};
_Static_assert(offsetof(struct spsc, xhead) - offsetof(struct spsc, xtail) == CACHE_LINE &&
		       offsetof(struct spsc, head_seen) < offsetof(struct spsc, xhead),
	       "the producer's writes leave the consumer's line alone");
_Static_assert(offsetof(struct spsc, slot) - offsetof(struct spsc, xhead) == CACHE_LINE &&
		       offsetof(struct spsc, tail_seen) < offsetof(struct spsc, slot),
	       "and neither's writes touch what both read");

enum { SPSC_SLOTS_MAX = 1 << 30 };

/* `memory` has room for `slots` pointers; slots is a power of two, at most SPSC_SLOTS_MAX. */
static inline void spsc_init(struct spsc *q, void **memory, uint32_t slots)
{
	assert_always(slots > 0 && slots <= SPSC_SLOTS_MAX && (slots & (slots - 1)) == 0);
	store_rlx(&q->xtail, 0);
	store_rlx(&q->xhead, 0);
	q->head_seen = q->tail_seen = 0;
	q->slot = memory;
	q->slots = slots;
}

/* Any thread: how many there are, or were a moment ago. */
static inline uint32_t spsc_len(struct spsc *q)
{
	uint32_t head = load_rlx(&q->xhead), tail = load_rlx(&q->xtail);
	return tail - head > q->slots ? 0 : tail - head; /* torn between two loads: as good as empty */
}

/* Producer: how many fit. It looks only if fewer than `wanted` fit as far as it knows. */
static inline uint32_t spsc_room(struct spsc *q, uint32_t tail, uint32_t wanted)
{
	if (unlikely(q->slots - (tail - q->head_seen) < wanted))
		q->head_seen = load_acq(&q->xhead); /* A2 */
	return q->slots - (tail - q->head_seen);
}

/* Consumer: how many are there, likewise. */
static inline uint32_t spsc_there(struct spsc *q, uint32_t head, uint32_t wanted)
{
	if (unlikely(q->tail_seen - head < wanted))
		q->tail_seen = load_acq(&q->xtail); /* A1 */
	return q->tail_seen - head;
}

/* Producer. False: full, nothing was pushed. The item is not NULL. */
static inline bool spsc_push(struct spsc *q, void *item)
{
	uint32_t tail = load_rlx(&q->xtail);
	assert_debug(item);
	if (unlikely(spsc_room(q, tail, 1) == 0))
		return false;
	q->slot[tail & (q->slots - 1)] = item;
	store_rel(&q->xtail, tail + 1); /* R1 */
	return true;
}

/* Consumer. NULL: empty. */
static inline void *spsc_pop(struct spsc *q)
{
	uint32_t head = load_rlx(&q->xhead);
	if (unlikely(spsc_there(q, head, 1) == 0))
		return NULL;
	void *item = q->slot[head & (q->slots - 1)];
	store_rel(&q->xhead, head + 1); /* R2 */
	return item;
}

/* Producer: as many of the n as fit, the first ones. How many. */
static inline uint32_t spsc_push_many(struct spsc *q, void *const *from, uint32_t n)
{
	uint32_t tail = load_rlx(&q->xtail), room = spsc_room(q, tail, n);
	if (n > room)
		n = room;
	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		q->slot[(tail + i) & (q->slots - 1)] = from[i];
	store_rel(&q->xtail, tail + n); /* R1 */
	return n;
}

/* Consumer: what there is, at most `max`, oldest first. How many. */
static inline uint32_t spsc_pop_many(struct spsc *q, void **to, uint32_t max)
{
	uint32_t head = load_rlx(&q->xhead), n = spsc_there(q, head, max);
	if (n > max)
		n = max;
	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		to[i] = q->slot[(head + i) & (q->slots - 1)];
	store_rel(&q->xhead, head + n); /* R2 */
	return n;
}

#endif
