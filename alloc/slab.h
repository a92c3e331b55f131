/* Objects of one type for the runtime itself: never moved, never given back, found again by walking.
 *
 * A slab cuts chunks of address space into objects of one size, each on cache lines of its own. Objects
 * that are given back wait on the free list of whoever gave them (a P keeps its own, so taking one is two
 * plain instructions); the slab's own list takes what a P has too much of. Because a chunk is never
 * returned, an object's memory stays readable for ever, and slab_each can look at every object that ever
 * was: that is how a dump finds all goroutines without a list that each spawn would have to update.
 */
#ifndef ALLOC_SLAB_H
#define ALLOC_SLAB_H

#include "lockfree/spin.h"

#include <stddef.h>

/* The first word of a free object. */
struct slab_free {
	struct slab_free *next;
};

struct slab_chunk {
	struct slab_chunk *older;
	char *objects;
	_Atomic size_t used; /* bytes handed out, from the front */
};

struct slab {
	size_t object_size;
	size_t chunk_size;
	struct spin lock;
	struct slab_free *free;
	size_t nfree;
	_Atomic(struct slab_chunk *) newest;
};

/* object_size is rounded up to whole 64-byte lines. */
void slab_init(struct slab *, size_t object_size, size_t chunk_size);

struct slab_list {
	struct slab_free *first; /* NULL: there is no memory */
	size_t n;
};

/* Up to `want` objects: from those given back, otherwise new (zeroed) ones. */
struct slab_list slab_take(struct slab *, size_t want);

/* One of them, or NULL. */
static inline void *slab_take_one(struct slab *s)
{
	return slab_take(s, 1).first;
}

/* Gives back a list of n objects, `last` being its last. */
void slab_give(struct slab *, struct slab_free *first, struct slab_free *last, size_t n);

/* Calls see(object, arg) for every object that was ever handed out, given back or not. */
void slab_each(struct slab *, void (*see)(void *object, void *arg), void *arg);

#endif
