/* Memory that others may still be looking at: freed once every reader has passed a quiet point.
 *
 * liburcu's quiescent-state flavour (urcu-qsbr): a reader pays nothing while it reads. An M is a reader
 * while it holds a P; it announces a quiet point between goroutines (epoch_quiet) and is off-line while
 * it sleeps or blocks (epoch_offline), or a sleeping core would hold up all freeing. A thread without a P
 * comes on-line for the length of one call (epoch_enter, epoch_leave).
 *
 * epoch_retire never blocks the caller: liburcu's own thread waits for the grace period and then calls
 * back. ThreadSanitizer does not see into liburcu, so the two edges that a grace period makes (retiring
 * happens before the callback; everything a reader did before its quiet point does too) are announced to
 * it by hand.
 */
#ifndef LOCKFREE_EPOCH_H
#define LOCKFREE_EPOCH_H

#include <stddef.h>

/* liburcu's rcu_head, whose type this header keeps to itself. */
struct epoch_entry {
	void *opaque[2];
	void (*reclaim)(struct epoch_entry *);
};

/* Starts liburcu's thread, so that it is counted from the beginning. */
void epoch_init(void);
enum { EPOCH_THREADS = 1 };

/* The calling thread becomes a reader, off-line; once per thread. */
void epoch_register(void);
void epoch_unregister(void);

void epoch_online(void);
void epoch_offline(void);
void epoch_quiet(void);

/* The caller has done with what it has looked at so far. The next quiet point of its thread says so too; but that is the
 * scheduler's, and ThreadSanitizer knows no order between the two (runtime/fiber.h). */
void epoch_looked(void);

/* For threads that are no readers otherwise: what is looked at between the two stays. They nest; the first one of a
 * thread registers it, until the thread ends. In between it may go off-line and on-line again, to sleep. */
void epoch_enter(void);
void epoch_leave(void);

/* The calling thread as a reader, for another that takes it off-line on its behalf: when the reader is known to look
 * at nothing, and to be seen so (after a membarrier), and does not go on-line meanwhile. */
struct epoch_reader;
struct epoch_reader *epoch_self(void);
void epoch_offline_for(struct epoch_reader *);

/* Calls reclaim(entry) on a thread of its own after a grace period. The entry is part of the object. The
 * caller is a registered thread, or stands between epoch_enter and epoch_leave. */
void epoch_retire(struct epoch_entry *, void (*reclaim)(struct epoch_entry *));

/* Waits until everything retired so far has been reclaimed; the caller is off-line meanwhile. */
void epoch_drain(void);

#endif
