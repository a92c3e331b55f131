/* What may still make something happen from outside the goroutines: attached threads, and subscriptions to signals. As long
 * as there is one, nothing is a deadlock (idle.c).
 */
#ifndef RUNTIME_ATTACH_H
#define RUNTIME_ATTACH_H

#include "gc/mutator.h"
#include "runtime/g.h"

#include <stdbool.h>

void outside_enter(void);

/* The last one leaves it to a P to look whether that was a deadlock. */
void outside_leave(void);

/* Is the runtime there, and not about to stop? */
bool outside_may_enter(void);

/* An attached thread is a mutator. Its stand-in's `scan` byte is its own (collect.h). */
struct attached {
	struct slab_free unused;
	struct weft_mutator_ mutator; /* without a P */
	_Atomic(struct g *) g;	      /* its stand-in; who looks at all of them may see another's, when the struct is used again */
	_Atomic int tid;	      /* 0: nobody's */
	_Atomic int64_t signalled;
	struct gc_mutator shaded;
	_Atomic uint32_t gc_passed; /* as an M's */
	unsigned depth; /* calls that it is in */
	_Atomic(const void *) stack_top;
	_Atomic size_t stack_size;
	/* While it waits in a call: it is as if it were in a blocking section. */
	_Atomic bool parked;
	struct section section;
};

/* The calling thread's; NULL: it is not attached. */
struct attached *attached_self(void);

void attached_each(void (*see)(void *attached, void *arg), void *arg);

/* call.h: a call of the calling thread's begins, and ends. */
void attached_call_begin(void);
void attached_call_end(void);

/* sched.c: it goes to sleep, and is back. */
void attached_parks(void);
void attached_is_back(void);

#endif
