#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Atomic(void (*)(void)) crash_hook;

/* The first thread to die speaks; a second one waits for the end, a crash inside the hook ends at once. */
static _Atomic uintptr_t dying;

void crash_moves_here(pthread_t from)
{
	uintptr_t was = (uintptr_t)from;
	cas_seq(&dying, &was, (uintptr_t)pthread_self());
}

static _Noreturn void die(const char *line, int len)
{
	uintptr_t other = 0;
	if (!cas_seq(&dying, &other, (uintptr_t)pthread_self())) {
		if (other == (uintptr_t)pthread_self())
			_exit(2);
		for (;;)
			pause();
	}
	ssize_t n = write(STDERR_FILENO, line, (size_t)len);
	(void)n; /* nowhere else to say it */
	void (*hook)(void) = load_acq(&crash_hook);
	if (hook)
		hook();
	_exit(2);
}

void fatal(const char *fmt, ...)
{
	char line[512] = "fatal: ";
	va_list ap;
	va_start(ap, fmt);
	int len = 7 + vsnprintf(line + 7, sizeof line - 8, fmt, ap);
	va_end(ap);
	if (len > (int)sizeof line - 2)
		len = (int)sizeof line - 2;
	line[len++] = '\n';
	die(line, len);
}

void assert_failed(const char *expr, const char *file, int line)
{
	fatal("assertion failed: %s (%s:%d)", expr, file, line);
}
