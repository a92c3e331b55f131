/* Stack overflow: told by a goroutine's guard, and reported in words.
 *
 * Each M handles the signals of bad addresses on a stack of its own. An address in the guard of the stack that the M
 * stands on is an overflow:
 *
 *     fatal: goroutine 7 stack overflow (limit 262144 bytes)
 *
 *     goroutine 7 [running] name=worker:
 *       deeper+0x1b  tree.c:40
 *       ...
 *
 * and status 2; no handler of the program's runs. Any other bad address is none of ours, and goes where it went before.
 */
#ifndef RUNTIME_OVERFLOW_H
#define RUNTIME_OVERFLOW_H

#include "lockfree/assert.h"

#include <stddef.h>

/* Once, before the first M: from here on the signals are looked at. What was there before gets what is not ours. */
void overflow_init(void);

/* A thread's signal stack, and what the thread had before. */
struct overflow_part {
	void *mapping; /* NULL: there was no memory */
	void *old;     /* sigaltstack's, to be put back */
	size_t old_size;
	int old_flags;
};

/* The calling thread becomes an M, and stops being one. Without memory for a signal stack it goes on: an overflow on it
 * is a plain SIGSEGV then. */
void overflow_open(struct overflow_part *);
void overflow_close(struct overflow_part *);

/* A system call has said -EFAULT of [at, at + size), or of some of it: the kernel raises no signal for what it touches
 * itself. Returns unless that reaches into the guard of the calling goroutine. */
COLD void overflow_check(const void *at, size_t size);

#endif
