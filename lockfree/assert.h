/* Assertions in three levels, and the one way to die.
 *
 * assert_always stays in release builds: it stands where going on would corrupt somebody's data.
 * assert_debug is checked in the debug and sanitizer flavours. fatal() prints one line
 * "fatal: ..." without allocating, lets the crash hook add what it knows (the runtime prints its
 * goroutines), and ends the process with status 2.
 */
#ifndef LOCKFREE_ASSERT_H
#define LOCKFREE_ASSERT_H

#include <pthread.h>

#define COLD         __attribute__((cold, noinline))
#define likely(x)    __builtin_expect(!!(x), 1)
#define unlikely(x)  __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Called once, by the first thread that dies, after the line has been printed. */
extern _Atomic(void (*)(void)) crash_hook;

/* The calling thread goes on for one that waits for it, and may be dying: a crash of either ends the program. */
void crash_moves_here(pthread_t from);

_Noreturn COLD void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn COLD void assert_failed(const char *expr, const char *file, int line);

#define assert_always(e) (likely(e) ? (void)0 : assert_failed(#e, __FILE__, __LINE__))

#ifdef WEFT_ASSERT_DEBUG
#define assert_debug(e) assert_always(e)
#else
#define assert_debug(e) ((void)sizeof(!(e)))
#endif

#endif
