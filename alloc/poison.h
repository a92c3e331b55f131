/* Memory of the collected heap that holds no object, made to tell on whoever uses it.
 *
 * Under AddressSanitizer it is poisoned from when a span is made, or an object was found dead, to when it is allocated: a use of a collected
 * object after its end, or of what lies behind it, is a report. In the flavours that check (assert_debug) what a dead object was is
 * overwritten too: whoever reads a pointer there faults at once, and no marker takes it for one. All that is nothing elsewhere. */
#ifndef ALLOC_POISON_H
#define ALLOC_POISON_H

#include "lockfree/sanitize.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if WEFT_ASAN
#include <sanitizer/asan_interface.h>
#endif

#ifdef WEFT_ASSERT_DEBUG
enum { POISON_FILLS = 1 };
#else
enum { POISON_FILLS = 0 };
#endif

enum {
	POISON_BYTE = 0xdb,	    /* eight of them are no address */
	POISON_FILL_MOST = 1 << 20, /* of one object: more of it may never have been touched */
};

static inline void poison(const void *at, size_t bytes)
{
#if WEFT_ASAN
	__asan_poison_memory_region(at, bytes);
#else
	(void)at, (void)bytes;
#endif
}

static inline void unpoison(const void *at, size_t bytes)
{
#if WEFT_ASAN
	__asan_unpoison_memory_region(at, bytes);
#else
	(void)at, (void)bytes;
#endif
}

/* Who used an object until it died is in no order with who sweeps it: ThreadSanitizer is not to look. */
static inline NOT_INSTRUMENTED void poison_fill(void *at, size_t bytes)
{
	if (!POISON_FILLS)
		return;
	bytes = bytes < POISON_FILL_MOST ? bytes : POISON_FILL_MOST;
#if WEFT_TSAN
	volatile uint64_t *word = at;
	for (size_t i = 0; i < bytes / sizeof *word; i++)
		word[i] = POISON_BYTE * (UINT64_MAX / 255);
#else
	memset(at, POISON_BYTE, bytes);
#endif
}

#endif
