/* Memory that others may still be looking at: freed once every reader has passed a quiet point.
 *
 * liburcu's quiescent-state flavour (urcu-qsbr): a reader pays nothing while it reads. The price is a set of rules:
 *
 *     what is retired              cannot be found any more by who begins to look now
 *     a grace period               ends when each thread that was on-line has passed a quiet point, or gone off-line
 *     on-line                      a thread may look, and holds up all reclamation until its next quiet point
 *     off-line                     a thread must not look, and holds up nothing
 *     at a quiet point             and on going off-line, a thread has nothing left that it has looked up
 *     epoch_retire                 never waits for a grace period: a thread of liburcu's does, and calls back
 *
 * Who is what:
 *
 *     an M that holds a P          on-line; a quiet point between goroutines, and on every round while it looks for work
 *     an M asleep, in the poller   off-line, and there it takes no event: what that names could be reclaimed before it is
 *       or on a futex              back. It looks for events once it is on-line again
 *     an M without a P             off-line: spare, or blocked in the kernel; the P that it has lost is on-line with
 *                                  whichever M holds it. It may retire
 *     a thread that is no M        on-line from epoch_enter to epoch_leave, for one call
 *     a goroutine                  may hold what it has looked up only until it parks: not across a quiet point
 *
 * So a sleeping core holds up nothing, and a goroutine that computes without ever coming to the scheduler does; one that
 * frees and never parks makes quiet points of its calls (retire in runtime/sched.c).
 *
 * The grace period makes two edges: retiring happens before the callback, and so does everything that a reader did
 * before its quiet point. ThreadSanitizer does not see into liburcu, so they are announced to it by hand. There is no model:
 * liburcu is not our source, and its proofs are its authors' (Desnoyers et al., "User-level implementations of read-copy
 * update", 2012). The models of our own sources have quiet points that do nothing and reclaim what is retired at once
 * (tests/model/ready.c, scheduler.h); tests/stress/epoch.c and net.c run the rules themselves.
 */
#ifndef LOCKFREE_EPOCH_H
#define LOCKFREE_EPOCH_H

#include <stdbool.h>
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
bool epoch_is_entered(void);

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
