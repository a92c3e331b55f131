/* Waiting for what another data structure says: the condition variable of lock-free structures.
 *
 *     waiter                               notifier
 *     look: there is nothing               make that there is something
 *     prepare_wait:                        notify:
 *       count oneself a waiter               full fence (R2, A2)
 *       full fence (R2, A2)                  nobody is counted: that is all
 *       key = epoch (A1)                     epoch = epoch + 1 (R1)
 *     look again: if there is something,     wake one who sleeps, or all
 *       cancel_wait
 *     commit_wait: sleep while epoch is
 *       key (A1); and look from the start
 *
 * Each side writes and then reads what the other writes: the waiter finds something when it looks again, or the notifier
 * finds it counted, and moves the epoch. A waiter whose key is from before that does not fall asleep, or is woken; one whose
 * key is from after it comes after what was notified, and finds it when it looks again. So no notification is lost between
 * the two looks, and a notifier that finds nobody writes nothing: it costs a fence, and a line that it only reads.
 *
 * R1 eventcount_wake: add_rel(xepoch) -> A1 eventcount_prepare_wait, eventcount_commit_wait: load_acq(xepoch) what was made
 * R2 eventcount_prepare_wait: fence_full() -> A2 eventcount_is_awaited: fence_full()    one sees what the other wrote
 *
 * One that begins to wait between the moving of the epoch and the wake may get the wake that was for another, and sleeps
 * on, and so does the other. That is right as long as one is as good as the other: it has looked after the notification, and
 * what that was about was gone. So notify_one is for waiters of one kind, who all wait for the same; if there are
 * several kinds, notify_all. After 2^32 notifications between prepare and commit a key is taken for the epoch.
 *
 * Rejected: a lock and a condition variable (the notifier would take the lock each time), and a semaphore (every post
 * counts, though nobody waits). After Vyukov's and folly's event counts; Reed and Kanodia (1979).
 */
#ifndef LOCKFREE_EVENTCOUNT_H
#define LOCKFREE_EVENTCOUNT_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "lockfree/fence.h"

/* All zero at first. */
struct eventcount {
	_Atomic uint32_t xepoch;   /* notifiers that find waiters add; the kernel's futex */
	_Atomic uint32_t xwaiters; /* waiters add and subtract */
};

enum { EVENTCOUNT_NEVER = -1 };

/* Then look again, and cancel or commit. Returns the key that commit_wait takes. */
static inline uint32_t eventcount_prepare_wait(struct eventcount *e)
{
	(void)add_rlx(&e->xwaiters, 1);
	fence_full();                 /* R2 */
	return load_acq(&e->xepoch); /* A1 */
}

static inline void eventcount_cancel_wait(struct eventcount *e)
{
	(void)sub_rlx(&e->xwaiters, 1);
}

/* Blocks the thread until there has been a notification since prepare_wait, or for `timeout_ns` (EVENTCOUNT_NEVER: without
 * end). 0 or -ETIMEDOUT. */
int eventcount_commit_wait(struct eventcount *, uint32_t key, int64_t timeout_ns);

static inline bool eventcount_is_awaited(struct eventcount *e)
{
	fence_full(); /* A2 */
	return load_rlx(&e->xwaiters) != 0;
}

COLD void eventcount_wake(struct eventcount *, int sleepers_max);

/* Any thread, after what it notifies of. At least one waiter looks after that, if there are any. */
static inline void eventcount_notify_one(struct eventcount *e)
{
	if (unlikely(eventcount_is_awaited(e)))
		eventcount_wake(e, 1);
}

static inline void eventcount_notify_all(struct eventcount *e)
{
	if (unlikely(eventcount_is_awaited(e)))
		eventcount_wake(e, INT32_MAX);
}

#endif
