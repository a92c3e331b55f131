/* The run queue of a P: a ring of 256 slots with one producer and many consumers.
 *
 * The owner pushes at the tail and pops at the head, or (pop_last) at the tail; thieves take half from the head. Invariant:
 * 0 <= tail - head <= 256, in wrapping 32-bit arithmetic; slots [head, tail) hold goroutines, each of
 * which leaves the ring exactly once, because head only moves by a successful compare-and-swap (or, when
 * the machine has one P and so no thief, by the owner alone: runq_pop_solo). The word of the head is the head in its lower
 * half and, above it, how often the last was popped.
 *
 *     owner                                thief
 *     load head (A2)                       load head (A3)
 *     write the slot                       load tail (A1)
 *     publish tail (R1)                    read the slots
 *                                          move head (R2), or start again
 *
 * A thief reads slots before it owns them: the owner may have popped and overwritten them meanwhile, but
 * then the word of the head has changed and the thief's compare-and-swap fails. A wrapped word that comes back to the same
 * value would need 2^32 pops within one steal. Slots are atomics, relaxed, so that this race is defined.
 *
 * To pop the last, the owner first lowers the tail and then counts the pop in the head's word: a thief that saw the old
 * tail has an old word, and fails; one that sees the new word sees the new tail. If a thief was quicker, and has taken the
 * last, the owner puts the tail back; until then it is one below the head, and the ring looks empty.
 *
 * R1 runq_push, runq_pop_last: store_rel(tail)     ->  A1 runq_steal: load_acq(tail)     the slots' contents
 * R2 runq_steal: cas_acqrel(xhead)                 ->  A2 runq_push: load_acq(xhead)     the slot may be reused
 * R3 runq_pop, runq_pop_last: cas_rel(xhead)       ->  A3 runq_steal: load_acq(xhead), cas_acqrel(xhead)   a tail as new as the head
 *
 * The owner pops without acquiring: what it reads there, it has written. A2 reaches through its own compare-and-swap to
 * the thieves before it, which are of the same release sequence.
 *
 * Head and tail have lines of their own: see weft-lockfree runq-push-pop-contended, and -packed beside it.
 *
 * Rejected: Chase-Lev (whose owner pops the last and cannot pop the first: the oldest would starve, and a FIFO ring is what
 * fairness wants; its full fence at each pop costs what the compare-and-swap here does), and a lock (a thief preempted by the
 * kernel would stop its victim). After Go's runqput/runqgrab.
 */
#ifndef LOCKFREE_RUNQ_H
#define LOCKFREE_RUNQ_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <stddef.h>

#ifndef RUNQ_SLOTS
#define RUNQ_SLOTS 256u
#endif
_Static_assert((RUNQ_SLOTS & (RUNQ_SLOTS - 1)) == 0, "a slot is found by masking");

struct runq {
	ON_OWN_LINE _Atomic uint64_t xhead; /* owner and thieves CAS */
	ON_OWN_LINE _Atomic uint32_t tail;  /* owner writes */
	ON_OWN_LINE _Atomic(void *) slot[RUNQ_SLOTS];
};
_Static_assert(offsetof(struct runq, tail) - offsetof(struct runq, xhead) == CACHE_LINE,
	       "thieves' writes to head leave the owner's tail alone");

#define RUNQ_LAST_POPPED ((uint64_t)1 << 32) /* in the head's word */

static inline uint32_t runq_len(struct runq *q)
{
	uint32_t head = (uint32_t)load_rlx(&q->xhead), tail = load_rlx(&q->tail);
	return tail - head > RUNQ_SLOTS ? 0 : tail - head; /* torn between two loads: as good as empty */
}

/* Owner. False: full, nothing was pushed. */
static inline bool runq_push(struct runq *q, void *item)
{
	uint32_t tail = load_rlx(&q->tail);
	uint32_t head = (uint32_t)load_acq(&q->xhead); /* A2 */
	if (unlikely(tail - head >= RUNQ_SLOTS))
		return false;
	store_rlx(&q->slot[tail % RUNQ_SLOTS], item);
	store_rel(&q->tail, tail + 1); /* R1 */
	return true;
}

/* Owner. NULL: empty. */
static inline void *runq_pop(struct runq *q)
{
	uint64_t head = load_rlx(&q->xhead);
	for (;;) {
		if ((uint32_t)head == load_rlx(&q->tail))
			return NULL;
		void *item = load_rlx(&q->slot[head % RUNQ_SLOTS]);
		if (likely(cas_rel(&q->xhead, &head, head + 1))) /* R3 */
			return item;
	}
}

/* Owner: the item that was pushed last. NULL: empty. */
static inline void *runq_pop_last(struct runq *q)
{
	uint32_t last = load_rlx(&q->tail) - 1;
	uint64_t head = load_rlx(&q->xhead);
	if ((uint32_t)head == last + 1)
		return NULL;
	void *item = load_rlx(&q->slot[last % RUNQ_SLOTS]);
	store_rel(&q->tail, last); /* R1 */
	while (!cas_rel(&q->xhead, &head, head + RUNQ_LAST_POPPED)) { /* R3 */
		if ((uint32_t)head != last + 1)
			continue;
		store_rel(&q->tail, last + 1); /* R1 */
		return NULL;
	}
	return item;
}

/* Owner, where there are no thieves at all: the same two without a locked operation. */
static inline void *runq_pop_solo(struct runq *q)
{
	uint64_t head = load_rlx(&q->xhead);
	if ((uint32_t)head == load_rlx(&q->tail))
		return NULL;
	void *item = load_rlx(&q->slot[head % RUNQ_SLOTS]);
	store_rlx(&q->xhead, head + 1);
	return item;
}

static inline void *runq_pop_last_solo(struct runq *q)
{
	uint32_t last = load_rlx(&q->tail) - 1;
	if ((uint32_t)load_rlx(&q->xhead) == last + 1)
		return NULL;
	store_rlx(&q->tail, last);
	return load_rlx(&q->slot[last % RUNQ_SLOTS]);
}

/* Owner: the item that would be popped after `skip` others, or NULL; it may be stolen at any moment. */
static inline void *runq_peek(struct runq *q, uint32_t skip)
{
	uint32_t at = (uint32_t)load_rlx(&q->xhead) + skip;
	return (int32_t)(load_rlx(&q->tail) - at) > 0 ? load_rlx(&q->slot[at % RUNQ_SLOTS]) : NULL;
}

/* Owner: the item that would be popped as the last after `skip` others, or NULL. */
static inline void *runq_peek_last(struct runq *q, uint32_t skip)
{
	uint32_t at = load_rlx(&q->tail) - 1 - skip;
	return (int32_t)(at - (uint32_t)load_rlx(&q->xhead)) >= 0 ? load_rlx(&q->slot[at % RUNQ_SLOTS]) : NULL;
}

/* Any thread: moves half of the items (rounded up, at most `max`) to `to`, oldest first. How many. */
static inline uint32_t runq_steal(struct runq *q, void **to, uint32_t max)
{
	uint64_t head = load_acq(&q->xhead); /* A3 */
	for (;;) {
		uint32_t n = load_acq(&q->tail) - (uint32_t)head; /* A1 */
		if (n + 1 <= 1) /* one less than none: the owner is about to find that the last has been taken */
			return 0;
		n -= n / 2;
		if (n > RUNQ_SLOTS / 2) { /* head is old by a whole ring */
			head = load_acq(&q->xhead);
			continue;
		}
		if (n > max)
			n = max;
		for (uint32_t i = 0; i < n; i++)
			to[i] = load_rlx(&q->slot[((uint32_t)head + i) % RUNQ_SLOTS]);
		if (cas_acqrel(&q->xhead, &head, head + n)) /* R2, A3 */
			return n;
	}
}

#endif
