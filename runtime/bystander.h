/* Bystanders: the threads that go on when the world stands (world.h). Those that are none of weft's and not attached, and those of weft's whose
 * goroutine is in a blocking section. Each may have the only pointer to something in a register, or move it from a place that has not been looked at
 * to one that has been: so they are to stand too. */
#ifndef RUNTIME_BYSTANDER_H
#define RUNTIME_BYSTANDER_H

#include "runtime/g.h"

#include <ucontext.h>

/* Has all of them stand, by a signal (SIGURG) in whose handler they wait; a system call that they were in may end with EINTR. While the world
 * stands, on the thread that has stopped it. 0; -EBUSY: one has not come to stand in time; -ENOMEM; another negative errno: they cannot
 * be listed. Those that block the signal for long go on. If it is not 0, none stands. `waits`: a thread that waits for the caller. */
int bystanders_stop(int waits);
void bystanders_go_on(void);

/* One that stands. */
struct bystander {
	_Atomic int tid;
	_Atomic uint32_t xstands; /* the round in which it does */
	struct m *m;		  /* NULL: none of weft's */
	uintptr_t sp;		  /* the stack in use, the red zone included: from here */
	uintptr_t own;		  /* above a thread's stack, mostly: its descriptor of libc's */
	const void *frame, *frame_end; /* which the kernel has made for the handler: all registers */
};

/* Each that stands. */
void bystanders_each(void (*see)(void *arg, const struct bystander *), void *arg);

/* gchost.c, in the signal's handler: stands if it is to; false: it need not. */
bool bystander_waits(const ucontext_t *);

#endif
