/* Words that are to be marked: what stacks held when they were looked at, and what mutators have shaded. They wait in chunks, so that
 * whoever holds a goroutine up only copies, and marking is done by those who mark.
 *
 *     a chunk is    its filler's    or full: in the list    or a marker's    or free
 */
#ifndef GC_WORDS_H
#define GC_WORDS_H

#include "alloc/slab.h"
#include "gc/lines.h"

#include <stddef.h>
#include <stdint.h>

enum { GC_CHUNK_WORDS = 508 };

/* What a pointer to the beginning of an object says of the one before: nothing, or, on a stack, where it may have been made by going to that one's
 * end, that it lives too. */
enum gc_source { GC_EXACT, GC_STACK };

struct gc_chunk {
	struct gc_chunk *next; /* first, as struct slab_free wants it */
	size_t n;
	enum gc_source from;
	uintptr_t word[GC_CHUNK_WORDS];
};

struct gc_words {
	struct heap *heap; /* what mutators have shaded waits only if it is to be marked; NULL: in any case */
	struct slab chunks;
	struct spin lock;
	struct gc_chunk *full;	   /* the lock */
	_Atomic uint32_t xwaiting; /* how many those are */
};

/* What is being filled; zeroed: nothing yet. */
struct gc_filling {
	struct gc_words *words;
	enum gc_source from;
	struct gc_chunk *chunk;
	/* Who wants the words for something else takes them from the chunk, which is the caller's, when it is full and at the end; NULL: markers do. */
	void (*take)(struct gc_filling *);
};

void gc_words_init(struct gc_words *, struct heap *);

/* Adds a word. Out of memory is fatal. In signal handlers too, of threads that are outside weft. */
void gc_fill_slow(struct gc_filling *);
static inline void gc_fill(struct gc_filling *f, uintptr_t word)
{
	if (!f->chunk || f->chunk->n == GC_CHUNK_WORDS)
		gc_fill_slow(f);
	f->chunk->word[f->chunk->n++] = word;
}

/* Adds those of the words [from, to) that lie in [base, base + bytes). While others write there. */
void gc_fill_words(struct gc_filling *, const uintptr_t *from, const uintptr_t *to, uintptr_t base, size_t bytes, enum gc_lines);

/* What has been filled is there for markers. */
void gc_fill_end(struct gc_filling *);

/* A full chunk, or NULL; and back, when it has been marked. */
struct gc_chunk *gc_words_take(struct gc_words *);
/* All that there are now, a list through `next`. */
struct gc_chunk *gc_words_take_all(struct gc_words *);
void gc_words_give(struct gc_words *, struct gc_chunk *);
/* Some of its words have not been marked yet. */
void gc_words_put(struct gc_words *, struct gc_chunk *);

static inline bool gc_words_wait(struct gc_words *w)
{
	return load_acq(&w->xwaiting) != 0;
}

#endif
