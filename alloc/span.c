#include "alloc/span.h"
#include "alloc/poison.h"

#include "lockfree/assert.h"

#include <assert.h>

static_assert(SPAN_SLOTS % 64 == 0, "a span's bits are whole words");

static uint32_t words_of(const struct span *s)
{
	return (s->nslots + 63) / 64;
}

/* The bits [from, to) of a word. */
static uint64_t bits(uint32_t from, uint32_t to)
{
	uint64_t below = to < 64 ? ((uint64_t)1 << to) - 1 : UINT64_MAX;
	return below >> from << from;
}

/* The first slot of [at, end) whose used bit is `used`; or end. */
static uint32_t next_slot(struct span *s, uint32_t at, uint32_t end, bool used)
{
	uint64_t flip = used ? 0 : UINT64_MAX;
	while (at < end) {
		uint64_t word = (load_rlx(&s->used[at / 64]) ^ flip) >> at % 64;
		if (word) {
			at += (uint32_t)__builtin_ctzll(word);
			return at < end ? at : end;
		}
		at = (at / 64 + 1) * 64;
	}
	return end;
}

/* Calls change(word, bits) for the slots [first, first + n), word by word. */
static inline void each_word(uint32_t first, uint32_t n, void (*change)(struct span *, uint32_t word, uint64_t bits),
			     struct span *s)
{
	for (uint32_t at = first, end = first + n; at < end; at = (at / 64 + 1) * 64) {
		uint32_t left = end - at / 64 * 64;
		change(s, at / 64, bits(at % 64, left < 64 ? left : 64));
	}
}

static void use(struct span *s, uint32_t word, uint64_t which)
{
	assert_debug(!(load_rlx(&s->used[word]) & which));
	store_rel(&s->used[word], load_rlx(&s->used[word]) | which);
}

static void unuse(struct span *s, uint32_t word, uint64_t which)
{
	assert_debug((load_rlx(&s->used[word]) & which) == which);
	store_rlx(&s->used[word], load_rlx(&s->used[word]) & ~which);
}

static void mark(struct span *s, uint32_t word, uint64_t which)
{
	(void)or_rlx(&s->marks[word], which);
}

struct span_gap span_next_gap(struct span *s, uint32_t most)
{
	struct span_gap gap;
	gap.first = next_slot(s, s->cursor, s->nslots, false);
	uint32_t end = s->nslots - gap.first > most ? gap.first + most : s->nslots;
	gap.n = next_slot(s, gap.first, end, true) - gap.first;
	s->cursor = gap.first + gap.n;
	return gap;
}

void span_use(struct span *s, uint32_t first, uint32_t n)
{
	s->nused += n;
	each_word(first, n, use, s);
}

void span_unuse(struct span *s, uint32_t first, uint32_t n)
{
	each_word(first, n, unuse, s);
	s->nused -= n;
	if (first < s->cursor && n)
		s->cursor = first;
}

void span_mark_all(struct span *s, uint32_t first, uint32_t n)
{
	each_word(first, n, mark, s);
}

/* Objects that have died, and are not used any more. */
static void poison_dead(struct span *s, uint32_t word, uint64_t dead)
{
	if (!WEFT_ASAN && !POISON_FILLS)
		return;
	for (; dead; dead &= dead - 1) {
		char *object = span_slot(s, word * 64 + (uint32_t)__builtin_ctzll(dead));
		unpoison(object, s->slot_size); /* what its owner had not asked for */
		poison_fill(object, s->slot_size);
		poison(object, s->slot_size);
	}
}

uint32_t span_sweep(struct span *s, uint64_t cycle)
{
	uint32_t live = 0, before = s->nused;
	for (uint32_t i = 0; i < words_of(s); i++) {
		/* A word that looked like a pointer may have marked a slot that was handed out, not used, and given back. */
		uint64_t used = load_rlx(&s->used[i]), marked = load_rlx(&s->marks[i]) & used;
		live += (uint32_t)__builtin_popcountll(marked);
		store_rlx(&s->used[i], marked);
		store_rlx(&s->marks[i], 0);
		store_rlx(&s->scanned[i], 0);
		poison_dead(s, i, used & ~marked);
	}
	/* What has been used once has something written in it. */
	if (before)
		s->zeroed = false;
	store_rlx(&s->begun, 0);
	s->nused = live;
	s->cursor = 0;
	s->cycle = cycle;
	return before - live;
}
