/* An unbounded queue of nodes with many producers and one consumer, first in, first out. A node is part of the item.
 *
 * The nodes are a list from `first`, the oldest, to `last`. A producer takes the place of the last one with one swap, and
 * then links the one before to itself: pushing never waits and never fails, whatever others do. Invariant: from
 * `first` every node is reached through `next`, but for those whose push, or a push before theirs, stands between swap and
 * link. Once there, the stub keeps the list from becoming empty; the consumer pushes it anew when it takes the last node.
 *
 *     push                                 pop
 *     next = NULL                          is the first one linked to another (A1)
 *     swap last (R2, A2)                     yes: take it
 *       the window: the list is cut here     no, and it is last: push the stub, look again
 *     link the one before (R1)               no, and it is not: BUSY, somebody stands in the window
 *
 * EMPTY says that nothing has been pushed that is not popped. BUSY says that something has, and cannot be had until the
 * producer in the window goes on, which may have been preempted there: come back later. To sleep on BUSY is right if
 * producers notify once their push has returned. While one stands there, what others push behind it waits too.
 *
 * R1 mpsc_push: store_rel(xnext)     ->  A1 mpsc_pop: load_acq(xnext)       the item; and its node's memory may go
 * R2 mpsc_push: swap_acqrel(xlast)   ->  A2 mpsc_push: swap_acqrel(xlast)   a node's NULL comes before its link
 *
 * Whoever has popped a node may free it: it is linked, so the push that has linked it was the last to touch it.
 *
 * Producers, consumer and stub have lines of their own: see weft-lockfree mpsc-contended, and -packed beside it.
 *
 * Vyukov, "Intrusive MPSC node-based queue" (2010). Rejected: a stack that the consumer takes whole and turns round (it has
 * no window, but a compare-and-swap that repeats, and the consumer goes through each batch twice).
 */
#ifndef LOCKFREE_MPSC_H
#define LOCKFREE_MPSC_H

#include "lockfree/atomic.h"

#include <stddef.h>

struct mpsc_node {
	_Atomic(struct mpsc_node *) xnext; /* its producer, and then that of the next one */
};

struct mpsc {
	ON_OWN_LINE _Atomic(struct mpsc_node *) xlast; /* producers swap */
	ON_OWN_LINE struct mpsc_node *first;           /* consumer */
	ON_OWN_LINE struct mpsc_node stub;             /* as any node */
};
_Static_assert(offsetof(struct mpsc, first) - offsetof(struct mpsc, xlast) == CACHE_LINE,
	       "producers' swaps leave the consumer's line alone");
_Static_assert(offsetof(struct mpsc, stub) - offsetof(struct mpsc, first) == CACHE_LINE,
	       "and so does a link to the stub");

enum mpsc_result { MPSC_TAKEN, MPSC_EMPTY, MPSC_BUSY };

static inline void mpsc_init(struct mpsc *q)
{
	store_rlx(&q->stub.xnext, NULL);
	store_rlx(&q->xlast, &q->stub);
	q->first = &q->stub;
}

/* Any thread. The node is the queue's until it is popped. */
static inline void mpsc_push(struct mpsc *q, struct mpsc_node *node)
{
	store_rlx(&node->xnext, NULL);
	struct mpsc_node *before = swap_acqrel(&q->xlast, node); /* R2, A2 */
	store_rel(&before->xnext, node);                         /* R1 */
}

/* Consumer. If it says MPSC_TAKEN, *node is the oldest one and the caller's. */
static inline enum mpsc_result mpsc_pop(struct mpsc *q, struct mpsc_node **node)
{
	struct mpsc_node *first = q->first, *next = load_acq(&first->xnext); /* A1 */
	if (first == &q->stub) {
		if (!next)
			return load_rlx(&q->xlast) == first ? MPSC_EMPTY : MPSC_BUSY;
		q->first = first = next;
		next = load_acq(&first->xnext); /* A1 */
	}
	if (!next) {
		if (load_rlx(&q->xlast) != first)
			return MPSC_BUSY;
		mpsc_push(q, &q->stub);
		next = load_acq(&first->xnext); /* A1 */
		if (!next)
			return MPSC_BUSY; /* somebody came before the stub */
	}
	q->first = next;
	*node = first;
	return MPSC_TAKEN;
}

#endif
