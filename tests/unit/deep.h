/* Calls that go deeper than any stack: for tests of overflows. */
#ifndef TESTS_UNIT_DEEP_H
#define TESTS_UNIT_DEEP_H

/* What follows the line of an overflow allocates, in the handler of the fault, and expects the worst of it
 * (runtime/overflow.c). */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "signal:tell_frames\n";
}

/* A frame of 1 KiB and one of its own for each call: ThreadSanitizer notes 65536 calls at most. */
static __attribute__((noinline, unused)) int recurse(int depth)
{
	volatile char frame[1024];
	__asm__ volatile("" : : "r"(frame) : "memory");
	frame[0] = (char)depth;
	int below = depth < 1 << 20 ? recurse(depth + 1) : 0;
	return below + frame[0];
}

#endif
