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
	_Atomic uint32_t queued;	       /* it waits in a marker's queue */
	_Atomic(struct gc_special *) specials; /* what hangs on its objects: gc/special.h; a lock of those */
	uint64_t cycle;			       /* of the heap's, in which it was swept or made; the owner's */
	_Atomic uint64_t marks[SPAN_WORDS];
	_Atomic uint64_t scanned[SPAN_WORDS]; /* marked, and looked at or about to be: gc/mark.c */
	_Atomic uint64_t used[SPAN_WORDS];    /* the owner writes; who looks an address up reads */
	_Atomic uint64_t handed;	      /* slots of a word of bits that are a run's; the owner writes */
	_Atomic uint32_t handed_words;	      /* which word, and in the high half how many behind it are the run's as a whole */
	_Atomic(struct heap_run *) run;	      /* whose */
	struct span *next;		      /* of the list that owns it */
	struct span *next_queued;	      /* of a list of those; its lock */
	size_t npages;
	uint32_t cell;	      /* of the heap's cells; a large object's has none */
	uint32_t nused;	      /* slots; the owner's */
	uint32_t cursor;      /* no slot before this is free; the owner's */
	bool zeroed;	      /* what was never used reads as zeroes; the owner's */
	_Atomic size_t begun; /* of a large object: how many bytes somebody has taken to look at */
};
static_assert(offsetof(struct span, marks) == 64, "the marks begin behind the first line");

/* Slots 64 word + i, for each bit i; and all slots of so many words behind it. */
struct span_slots {
	uint64_t bits;
	uint16_t word, more;
};

/* The first free slots from the cursor on, of `most` slots in a row: those of one word, and if that is free as a whole, of words behind it that
 * are as well. Moves the cursor behind them. No bits: there are none. */
struct span_slots span_next_free(struct span *, uint32_t most);

static inline uint32_t span_count(struct span_slots o)
{
	return (uint32_t)__builtin_popcountll(o.bits) + o.more * 64u;
}

/* They are used from now on; what was written in them before is seen by who sees that. */
void span_use(struct span *, struct span_slots);

/* They, which nobody has written to since they were handed out, are free again. */
void span_unuse(struct span *, struct span_slots);

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

void span_mark_all(struct span *, struct span_slots);

/* The bits [from, to) of a word. */
static inline uint64_t span_bits(uint32_t from, uint32_t to)
{
	uint64_t below = to < 64 ? ((uint64_t)1 << to) - 1 : UINT64_MAX;
	return from < 64 ? below >> from << from : 0;
}

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
