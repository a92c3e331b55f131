/* Maps: what the inlined half (weft/map_table.h) leaves over: growing, wear, iteration, and what is rare.
 *
 * Entries lie in groups of eight slots with a control word (weft/map_group.h); groups lie in segments of 512 or 1024
 * slots. A search stays within its segment. A map begins with one segment of one group and doubles the groups until it
 * is whole; from then on it grows by linear hashing (Litwin, 1980): in rounds, in which one segment after the other is
 * split in two, in their order, one for every 84 insertions.
 *
 *     segments 0 .. split-1              split: their entries are told apart by one more bit of the hash
 *     segments split .. mask             not yet
 *     segments mask+1 .. mask+split      the other halves
 *
 * Thus an address follows from the hash by arithmetic, with no directory. Segments of one round are one chunk of memory,
 * as large as all before it together; it is never moved, and not given back before the map is. An insertion pays for one step
 * at most: for a chunk that is not touched yet, for one page of it, or for a split. What was measured instead is in
 * docs/decisions/014-map-growth.md.
 *
 * Invariants: len <= grow_at, and a step sets grow_at beyond len; no entry lies behind a group of its search that has an
 * empty slot. So a slot that is given up in a group without one stays marked (a tombstone), and in another becomes
 * empty. If a search for a place is long, the segment's tombstones are counted, and above a sixteenth of its slots it is
 * made anew: keys that come and go do not let the map grow.
 *
 * A segment can be full although the map is not. With a hash that spreads that is a matter of six standard deviations; a hash
 * that does not spread makes it the rule. Such entries are spilled: into a list, which every search that finds nothing
 * goes through from then on. Slow, and right; they stay there.
 *
 * Iteration. Growing moves entries, so an iterator's progress is told in hashes, not in places. The hash space is cut
 * into cells, as many as the map has groups when the iteration begins: by the bits which choose group and segment. They are
 * taken in order from a random one on. When a segment is split, a cell becomes two, four, ... leaves, which are taken by the
 * reversed order of their further bits, so that what has been done stays a prefix. Within a leaf an iterator goes through
 * the search of its group. If entries are moved meanwhile it begins that again, passing over the hashes that it has given
 * of this cell. It remembers 40 of these; with a hash that spreads, a cell has 7 or so.
 *
 * Growing a map does not look at what lies elsewhere, keys that the map owns or entries that are far: their hashes are
 * kept in the slots.
 *
 * A map whose entries may hold collected pointers is looked at by the collector while it is used: map_trace.h has how. Whatever changes where
 * entries lie is a change as defined there, and nothing for other maps.
 *
 * A write is noted in a word that every call looks at: two of them at once are found when they overlap, not always. That is
 * to find a misuse, not to synchronise, and costs a load, and two stores for a write.
 */
#include "alloc/os.h"
#include "lockfree/assert.h"
#include "runtime/hash.h"
#include "runtime/map_trace.h"
#include "runtime/panic.h"
#include "runtime/zeroed.h"

#include <weft/map.h>
#include <weft/mem.h>

#include <assert.h>

enum {
	GROUP_SLOTS = 8,
	ALIGNED = 64,
	WORN = 16,               /* a segment is made anew when one slot of so many is a tombstone */
	ROUND = 12,              /* a round lasts until the map has a twelfth of its slots more entries than when it began */
};

static_assert(WEFT_MAP_GIVEN_ < 64, "an iterator has a bit for each");

static const uint64_t no_group; /* a control word where a map without memory looks */

void weft_map_misused_(const char *words)
{
	fatal("%s", words);
}

void weft_map_nil_(void)
{
	weft_panic("assignment to entry in nil map");
}

/* ---- memory ---- */

/* In a whole segment. */
static uint64_t segment_slots(const struct weft_map_type *t)
{
	return (uint64_t)GROUP_SLOTS << t->group_bits;
}

static void *no_memory(const weft_map *m)
{
	fatal("out of memory for a map of %zu entries", (size_t)m->len);
}

/* Zeroed. */
static char *block_make(const weft_map *m, size_t bytes)
{
	char *p = zeroed_make(bytes);
	return p ? p : no_memory(m);
}

static void *take_memory(const weft_map *m, size_t bytes)
{
	void *p = weft_malloc(bytes);
	return p ? p : no_memory(m);
}

/* So many groups: the control words, and behind them, aligned, the slots. */
static size_t groups_size(const struct weft_map_type *t, uint64_t n)
{
	return (n * GROUP_SLOTS + ALIGNED - 1) / ALIGNED * ALIGNED + n * GROUP_SLOTS * t->slot_size;
}

/* `first` is the number of the first of them in the map. */
static struct weft_map_chunk groups_make(const weft_map *m, const struct weft_map_type *t, uint64_t first, uint64_t n)
{
	char *p = block_make(m, groups_size(t, n));
	size_t control = groups_size(t, n) - n * GROUP_SLOTS * t->slot_size;
	return (struct weft_map_chunk){(uintptr_t)p - first * GROUP_SLOTS,
				       (uintptr_t)(p + control) - first * GROUP_SLOTS * t->slot_size};
}

static void set_chunk(weft_map *m, unsigned k, struct weft_map_chunk chunk, uint64_t first)
{
	m->chunks[k] = chunk;
	m->memory[k] = (char *)(chunk.control + first * GROUP_SLOTS);
}

static void groups_free(const struct weft_map_type *t, struct weft_map_chunk chunk, uint64_t first, uint64_t n)
{
	zeroed_free((char *)(chunk.control + first * GROUP_SLOTS), groups_size(t, n));
}

/* How many groups chunk k > 0 begins with, and has. */
static uint64_t chunk_groups(const struct weft_map_type *t, unsigned k)
{
	return UINT64_C(1) << (k - 1) << t->group_bits;
}

static void chunk_make(weft_map *m, const struct weft_map_type *t, unsigned k)
{
	if (k >= WEFT_MAP_CHUNKS_ || chunk_groups(t, k) > PTRDIFF_MAX / 2 / GROUP_SLOTS / t->slot_size)
		no_memory(m);
	set_chunk(m, k, groups_make(m, t, chunk_groups(t, k), chunk_groups(t, k)), chunk_groups(t, k));
}

static void *fill(weft_map *m, const struct weft_map_type *t, char *slot, const void *key, uint64_t hash)
{
	void *entry = slot;
	weft_map_own_ own;
	if (t->flags & WEFT_MAP_FAR_) {
		entry = map_is_traced(t) ? map_trace_far_make(m, t) : weft_malloc(t->entry_size);
		if (!entry)
			fatal("out of memory for a map's entry of %zu bytes", t->entry_size);
		memcpy(slot, &(struct weft_map_far_){entry, hash}, sizeof(struct weft_map_far_));
	}
	if (t->flags & WEFT_MAP_OWNS_) {
		memcpy(&own, key, sizeof own);
		char *copy = weft_malloc(own.n + 1);
		if (!copy)
			fatal("out of memory for a map's key of %zu bytes", own.n);
		if (own.n)
			memcpy(copy, own.bytes, own.n);
		copy[own.n] = 0;
		own.bytes = copy;
		own.hash = hash;
		key = &own;
	}
	memcpy(entry, key, t->key_size);
	return entry;
}

void *weft_map_fill_(weft_map *m, const struct weft_map_type *t, char *slot, const void *key, uint64_t hash)
{
	return fill(m, t, slot, key, hash);
}

void weft_map_drop_(weft_map *m, const struct weft_map_type *t, char *slot)
{
	void *entry = weft_map_entry_(t, slot);
	weft_map_own_ own;
	if (t->flags & WEFT_MAP_OWNS_) {
		memcpy(&own, entry, sizeof own);
		weft_free((void *)(uintptr_t)own.bytes);
	}
	if (!(t->flags & WEFT_MAP_FAR_))
		return;
	if (map_is_traced(t))
		map_trace_far_free(m, entry);
	else
		weft_free(entry);
}

/* ---- moving entries ---- */

/* A free slot for a new entry with this hash; NULL if its segment is full. */
static char *place(weft_map *m, const struct weft_map_type *t, uint64_t hash)
{
	struct weft_map_search_ s;
	weft_map_start_(&s, m, t, hash);
	do {
		uint64_t room = weft_group_free_(s.word);
		if (room) {
			unsigned slot = weft_group_slot_(room);
			s.in.control[s.group * GROUP_SLOTS + slot] = (char)weft_map_control_(hash);
			return weft_map_slot_(s.in, t, s.group, slot);
		}
	} while (weft_map_step_(&s, m));
	return NULL;
}

/* Hashes are kept in the slots. */
static bool keeps_hashes(const struct weft_map_type *t)
{
	return t->flags & (WEFT_MAP_FAR_ | WEFT_MAP_OWNS_);
}

/* The hash of an entry. */
static uint64_t hash_at(const weft_map *m, const struct weft_map_type *t, const char *slot)
{
	uint64_t hash;
	if (likely(!keeps_hashes(t)))
		return t->hash(m->seed, slot);
	size_t at = t->flags & WEFT_MAP_FAR_ ? offsetof(struct weft_map_far_, hash) : offsetof(weft_map_own_, hash);
	memcpy(&hash, slot + at, sizeof hash);
	return hash;
}

/* The hashes of the entries of n groups, each in its slot's place, where they have to be known beforehand: a change (map_trace.h) does
 * not call the user's function. Otherwise NULL. To be freed with weft_free. */
static uint64_t *hashes_before_change(const weft_map *m, const struct weft_map_type *t, struct weft_map_segment_ from, uint64_t n)
{
	if (!map_is_traced(t) || keeps_hashes(t))
		return NULL;
	uint64_t *hash = take_memory(m, n * GROUP_SLOTS * sizeof *hash);
	for (uint64_t i = 0; i < n; i++) {
		for (uint64_t bits = weft_group_taken_(weft_map_word_(from, i)); bits; bits &= bits - 1) {
			unsigned slot = weft_group_slot_(bits);
			hash[i * GROUP_SLOTS + slot] = t->hash(m->seed, weft_map_slot_(from, t, i, slot));
		}
	}
	return hash;
}

static inline __attribute__((always_inline)) void scatter_with(weft_map *m, const struct weft_map_type *t, struct weft_map_segment_ from,
								uint64_t n, const uint64_t *hashes)
{
	for (uint64_t i = 0; i < n; i++) {
		for (uint64_t bits = weft_group_taken_(weft_map_word_(from, i)); bits; bits &= bits - 1) {
			char *slot = weft_map_slot_(from, t, i, weft_group_slot_(bits));
			char *to = place(m, t, hashes ? hashes[i * GROUP_SLOTS + weft_group_slot_(bits)] : hash_at(m, t, slot));
			assert_debug(to != NULL);
			memcpy(to, slot, t->slot_size);
			m->moved++;
		}
	}
	m->rearranged++;
}

/* Puts the entries of n groups that are no longer the map's where they belong now: there is room. hashes may be NULL. */
static void scatter(weft_map *m, const struct weft_map_type *t, struct weft_map_segment_ from, uint64_t n, const uint64_t *hashes)
{
	if (hashes)
		scatter_with(m, t, from, n, hashes);
	else
		scatter_with(m, t, from, n, NULL);
}

/* A copy of a segment whose groups are then empty; its control is freed with weft_free. */
static struct weft_map_segment_ take_out(weft_map *m, const struct weft_map_type *t, struct weft_map_segment_ segment)
{
	size_t control = GROUP_SLOTS * ((size_t)m->group_mask + 1), slots = control * t->slot_size;
	char *copy = take_memory(m, control + slots);
	memcpy(copy, segment.control, control);
	memcpy(copy + control, segment.slots, slots);
	memset(segment.control, WEFT_SLOT_EMPTY_, control);
	if (map_is_traced(t))
		memset(segment.slots, 0, slots);
	return (struct weft_map_segment_){copy, copy + control};
}

/* ---- growing ---- */

static uint64_t round_from(const weft_map *m, const struct weft_map_type *t)
{
	return segment_slots(t) * 3 / 4 * (m->mask + 1);
}

/* The bits by which every hash is told apart, beyond the tag: of the group, and of the segment without this round's splits. */
static void set_depth(weft_map *m)
{
	m->depth = (uint32_t)(__builtin_popcount(m->group_mask) + __builtin_popcountll(m->mask));
}

/* Before the first round: a single group may be full, since a search ends with the last group, too. */
static void set_groups(weft_map *m, const struct weft_map_type *t, uint64_t groups)
{
	m->group_mask = (uint32_t)groups - 1;
	if (groups >> t->group_bits)
		m->grow_at = round_from(m, t);
	else
		m->grow_at = groups == 1 ? GROUP_SLOTS : groups * (GROUP_SLOTS - 1);
	set_depth(m);
}

static void double_groups(weft_map *m, const struct weft_map_type *t)
{
	uint64_t n = m->group_mask + 1;
	struct weft_map_chunk before = m->chunks[0], after = groups_make(m, t, 0, 2 * n);
	struct weft_map_segment_ from = {(char *)before.control, (char *)before.slots};
	uint64_t *hashes = hashes_before_change(m, t, from, n);
	bool outermost = map_change_begin(m, t);
	map_trace_moves(t, from, n);
	set_chunk(m, 0, after, 0);
	set_groups(m, t, 2 * n);
	scatter(m, t, from, n, hashes);
	map_change_end(m, t, outermost);
	groups_free(t, before, 0, n);
	weft_free(hashes);
}

/* Touches one page of the segment to which the next split will move entries, if there is one left. A page that has never been touched
 * costs 1.6 us here, and 15 where the hypervisor has to find it first: they do not all come at once. */
static bool touch(weft_map *m, const struct weft_map_type *t)
{
	struct weft_map_segment_ next = weft_map_segment_at_(m, t, m->mask + 1 + m->split);
	size_t at = (size_t)m->touched * OS_PAGE, bytes = segment_slots(t) * t->slot_size;
	if (at >= bytes + OS_PAGE)
		return false;
	*(volatile char *)(at < bytes ? next.slots + at : next.control) = 0;
	m->touched++;
	return true;
}

enum rearranging { IN_ONE, IN_TWO };

/* Puts the entries of a segment where they belong: in that one anew, or in two. */
static void rearrange(weft_map *m, const struct weft_map_type *t, uint64_t segment, enum rearranging how)
{
	struct weft_map_segment_ from = weft_map_segment_at_(m, t, segment);
	uint64_t n = m->group_mask + 1;
	uint64_t *hashes = hashes_before_change(m, t, from, n);
	bool outermost = map_change_begin(m, t);
	map_trace_moves(t, from, n);
	struct weft_map_segment_ copy = take_out(m, t, from);
	m->split += how == IN_TWO;
	scatter(m, t, copy, n, hashes);
	map_change_end(m, t, outermost);
	weft_free(copy.control);
	weft_free(hashes);
}

static void split(weft_map *m, const struct weft_map_type *t)
{
	rearrange(m, t, m->split, IN_TWO);
	m->touched = 0;
}

static void end_round(weft_map *m, const struct weft_map_type *t)
{
	bool outermost = map_change_begin(m, t);
	m->mask = m->mask << 1 | 1;
	m->split = 0;
	map_change_end(m, t, outermost);
	set_depth(m);
	if (m->grow_at < round_from(m, t))
		m->grow_at = round_from(m, t);
}

/* One of the steps that lead to a split and are spread evenly over the insertions up to it. The first of a round makes the chunk. */
static void step(weft_map *m, const struct weft_map_type *t)
{
	unsigned next = m->depth - t->group_bits + 1;
	uint64_t steps = 2 + (segment_slots(t) * t->slot_size + OS_PAGE - 1) / OS_PAGE;
	m->grow_at = m->len + segment_slots(t) / ROUND / steps;
	if (!m->chunks[next].control) {
		chunk_make(m, t, next);
	} else if (!touch(m, t)) {
		split(m, t);
		if (m->split > m->mask)
			end_round(m, t);
	}
}

static bool has_memory(const weft_map *m)
{
	return m->chunks[0].control != (uintptr_t)&no_group;
}

static void make_groups(weft_map *m, const struct weft_map_type *t, uint64_t n)
{
	struct weft_map_chunk first = groups_make(m, t, 0, n);
	bool outermost = map_change_begin(m, t);
	set_chunk(m, 0, first, 0);
	set_groups(m, t, n);
	map_change_end(m, t, outermost);
}

static void grow(weft_map *m, const struct weft_map_type *t)
{
	if (!has_memory(m))
		make_groups(m, t, 1);
	else if ((m->group_mask + 1) >> t->group_bits == 0)
		double_groups(m, t);
	else
		step(m, t);
}

/* ---- wear ---- */

static uint64_t tombstones(const weft_map *m, struct weft_map_segment_ segment)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i <= m->group_mask; i++)
		n += (uint64_t)__builtin_popcountll(weft_group_match_(weft_map_word_(segment, i), WEFT_SLOT_DELETED_));
	return n;
}

static void renew_if_worn(weft_map *m, const struct weft_map_type *t, uint64_t hash)
{
	uint64_t segment = weft_map_segment_of_(m, t, hash);
	uint64_t n = tombstones(m, weft_map_segment_at_(m, t, segment));
	if (n > 0 && n >= GROUP_SLOTS * (m->group_mask + 1) / WORN)
		rearrange(m, t, segment, IN_ONE);
}

/* ---- spilled entries ---- */

static struct weft_map_spilled **find_spilled(const weft_map *m, const struct weft_map_type *t, const void *key, uint64_t hash)
{
	struct weft_map_spilled **at = (struct weft_map_spilled **)(uintptr_t)&m->spilled;
	for (; *at; at = &(*at)->next)
		if ((*at)->hash == hash && t->equal(key, weft_map_entry_(t, (*at)->slot)))
			break;
	return at;
}

void *weft_map_find_spilled_(const weft_map *m, const struct weft_map_type *t, const void *key, uint64_t hash)
{
	struct weft_map_spilled *s = *find_spilled(m, t, key, hash);
	return s ? weft_map_entry_(t, s->slot) : NULL;
}

static void *spill(weft_map *m, const struct weft_map_type *t, const void *key, uint64_t hash)
{
	struct weft_map_spilled *s = take_memory(m, sizeof *s + t->slot_size);
	if (map_is_traced(t))
		memset(s->slot, 0, t->slot_size);
	s->number = m->spills++;
	s->hash = hash;
	s->next = m->spilled;
	m->spilled = s;
	return fill(m, t, s->slot, key, hash);
}

bool weft_map_del_spilled_(weft_map *m, const struct weft_map_type *t, const void *key, uint64_t hash)
{
	struct weft_map_spilled **at = find_spilled(m, t, key, hash), *s = *at;
	if (!s)
		return false;
	bool outermost = map_change_begin(m, t);
	map_trace_spilled_goes(m, t, s);
	*at = s->next;
	weft_map_drop_(m, t, s->slot);
	m->len--;
	map_change_end(m, t, outermost);
	weft_free(s);
	return true;
}

/* ---- what an insertion leaves over ---- */

void *weft_map_add_(weft_map *m, const struct weft_map_type *t, const void *key, uint64_t hash)
{
	void *entry = m->spilled ? weft_map_find_spilled_(m, t, key, hash) : NULL;
	if (entry)
		return entry;
	if (m->len >= m->grow_at)
		grow(m, t);
	else
		renew_if_worn(m, t, hash);
	bool outermost = map_change_begin(m, t);
	map_trace_comes(t, key);
	char *slot = place(m, t, hash);
	m->len++;
	entry = slot ? fill(m, t, slot, key, hash) : spill(m, t, key, hash);
	map_change_end(m, t, outermost);
	return entry;
}

/* ---- making and freeing ---- */

static void make_room(weft_map *m, const struct weft_map_type *t, uint64_t hint)
{
	uint64_t groups = 1, most = UINT64_C(1) << t->group_bits;
	while (groups < most && hint > (groups == 1 ? GROUP_SLOTS : groups * (GROUP_SLOTS - 1)))
		groups *= 2;
	if (groups == most)
		while (hint > round_from(m, t))
			m->mask = m->mask << 1 | 1;
	make_groups(m, t, groups);
	for (unsigned k = 1; chunk_groups(t, k) <= m->mask << t->group_bits; k++)
		chunk_make(m, t, k);
}

weft_map *weft_map_make_(const struct weft_map_type *t, size_t hint)
{
	if (hint > PTRDIFF_MAX / 4 / t->slot_size)
		weft_panic("map size out of range: %zu entries of %zu bytes", hint, t->entry_size);
	weft_map *m = map_is_traced(t) ? map_trace_make(t) : weft_calloc(1, sizeof *m);
	if (!m)
		fatal("out of memory for a map");
	m->seed = weft_seed_make();
	m->chunks[0].control = (uintptr_t)&no_group;
	if (hint)
		make_room(m, t, hint);
	if (map_is_traced(t))
		map_trace_start(m);
	return m;
}

static void drop_entries(weft_map *m, const struct weft_map_type *t)
{
	for (uint64_t i = 0; i <= m->mask + m->split; i++) {
		struct weft_map_segment_ segment = weft_map_segment_at_(m, t, i);
		for (uint64_t g = 0; g <= m->group_mask; g++)
			for (uint64_t bits = weft_group_taken_(weft_map_word_(segment, g)); bits; bits &= bits - 1)
				weft_map_drop_(m, t, weft_map_slot_(segment, t, g, weft_group_slot_(bits)));
	}
}

void weft_map_free_(weft_map *m, const struct weft_map_type *t)
{
	if (!m)
		return;
	weft_map_write_begin_(m);
	if (map_is_traced(t))
		map_trace_end(m);
	if (t->flags & (WEFT_MAP_FAR_ | WEFT_MAP_OWNS_))
		drop_entries(m, t);
	for (struct weft_map_spilled *s = m->spilled, *next; s; s = next) {
		next = s->next;
		weft_map_drop_(m, t, s->slot);
		weft_free(s);
	}
	if (has_memory(m))
		groups_free(t, m->chunks[0], 0, m->group_mask + 1);
	for (unsigned k = 1; k < WEFT_MAP_CHUNKS_ && m->chunks[k].control; k++)
		groups_free(t, m->chunks[k], chunk_groups(t, k), chunk_groups(t, k));
	weft_free(m);
}

/* ---- iteration ---- */

static uint64_t reverse(uint64_t x)
{
	x = (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
	x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
	x = (x >> 4 & 0x0f0f0f0f0f0f0f0fu) | (x & 0x0f0f0f0f0f0f0f0fu) << 4;
	return __builtin_bswap64(x);
}

/* The bits of a hash beyond those of the iterator's cells, in reversed order. */
static uint64_t within(const weft_map_iter *it, uint64_t hash)
{
	return reverse(hash >> WEFT_MAP_TAG_BITS_ >> it->depth);
}

static void iter_begin(weft_map_iter *it, const weft_map *m)
{
	uint64_t random = hash_random();
	it->depth = m->depth;
	it->first = random >> 3;
	it->turn = random & (GROUP_SLOTS - 1);
	it->rearranged = m->rearranged;
	it->spilled = m->spills;
	it->phase = WEFT_MAP_CELLS_;
}

/* A hash of the leaf that is next: any with these bits. */
static uint64_t leaf_hash(const weft_map_iter *it)
{
	uint64_t cell = (it->first + it->cell) & ((UINT64_C(1) << it->depth) - 1);
	if (it->within)
		cell |= reverse(it->within) << it->depth;
	return cell << WEFT_MAP_TAG_BITS_;
}

/* True once for each time that it was given before the entries were moved. */
static bool was_given(weft_map_iter *it, uint64_t hash)
{
	for (uint64_t bits = it->again; bits; bits &= bits - 1) {
		int i = __builtin_ctzll(bits);
		if (it->given[i] == hash) {
			it->again &= ~(UINT64_C(1) << i);
			return true;
		}
	}
	return false;
}

static void begin_leaf_again(weft_map_iter *it, const weft_map *m)
{
	it->rearranged = m->rearranged;
	it->step = it->slot = 0;
	it->again = (UINT64_C(1) << it->n) - 1;
}

/* The next entry of the leaf, from where the iterator stands; or NULL. */
static void *next_in_leaf(const weft_map *m, const struct weft_map_type *t, weft_map_iter *it)
{
	uint64_t leaf = leaf_hash(it), home = leaf >> WEFT_MAP_TAG_BITS_ & m->group_mask;
	struct weft_map_segment_ segment = weft_map_segment_at_(m, t, weft_map_segment_of_(m, t, leaf));
	for (; it->step <= m->group_mask; it->step++, it->slot = 0) {
		uint64_t group = (home + (uint64_t)it->step * (it->step + 1) / 2) & m->group_mask;
		for (; it->slot < GROUP_SLOTS; it->slot++) {
			unsigned slot = (it->slot + it->turn) % GROUP_SLOTS;
			if (!((unsigned char)segment.control[group * GROUP_SLOTS + slot] & WEFT_SLOT_TAKEN_))
				continue;
			char *lies_at = weft_map_slot_(segment, t, group, slot);
			uint64_t hash = hash_at(m, t, lies_at);
			if ((hash >> WEFT_MAP_TAG_BITS_ & m->group_mask) != home || was_given(it, hash))
				continue;
			if (it->n < WEFT_MAP_GIVEN_)
				it->given[it->n++] = hash;
			it->slot++;
			return weft_map_entry_(t, lies_at);
		}
		if (weft_group_empty_(weft_map_word_(segment, group)))
			return NULL;
	}
	return NULL;
}

/* To the next leaf of the cell, or the first of the next cell. What was given and is behind need not be remembered. */
static void next_leaf(const weft_map *m, const struct weft_map_type *t, weft_map_iter *it)
{
	uint64_t segment = weft_map_segment_of_(m, t, leaf_hash(it));
	uint64_t depth = m->depth + (segment < m->split || segment > m->mask);
	it->within = depth == it->depth ? 0 : it->within + (UINT64_C(1) << (64 - (depth - it->depth)));
	uint32_t n = 0;
	for (uint32_t i = 0; it->within && i < it->n; i++)
		if (within(it, it->given[i]) >= it->within)
			it->given[n++] = it->given[i];
	it->n = n;
	begin_leaf_again(it, m);
	if (it->within == 0 && ++it->cell >> it->depth)
		it->phase = WEFT_MAP_SPILLED_;
}

static void *next_spilled(const weft_map *m, const struct weft_map_type *t, weft_map_iter *it)
{
	for (struct weft_map_spilled *s = m->spilled; s; s = s->next) {
		if (s->number >= it->spilled)
			continue;
		it->spilled = s->number;
		return weft_map_entry_(t, s->slot);
	}
	it->phase = WEFT_MAP_DONE_;
	return NULL;
}

void *weft_map_next_(const weft_map *m, const struct weft_map_type *t, weft_map_iter *it)
{
	if (!m || it->phase == WEFT_MAP_DONE_)
		return NULL;
	if (weft_map_is_written_(m))
		weft_map_misused_("concurrent map iteration and map write");
	if (it->phase == WEFT_MAP_BEFORE_)
		iter_begin(it, m);
	while (it->phase == WEFT_MAP_CELLS_) {
		if (it->rearranged != m->rearranged)
			begin_leaf_again(it, m);
		void *entry = next_in_leaf(m, t, it);
		if (entry)
			return entry;
		next_leaf(m, t, it);
	}
	return next_spilled(m, t, it);
}
