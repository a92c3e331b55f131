/* Which sanitizer looks on, and the attributes that take a function out of its sight. */
#ifndef LOCKFREE_SANITIZE_H
#define LOCKFREE_SANITIZE_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#endif
#ifndef WEFT_TSAN
#define WEFT_TSAN 0
#endif
#ifndef WEFT_ASAN
#define WEFT_ASAN 0
#endif

#if WEFT_TSAN
/* For a thread's own data, which its goroutines touch in turn; and for what the collector looks at while others write there. */
#define NO_TSAN __attribute__((no_sanitize("thread"), noinline))
#define NOT_INSTRUMENTED __attribute__((disable_sanitizer_instrumentation, noinline))
/* The same for all functions in between: a simulation's own data, which all of its Ms touch on one thread (sim.c). */
#define NO_TSAN_BEGIN _Pragma("clang attribute push(__attribute__((no_sanitize(\"thread\"))), apply_to = function)")
#define NO_TSAN_END   _Pragma("clang attribute pop")
#else
#define NO_TSAN
#define NO_TSAN_BEGIN
#define NO_TSAN_END
#define NOT_INSTRUMENTED __attribute__((no_sanitize_address))
#endif

#endif
