/* The world, standing still: for what has to see everything as it is at one moment (gcverify, gcstw, weft_leaks, heap dumps). A collection never
 * asks for it.
 *
 * Everything stands at the end of a call, in a blocking section, asleep, or wherever a signal has met it: with locks of the program's and of
 * libc's held perhaps, and none of weft's. So what is done meanwhile takes no lock that a goroutine may hold, allocates by os_map alone, and
 * writes with no lock held. Threads that are not attached go on. */
#ifndef RUNTIME_WORLD_H
#define RUNTIME_WORLD_H

#include "lockfree/fence.h"
#include "runtime/g.h"

#include <ucontext.h>

struct attached;

/* Runs fn while no goroutine and no attached thread runs; on the collector's watch. Waits, a goroutine as in a blocking section. One at a time;
 * fn does not ask for it again. 0; -EBUSY: somebody has not come to stand within seconds, and fn was not called. */
int world_stand_still(void (*fn)(void *arg), void *arg);
/* The last thread that did not. */
int world_late(void);

/* ---- within fn ---- */

/* Whose it is has said that it stands, and where. */
bool world_holds(const struct section *);

/* Every range in which a goroutine or an attached thread may have pointers: stacks, saved registers, copied arguments. g: whose, or who stands for
 * the thread. */
void world_each_range(void (*see)(void *arg, struct g *, const void *from, const void *to), void *arg);

/* ---- gcwatch.c ---- */

/* The calling thread is the one on which all this is done. */
void world_watch(void);
/* Somebody waits for it to be done. */
bool world_is_asked(void);
void world_serve(void);

/* ---- whoever is to stand ---- */

/* Odd: the world is to stand, or stands. */
extern _Atomic uint32_t world_round;

static inline bool world_stops(void)
{
	return unlikely(load_acq(&world_round) & 1); /* what was looked at while it stood may be changed again */
}

/* In a call, or in the scheduler: until the world goes on. */
COLD void world_wait(struct m *);
COLD void world_wait_outside(struct attached *);
/* The same of one whose section is as it was published, and which has said again that it is in there. */
COLD void world_wait_published(void);
/* In a signal's handler. */
void world_wait_interrupted(struct section *, const ucontext_t *, const void *stack_end, size_t stack_size);

/* From here on it runs, or gets a P: if the world stands it waits first. The caller has published that it does. */
static inline void world_enter(struct m *m)
{
	fence_full(); /* either it sees that the world is to stand, or who looks sees that it is back */
	if (world_stops())
		world_wait(m);
}

#endif
