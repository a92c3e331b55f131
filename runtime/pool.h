/* What a collector and pools (pool.c) have to do with each other. */
#ifndef RUNTIME_POOL_H
#define RUNTIME_POOL_H

#include "runtime/collect.h"

#include <stdint.h>

/* start.c: membarrier is to be had, or there is one thread. */
void pool_allow(void);

/* A collection: in each pool, what was put since the last one gets older, and what was old already is given to drop, by a goroutine that is
 * started for it. Swaps a few pointers for each P of each pool, and looks at no object. On any of weft's threads, one after
 * the other. */
void pool_collect(void);

/* Calls see for every object that pools hold now, in whatever part of theirs, and for some that they have just given away. What is put
 * meanwhile may be missed, and what is taken too: both come by pool_moves. `see` must not block. */
void pool_each_word(void (*see)(void *arg, uintptr_t word), void *arg);

/* How far a look through all of them has come. Zeroed: it has not begun. */
struct pool_look {
	struct link *pool, *chunk;
	uint64_t freed;
	unsigned begun; /* so many times */
};

/* The same for some `most` of them, the next ones; false: those were the last. Begins anew if a pool has been freed meanwhile, though not for ever. */
bool pool_look(struct pool_look *, unsigned most, void (*see)(void *arg, uintptr_t word), void *arg);

/* An object goes into a pool or comes out of it: within a call, and perhaps under a spin lock. A collector that marks meanwhile has to learn of
 * it here: it may have been where the object is going already, and come too late to where it was. */
static inline void pool_moves(void *obj)
{
	if (gc_shades())
		gc_shade_word(&obj);
}

#endif
