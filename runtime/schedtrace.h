/* WEFT_DEBUG=schedtrace=MS: what the scheduler is doing, a line at a time. */
#ifndef RUNTIME_SCHEDTRACE_H
#define RUNTIME_SCHEDTRACE_H

/* Prints a line on stderr every `ms` milliseconds, until the end of the process. */
void schedtrace_start(unsigned ms);

#endif
