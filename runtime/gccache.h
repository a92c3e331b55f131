/* The caches from which collected objects are allocated: each P's, and one for who has none. Their colour follows whose stack has been looked at, and
 * when marking has ended each is flushed before anything white is allocated from it (gc/cycle.h).
 *
 *     white --a goroutine that has been looked at runs there--> black --gc_flush--> white
 *
 * A P's cache is its M's, in a call; while the M sleeps, or its goroutine is in a blocking section, anybody may hold the P for a moment and
 * flush it. */
#ifndef RUNTIME_GCCACHE_H
#define RUNTIME_GCCACHE_H

#include "runtime/collect.h"
#include "runtime/sched.h"

/* What is a P's and the collector's is touched by goroutines in their own identity (fiber.h), one after the other; the scheduler, which may stand
 * on a goroutine's stack, takes that one's for as long. */
void *gc_enter(struct m *);
void gc_leave(struct m *, void *was);

/* What is allocated from here on is black. p may be NULL. */
void gc_blacken(struct p *);
/* If marking has ended since the last time. */
void gc_flush(struct p *);
/* If nobody runs on it; false: somebody may. */
bool gc_flush_if_idle(struct p *);
void gc_flush_shared(void);

/* All that has been allocated has its mark, if it is black. While nobody allocates. */
void gc_settle_caches(void);

/* one_by_one: heap.h. */
void gc_caches_start(bool one_by_one);

#endif
