/* The collected heap: objects in spans, found again by any address within them.
 *
 * A *cell* is a size class and a shape; what is allocated of one cell shares spans. A type finds its cell once and remembers the
 * number. Each P has a cache: for each cell a span of its own, and of that span a *run*, the free slots of one word of its bits, or of
 * several that are free as a whole. They lie in gaps between objects, and are zeroed a piece of a gap at a time, when it is come to. To allocate is
 * to move the run's beginning on; behind a piece the next one is looked for in the word, behind the last another word, at the span's end another
 * span.
 * No atomic instruction, no list, and objects that are allocated after another lie beside another.
 *
 * Spans that are nobody's wait in their cell's lists. When marking has ended, heap_begin_sweeping makes all of them unswept; then
 * each cache flushes (heap_flush), and what it had joins them. Whoever needs a span sweeps one first, or the background does. A span
 * that turns out to have no object goes back to the pages. The next marking may begin when all is swept (heap_is_swept).
 *
 * A cache that has not flushed yet allocates on in the spans that it has, and what it allocates has to be marked: so it stays black
 * until it flushes. In a span that it gets meanwhile, which is swept already, nothing is marked any more.
 *
 *     pages taken = spans' pages;   a cell's spans = cached + with room + full + unswept
 *
 * Colour. During marking an object is allocated marked or not, as its goroutine's stack has been scanned or not (gc/ has the argument).
 * Setting a bit for each would cost more than the allocation: a run remembers from where on its slots have the present colour, and they are
 * marked together when the colour changes or the run ends. Until then such an object looks unmarked; whoever finds it may mark it,
 * and no harm is done, but for that there seems to be news all the time: whoever waits for there being none asks heap_is_fresh.
 *
 * Harm would be done if a stray word marked a slot before there is an object: allocated white, that would pass for marked, and what it
 * points to be lost. So a slot of a run is found only if the run's beginning has passed it. The span says which slots are a run's, and
 * whose; that they are used is stored last, and looked at first:
 *
 *     a run begins                                  somebody looks a word up
 *     zero the first piece                          used?                (A1)
 *     at := behind its first slot  (R7)             handed?
 *     handed := which slots they are                at: of this run, and not beyond the slot: there is no object yet  (A7)
 *     used := them too             (R1)
 *     a piece is at its end
 *     zero the next one
 *     at := behind its first slot  (R7)
 *
 * An object's address comes to others by a store of its goroutine's that is after that of at: who has the address sees at beyond it.
 * An at of another run says that this one is over, and all its slots are objects or unused. The first is the object that the run is
 * begun for: an at that stands there is of another, which has ended in the pages before.
 *
 * Who asks whether an object is fresh has to know which run it looks at: an object that was allocated white and is taken for one of the next, black,
 * would be lost. A run that goes elsewhere has said so in the span before (R6).
 *
 * R1 span_use: store_rel(used)        -> A1 span_is_used: load_acq(used)                  what of the run was stored before
 * R2 new_cell: store_rel(places)      -> A2 place_of, heap_cell: load_acq(places)         plain: the cell's size and shape
 * R3 publish: store_rel(table)        -> A3 heap_find: load_acq(table)                    plain: the span
 * R4 done_sweeping: sub_rel(sweepers) -> A4 heap_is_swept: load_acq(sweepers)             the span's bits
 * R5 refill: store_rel(ncells)        -> A5 heap_cache_objects: load_acq(ncells)          plain: the cells' sizes
 * R6 set_coloured: store_rel(coloured) -> A6 heap_is_fresh: load_acq(coloured)            the slot is handed to nobody any more
 * R7 heap_next_piece: store_rel(at)   -> A7 is_allocated: load_acq(at)                    plain: zeroes, of this piece and those before
 * R8 hand: store_rel(handed)         -> A8 handed: load_acq(handed)                      the words that the bits are of
 * R9 hand: store_rel(handed_words)   -> A9 handed: load_acq(handed_words)                the bits of the run before are gone */
#ifndef ALLOC_HEAP_H
#define ALLOC_HEAP_H

#include "alloc/poison.h"
#include "alloc/slab.h"
#include "alloc/span.h"

enum {
	HEAP_CELLS = 1024,
	HEAP_PLACES = 4096,
	HEAP_NO_CELL = 0, /* cells are numbered from 1 */
};

/* A part of the P's. at == end: there is none. */
struct heap_run {
	_Atomic(char *) at;    /* the owner writes; who looks an address up reads */
	_Atomic(char *) end;   /* the owner writes */
	_Atomic uint64_t left; /* slots of a word that it has not come to; the owner writes */
	char *word;	       /* its slot 0 */
	_Atomic uint32_t more; /* words behind it, free as a whole, that it has not come to; the owner writes */
	uint32_t piece;	       /* so many slots are zeroed at once, at most */
	_Atomic uintptr_t coloured; /* slots from here to `at` have the cache's colour, which is the lowest bit; the owner writes */
	struct span *span;
	void *rest; /* to a line */
};
static_assert(sizeof(struct heap_run) == 64, "one is found by a shift");

enum heap_colour { HEAP_WHITE, HEAP_BLACK };

struct heap_cache {
	struct heap *heap;
	bool one_by_one; /* each object is a run of its own: heap_new_slow sees them all */
	int node; /* where its pages should come from; -1: no matter */
	enum heap_colour colour;
	uint64_t cycle;	    /* the heap's, when it flushed last */
	_Atomic uint32_t ncells; /* runs beyond were never used */
	/* The owner writes: bytes of slots and how many slots, those of the present runs that are no objects yet included. */
	_Atomic uint64_t allocated, objects;
	struct heap_run runs[HEAP_CELLS];
};

struct heap_cell {
	const struct size_class *size;
	struct shape shape;
	struct spin lock;
	/* Under the lock. Swept: with room, and without; and those that are not swept yet. */
	struct span *roomy, *full, *unswept[2];
};

struct heap {
	struct pages pages;
	struct slab spans;
	_Atomic(struct span *) *table; /* of each page; NULL: nobody's */
	struct spin opening;
	_Atomic size_t opened; /* entries of the table that may be written: who reads it, after the system has opened them; under the lock */
	_Atomic uint16_t places[HEAP_PLACES]; /* hashed by size and shape: a cell, or HEAP_NO_CELL; under the lock, looked at without */
	struct spin lock;	       /* of what follows */
	uint32_t ncells;
	struct heap_cell cells[HEAP_CELLS];
	struct span *large, *large_unswept[2];
	/* Sweeps a span on whose objects something hangs: span_sweep, and what comes up with it. */
	uint32_t (*sweep_special)(struct heap *, struct span *, uint64_t cycle);
	_Atomic uint64_t cycle;
	_Atomic uint64_t nfreed; /* objects, ever */
	_Atomic uint32_t sweepers; /* who have a span that is in no list */
};

/* For so many bytes of objects at most; 0, or -ENOMEM. */
int heap_init(struct heap *, size_t bytes);
/* The structs of spans stay. */
void heap_fini(struct heap *);

/* The cell of objects of so many bytes, at most SMALL_MOST, and of this shape. HEAP_NO_CELL: there are too many; the shape has to be
 * a more general one. */
uint32_t heap_cell(struct heap *, size_t size, const struct shape *);

void heap_cache_init(struct heap_cache *, struct heap *, int node);

/* How many objects have ever been allocated from it. While its owner allocates, about. */
uint64_t heap_cache_objects(struct heap_cache *);

/* An object, zeroed; NULL: there is no memory. */
void *heap_new_slow(struct heap_cache *, uint32_t cell);

/* Goes on with the next piece of a run of which slots are left: its first object. */
void *heap_next_piece(struct heap_run *, size_t slot_size);

/* slot_size is the class's size. */
static inline void *heap_new(struct heap_cache *c, uint32_t cell, size_t slot_size)
{
	struct heap_run *run = &c->runs[cell];
	char *object = load_rlx(&run->at);
	if (__builtin_expect(object == load_rlx(&run->end), 0))
		return heap_new_slow(c, cell);
	unpoison(object, slot_size);
	store_rlx(&run->at, object + slot_size);
	return object;
}

/* One of more than SMALL_MOST bytes. */
void *heap_new_large(struct heap_cache *, size_t size, const struct shape *);

/* Of an object that was just allocated, what its owner has not asked for: from `bytes` on it is not to be used. */
static inline void heap_bound(const struct heap *h, const void *object, uint32_t cell, size_t bytes)
{
	size_t slot = cell ? h->cells[cell].size->size : (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	poison((const char *)object + bytes, slot - bytes);
}

/* What has been allocated keeps the colour it had, what comes has this one. */
void heap_recolour(struct heap_cache *, enum heap_colour);

/* The cache gives back all it has: what it has allocated is coloured, what it has not is free. */
void heap_flush(struct heap_cache *);

/* Marking has ended: from now on what is not marked, or coloured so, is garbage. All that was there has been swept. */
void heap_begin_sweeping(struct heap *);

/* Nothing is left to sweep, and nobody sweeps. Only when every cache has flushed does it stay so. */
bool heap_is_swept(struct heap *);

/* Sweeps some span that is not swept yet; false: there is none. *freed is how many bytes became free. */
bool heap_sweep_one(struct heap *, size_t *freed);

/* Calls see for every span that has been published and not freed. While nobody allocates or sweeps. */
void heap_each_span(struct heap *, void (*see)(struct span *, void *arg), void *arg);

/* What an address lies in. */
struct heap_object {
	struct span *span; /* NULL: in no object */
	uint32_t slot;
};

/* Of any word: the object that it points into. */
struct heap_object heap_find(struct heap *, uintptr_t address);

/* It is black, and its mark is yet to come. May say no of one that is; of one that was white when its owner's stack was looked at, and that is
 * known to be before this, it does not say yes. */
bool heap_is_fresh(struct heap_object);

/* The word points into an object that is neither marked nor fresh. */
bool heap_is_to_be_marked(struct heap *, uintptr_t word);

#endif
