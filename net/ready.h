/* Readiness: what is known of one descriptor, and who waits for it.
 *
 * Sockets are non-blocking and registered edge-triggered, at the first wait, with the poller of the P on which
 * that wait happens: a connection then lives where its goroutine does. Each direction has one word, which holds
 * nothing, an edge that has not been used up, or the goroutine that waits for the next one:
 *
 *     the goroutine                             the poller
 *     word == edge: word := nothing             word == edge: nothing to do
 *     recv: got all that was asked for:         word == nothing: cas nothing -> edge
 *       word := edge, there may be more         word == waiter:  cas waiter -> nothing, ready(waiter)
 *     recv: less, or EAGAIN: wait
 *     wait: cas nothing -> me; park; the edge that ended the wait is mine
 *
 * The word is cleared before recv, so an edge that comes during the call is not lost; and a plain store clears
 * it, because a poller that still finds the old edge there and leaves it has come before that store, and what
 * it had to tell of was in the socket before the recv took the socket's lock. A short read has emptied the
 * socket, so the next read waits without asking the kernel in vain: a request costs one recv and two locked
 * operations. Writing is tried first, and its edge is used up only when the socket is full; so the edges
 * that say "writable" to nobody find their word as they left it.
 *
 * There are two reads that are short and leave something behind: one that stops at urgent data, and one, on a unix
 * socket, that stops behind passed descriptors. Unix sockets, and connections on which urgent data has been
 * told of (EPOLLPRI), are therefore asked again after each read (xsplits).
 *
 * That holds until the peer has ended its stream: no edge comes after that one, and every read asks. Writing
 * goes on as before: a peer that has ended its stream may still read, and slowly. Only when both directions are
 * gone do writes ask every time.
 *
 * Whoever changes what a wait depends on (close, a deadline) writes it, looks for a waiter, and wakes it; the
 * waiter puts itself into the word and then looks whether either has changed. Every wake-up is a hint: the
 * caller asks the kernel.
 *
 * The memory is freed by epoch: a poller may still be going through a batch of events that names it. A call
 * under way counts as a user, and holds it as well. The registration ends before that, by a call of its own: closing
 * the descriptor ends it only with the last copy, and a child between fork and exec has one.
 *
 * R1 notify: cas_seq(word)             ->  A1 wait: cas_seq(word), or ready's own   what the edge tells of
 * R2 close: store_seq(closed), nudge   ->  A2 wait: cas_seq(word), load_seq(closed) one sees the other
 */
#ifndef NET_READY_H
#define NET_READY_H

#include "lockfree/epoch.h"
#include "lockfree/spin.h"

#include "runtime/park.h"

/* One direction. */
struct ready_half {
	_Atomic(struct g *) xword; /* nothing (NULL), READY_EDGE, or who waits */
	_Atomic bool xended;       /* no edge comes any more: the kernel says at once how it stands */
	_Atomic int64_t xdeadline;
};

#define READY_EDGE ((struct g *)(uintptr_t)1)

struct ready {
	int fd;
	unsigned poller; /* where it is registered; under the lock */
	_Atomic bool xclosed;
	_Atomic bool xregistered; /* set under the lock */
	_Atomic bool xsplits;     /* a short read need not have emptied the socket */
	struct spin lock;
	_Atomic int32_t xusers; /* calls under way, and one for the owner until it closes */
	struct ready_half in, out;
	struct epoch_entry retired;
};

void ready_init(struct ready *, int fd);

/* Begins a call: -ECANCELED after close. Ends it: the last one out closes the descriptor, and calls reclaim
 * after a grace period. */
int ready_enter(struct ready *);
void ready_leave(struct ready *, void (*reclaim)(struct epoch_entry *));

/* Is it worth asking the kernel? Uses up the edge, if there is one. */
static inline bool ready_use(struct ready_half *h)
{
	if (load_rlx(&h->xword) != READY_EDGE)
		return load_rlx(&h->xended);
	store_rlx(&h->xword, NULL);
	return true;
}

/* There may be more: the next call asks. By the direction's user. */
static inline void ready_again(struct ready_half *h)
{
	store_rlx(&h->xword, READY_EDGE);
}

/* Waits until it is worth asking the kernel (one goroutine per direction: that two do the same is noticed by
 * chance: READY_SHARED): 0; -ETIMEDOUT; -ECANCELED; another negative errno when the kernel would
 * not register the descriptor. */
enum { READY_SHARED = -4096 }; /* beyond the errnos */
int ready_wait(struct ready *, struct ready_half *, enum wait_reason);

/* Once the call has been left. */
_Noreturn COLD void ready_panic_shared(void);

void ready_set_deadline(struct ready_half *, weft_deadline);

/* No new calls; the waiting ones return -ECANCELED. The owner's own use still has to be left. */
void ready_close(struct ready *);

/* The poller: an edge has come. */
enum ready_event {
	READY_IN = 1,
	READY_OUT = 2,
	READY_END = 4, /* of the peer's stream */
	READY_HUP = 8, /* of both, or an error */
	READY_URGENT = 16,
};
void ready_notify(struct ready *, unsigned events);

#endif
