#include "gc/words.h"

#include <assert.h>

enum { CHUNKS_AT_ONCE = 64 };

static_assert(sizeof(struct gc_chunk) <= 4096, "a chunk is a page at most");

void gc_words_init(struct gc_words *w, struct heap *heap)
{
	*w = (struct gc_words){.heap = heap};
	slab_init(&w->chunks, sizeof(struct gc_chunk), CHUNKS_AT_ONCE * sizeof(struct gc_chunk));
}

void gc_words_put(struct gc_words *w, struct gc_chunk *c)
{
	spin_lock(&w->lock);
	c->next = w->full;
	w->full = c;
	(void)add_rel(&w->xwaiting, 1);
	spin_unlock(&w->lock);
}

COLD void gc_fill_slow(struct gc_filling *f)
{
	if (f->chunk)
		gc_words_put(f->words, f->chunk);
	f->chunk = slab_take_one(&f->words->chunks);
	if (!f->chunk)
		fatal("out of memory for the collector's lists");
	f->chunk->n = 0;
	f->chunk->from = f->from;
}

void gc_fill_end(struct gc_filling *f)
{
	if (f->chunk)
		gc_words_put(f->words, f->chunk);
	f->chunk = NULL;
}

struct gc_chunk *gc_words_take(struct gc_words *w)
{
	if (!gc_words_wait(w))
		return NULL;
	spin_lock(&w->lock);
	struct gc_chunk *c = w->full;
	if (c) {
		w->full = c->next;
		(void)sub_rlx(&w->xwaiting, 1);
	}
	spin_unlock(&w->lock);
	return c;
}

struct gc_chunk *gc_words_take_all(struct gc_words *w)
{
	spin_lock(&w->lock);
	struct gc_chunk *all = w->full;
	w->full = NULL;
	store_rlx(&w->xwaiting, 0);
	spin_unlock(&w->lock);
	return all;
}

void gc_words_give(struct gc_words *w, struct gc_chunk *c)
{
	slab_give(&w->chunks, (struct slab_free *)(void *)c, (struct slab_free *)(void *)c, 1);
}
