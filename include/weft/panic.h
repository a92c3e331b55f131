/* Deferred calls, and panics: what a programming error is, and where it ends. docs/panic.md has the rules and examples. */
#ifndef WEFT_PANIC_H
#define WEFT_PANIC_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* WEFT_DEFER(fn, arg); is a statement in a block: fn(arg) runs when the block is left, by whatever way, on a panic
 * passing through, and when the goroutine exits; the last one first. Both are evaluated at once. It must not be jumped over
 * into its scope, and nothing may jump out of that but return, break, continue, goto, and the calls below. Works on threads
 * outside the runtime too, but not where the thread ends. */

/* What a deferred call is, in the frame of who defers it. The library's. */
typedef struct weft_deferred {
	void (*fn)(void *);
	void *arg;
	struct weft_deferred *next, **list;
	unsigned kind;
} weft_deferred;

WEFT_API void weft_defer(weft_deferred *);

static inline void weft_deferred_run(weft_deferred *d)
{
	*d->list = d->next;
	d->fn(d->arg);
}

/* Formats the message (255 bytes of it), runs the deferred calls that were registered inside the innermost weft_protect,
 * and lets that return 1. Without one all of the goroutine's run; then "panic: MESSAGE" and the goroutine's trace are printed on stderr,
 * and the process ends with status 2. A panic in a deferred call replaces the one under way. */
WEFT_API WEFT_NORETURN void weft_panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

typedef struct weft_panic_info {
	char message[256];
	uint64_t goroutine; /* 0: a thread outside the runtime */
} weft_panic_info;

/* Calls fn(arg). 1 if it panicked, after its deferred calls, with *out (may be NULL) filled; else 0. Nests. Fatal errors, stack
 * overflows and crashes are no panics. */
WEFT_API int weft_protect(void (*fn)(void *), void *arg, weft_panic_info *out);

WEFT_END_DECLS

#ifdef __cplusplus
struct weft_deferred_here {
	weft_deferred call;
	weft_deferred_here(void (*fn)(void *), void *arg)
	{
		call.fn = fn;
		call.arg = arg;
		weft_defer(&call);
	}
	~weft_deferred_here()
	{
		weft_deferred_run(&call);
	}
	weft_deferred_here(const weft_deferred_here &) = delete;
	weft_deferred_here &operator=(const weft_deferred_here &) = delete;
};
#define WEFT_DEFER_NAMED(name, fn, arg) weft_deferred_here name((fn), (arg))
#else
#define WEFT_DEFER_NAMED(name, fn, arg)                                                                        \
	__attribute__((cleanup(weft_deferred_run))) weft_deferred name = {(fn), (arg), NULL, NULL, 0};         \
	weft_defer(&name)
#endif

/* Each has a name of its own, however many there are on a line. */
#define WEFT_DEFER_COUNTED(count, fn, arg)  WEFT_DEFER_NAMED(weft_deferred_##count, fn, arg)
#define WEFT_DEFER_NUMBERED(count, fn, arg) WEFT_DEFER_COUNTED(count, fn, arg)
#define WEFT_DEFER(fn, arg)                 WEFT_DEFER_NUMBERED(__COUNTER__, fn, arg)

#endif
