/* Readiness: what is known of one descriptor, and who waits for it.
 *
 * Sockets are non-blocking and registered edge-triggered, at the first wait, with the poller of the P on which
 * that wait happens: a connection then lives where its goroutine does. An edge is remembered here until it is
 * used up:
 *
 *     the goroutine                             the poller
 *     readable := false                         lock; readable := true; take the waiter; unlock
 *     recv: got all that was asked for:         ready(waiter)
 *       readable := true, there may be more
 *     recv: less, or EAGAIN: wait
 *     wait: lock; readable? unlock, try again
 *           else leave a waiter; unlock; park
 *
 * `readable` is cleared before recv, so an edge that comes during the call is not lost. A short read has
 * emptied the socket, so the next read waits without asking the kernel in vain: a request costs one recv.
 * That holds until the peer has ended its stream: no edge comes after that one, and every read asks. Writing
 * goes on as before: a peer that has ended its stream may still read, and slowly. Only when both directions are
 * gone do writes ask every time.
 *
 * The memory is freed by epoch: a poller may still be going through a batch of events that names it.
 */
#ifndef NET_READY_H
#define NET_READY_H

#include "lockfree/epoch.h"
#include "lockfree/spin.h"

#include "runtime/park.h"

/* One direction. */
struct ready_half {
	_Atomic bool xset;  /* an edge has come, or nothing is known yet */
	_Atomic bool xended; /* no edge comes any more: the kernel says at once how it stands */
	struct g *waiter;   /* the lock */
	_Atomic int64_t deadline;
};

struct ready {
	int fd;
	_Atomic bool xclosed;
	bool registered; /* the lock */
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

/* Waits until the half is set, and clears it. 0; -ETIMEDOUT; -ECANCELED; another negative errno when the kernel
 * would not register the descriptor. */
int ready_wait(struct ready *, struct ready_half *, enum wait_reason);

void ready_set_deadline(struct ready *, struct ready_half *, weft_deadline);

/* No new calls; the waiting ones return -ECANCELED. The owner's own use still has to be left. */
void ready_close(struct ready *);

/* The poller: an edge has come. */
enum ready_event {
	READY_IN = 1,
	READY_OUT = 2,
	READY_END = 4, /* of the peer's stream */
	READY_HUP = 8, /* of both, or an error */
};
void ready_notify(struct ready *, unsigned events);

#endif
