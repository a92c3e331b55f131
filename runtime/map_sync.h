/* The inside of the maps that several goroutines use at once: entries, links and buckets, and how they are looked at. map_sync.c has the design, and
 * the table of orders. */
#ifndef RUNTIME_MAP_SYNC_H
#define RUNTIME_MAP_SYNC_H

#include "lockfree/assert.h"
#include "lockfree/counter.h"
#include "lockfree/epoch.h"
#include "runtime/area.h"
#include "runtime/call.h"
#include "runtime/guard.h"

#include <weft/map_sync.h>

#include <assert.h>
#include <string.h>

#ifndef MAP_SYNC_DEPTH
#define MAP_SYNC_DEPTH 6 /* of a map that is new */
#endif

enum { MARK = 2, LINK_BITS = GUARD | MARK }; /* below: of a link */

enum { FIRST_BUCKETS = 1 << MAP_SYNC_DEPTH, DEPTH_MOST = 40 };

#define END (~(uint64_t)GUARD) /* a mark whose key no hash comes to */

struct node {
	_Atomic uint64_t link; /* who holds the bucket */
	uint64_t hash;
	_Atomic uint64_t value; /* if it is a word; who holds the bucket */
	uint64_t key;		/* if it is a word */
	struct epoch_entry retired;
	_Alignas(
	    16) char entry[]; /* the key, if it is none; the value at its offset, if that is none; the bytes of an owned key */
};

struct table {
	_Atomic(const void *) self;
	struct area area; /* if its type is traced */
	const struct weft_map_type *type;
	weft_seed seed;
	_Atomic uint64_t mask; /* which bits of a hash are a bucket's key; who grows the map */
	struct counter count;
	_Atomic(_Atomic uint64_t *) chunk[DEPTH_MOST + 1]; /* the buckets that came with each depth; who grows the map */
	struct epoch_entry retired;
	ON_OWN_LINE _Atomic uint64_t begun; /* so many buckets have been begun, or somebody is at it; who inserts */
	ON_OWN_LINE _Atomic uint64_t first[FIRST_BUCKETS];
	struct counter_shard shard[];
};

struct map_sync {
	_Atomic(struct table *) table; /* NULL: empty */
	void *room[3];
};
static_assert(sizeof(struct map_sync) == sizeof(weft_map_sync), "the same thing from outside and inside");

/* ---- entries ---- */

static inline bool word_key(const struct weft_map_type *type)
{
	return type->flags & WEFT_MAP_WORD_KEY_;
}

static inline bool word_value(const struct weft_map_type *type)
{
	return type->flags & WEFT_MAP_WORD_VALUE_;
}

static inline bool has_key(const struct node *n, const struct weft_map_type *type, const void *key)
{
	return word_key(type) ? n->key == *(const uint64_t *)key : type->equal(key, n->entry);
}

static inline const void *key_in(const struct node *n, const struct weft_map_type *type)
{
	return word_key(type) ? (const void *)&n->key : n->entry;
}

/* Into `out`, which may be NULL. */
static inline void value_of(struct node *n, const struct weft_map_type *type, void *out)
{
	if (!out)
		return;
	if (word_value(type))
		*(uint64_t *)out = load_acq(&n->value); /* A3 */
	else
		memcpy(out, n->entry + type->value_at, type->value_size);
}

/* Of the part that is an entry: what of it is no word. */
static inline size_t entry_size(const struct weft_map_type *type)
{
	if (!word_value(type))
		return type->entry_size;
	return word_key(type) ? 0 : type->key_size;
}

static inline bool is_traced(const struct weft_map_type *type)
{
	return type->flags & WEFT_MAP_TRACED_;
}

static inline bool shades(const struct weft_map_type *type)
{
	return is_traced(type) && gc_shades();
}

/* An entry comes into the table, or goes, while the collector marks. */
COLD void map_sync_shade(const struct weft_map_type *, struct node *);

static inline size_t node_size(const struct weft_map_type *type, const void *key)
{
	size_t bytes = type->flags & WEFT_MAP_OWNS_ ? ((const weft_map_own_ *)key)->n + 1 : 0;
	return offsetof(struct node, entry) + entry_size(type) + bytes;
}

/* The bytes behind the entry are a copy of the key's, and a zero. */
static inline void own_key(struct node *n, const struct weft_map_type *type, const weft_map_own_ *key)
{
	char *copy = n->entry + entry_size(type);
	if (key->n)
		memcpy(copy, key->bytes, key->n);
	copy[key->n] = 0;
	memcpy(n->entry, &(weft_map_own_){copy, key->n, 0}, sizeof *key);
}

static inline void node_fill(struct node *n, const struct weft_map_type *type, const void *key, uint64_t hash, const void *value)
{
	n->hash = hash;
	if (word_key(type))
		n->key = *(const uint64_t *)key;
	else if (type->flags & WEFT_MAP_OWNS_)
		own_key(n, type, key);
	else
		memcpy(n->entry, key, type->key_size);
	if (word_value(type))
		store_rlx(&n->value, *(const uint64_t *)value);
	else
		memcpy(n->entry + type->value_at, value, type->value_size);
}

/* ---- links and buckets ---- */

static inline bool is_mark(uint64_t link)
{
	return link & MARK;
}

static inline uint64_t key_of_mark(uint64_t mark)
{
	return mark & ~(uint64_t)LINK_BITS;
}

static inline struct node *node_at(uint64_t link)
{
	assert_debug(link != 0);
	return (struct node *)(uintptr_t)link;
}

/* Without GUARD, which is of no concern to who looks; 0 of a bucket that has not begun. */
static inline uint64_t follow(_Atomic uint64_t *link)
{
	return load_acq(link) & ~(uint64_t)GUARD; /* A1 */
}

static inline _Atomic uint64_t *bucket_at(struct table *t, uint64_t key)
{
	if (!key)
		return &t->first[0];
	unsigned zeroes = (unsigned)__builtin_ctzll(key);
	_Atomic uint64_t *chunk = load_rlx(&t->chunk[64 - zeroes]);
	assert_debug(chunk != NULL);
	return &chunk[key >> zeroes >> 1];
}

/* The key of the bucket that stands for one that has not begun. */
static inline uint64_t key_before(uint64_t key)
{
	return key & (key - 1);
}

static inline uint64_t key_of(struct table *t, uint64_t hash)
{
	return hash & load_acq(&t->mask); /* A4 */
}

static inline uint64_t buckets(uint64_t mask)
{
	return UINT64_C(1) << __builtin_clzll(~mask);
}

/* ---- looking ---- */

/* The link that follows `after`'s bucket, from the nearest that has begun. */
static inline uint64_t enter(struct table *t, uint64_t hash)
{
	uint64_t link, key = key_of(t, hash);
	while (unlikely(!(link = follow(bucket_at(t, key)))))
		key = key_before(key);
	return link;
}

enum { PASSED_MOST = 256 };

/* The first entry whose hash is *from or above. NULL: there is none, and *from is END; or so many links have been passed that the rest is for another time,
 * from *from on. */
static inline struct node *first_from(struct table *t, uint64_t *from, unsigned *passed)
{
	uint64_t link = enter(t, *from);
	for (*passed = 0; link != END; ++*passed) {
		struct node *n = is_mark(link) ? NULL : node_at(link);
		if (n && n->hash >= *from)
			return n;
		if (!n && *passed >= PASSED_MOST && key_of_mark(link) > *from) {
			*from = key_of_mark(link);
			return NULL;
		}
		link = follow(n ? &n->link : bucket_at(t, key_of_mark(link)));
	}
	*from = END;
	return NULL;
}

/* What the caller has found is not looked at any more. */
static inline void look_end(bool outermost)
{
	if (WEFT_TSAN)
		epoch_looked();
	call_end(outermost);
}

static inline struct table *table_of(struct map_sync *m)
{
	struct table *t = load_acq(&m->table); /* A5, A6 */
	if (t)
		check_not_copied(&t->self, m, "map");
	return t;
}

static inline struct map_sync *inside(weft_map_sync *map)
{
	return (struct map_sync *)(void *)map;
}

#endif
