/* Goroutines: starting, ending, counting, and the program's entry. */
#ifndef WEFT_GO_H
#define WEFT_GO_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* Runs `app` as the main goroutine and returns its value; the other goroutines are abandoned then. Once
 * per process; a second call panics. Reads the WEFT_ variables of the environment: a bad one is a line
 * on stderr and status 2. */
WEFT_API int weft_main(int argc, char **argv, int (*app)(int argc, char **argv));

typedef struct weft_go_opts {
	const char *name;  /* copied (31 bytes of it); for dumps */
	size_t stack_size; /* bytes reserved: 0 means 256 KiB, raised to 16, 32, 64, 128 or 256 KiB, or to whole pages */
	size_t arg_size;   /* that many bytes at arg are copied; the goroutine gets the copy */
	int pin;           /* 0: anywhere. n: only on P n-1 */
} weft_go_opts;

/* Starts fn(arg) as a goroutine. Does not block; running out of memory is fatal. From a thread outside
 * the runtime too. */
WEFT_API void weft_go(void (*fn)(void *), void *arg);

/* The same with options (NULL: none). 0; -ENOMEM; -EINVAL: no such P, or a stack size that cannot be. */
WEFT_API int weft_go_with(const weft_go_opts *, void (*fn)(void *), void *arg);

/* Lets the other runnable goroutines run first. */
WEFT_API void weft_yield(void);

/* Ends the calling goroutine, after its deferred calls (weft/panic.h); weft_protect does not stop it. On the main goroutine the others go
 * on. */
WEFT_API WEFT_NORETURN void weft_exit_goroutine(void);

/* 1 is the main goroutine; ids are not reused. 0 outside goroutines. */
WEFT_API uint64_t weft_goroutine_id(void);

/* How many goroutines exist, the calling one included. */
WEFT_API long weft_num_goroutine(void);

/* How many Ps run goroutines. */
WEFT_API int weft_procs(void);

/* Brackets a blocking call that weft does not know: the goroutine's P may run others meanwhile. On
 * a goroutine only; the two nest not. */
WEFT_API void weft_block_begin(void);
WEFT_API void weft_block_end(void);

/* Threads that weft did not make may start goroutines, send and receive, wake, use manual memory; what blocks, blocks
 * the thread. One that is attached may allocate collected memory as well. 0; -EINVAL: weft does not run, or
 * this is a goroutine, which may do all of that; -EALREADY: the thread is attached, and whoever attached it detaches it;
 * -ENOTSUP: in a simulation (WEFT_DEBUG=seed=N), which knows no other threads;
 * another negative errno when the system has no room. A thread that ends is detached. weft_detach panics unless the thread
 * is attached.
 *
 * weft_attach unblocks SIGURG, by which the thread's stack is looked at and the thread is stopped where it makes no call: while it blocks that
 * signal again, and makes no call, no cycle of the collector ends, and weft_leaks and weft_heap_dump give -EBUSY.
 *
 * When every goroutine waits for another one, that is a deadlock, and fatal. It is none as long as something else may
 * come: a timer, a descriptor that is waited for, the end of a blocking section, an attached thread, a signal that is
 * subscribed to (weft/signal.h). Other threads of the program might do anything: as long as there is one, no deadlock is
 * declared either. */
WEFT_API int weft_attach(void);
WEFT_API void weft_detach(void);

/* How many goroutines have leaked: they wait for something that nobody can come at who runs or may still be woken, be it by a channel, a
 * mutex, whatever one waits for. If there are any, writes `leaks: N goroutines` to the descriptor, and each of them as weft_dump does; and from
 * then on dumps say `leaked` of them. Nothing is written if there are none.
 *
 * It looks for words that may be pointers, through all of the process's memory. A word that only looks like one hides a leak, and none is
 * invented: as long as pointers stand in memory or in registers as they are, and those of a thread that blocks SIGURG for long in memory. What
 * the kernel alone has counts for nothing (epoll's data, a timer's sigev_value, what is in a pipe). What the
 * program allocates itself (weft_malloc, and malloc where mimalloc has replaced it) keeps what it points to only if it can be reached, too; in
 * the sanitizer flavours, and what threads outside the runtime have allocated, all of it does.
 *
 * Everything stands still meanwhile, all threads of the process: some tens of milliseconds, and more for much memory. A system call that a thread outside
 * the runtime, or a blocking section, is in may end with EINTR. Waits; from any thread. -EINVAL: weft does not run; -EBUSY: a thread could not be
 * stopped; -ENOMEM; another negative errno: the system does not show the process its own memory. */
WEFT_API int weft_leaks(int fd);

/* Writes all goroutines to a descriptor, one block each; the program goes on. SIGQUIT, unless the program ignores or handles it, writes
 * the same to stderr after `SIGQUIT: N goroutines`, and ends the program with status 2. What runs on another thread, or is in
 * a blocking section, has no trace; what runs on meanwhile may have one that is cut short. `leaked` is said of goroutines that
 * weft_leaks has found; a dump looks for none itself. */
WEFT_API void weft_dump(int fd);

WEFT_END_DECLS

#endif
