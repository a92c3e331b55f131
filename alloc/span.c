#include "alloc/span.h"
#include "alloc/poison.h"

#include "lockfree/assert.h"

#include <assert.h>

static_assert(SPAN_SLOTS % 64 == 0, "a span's bits are whole words");

static uint32_t words_of(const struct span *s)
{
	return (s->nslots + 63) / 64;
}

static struct span_slots free_from(struct span *s, uint32_t at, uint32_t most)
{
	uint32_t word = at / 64, in_word = s->nslots - word * 64;
	struct span_slots o = {~load_rlx(&s->used[word]) & span_bits(at % 64, in_word), (uint16_t)word, 0};
	if (!o.bits)
		return o;
	uint32_t first = (uint32_t)__builtin_ctzll(o.bits), end = 64 - first > most ? first + most : 64;
	o.bits &= span_bits(first, end);
	s->cursor = word * 64 + end;
	if (o.bits != UINT64_MAX)
		return o;
	for (most -= 64; most >= 64 && s->cursor + 64 <= s->nslots && !load_rlx(&s->used[s->cursor / 64]); most -= 64) {
		s->cursor += 64;
		o.more++;
	}
	return o;
}

struct span_slots span_next_free(struct span *s, uint32_t most)
{
	struct span_slots o = {0, 0, 0};
	for (uint32_t at = s->cursor; at < s->nslots && !o.bits; at = (at / 64 + 1) * 64)
		o = free_from(s, at, most);
	return o;
}

static uint64_t bits_of_word(struct span_slots o, unsigned i)
{
	return i == 0 ? o.bits : UINT64_MAX;
}

void span_use(struct span *s, struct span_slots o)
{
	for (unsigned i = 0; i <= o.more; i++) {
		uint64_t bits = bits_of_word(o, i);
		assert_debug(!(load_rlx(&s->used[o.word + i]) & bits));
		store_rel(&s->used[o.word + i], load_rlx(&s->used[o.word + i]) | bits);
	}
	s->nused += span_count(o);
}

void span_unuse(struct span *s, struct span_slots o)
{
	if (!o.bits)
		return;
	for (unsigned i = 0; i <= o.more; i++) {
		uint64_t bits = bits_of_word(o, i);
		assert_debug((load_rlx(&s->used[o.word + i]) & bits) == bits);
		store_rlx(&s->used[o.word + i], load_rlx(&s->used[o.word + i]) & ~bits);
	}
	s->nused -= span_count(o);
	uint32_t first = o.word * 64u + (uint32_t)__builtin_ctzll(o.bits);
	s->cursor = first < s->cursor ? first : s->cursor;
}

void span_mark_all(struct span *s, struct span_slots o)
{
	for (unsigned i = 0; i <= o.more && o.bits; i++)
		(void)or_rlx(&s->marks[o.word + i], bits_of_word(o, i));
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
