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

static void take_all(struct gc_filling *f)
{
	f->take(f);
	f->chunk->n = 0;
}

COLD void gc_fill_slow(struct gc_filling *f)
{
	if (f->take) {
		take_all(f);
		return;
	}
	if (f->chunk)
		gc_words_put(f->words, f->chunk);
	f->chunk = slab_take_one(&f->words->chunks);
	if (!f->chunk)
		fatal("out of memory for the collector's lists");
	f->chunk->n = 0;
	f->chunk->from = f->from;
}

static inline NOT_INSTRUMENTED void fill_one(struct gc_filling *f, const uintptr_t *at, uintptr_t base, size_t bytes)
{
	uintptr_t word = load_rlx((const _Atomic uintptr_t *)at);
	if (word - base < bytes)
		gc_fill(f, word);
}

typedef uint32_t line_fn(const uintptr_t *at, uint32_t which, uintptr_t base, size_t bytes);

/* What was there is looked at once more: it may be another word by now, and is as good. */
static inline __attribute__((always_inline)) void fill_lines(struct gc_filling *f, const uintptr_t *at, size_t n, uintptr_t base,
							     size_t bytes, line_fn *line)
{
	for (; n; n--, at += LINE_WORDS)
		for (uint32_t in = line(at, (1u << LINE_WORDS) - 1, base, bytes); in; in &= in - 1)
			fill_one(f, &at[__builtin_ctz(in)], base, bytes);
}

static NOT_INSTRUMENTED void fill_scalar(struct gc_filling *f, const uintptr_t *at, size_t n, uintptr_t base, size_t bytes)
{
	fill_lines(f, at, n, base, bytes, gc_line_scalar);
}

#if defined(__x86_64__)

GC_TARGET_AVX2 static NOT_INSTRUMENTED void fill_avx2(struct gc_filling *f, const uintptr_t *at, size_t n, uintptr_t base, size_t bytes)
{
	fill_lines(f, at, n, base, bytes, gc_line_avx2);
}

GC_TARGET_AVX512 static NOT_INSTRUMENTED void fill_avx512(struct gc_filling *f, const uintptr_t *at, size_t n, uintptr_t base, size_t bytes)
{
	fill_lines(f, at, n, base, bytes, gc_line_avx512);
}

#elif defined(__aarch64__)

static NOT_INSTRUMENTED void fill_neon(struct gc_filling *f, const uintptr_t *at, size_t n, uintptr_t base, size_t bytes)
{
	fill_lines(f, at, n, base, bytes, gc_line_neon);
}

#endif

static void (*const forms[])(struct gc_filling *, const uintptr_t *at, size_t n, uintptr_t base, size_t bytes) = {
	[GC_LINES_SCALAR] = fill_scalar,
#if defined(__x86_64__)
	[GC_LINES_AVX2] = fill_avx2,
	[GC_LINES_AVX512] = fill_avx512,
#elif defined(__aarch64__)
	[GC_LINES_NEON] = fill_neon,
#endif
};

NOT_INSTRUMENTED void gc_fill_words(struct gc_filling *f, const uintptr_t *from, const uintptr_t *to, uintptr_t base, size_t bytes,
				    enum gc_lines by)
{
	enum { LINE = LINE_WORDS * sizeof(uintptr_t) };
	for (; from < to && (uintptr_t)from % LINE; from++)
		fill_one(f, from, base, bytes);
	size_t n = from < to ? (size_t)(to - from) / LINE_WORDS : 0;
	forms[by](f, from, n, base, bytes);
	for (from += n * LINE_WORDS; from < to; from++)
		fill_one(f, from, base, bytes);
}

void gc_fill_end(struct gc_filling *f)
{
	if (f->take) {
		take_all(f);
		return;
	}
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
