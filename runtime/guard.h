/* A word one bit of which guards a queue of waiters, for a few instructions: what locks with a queue have in common.
 *
 * While GUARD is set only its holder changes the word. It gives the guard up, and says what the object is from then on, in
 * one store (each file's settle). That store is the last touch: whoever is let in by it may have the object's memory
 * vanish. So those who are let in are taken off the queue and claimed first, and readied after it; their waiters lie on
 * their stacks, which stay until they run.
 *
 *     who waits                                who lets in
 *     guard_take                               guard_take
 *     wait_begin, waiters_push                 waiters_claim_first, or _all
 *     settle                                   settle
 *     park, or park_until                      waiters_ready
 *       the deadline: guard_take, take itself off the queue, settle
 *
 * One whose deadline has claimed its wait is taken off and passed over: what is let in by is never spent on it.
 *
 * The edges that begin and end at the guard are in the tables of those who use it.
 */
#ifndef RUNTIME_GUARD_H
#define RUNTIME_GUARD_H

#include "lockfree/assert.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/sched.h"

#include <sched.h>

enum { GUARD = 1 };

/* On the stack of who waits. */
struct waiter {
	struct waiter *next, *prev;
	struct g *g;
	int64_t n; /* how much it wants, where that is a question */
	bool many; /* a deadline may end the wait: it is to be claimed */
	bool queued;
};

struct waiters {
	struct waiter *first, *last; /* the guard */
};

/* The word, without the guard, as it was when we took the guard. */
static inline uint64_t guard_take(_Atomic uint64_t *word)
{
	for (unsigned spins = 0;; spins++) {
		uint64_t found = load_rlx(word);
		if (!(found & GUARD) && cas_acq(word, &found, found | GUARD))
			return found;
		if (spins % 64 == 63)
			sched_yield();
		cpu_relax();
	}
}

static inline void waiters_push(struct waiters *q, struct waiter *w)
{
	w->next = NULL;
	w->prev = q->last;
	*(q->last ? &q->last->next : &q->first) = w;
	q->last = w;
	w->queued = true;
}

static inline void waiters_take_off(struct waiters *q, struct waiter *w)
{
	*(w->prev ? &w->prev->next : &q->first) = w->next;
	*(w->next ? &w->next->prev : &q->last) = w->prev;
	w->queued = false;
}

/* Takes the first one off; true: and it is the caller's to ready. */
static inline bool waiters_claim(struct waiters *q, struct waiter *w)
{
	waiters_take_off(q, w);
	return !w->many || wait_claim(w->g);
}

/* Moves the first that can be claimed to another queue, of those that are let in. How many: one or none. */
static inline uint64_t waiters_claim_first(struct waiters *q, struct waiters *let_in)
{
	struct waiter *w;
	while ((w = q->first)) {
		if (waiters_claim(q, w)) {
			waiters_push(let_in, w);
			return 1;
		}
	}
	return 0;
}

static inline uint64_t waiters_claim_all(struct waiters *q, struct waiters *let_in)
{
	uint64_t n = 0;
	while (waiters_claim_first(q, let_in))
		n++;
	return n;
}

/* After the last touch; the first that has waited is the first to be readied. */
static inline void waiters_ready(struct waiters *let_in)
{
	struct waiter *w = let_in->first;
	while (w) {
		struct waiter *next = w->next;
		ready(w->g);
		w = next;
	}
}

/* In the flavours that assert: the object says where it was used first, and one that was copied then is somewhere else. */
static inline void check_not_copied(_Atomic(const void *) *self, const void *object, const char *what)
{
#ifdef WEFT_ASSERT_DEBUG
	const void *first = NULL;
	if (load_rlx(self) != object && !cas_rlx(self, &first, object) && first != object)
		weft_panic("%s copied after its first use", what);
#else
	(void)self, (void)object, (void)what;
#endif
}

#endif
