/* Spans: pages that are cut into objects of one size and one shape, or hold one large object.
 *
 * Of each slot two bits are kept outside the pages, so that looking for what lives does not touch it:
 *
 *     used     it holds an object, or was handed out to hold one (alloc/heap.h, runs)
 *     mark     the collector has found it in this cycle
 *
 * Sweeping makes the marks the used bits, and clears them: what is used and not marked is free, and the gaps between used slots are
 * where the next objects go. Nothing is linked through free memory, and nothing is written to it before it is used again.
 *
 * Who may touch what. A span is its owner's: of a heap's cache, which allocates from it, or of the list in which it waits; only the
 * owner sweeps it and writes `used`, and only outside marking, or for slots that nobody can have a pointer to yet. Marks are set by
 * anybody, atomically, during marking.
 *
 * A word of somebody's is looked up by heap_find without a lock: pages that are no span's have none in the table, and the structs of
 * spans are never given back to the system, so that a stale one can be read. */
#ifndef ALLOC_SPAN_H
#define ALLOC_SPAN_H

#include "alloc/pages.h"
#include "alloc/size_class.h"
#include "lockfree/atomic.h"

#include <assert.h>

struct heap_run;
struct gc_special;

/* Where the pointers of an object are. A map goes round: with the elements of an array. */
enum shape_kind {
	SHAPE_LEAF,	    /* there are none */
	SHAPE_MAP,	    /* in the words whose bits are set, of each `period` words */
	SHAPE_TYPED,	    /* the slot's last word is the address of its type */
	SHAPE_CONSERVATIVE, /* every word may be one */
};

struct shape {
	enum shape_kind kind;
	uint32_t period; /* words, at most 64; of a map */
	uint64_t map;
};

enum { SPAN_WORDS = SPAN_SLOTS / 64 };

struct span {
	/* What marking looks at: one line, and that of the mark. */
	char *base;
	uint64_t reciprocal; /* of the slots' size, as size_class has it; 0: one object, of all the pages */
	size_t slot_size;
	struct shape shape;
	uint32_t nslots;
	_Atomic uint32_t queued; /* it waits in a marker's queue */
	_Atomic(struct gc_special *) specials; /* what hangs on its objects: gc/special.h; a lock of those */
	uint64_t cycle;		     /* of the heap's, in which it was swept or made; the owner's */
	_Atomic uint64_t marks[SPAN_WORDS];
	_Atomic uint64_t scanned[SPAN_WORDS]; /* marked, and looked at or about to be: gc/mark.c */
	_Atomic uint64_t used[SPAN_WORDS];    /* the owner writes; who looks an address up reads */
	_Atomic uint64_t handed;	      /* slots [low half, high half) are a run's; the owner writes */
	_Atomic(struct heap_run *) run;	      /* whose */
	struct span *next;		      /* of the list that owns it */
	struct span *next_queued;	      /* of a list of those; its lock */
	size_t npages;
	uint32_t cell;	     /* of the heap's cells; a large object's has none */
	uint32_t nused;	     /* slots; the owner's */
	uint32_t cursor;     /* no slot before this is free; the owner's */
	bool zeroed;	     /* what was never used reads as zeroes; the owner's */
	_Atomic size_t begun; /* of a large object: how many bytes somebody has taken to look at */
};
static_assert(offsetof(struct span, marks) == 64, "the marks begin behind the first line");

/* A gap: slots [first, first + n) are free, and the one after is not, or n is what was asked for. n = 0: there is none. */
struct span_gap {
	uint32_t first, n;
};

/* Looks from the cursor on, and moves it behind the gap. */
struct span_gap span_next_gap(struct span *, uint32_t most);

/* Slots [first, first + n) are used from now on; what was written in them before is seen by who sees that. */
void span_use(struct span *, uint32_t first, uint32_t n);

/* Slots [first, first + n), which nobody has written to since they were handed out, are free again. */
void span_unuse(struct span *, uint32_t first, uint32_t n);

/* What is not marked is free from now on, and no slot is marked any more: how many objects that were. */
uint32_t span_sweep(struct span *, uint64_t cycle);

/* Of slots of a word, those that nobody had marked. What is loaded after it, is loaded after it: gc/mark.h. */
static inline uint64_t span_mark_bits(struct span *s, uint32_t word, uint64_t bits)
{
	uint64_t unmarked = bits & ~load_rlx(&s->marks[word]);
	return unmarked ? unmarked & ~or_seq(&s->marks[word], unmarked) : 0;
}

/* True: nobody had marked it. */
static inline bool span_mark(struct span *s, uint32_t slot)
{
	return span_mark_bits(s, slot / 64, (uint64_t)1 << slot % 64);
}

/* Those of [first, first + n). */
void span_mark_all(struct span *, uint32_t first, uint32_t n);

static inline bool span_is_marked(struct span *s, uint32_t slot)
{
	return load_rlx(&s->marks[slot / 64]) >> slot % 64 & 1;
}

static inline bool span_is_used(struct span *s, uint32_t slot)
{
	return load_acq(&s->used[slot / 64]) >> slot % 64 & 1;
}

static inline size_t span_slot_size(const struct span *s)
{
	return s->slot_size;
}

static inline char *span_slot(const struct span *s, uint32_t slot)
{
	return s->base + slot * s->slot_size;
}

/* In which slot of the span the address lies; nslots: in none, but in what is left over at its end. */
static inline uint32_t span_slot_of(const struct span *s, uintptr_t address)
{
	return (uint32_t)((address - (uintptr_t)s->base) * s->reciprocal >> SIZE_SHIFT);
}

/* It holds one object, of all its pages. */
static inline bool span_is_large(const struct span *s)
{
	return !s->reciprocal;
}

#endif
