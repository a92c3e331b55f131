/* Call traces: addresses by libunwind, names and lines by libdw. */
#ifndef RUNTIME_TRACE_H
#define RUNTIME_TRACE_H

#include "runtime/switch.h"

#include <signal.h>

enum { TRACE_MAX = 32 };

struct trace {
	unsigned n;
	unsigned left_out; /* frames beyond TRACE_MAX */
	_Atomic unsigned next; /* 0: trace_print has not begun; then 1 + how many it has shown, and the rest stays */
	unsigned exact;    /* the first are those of instructions; the others are return addresses */
	uintptr_t pc[TRACE_MAX];
};

/* Of a goroutine that does not run. */
void trace_context(struct trace *, const struct context *);

/* Of the caller, without its `skip` innermost frames. */
void trace_here(struct trace *, unsigned skip);

/* Of what a signal has interrupted: its handler's third argument. Allocates nothing. */
void trace_signal(struct trace *, const ucontext_t *);

/* One line a frame, indented: "  name+0x4c  file.c:118", as far as debug information goes. */
void trace_print(int fd, struct trace *);

/* "at file.c:33 in name", or "at name+0x4c", for one address. */
void trace_print_place(int fd, uintptr_t pc);

#endif
