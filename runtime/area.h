/* Areas: places outside the collected heap where the runtime keeps what may be collected pointers of the program's: a channel's buffer, a
 * context's value, the argument of a timer that nobody can stop. They are roots, from when they are made until they go.
 *
 * Each marking looks through all of them once. What is stored into one meanwhile, or taken out, is shaded (gc_shade_words): so an area may be
 * looked at while others use it, and one that is made meanwhile need not be looked at.
 */
#ifndef RUNTIME_AREA_H
#define RUNTIME_AREA_H

#include "runtime/collect.h"

/* The links do not pass for pointers: what a program's own memory leads to (reach.h) is not everything that there is. */
typedef uintptr_t area_link;

struct area {
	area_link next, prev; /* of its shard; the shard's lock */
	/* Notes words from *at on, a few thousand at most, and moves *at; false: that was all. Under the shard's lock, while others use what is
	 * in it. */
	bool (*look)(struct area *, size_t *at, struct gc_filling *);
	unsigned shard;
};

/* From here on it is looked through. */
void area_add(struct area *, bool (*look)(struct area *, size_t *at, struct gc_filling *));
/* Nobody looks any more when it returns. One that was never added is let be. */
void area_drop(struct area *);
/* The same in what is called after a grace period, where there is no call into weft. */
void area_drop_reclaimed(struct area *);

/* An area of one word. */
struct area_word {
	struct area area;
	_Atomic(void *) word;
};
void area_word_add(struct area_word *, void *word);
/* It stays on the caller's stack, as far as that has it. */
void area_word_drop(struct area_word *);

/* All of them, from the first. */
void areas_begin(void);
/* Looks at some; false: all have been looked at. By one at a time. */
bool areas_look(struct gc_filling *);

#endif
