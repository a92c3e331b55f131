/* Stacks as the collector sees them: claims (collect.h has their protocol), and what is noted of who is parked, who runs, who is in a blocking
 * section, and whom a signal has interrupted. */
#ifndef RUNTIME_GCSTACK_H
#define RUNTIME_GCSTACK_H

#include "runtime/collect.h"

#include <ucontext.h>

/* ---- claims ---- */

enum gc_claim_result { GC_CLAIM_MINE, GC_CLAIM_DONE, GC_CLAIM_OTHERS };

enum gc_claim_result gc_try_claim(struct g *);
/* Waits while somebody else has it. True: the caller looks at it; false: somebody has. */
bool gc_claim(struct g *);
/* It is black from here on. */
void gc_looked_at(struct g *);
/* It runs, and is left to itself. */
void gc_unclaim(struct g *);

/* ---- words ---- */

static inline struct gc_filling gc_filling(enum gc_source from)
{
	return (struct gc_filling){.words = &collector.words, .from = from};
}

/* ---- where a goroutine may have pointers: its stack, registers, and copied argument ---- */

typedef void gc_see_range(void *arg, const void *from, const void *to);

/* On no CPU. */
void gc_ranges_of_parked(const struct g *, gc_see_range *, void *arg);
/* As they were when the section began; an attached thread's stand-in too. */
void gc_ranges_of_section(const struct g *, const struct section *, const void *stack_end, gc_see_range *, void *arg);

/* A section as if it began where the signal has interrupted the thread, which lasts as long as the handler. False: the thread stands on another
 * stack for the moment (a handler of the program's may have one). */
bool section_of_interrupt(struct section *, const ucontext_t *, const void *stack_end, size_t stack_size);

/* ---- what a claimed goroutine has, its copied argument included; then it has been looked at ---- */

/* On no CPU. */
void gc_look_at_parked(struct g *);
/* The calling one; an attached thread's stand-in too. */
void gc_look_at_self(struct g *, const void *stack_end);
/* By its registers as they were when the section began. */
void gc_look_at_section(struct g *, const struct section *);
void gc_look_at_attached(struct g *, const struct section *, const void *stack_end);
/* By the handler, on the interrupted thread: claims it, if it stands on its stack. */
void gc_look_at_interrupted(struct g *, const ucontext_t *, const void *stack_end, size_t stack_size);

#endif
