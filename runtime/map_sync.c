/* The map that several goroutines use at once: one list of all entries, sorted by their hashes, and buckets that point into it.
 *
 * Split-ordered lists (Shalev and Shavit, "Split-Ordered Lists: Lock-Free Extensible Hash Tables", 2006), with locks for who
 * writes. A bucket is a word: the link to the first entry whose hash is not below the bucket's key. Its key is a prefix of
 * hashes, filled up with zeroes; a map of depth d has 2^d of them, for each prefix of d bits. A link leads to an entry, or it
 * is a mark and holds the key of the next bucket, so that who comes to the end of a bucket's entries sees without touching
 * that bucket whether to go on:
 *
 *     bucket 00.. -> entry 0011 -> mark 0100 -> entry 0101 -> entry 0110 -> mark 1000 -> ... -> END
 *     bucket 01..    (its mark is 0100)  ^
 *     hash(entry) and key(mark) ascend along the list; equal ones: the mark, then the entries
 *
 * Growing to depth d+1 adds the buckets whose prefixes end in 1, in memory of their own, empty. An empty bucket is one that
 * has not begun; the bucket with the last 1 of its key removed stands for it, and a search there comes by all that it would
 * have held. To begin a bucket is to put its mark into the list: one link changes, and no entry moves, ever. Every eighth
 * insertion does this for 16 buckets, so no call does more than that for growth, and who needs a bucket before has it begin.
 *
 * A bucket's memory follows from its key alone: those that came with depth d lie together, and the lowest 1 of the key tells d.
 *
 * Who looks takes no lock and writes nothing: it follows links, and what it finds is not given back before it has left
 * (lockfree/epoch.h). A call into weft keeps its P (runtime/call.h), so from call_begin to call_end there is no quiet point.
 * Retiring may make one, so that comes last in a call.
 *
 * Who writes holds the bucket: GUARD in its word. It owns the links from the bucket to the next mark, and the values of the
 * entries between; it neither allocates nor frees nor switches meanwhile, and does not take another but one that nobody knows
 * of yet. The last store that shows the change may be the one that gives the bucket up.
 *
 *     who takes a bucket                        who begins one behind it
 *     guard_take its word                       guard_take the word of the one before
 *     walk to the place                         walk to the place
 *     a mark at or below what it looks for?     the new word := the rest of the list, GUARD set
 *       it has grown: leave it, take that one   the link := the mark; leave; the new word := without GUARD
 *
 * The new bucket is guarded until its mark is in the list: otherwise an entry of it could be unlinked and given back while
 * the old link still leads there.
 *
 * An entry that is unlinked keeps its own link, so who stands on it comes back into the list, at what follows: links only ever
 * lead to greater hashes. An entry that is there from a look's beginning to its end is on every way past its hash, so the look
 * finds it. What is not on the way was not there at some moment meanwhile. That moment is the look's; a write's is the store
 * that shows it.
 *
 * A value of eight bytes or less is a word in its entry, stored in place by who holds the bucket. A larger one comes with a
 * new entry, which replaces the old one by one link.
 *
 * Clearing takes the whole table away, and it is given back after a grace period. A call that began before may still write
 * to it; all of these count as before the clearing, in the order that their table gave them.
 *
 * The collector. A table whose entries may hold collected pointers is an area (area.h) from before others can find it until it is given back.
 * The look goes by hashes, as a range does. While the collector marks, a write shades what it brings into the table and what it takes from it;
 * entries do not move. Giving a table back shades what it has: somebody may have loaded a value just before the map was cleared.
 *
 * How many there are is counted per P. Once in a while an insertion adds that up, and grows the map when it has more
 * than it has buckets. Without memory for that it goes on with longer chains.
 *
 * Rejected: docs/decisions/017-concurrent-map.md.
 *
 * R1 relink: store_rel(before)      -> A1 follow: load_acq(link)              an entry and what follows
 * R1 leave: store_rel(bucket)       -> A1 follow: load_acq(link)              the same
 * R1 begin: store_rel(bucket)       -> A1 follow: load_acq(link)              the same
 * R2 leave: store_rel(bucket)       -> A2 guard_take: cas_acq(word)           the links between it and the next
 * R2 begin: store_rel(bucket)       -> A2 guard_take: cas_acq(word)           the same
 * R3 value_set: store_rel(value)    -> A3 value_of: load_acq(value)           what happened before the store
 * R4 grow: store_rel(mask)          -> A4 key_of, tend: load_acq(mask)        where the buckets are
 * R5 table_make: cas_acqrel(table)  -> A5 table_of: load_acq(table)           plain: the table
 * R5 table_make: cas_acqrel(table)  -> A5 table_make: cas_acqrel(table)       plain: the same
 * R5 table_make: cas_acqrel(table)  -> A5 clear: swap_acqrel(table)           plain: the same
 * R6 clear: swap_acqrel(table)      -> A6 table_of: load_acq(table)           what happened before the clearing
 */
#include "runtime/map_sync.h"
#include "runtime/panic.h"
#include "runtime/zeroed.h"

#include <weft/mem.h>

enum { HASH_BITS = 7 }; /* below: of a link, and none of a hash */

enum {
	BEGUN_AT_ONCE = 16, /* buckets */
	BEGIN_EVERY = 8,    /* insertions: twice as fast as is needed to have done when the map grows again */
	FORESEEN = 8,	    /* buckets */
	SHADED_AT_ONCE = 256,
	COUNT_EVERY = 16,   /* part of the entries that it has room for, between two looks at how many there are */
};

static_assert(DEPTH_MOST < 56, "a key has no bits where a link has its own, nor where an insertion's chances are");

/* ---- entries ---- */

static uint64_t hash_of(const struct table *t, const struct weft_map_type *type, const void *key)
{
	uint64_t hash = word_key(type) ? weft_hash_u64(t->seed, *(const uint64_t *)key) : type->hash(t->seed, key);
	return hash & ~(uint64_t)HASH_BITS;
}

void map_sync_shade(const struct weft_map_type *type, struct node *n)
{
	if (word_key(type))
		gc_shade_word(&n->key);
	if (word_value(type))
		gc_shade_word(&n->value);
	gc_shade_words(n->entry, entry_size(type));
}

static inline void value_set(const struct weft_map_type *type, struct node *n, uint64_t value)
{
	if (shades(type)) {
		gc_shade_word(&n->value);
		gc_shade_word(&value);
	}
	store_rel(&n->value, value); /* R3 */
}

static struct node *node_make(const struct weft_map_type *type, const void *key, uint64_t hash, const void *value)
{
	struct node *n = weft_malloc(node_size(type, key));
	if (!n)
		fatal("out of memory for a map's entry of %zu bytes", node_size(type, key));
	node_fill(n, type, key, hash, value);
	return n;
}

static void reclaim_node(struct epoch_entry *entry)
{
	weft_free((char *)entry - offsetof(struct node, retired));
}

/* ---- looking ---- */

static inline __attribute__((always_inline)) struct node *find_in(struct table *t, const struct weft_map_type *type,
								  const void *key, uint64_t hash)
{
	uint64_t link = enter(t, hash);
	for (;;) {
		if (is_mark(link)) {
			if (key_of_mark(link) > hash)
				return NULL;
			link = follow(bucket_at(t, key_of_mark(link)));
			continue;
		}
		struct node *n = node_at(link);
		if (n->hash >= hash) {
			if (n->hash > hash)
				return NULL;
			if (likely(has_key(n, type, key)))
				return n;
		}
		link = follow(&n->link);
	}
}

/* The same, where calls of a hash and a comparison fold into a few instructions. */
static struct node *find(struct table *t, const struct weft_map_type *type, const void *key, uint64_t hash)
{
	return find_in(t, type, key, hash);
}

/* ---- writing ---- */

/* Where in a bucket that is held. */
struct place {
	_Atomic uint64_t *bucket;
	uint64_t word;		  /* that the bucket is given up with */
	_Atomic uint64_t *before; /* the link to the place: perhaps the bucket itself */
	uint64_t link;		  /* what is there now */
};

static inline void leave(const struct place *p)
{
	store_rel(p->bucket, p->word); /* R1, R2 */
}

/* What is before the place is followed by this. */
static inline void relink(struct place *p, uint64_t link)
{
	if (p->before == p->bucket)
		p->word = link;
	else
		store_rel(p->before, link); /* R1 */
}

/* To the key's entry, or behind all that is not above the hash. NULL is no key. */
static struct node *walk(struct place *p, const struct weft_map_type *type, const void *key, uint64_t hash)
{
	while (!is_mark(p->link)) {
		struct node *n = node_at(p->link);
		if (n->hash > hash)
			return NULL;
		if (n->hash == hash && key && has_key(n, type, key))
			return n;
		p->before = &n->link;
		p->link = load_rlx(&n->link);
	}
	return NULL;
}

/* Takes the bucket in which such an entry is or would be; `from` is the key of one at or before that. */
static struct node *take(struct table *t, uint64_t from, const struct weft_map_type *type, const void *key, uint64_t hash,
			 struct place *p)
{
	for (;;) {
		p->before = p->bucket = bucket_at(t, from);
		p->link = p->word = guard_take(p->bucket);
		struct node *n = walk(p, type, key, hash);
		if (n || !is_mark(p->link) || key_of_mark(p->link) > hash)
			return n;
		from = key_of_mark(p->link);
		leave(p);
	}
}

/* Has the bucket begun when it returns. */
static void begin(struct table *t, uint64_t key)
{
	_Atomic uint64_t *bucket = bucket_at(t, key);
	if (follow(bucket))
		return;
	begin(t, key_before(key));
	struct place p;
	take(t, key_before(key), NULL, NULL, key - 1, &p);
	if (p.link == (key | MARK)) {
		leave(&p);
		return;
	}
	store_rel(bucket, p.link | GUARD); /* R1, R2 */
	relink(&p, key | MARK);
	leave(&p);
	store_rel(bucket, p.link); /* R1, R2 */
}

static struct node *take_for(struct table *t, const struct weft_map_type *type, const void *key, uint64_t hash, struct place *p)
{
	uint64_t bucket = key_of(t, hash);
	begin(t, bucket);
	return take(t, bucket, type, key, hash, p);
}

/* ---- growing ---- */

static void count(struct table *t, int64_t n)
{
	struct m *m = m_self();
	struct p *p = m ? m_p(m) : NULL;
	uint32_t last = t->count.shards - 1;
	if (likely(p != NULL) && p->index < last)
		counter_bump(&t->count, p->index, (uint64_t)n);
	else
		counter_add(&t->count, last, (uint64_t)n);
}

/* Whoever puts the memory there sets the mask: each is set once. */
static COLD void grow(struct table *t, uint64_t mask)
{
	int depth = __builtin_clzll(~mask) + 1;
	size_t bytes = buckets(mask) * sizeof(uint64_t);
	if (depth > DEPTH_MOST || load_rlx(&t->chunk[depth]))
		return;
	_Atomic uint64_t *chunk = zeroed_make(bytes), *none = NULL;
	if (!chunk)
		return;
	if (cas_rlx(&t->chunk[depth], &none, chunk))
		store_rel(&t->mask, mask >> 1 | UINT64_C(1) << 63); /* R4 */
	else
		zeroed_free(chunk, bytes);
}

/* Of the nth bucket, as they come with growing depth. */
static uint64_t key_of_nth(uint64_t n)
{
	int zeroes = __builtin_clzll(n);
	return (n << 1 | 1) << zeroes;
}

/* Has the bucket's first entry come nearer: misses of several go on together. */
static void foresee_entries_of(struct table *t, uint64_t key)
{
	uint64_t link = follow(bucket_at(t, key));
	if (link && !is_mark(link))
		__builtin_prefetch(node_at(link));
}

static COLD void begin_some(struct table *t, uint64_t from, uint64_t all)
{
	uint64_t to = from + BEGUN_AT_ONCE < all ? from + BEGUN_AT_ONCE : all;
	if (!cas_rlx(&t->begun, &from, to))
		return;
	for (uint64_t n = from; n < to; n++)
		foresee_entries_of(t, key_before(key_of_nth(n)));
	for (; from < to; from++)
		begin(t, key_of_nth(from));
}

/* After an insertion: its share of growing. Chances are bits of the hash that choose no bucket. */
static inline void tend(struct table *t, uint64_t hash)
{
	uint64_t mask = load_acq(&t->mask), all = buckets(mask), begun = load_rlx(&t->begun); /* A4 */
	uint64_t chance = hash / (HASH_BITS + 1);
	if (unlikely(begun < all)) {
		if (chance % BEGIN_EVERY == 0)
			begin_some(t, begun, all);
		return;
	}
	uint64_t every = all < COUNT_EVERY ? 1 : all / COUNT_EVERY;
	if (unlikely((chance & (every - 1)) == 0) && (int64_t)(counter_sum(&t->count) - all) > 0)
		grow(t, mask);
}

/* ---- the table ---- */

enum { BYTES_A_LOOK = 16384, BYTES_PASSED = 64 };

/* From the entry of the least hash that is not below *from, all that have the same; the bytes of them, and of what has been passed before. */
static size_t note_hash(struct table *t, struct gc_filling *f, uint64_t *from)
{
	const struct weft_map_type *type = t->type;
	unsigned passed;
	struct node *n = first_from(t, from, &passed);
	size_t bytes = passed * (size_t)BYTES_PASSED;
	for (uint64_t link, hash = n ? n->hash : 0; n && n->hash == hash; n = is_mark(link) ? NULL : node_at(link)) {
		if (word_key(type))
			gc_note_word(f, (const void *)(uintptr_t)n->key);
		if (word_value(type))
			gc_note_word(f, (const void *)(uintptr_t)load_rlx(&n->value));
		gc_note_some_words(f, n->entry, n->entry + entry_size(type));
		bytes += sizeof *n + entry_size(type);
		*from = hash + 1;
		link = follow(&n->link);
	}
	return bytes;
}

static bool look_at_table(struct area *a, size_t *at, struct gc_filling *f)
{
	struct table *t = (struct table *)(void *)((char *)a - offsetof(struct table, area));
	bool outermost = call_begin();
	size_t bytes = 0;
	while (bytes < BYTES_A_LOOK && *at != END)
		bytes += note_hash(t, f, at);
	gc_noted(f, bytes);
	look_end(outermost);
	return *at != END;
}

/* Some entries of a table that nobody uses, from this link on. The next link. */
static uint64_t shade_some(struct table *t, uint64_t link)
{
	for (unsigned n = 0; link != END && n < SHADED_AT_ONCE; n++) {
		if (is_mark(link)) {
			link = load_rlx(bucket_at(t, key_of_mark(link)));
		} else {
			map_sync_shade(t->type, node_at(link));
			link = load_rlx(&node_at(link)->link);
		}
	}
	return link;
}

/* Entries that follow each other lie anywhere; those of buckets further on are asked for meanwhile. */
static void table_free(struct table *t)
{
	uint64_t link = load_rlx(&t->first[0]), mask = load_rlx(&t->mask), ahead = FORESEEN * (mask & -mask);
	while (link != END) {
		struct node *n = NULL;
		if (is_mark(link)) {
			foresee_entries_of(t, (key_of_mark(link) + ahead) & mask);
			link = load_rlx(bucket_at(t, key_of_mark(link)));
		} else {
			n = node_at(link);
			link = load_rlx(&n->link);
		}
		weft_free(n);
	}
	for (int depth = MAP_SYNC_DEPTH + 1; depth <= DEPTH_MOST; depth++) {
		_Atomic uint64_t *chunk = load_rlx(&t->chunk[depth]);
		if (chunk)
			zeroed_free(chunk, (sizeof(uint64_t) << depth) / 2);
	}
	weft_free(t);
}

static void reclaim_table(struct epoch_entry *entry)
{
	struct table *t = (struct table *)(void *)((char *)entry - offsetof(struct table, retired));
	if (shades(t->type))
		for (uint64_t link = load_rlx(&t->first[0]); link != END;)
			link = shade_some(t, link);
	area_drop_reclaimed(&t->area);
	table_free(t);
}

static uint64_t nth_first_key(uint64_t n)
{
	return MAP_SYNC_DEPTH ? n << (64 - MAP_SYNC_DEPTH) % 64 : 0;
}

static void table_init(struct table *t, uint32_t shards)
{
	t->seed = weft_seed_make();
	counter_init(&t->count, t->shard, shards);
	for (int depth = 1; depth <= MAP_SYNC_DEPTH; depth++)
		store_rlx(&t->chunk[depth], &t->first[1 << (depth - 1)]);
	store_rlx(&t->mask, nth_first_key(FIRST_BUCKETS - 1));
	store_rlx(&t->begun, FIRST_BUCKETS);
	for (uint64_t i = 0; i < FIRST_BUCKETS; i++)
		store_rlx(bucket_at(t, nth_first_key(i)), i + 1 < FIRST_BUCKETS ? nth_first_key(i + 1) | MARK : END);
}

/* Of a map that had none; another may be quicker. */
static COLD struct table *table_make(struct map_sync *m, const struct weft_map_type *type)
{
	uint32_t shards = sched.nprocs + 1;
	size_t bytes = sizeof(struct table) + shards * sizeof(struct counter_shard);
	struct table *t = weft_aligned_alloc(CACHE_LINE, bytes), *other = NULL;
	if (!t)
		fatal("out of memory for a map");
	memset((void *)t, 0, bytes);
	table_init(t, shards);
	store_rlx(&t->self, m);
	t->type = type;
	if (is_traced(type))
		area_add(&t->area, look_at_table);
	if (cas_acqrel(&m->table, &other, t)) /* R5 */
		return t;
	area_drop(&t->area);
	weft_free(t);
	return other; /* A5 */
}

static inline struct table *table_for(struct map_sync *m, const struct weft_map_type *type)
{
	struct table *t = table_of(m);
	return likely(t != NULL) ? t : table_make(m, type);
}

/* ---- the verbs ---- */

bool weft_map_sync_load_(weft_map_sync *map, const struct weft_map_type *type, const void *key, void *value)
{
	bool outermost = call_begin();
	struct table *t = table_of(inside(map));
	struct node *n = t ? find_in(t, type, key, hash_of(t, type, key)) : NULL;
	if (n)
		value_of(n, type, value);
	look_end(outermost);
	return n;
}

/* An entry becomes part of the map, at a place where its key is not; that gives up the bucket. */
static void insert(struct table *t, struct place *p, struct node *n)
{
	if (shades(t->type))
		map_sync_shade(t->type, n);
	store_rlx(&n->link, p->link);
	relink(p, (uintptr_t)n);
	leave(p);
	count(t, 1);
	tend(t, n->hash);
}

/* The entry at the place goes. */
static void unlink_at(const struct weft_map_type *type, struct place *p, struct node *n)
{
	if (shades(type))
		map_sync_shade(type, n);
	relink(p, load_rlx(&n->link));
	leave(p);
}

/* The entry at the place goes, and the other one comes. */
static void replace(const struct weft_map_type *type, struct place *p, struct node *n, struct node *by)
{
	if (shades(type)) {
		map_sync_shade(type, n);
		map_sync_shade(type, by);
	}
	store_rlx(&by->link, load_rlx(&n->link));
	relink(p, (uintptr_t)by);
	leave(p);
}

/* The place of the key's entry, or of one to be inserted: there is one to spare. A value that is stored in place needs none where there is an
 * entry. */
static struct node *take_to_store(struct table *t, const struct weft_map_type *type, const void *key, uint64_t hash,
				  const void *value, struct place *p, struct node **spare)
{
	struct node *n;
	*spare = word_value(type) && find(t, type, key, hash) ? NULL : node_make(type, key, hash, value);
	while (!(n = take_for(t, type, key, hash, p)) && !*spare) {
		leave(p);
		*spare = node_make(type, key, hash, value);
	}
	return n;
}

/* The end of a call: an entry that nobody has seen goes at once, one that is unlinked later. Either may be NULL. */
static void store_end(bool outermost, struct node *spare, struct node *gone)
{
	weft_free(spare);
	if (WEFT_TSAN)
		epoch_looked();
	if (gone)
		retire(&gone->retired, reclaim_node);
	call_end(outermost);
}

bool weft_map_sync_swap_(weft_map_sync *map, const struct weft_map_type *type, const void *key, const void *value, void *previous)
{
	bool outermost = call_begin();
	struct table *t = table_for(inside(map), type);
	uint64_t hash = hash_of(t, type, key);
	struct place p;
	struct node *spare, *n = take_to_store(t, type, key, hash, value, &p, &spare);
	if (!n) {
		insert(t, &p, spare);
		store_end(outermost, NULL, NULL);
		return false;
	}
	value_of(n, type, previous);
	if (word_value(type)) {
		value_set(type, n, *(const uint64_t *)value);
		leave(&p);
		store_end(outermost, spare, NULL);
	} else {
		replace(type, &p, n, spare);
		store_end(outermost, NULL, n);
	}
	return true;
}

bool weft_map_sync_load_or_store_(weft_map_sync *map, const struct weft_map_type *type, const void *key, const void *value,
				  void *actual)
{
	bool outermost = call_begin();
	struct table *t = table_for(inside(map), type);
	uint64_t hash = hash_of(t, type, key);
	struct node *n = find(t, type, key, hash), *spare = NULL;
	bool loaded = true;
	if (!n) {
		struct place p;
		spare = node_make(type, key, hash, value);
		n = take_for(t, type, key, hash, &p);
		if (n) {
			leave(&p);
		} else {
			n = spare;
			spare = NULL;
			loaded = false;
			insert(t, &p, n);
		}
	}
	if (loaded)
		value_of(n, type, actual);
	store_end(outermost, spare, NULL);
	return loaded;
}

/* If its value is `old`; NULL: whatever it is. */
static bool delete_if(weft_map_sync *map, const struct weft_map_type *type, const void *key, const uint64_t *old, void *value)
{
	bool outermost = call_begin();
	struct table *t = table_of(inside(map));
	uint64_t hash = t ? hash_of(t, type, key) : 0;
	struct node *n = NULL;
	if (t && find(t, type, key, hash)) {
		struct place p;
		n = take_for(t, type, key, hash, &p);
		if (n && old && load_rlx(&n->value) != *old)
			n = NULL;
		if (n) {
			value_of(n, type, value);
			unlink_at(type, &p, n);
			count(t, -1);
		} else {
			leave(&p);
		}
	}
	store_end(outermost, NULL, n);
	return n;
}

bool weft_map_sync_load_and_delete_(weft_map_sync *map, const struct weft_map_type *type, const void *key, void *value)
{
	return delete_if(map, type, key, NULL, value);
}

/* Who would change nothing takes nothing. */
static bool is_now(weft_map_sync *map, const struct weft_map_type *type, const void *key, uint64_t old)
{
	uint64_t value;
	return weft_map_sync_load_(map, type, key, &value) && value == old;
}

bool weft_map_sync_compare_and_delete_(weft_map_sync *map, const struct weft_map_type *type, const void *key, uint64_t old)
{
	return is_now(map, type, key, old) && delete_if(map, type, key, &old, NULL);
}

bool weft_map_sync_compare_and_swap_(weft_map_sync *map, const struct weft_map_type *type, const void *key, uint64_t old,
				     uint64_t value)
{
	if (!is_now(map, type, key, old))
		return false;
	bool outermost = call_begin();
	struct table *t = table_of(inside(map));
	struct node *n = NULL;
	if (t) {
		struct place p;
		n = take_for(t, type, key, hash_of(t, type, key), &p);
		if (n && load_rlx(&n->value) != old)
			n = NULL;
		if (n)
			value_set(type, n, value);
		leave(&p);
	}
	look_end(outermost);
	return n;
}

size_t weft_map_sync_len_(weft_map_sync *map)
{
	bool outermost = call_begin();
	struct table *t = table_of(inside(map));
	int64_t len = t ? (int64_t)counter_sum(&t->count) : 0;
	look_end(outermost);
	return len > 0 ? (size_t)len : 0;
}

static void clear(struct map_sync *m)
{
	bool outermost = call_begin();
	struct table *t = swap_acqrel(&m->table, NULL); /* R6, A5 */
	if (t) {
		check_not_copied(&t->self, m, "map");
		retire(&t->retired, reclaim_table);
	}
	call_end(outermost);
}

void weft_map_sync_clear_(weft_map_sync *map)
{
	clear(inside(map));
}

/* In pieces, between which the caller may be asked for something. If nothing is to be shaded when it begins, whoever has loaded something is
 * looked at afterwards. */
static void shade_all(struct table *t)
{
	if (!is_traced(t->type))
		return;
	bool outermost = call_begin();
	uint64_t link = gc_shades() ? load_rlx(&t->first[0]) : END;
	call_end(outermost);
	while (link != END) {
		outermost = call_begin();
		link = shade_some(t, link);
		call_end(outermost);
	}
}

void weft_map_sync_fini_(weft_map_sync *map)
{
	struct table *t = table_of(inside(map));
	if (t) {
		shade_all(t);
		area_drop(&t->area);
		table_free(t);
	}
	store_rlx(&inside(map)->table, NULL);
}
