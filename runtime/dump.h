/* What a program prints of its goroutines: on a deadlock, a panic, or when asked. */
#ifndef RUNTIME_DUMP_H
#define RUNTIME_DUMP_H

#include "lockfree/assert.h"

#include <semaphore.h>

/* "fatal: all goroutines are asleep - deadlock!", every goroutine, main first; status 2. */
_Noreturn COLD void dump_deadlock(void);

/* From now on a fatal error prints every goroutine. */
void dump_install(void);

/* From now on SIGQUIT posts the semaphore, unless the program ignores the signal or has a handler of its own; and its waiter
 * calls dump_if_asked, which prints every goroutine and ends the program with status 2, if that was why. */
void dump_on_sigquit(sem_t *post);
void dump_if_asked(void);

/* All goroutines, main first. */
void dump_all(int fd);

/* `leaks: n goroutines`, and those that are leaked (leaks.h). */
void dump_leaked(int fd, int n);

/* The calling goroutine, running. */
void dump_self(int fd, unsigned skip_frames);

/* Calls print(arg), which may ask for names and lines (trace.h): nobody else does meanwhile. On a thread's own stack. */
void dump_alone(void (*print)(void *arg), void *arg);

/* Who has started it, one line: "created by goroutine 1 at main.c:33 in app"; nothing if nobody has. */
struct g;
void dump_creator(int fd, const struct g *);

#endif
