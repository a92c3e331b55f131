/* What the sanitizers must be told at a switch; empty in the other flavours.
 *
 * ASan wants to know each stack's bounds before it is entered. ThreadSanitizer wants a fiber per goroutine.
 * Switches between fibers are made without ordering them (flag 1), or the races between goroutines that
 * happen to run on one thread would be hidden. But then the scheduler's own per-P data, which is touched now
 * from this goroutine and now from that, would look like a race. The answer: every M has a fiber of its own,
 * and scheduler code runs as that one, on whichever stack it finds itself (sched_enter, sched_leave).
 * What orders goroutines is then just what the Go memory model says orders them: starting one and waking one
 * are announced (fiber_publish, fiber_observe), locks and channels are seen through their atomics.
 *
 * Since it runs on a goroutine's stack under another identity, scheduler code keeps nothing there whose address
 * escapes: later the goroutine would use the same bytes, and that would look like a race. Arrays and out-parameters
 * are the P's (struct p, scratch), which also spares the goroutine's stack a page.
 *
 * A function that changes the identity must change it back before it returns: ThreadSanitizer keeps a call
 * stack for each. goroutine_main, which never returns, is not instrumented.
 */
#ifndef RUNTIME_FIBER_H
#define RUNTIME_FIBER_H

#include <stdbool.h>
#include <stddef.h>

#include "lockfree/sanitize.h"

#if WEFT_TSAN
#include <sanitizer/tsan_interface.h>
#include <string.h>
#endif

#if WEFT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

static inline void *fiber_make(void)
{
#if WEFT_TSAN
	return __tsan_create_fiber(0);
#else
	return NULL;
#endif
}

static inline void *fiber_current(void)
{
#if WEFT_TSAN
	return __tsan_get_current_fiber();
#else
	return NULL;
#endif
}

static inline __attribute__((always_inline)) void fiber_become(void *fiber)
{
#if WEFT_TSAN
	if (__tsan_get_current_fiber() != fiber)
		__tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
#else
	(void)fiber;
#endif
}

/* Its calls will not return; the next use makes a new one. Not called as the fiber itself. */
static inline void fiber_forget(void **fiber)
{
#if WEFT_TSAN
	__tsan_destroy_fiber(*fiber);
#endif
	*fiber = NULL;
}

/* What happened before publish is ordered before what follows observe of the same address. */
static inline void fiber_publish(void *address)
{
#if WEFT_TSAN
	__tsan_release(address);
#else
	(void)address;
#endif
}

static inline void fiber_observe(void *address)
{
#if WEFT_TSAN
	__tsan_acquire(address);
#else
	(void)address;
#endif
}

/* ThreadSanitizer keeps a signal for the one that it has interrupted, until that makes a call that ThreadSanitizer knows. A goroutine
 * makes one before it waits: it may be for just that signal. */
static inline void fiber_hear_signals(void)
{
#if WEFT_TSAN
	static size_t (*volatile known)(const char *) = strlen;
	known("");
#endif
}

/* Before a switch to the stack [bottom, bottom + size). fake NULL: the old stack will not be run again. */
static inline void fiber_leave_stack(void **fake, const void *bottom, size_t size)
{
#if WEFT_ASAN
	__sanitizer_start_switch_fiber(fake, bottom, size);
#else
	(void)fake, (void)bottom, (void)size;
#endif
}

/* After it, on the new stack. */
static inline void fiber_enter_stack(void *fake)
{
#if WEFT_ASAN
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
#else
	(void)fake;
#endif
}

/* The same, and what the stack was that was left. */
static inline void fiber_enter_stack_from(void *fake, const void **bottom, size_t *size)
{
#if WEFT_ASAN
	__sanitizer_finish_switch_fiber(fake, bottom, size);
#else
	(void)fake, (void)bottom, (void)size;
#endif
}

/* The frames of the goroutine that lived on this stack are gone. */
static inline void fiber_unpoison(const void *bottom, size_t size)
{
#if WEFT_ASAN
	__asan_unpoison_memory_region(bottom, size);
#else
	(void)bottom, (void)size;
#endif
}

#endif
