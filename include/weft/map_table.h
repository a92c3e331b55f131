/* The inside of maps: what the macros of <weft/map.h> inline. The design is runtime/map.c's essay.
 *
 * A hash is read from below: seven bits are the tag, the next choose the group within a segment where a search begins,
 * the rest the segment. A map of one segment may have fewer groups. Every function takes the map's type as a constant, so
 * that sizes, hash and comparison fold into it. Nothing here is for users, and the layout is part of the library's ABI. */
#ifndef WEFT_MAP_TABLE_H
#define WEFT_MAP_TABLE_H

#include <string.h>

#include <weft/base.h>
#include <weft/gc.h>
#include <weft/hash.h>
#include <weft/map_group.h>

WEFT_BEGIN_DECLS

/* What a map's macro says of it: all that is known of the keys and values. */
struct weft_map_type {
	size_t size; /* of this struct when the program was compiled: later ones are longer */
	size_t key_size;
	size_t value_at, value_size; /* an entry is the key, and the value at this offset */
	size_t entry_size;
	size_t slot_size;    /* a slot is an entry, or with WEFT_MAP_FAR_ a struct weft_map_far_ */
	uint32_t group_bits; /* a segment has 2^this groups */
	uint32_t flags;
	uint64_t (*hash)(weft_seed, const void *key);
	bool (*equal)(const void *key, const void *entry);
};

enum {
	WEFT_MAP_FAR_ = 1,  /* entries are large, each in a block of its own */
	WEFT_MAP_OWNS_ = 2, /* keys are struct weft_map_own_, and the map has its own copy of the bytes */
	WEFT_MAP_WORD_KEY_ = 4,   /* map_sync.h alone: a key comes as a uint64_t */
	WEFT_MAP_WORD_VALUE_ = 8, /* and so does a value */
	WEFT_MAP_TRACED_ = 16,    /* entries may hold collected pointers */

	WEFT_MAP_NEAR_MOST_ = 128, /* an entry of more bytes is far */
	WEFT_MAP_TAG_BITS_ = 7,
	WEFT_MAP_LONG_ = 8,    /* a search through so many groups is long: tombstones are looked for */
	WEFT_MAP_CHUNKS_ = 32, /* 2^31 segments, of which the smallest have 2 KiB */
};

/* Where an entry or its key lies elsewhere its hash is kept here, so that growing the map does not touch it. */
struct weft_map_far_ {
	void *entry;
	uint64_t hash;
};

typedef struct weft_map_own_ {
	const void *bytes;
	size_t n;
	uint64_t hash; /* of an entry's key; one that is looked up has none */
} weft_map_own_;

struct weft_map_spilled;

struct weft_map_chunk {
	uintptr_t control, slots;
};

typedef struct weft_map {
	uint32_t writing;    /* a write is under way; relaxed, and only to find misuse */
	uint32_t group_mask; /* groups of a segment, less one */
	weft_seed seed;
	uint64_t mask;     /* segments at the beginning of this round of splits, less one */
	uint64_t split;    /* those below this have been split in this round */
	uint64_t len;
	uint64_t grow_at;  /* an insertion that finds len there grows the map first */
	struct weft_map_spilled *spilled; /* entries whose segment was full */
	/* Where group 0 of the map would be: chunk 0 is segment 0, chunk k the segments from 2^(k-1) to 2^k. */
	struct weft_map_chunk chunks[WEFT_MAP_CHUNKS_];
	uint32_t depth;      /* bits of the hash by which this round's groups were told apart at its beginning */
	uint32_t touched;    /* pages of the segment that the next split fills */
	uint64_t rearranged; /* times that entries have been moved: what an iterator checks */
	uint64_t moved;      /* entries moved, all in all */
	uint64_t spills;     /* entries that have ever been spilled: their numbers */
	void *memory[WEFT_MAP_CHUNKS_]; /* of the chunks, where it begins: whoever looks at all memory (weft_leaks) finds it by that */
} weft_map;

WEFT_API WEFT_NORETURN void weft_map_misused_(const char *words); /* fatal */
WEFT_API WEFT_NORETURN void weft_map_nil_(void);
WEFT_API weft_map *weft_map_make_(const struct weft_map_type *, size_t hint);
WEFT_API void weft_map_free_(weft_map *, const struct weft_map_type *);
WEFT_API void *weft_map_find_spilled_(const weft_map *, const struct weft_map_type *, const void *key, uint64_t hash);
WEFT_API void *weft_map_add_(weft_map *, const struct weft_map_type *, const void *key, uint64_t hash);
WEFT_API void *weft_map_fill_(weft_map *, const struct weft_map_type *, char *slot, const void *key, uint64_t hash);
WEFT_API void weft_map_drop_(weft_map *, const struct weft_map_type *, char *slot);
WEFT_API bool weft_map_del_spilled_(weft_map *, const struct weft_map_type *, const void *key, uint64_t hash);
/* Of maps that are traced. */
WEFT_API void *weft_map_take_traced_(weft_map *, const struct weft_map_type *, char *control, char *slot, const void *key, uint64_t hash);
WEFT_API void weft_map_clear_traced_(weft_map *, const struct weft_map_type *, char *control, char *slot, uint8_t left);
WEFT_API void weft_map_value_slow_(void *to, const void *value, size_t size);

#define WEFT_MAP_INLINE_    static inline __attribute__((always_inline))
#define WEFT_MAP_LIKELY_(e) __builtin_expect(!!(e), 1)

/* ---- misuse ---- */

WEFT_MAP_INLINE_ bool weft_map_is_written_(const weft_map *m)
{
	return __builtin_expect(__atomic_load_n(&m->writing, __ATOMIC_RELAXED) != 0, 0);
}

WEFT_MAP_INLINE_ void weft_map_write_begin_(weft_map *m)
{
	if (weft_map_is_written_(m))
		weft_map_misused_("concurrent map writes");
	__atomic_store_n(&m->writing, 1, __ATOMIC_RELAXED);
}

WEFT_MAP_INLINE_ void weft_map_write_end_(weft_map *m)
{
	if (!weft_map_is_written_(m))
		weft_map_misused_("concurrent map writes");
	__atomic_store_n(&m->writing, 0, __ATOMIC_RELAXED);
}

/* ---- places ---- */

/* The segment of a hash: by one bit more where this round has split it. */
WEFT_MAP_INLINE_ uint64_t weft_map_segment_of_(const weft_map *m, const struct weft_map_type *t, uint64_t hash)
{
	uint64_t rest = hash >> (WEFT_MAP_TAG_BITS_ + t->group_bits);
	uint64_t before = rest & m->mask, after = rest & (m->mask << 1 | 1);
	return before < m->split ? after : before;
}

/* A segment: where its control words are, and its slots. */
struct weft_map_segment_ {
	char *control, *slots;
};

WEFT_MAP_INLINE_ struct weft_map_segment_ weft_map_segment_at_(const weft_map *m, const struct weft_map_type *t,
							       uint64_t segment)
{
	const struct weft_map_chunk *chunk = &m->chunks[63 - (unsigned)__builtin_clzll(segment << 1 | 1)];
	uint64_t group = segment << t->group_bits;
	struct weft_map_segment_ s = {(char *)(chunk->control + group * 8), (char *)(chunk->slots + group * 8 * t->slot_size)};
	return s;
}

WEFT_MAP_INLINE_ uint64_t weft_map_word_(struct weft_map_segment_ s, uint64_t group)
{
	uint64_t word;
	memcpy(&word, s.control + group * 8, sizeof word);
	return word;
}

WEFT_MAP_INLINE_ char *weft_map_slot_(struct weft_map_segment_ s, const struct weft_map_type *t, uint64_t group, unsigned slot)
{
	return s.slots + (group * 8 + slot) * t->slot_size;
}

WEFT_MAP_INLINE_ void *weft_map_entry_(const struct weft_map_type *t, char *slot)
{
	void *entry = slot;
	if (t->flags & WEFT_MAP_FAR_)
		memcpy(&entry, slot, sizeof entry);
	return entry;
}

/* A search: group after group in steps of 1, 2, 3 ..., which comes by each of them once. */
struct weft_map_search_ {
	struct weft_map_segment_ in;
	uint64_t group, word;
	unsigned steps, slot;
};

WEFT_MAP_INLINE_ void weft_map_start_(struct weft_map_search_ *s, const weft_map *m, const struct weft_map_type *t, uint64_t hash)
{
	s->in = weft_map_segment_at_(m, t, weft_map_segment_of_(m, t, hash));
	s->group = hash >> WEFT_MAP_TAG_BITS_ & m->group_mask;
	s->word = weft_map_word_(s->in, s->group);
	s->steps = 0;
}

/* False: that was the last group. */
WEFT_MAP_INLINE_ bool weft_map_step_(struct weft_map_search_ *s, const weft_map *m)
{
	if (++s->steps > m->group_mask)
		return false;
	s->group = (s->group + s->steps) & m->group_mask;
	s->word = weft_map_word_(s->in, s->group);
	return true;
}

WEFT_MAP_INLINE_ uint8_t weft_map_control_(uint64_t hash)
{
	return (uint8_t)(WEFT_SLOT_TAKEN_ | (hash & (WEFT_SLOT_TAKEN_ - 1)));
}

/* The key's entry in this group, and its slot; or NULL. */
WEFT_MAP_INLINE_ void *weft_map_match_(struct weft_map_search_ *s, const struct weft_map_type *t, const void *key, uint64_t hash)
{
	for (uint64_t bits = weft_group_match_(s->word, weft_map_control_(hash)); bits; bits &= bits - 1) {
		s->slot = weft_group_slot_(bits);
		void *entry = weft_map_entry_(t, weft_map_slot_(s->in, t, s->group, s->slot));
		if (WEFT_MAP_LIKELY_(t->equal(key, entry)))
			return entry;
	}
	return NULL;
}

/* ---- the verbs ---- */

WEFT_MAP_INLINE_ void *weft_map_find_(const weft_map *m, const struct weft_map_type *t, const void *key)
{
	if (!m)
		return NULL;
	if (weft_map_is_written_(m))
		weft_map_misused_("concurrent map read and map write");
	struct weft_map_search_ s;
	uint64_t hash = t->hash(m->seed, key);
	weft_map_start_(&s, m, t, hash);
	do {
		void *entry = weft_map_match_(&s, t, key, hash);
		if (entry)
			return entry;
	} while (!WEFT_MAP_LIKELY_(weft_group_empty_(s.word)) && weft_map_step_(&s, m));
	return WEFT_MAP_LIKELY_(!m->spilled) ? NULL : weft_map_find_spilled_(m, t, key, hash);
}

/* The slot that a search found room in becomes the key's entry. */
WEFT_MAP_INLINE_ void *weft_map_take_(weft_map *m, const struct weft_map_type *t, struct weft_map_search_ *s, const void *key,
				      uint64_t hash)
{
	char *slot = weft_map_slot_(s->in, t, s->group, s->slot);
	if (t->flags & WEFT_MAP_TRACED_)
		return weft_map_take_traced_(m, t, &s->in.control[s->group * 8 + s->slot], slot, key, hash);
	s->in.control[s->group * 8 + s->slot] = (char)weft_map_control_(hash);
	m->len++;
	if (t->flags & (WEFT_MAP_FAR_ | WEFT_MAP_OWNS_))
		return weft_map_fill_(m, t, slot, key, hash);
	memcpy(slot, key, t->key_size);
	return slot;
}

WEFT_MAP_INLINE_ void *weft_map_find_or_add_(weft_map *m, const struct weft_map_type *t, const void *key, uint64_t hash)
{
	struct weft_map_search_ s, room;
	uint64_t free = 0;
	weft_map_start_(&s, m, t, hash);
	do {
		void *entry = weft_map_match_(&s, t, key, hash);
		if (entry)
			return entry;
		if (!free) {
			free = weft_group_free_(s.word);
			room = s;
		}
	} while (!WEFT_MAP_LIKELY_(weft_group_empty_(s.word)) && weft_map_step_(&s, m));
	if (!WEFT_MAP_LIKELY_(m->len < m->grow_at && s.steps < WEFT_MAP_LONG_ && s.steps <= m->group_mask && !m->spilled))
		return weft_map_add_(m, t, key, hash);
	room.slot = weft_group_slot_(free);
	return weft_map_take_(m, t, &room, key, hash);
}

/* The key's entry, new or not: the value is to be stored there. */
WEFT_MAP_INLINE_ void *weft_map_put_(weft_map *m, const struct weft_map_type *t, const void *key)
{
	if (!m)
		weft_map_nil_();
	uint64_t hash = t->hash(m->seed, key);
	weft_map_write_begin_(m);
	void *entry = weft_map_find_or_add_(m, t, key, hash);
	weft_map_write_end_(m);
	return entry;
}

/* Into an entry that was put. Between the look at whether stores are to be told and the store, a traced map's is inside (weft/gc.h). */
WEFT_MAP_INLINE_ void weft_map_value_(const struct weft_map_type *t, void *entry, const void *value)
{
	char *to = (char *)entry + t->value_at;
	struct weft_mutator_ *m = t->flags & WEFT_MAP_TRACED_ ? weft_store_begin_() : NULL;
	if (t->flags & WEFT_MAP_TRACED_ && __builtin_expect(!m, 0)) {
		weft_map_value_slow_(to, value, t->value_size);
		return;
	}
	memcpy(to, value, t->value_size);
	if (m)
		weft_mutator_leave_(m);
}

/* A slot in a group that has an empty one becomes empty, as no search has ever gone past that group. */
WEFT_MAP_INLINE_ void weft_map_clear_slot_(weft_map *m, const struct weft_map_type *t, struct weft_map_search_ *s)
{
	bool passed = m->group_mask && !weft_group_empty_(s->word);
	char *slot = weft_map_slot_(s->in, t, s->group, s->slot), *control = &s->in.control[s->group * 8 + s->slot];
	uint8_t left = passed ? WEFT_SLOT_DELETED_ : WEFT_SLOT_EMPTY_;
	if (t->flags & WEFT_MAP_TRACED_) {
		weft_map_clear_traced_(m, t, control, slot, left);
		return;
	}
	if (t->flags & (WEFT_MAP_FAR_ | WEFT_MAP_OWNS_))
		weft_map_drop_(m, t, slot);
	*control = (char)left;
	m->len--;
}

WEFT_MAP_INLINE_ bool weft_map_find_and_del_(weft_map *m, const struct weft_map_type *t, const void *key, uint64_t hash)
{
	struct weft_map_search_ s;
	weft_map_start_(&s, m, t, hash);
	do {
		if (weft_map_match_(&s, t, key, hash)) {
			weft_map_clear_slot_(m, t, &s);
			return true;
		}
	} while (!WEFT_MAP_LIKELY_(weft_group_empty_(s.word)) && weft_map_step_(&s, m));
	return m->spilled && weft_map_del_spilled_(m, t, key, hash);
}

WEFT_MAP_INLINE_ bool weft_map_del_(weft_map *m, const struct weft_map_type *t, const void *key)
{
	if (!m)
		return false;
	uint64_t hash = t->hash(m->seed, key);
	weft_map_write_begin_(m);
	bool found = weft_map_find_and_del_(m, t, key, hash);
	weft_map_write_end_(m);
	return found;
}

/* ---- iteration ---- */

enum { WEFT_MAP_GIVEN_ = 40 }; /* at most 63: there is a bit for each */

/* Zeroed: at the beginning. It holds no memory, and may be left before its end. */
typedef struct weft_map_iter {
	uint64_t depth;         /* cells are numbered by this many bits of the hash, those from the tag on */
	uint64_t first, cell;   /* the cell begun with, and how many are done */
	uint64_t within;        /* the leaves of the cell before this, in reversed order of their further bits, are done */
	uint64_t rearranged;    /* the map's, when this leaf's search began */
	uint64_t spilled;       /* those below this number are still to come */
	uint64_t again;         /* bits: hashes of `given` that are to be passed over, because the entries were moved */
	uint32_t step, slot;    /* where in the search */
	uint32_t turn;          /* where in a group to begin */
	uint32_t n;             /* of `given` */
	enum { WEFT_MAP_BEFORE_, WEFT_MAP_CELLS_, WEFT_MAP_SPILLED_, WEFT_MAP_DONE_ } phase;
	uint64_t given[WEFT_MAP_GIVEN_]; /* hashes of this cell's entries that were produced and are not behind `within` */
} weft_map_iter;

/* The next entry, or NULL. */
WEFT_API void *weft_map_next_(const weft_map *, const struct weft_map_type *, weft_map_iter *);

WEFT_END_DECLS

#endif
