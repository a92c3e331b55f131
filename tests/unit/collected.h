/* Collected objects whose fate a test watches: each has a weak pointer, and a number inside. */
#ifndef TESTS_UNIT_COLLECTED_H
#define TESTS_UNIT_COLLECTED_H

#include "tests/unit/waiting.h"

#include <weft/weft.h>

#include <string.h>

struct thing {
	struct thing *next;
	uint64_t number;
};
WEFT_TYPE(thing, struct thing, next);

enum { WATCHED = 40, STRAY = 4 }; /* so many may be kept by words that only look like pointers */

static _Atomic(weft_weak *) watched[WATCHED];

/* The i-th, which nobody else has. */
static __attribute__((noinline, unused)) struct thing *watch_new(int i)
{
	struct thing *t = weft_new(thing);
	t->number = 1000 + (uint64_t)i;
	weft_weak_free(watched[i]);
	watched[i] = weft_weak_make(t);
	return t;
}

/* What calls have left below is overwritten. */
static __attribute__((noinline, unused)) void clean_stack(void)
{
	char clean[16384];
	memset(clean, 0, sizeof clean);
	weft_keep_alive(clean);
}

static __attribute__((noinline, unused)) int alive(void)
{
	int n = 0;
	for (int i = 0; i < WATCHED; i++) {
		struct thing *t = weft_weak_get(watched[i]);
		if (t)
			CHECK_EQ(t->number, 1000 + i);
		n += t != NULL;
	}
	clean_stack();
	return n;
}

/* What is freed is used again at once, so that whoever reads it notices. */
static __attribute__((noinline, unused)) void use_memory_again(void)
{
	for (int i = 0; i < 10000; i++)
		weft_new(thing)->number = 7;
	clean_stack();
}

static __attribute__((noinline, unused)) int alive_after_gc(void)
{
	clean_stack();
	weft_gc();
	use_memory_again();
	return alive();
}

/* All were kept by what the test has done; they are not once that is undone. */
#define CHECK_ALL_ALIVE()  CHECK_EQ(alive_after_gc(), WATCHED)
#define CHECK_MOSTLY_DEAD() CHECK(alive_after_gc() <= STRAY)

#endif
