/* Misuse, from inside.
 *
 * Whoever panics is in order: it holds no lock, and its object is as before or as after. Calls into weft under way are ended by
 * weft_panic itself. Code of the runtime's that calls a function of the program's, outside calls, and must go on after it
 * whatever becomes of it, defers what it has to do, as the program would: WEFT_DEFER(done, x); fn(arg).
 */
#ifndef RUNTIME_PANIC_H
#define RUNTIME_PANIC_H

#include "lockfree/assert.h"

#include <weft/panic.h>

struct g;

/* A deferred call that is told of the panic that runs it; NULL: none does, or an exit. weft_deferred_run(&told.call) ends the block. */
struct deferred_told {
	struct weft_deferred call;
	const weft_panic_info *panic;
};
void deferred_tell(struct deferred_told *, void (*fn)(void *), void *arg);

/* In such a call: nothing is to stop that panic. */
_Noreturn void panic_end_program(const char *message);

/* The program is about to end with main's value: not while a panic ends it. */
void panic_let_end(void);

/* block.c: a blocking section of its ends. */
void deferred_leave_section(struct g *);

/* It exits: all its deferred calls run, whatever protects them. */
void deferred_run_all(struct g *);

#endif
