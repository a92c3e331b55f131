/* Programming errors. */
#ifndef WEFT_PANIC_H
#define WEFT_PANIC_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* Prints "panic: MESSAGE" with the goroutine and its trace on stderr, and ends the process with status 2. */
WEFT_API WEFT_NORETURN void weft_panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

WEFT_END_DECLS

#endif
