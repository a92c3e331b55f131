/* A mutator: a thread that runs the program's code, and may store collected pointers. The host embeds this part in what it knows of
 * a thread (the runtime in M: with a P or without, each is one).
 *
 * The barrier. Before a pointer in a published object is overwritten it is *shaded*: the old value always, the new one while the stack
 * from which it comes has not been looked at in this cycle. Shaded words go into the mutator's ring, and are marked later, by others: the
 * store does not touch the objects. When the ring is emptied, what has its mark is left out: most has, and stores would come faster than markers
 * take them, and the cycle not to its end. The ring has one writer; readers take turns by a lock.
 *
 *     words [taken, put) of the ring are to be marked;    put - taken <= GC_RING
 *
 *     gc_shade (the mutator, inside a call)        gc_mutator_drain (anybody)
 *     put - taken == GC_RING: drain itself         take the lock
 *     ring[put] := word                            read ring[taken .. put)
 *     put := put + 1                  (R1)         taken := put                  (R2)
 *
 * R1 gc_shade: store_rel(xput)            -> A1 gc_mutator_drain: load_acq(xput)   the words
 * R2 gc_mutator_drain: store_rel(xtaken)  -> A2 gc_shade: load_acq(xtaken)         they may be overwritten */
#ifndef GC_MUTATOR_H
#define GC_MUTATOR_H

#include "gc/words.h"

enum { GC_RING = 256 };

struct gc_mutator {
	_Atomic uint32_t xput; /* the mutator writes */
	struct spin lock;      /* of who reads */
	_Atomic uint32_t xtaken;
	_Atomic uintptr_t ring[GC_RING];
};

/* Moves what it has shaded to the words to be marked; how many. */
size_t gc_mutator_drain(struct gc_mutator *, struct gc_words *);

static inline void gc_shade(struct gc_mutator *m, struct gc_words *words, uintptr_t word)
{
	uint32_t put = load_rlx(&m->xput);
	if (put - load_acq(&m->xtaken) == GC_RING) /* A2 */
		gc_mutator_drain(m, words);
	store_rlx(&m->ring[put % GC_RING], word);
	store_rel(&m->xput, put + 1); /* R1 */
}

#endif
