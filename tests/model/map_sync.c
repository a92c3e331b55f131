/* The concurrent map (runtime/map_sync.c), the same source, beginning with one bucket: two or three goroutines load, store, swap, compare,
 * delete and clear, while the map grows by every insertion, or does not.
 *
 * What must hold: for each key, the calls' results are those of one order of them all, in which none comes before one that had
 * ended, as far as it could know; who sees a value, or that a key has gone, stands after whoever brought that about; what is
 * retired is retired once, and is not touched after a grace period; in the end the list is sorted, each bucket is where its
 * mark is, and nobody holds one.
 */
#include "tests/model/goroutine.h"
#include "tests/model/scenarios.h"

#include "tests/model/collect.h"
#include "tests/test.h"

#include <string.h>

#include <weft/map_sync.h>

#define WEFT_TSAN 0

/* Of the model's own, since it has grace periods to tell. */
#define call_begin()  true
#define call_end(how) ((void)(how))

#include "lockfree/assert.h"
#undef assert_debug
#define assert_debug(e) ((e) ? (void)0 : explorer_abandon(#e))

#define MAP_SYNC_DEPTH 0
#include "runtime/map_sync.c"

#include MODEL_EDGES

/* ---- memory ---- */

enum { ARENA = 1 << 14, LINE = 128 };

static struct {
	_Alignas(LINE) char bytes[ARENA];
	size_t used;
} arena;

void *weft_malloc(size_t size)
{
	char *p = arena.bytes + arena.used;
	arena.used += (size + LINE - 1) / LINE * LINE;
	CHECK(arena.used <= ARENA);
	return p;
}

void *weft_calloc(size_t n, size_t size)
{
	return weft_malloc(n * size); /* each piece is used once */
}

void *weft_aligned_alloc(size_t align, size_t size)
{
	CHECK(align <= LINE);
	return weft_malloc(size);
}

void weft_free(void *p)
{
	(void)p;
}

weft_seed weft_seed_make(void)
{
	return (weft_seed){0, 1};
}

/* ---- grace periods ---- */

enum { RETIRED = 8 };

static struct {
	struct epoch_entry *entry;
	void *memory;
	size_t size;
	unsigned waits_for; /* threads that have not been at a quiet point since */
	bool reclaimed;
} retired[RETIRED];
static int nretired, threads;
static _Atomic uint64_t grace;

void retire(struct epoch_entry *entry, void (*reclaim)(struct epoch_entry *))
{
	bool node = reclaim == reclaim_node;
	void *memory = (char *)entry - (node ? offsetof(struct node, retired) : offsetof(struct table, retired));
	explorer_check(node ? ((struct node *)memory)->hash != 0 : ((struct table *)memory)->count.shards == MAX_PS + 1,
		       "who retires knows what");
	for (int i = 0; i < nretired; i++)
		explorer_check(retired[i].entry != entry, "what is retired is retired once");
	entry->reclaim = reclaim;
	retired[nretired].entry = entry;
	retired[nretired].memory = memory;
	retired[nretired].size = node ? sizeof(struct node) : sizeof(struct table);
	retired[nretired].waits_for = (1u << threads) - 1;
	retired[nretired++].reclaimed = false;
}

/* The thread looks at nothing, and stands after all that were at one before. */
static void quiet(int which)
{
	if (nretired == 0)
		return;
	(void)add_acqrel(&grace, 1);
	for (int i = 0; i < nretired; i++) {
		retired[i].waits_for &= ~(1u << which);
		if (retired[i].waits_for == 0 && !retired[i].reclaimed) {
			retired[i].reclaimed = true;
			explorer_vanish(retired[i].memory, retired[i].size);
		}
	}
}

/* ---- the map ---- */

enum { KEYS = 4, MANY = 100 }; /* entries that are counted, or missed, so that a map grows or does not */

struct value {
	uint64_t id, again;
};

static uint64_t spread(weft_seed seed, const void *key)
{
	(void)seed;
	return *(const uint64_t *)key << 62 | UINT64_C(1) << 60;
}

static bool is_key(const void *key, const void *entry)
{
	return *(const uint64_t *)key == *(const uint64_t *)entry;
}

static const struct weft_map_type small = {.key_size = 8,
					   .value_at = 8,
					   .value_size = 8,
					   .entry_size = 16,
					   .flags = WEFT_MAP_WORD_VALUE_,
					   .hash = spread,
					   .equal = is_key};
static const struct weft_map_type big = {
    .key_size = 8, .value_at = 8, .value_size = 16, .entry_size = 24, .hash = spread, .equal = is_key};

static weft_map_sync map;

/* Each thread's script, two characters a call: what, and the key. l loads, o loads or stores, s stores, x swaps, d loads and deletes, c
 * compares with the first value and swaps, e compares with it and deletes; kk clears, .. is a quiet point. */
static const struct scenario {
	const char *script[3];
	const char *there; /* keys at first */
	enum { NO_TABLE, STAYS, GROWS } how;
	int depth; /* at first; all buckets have begun */
	bool large;
	int preemptions, stale_reads;
} scenarios[] =
    {
	{{"s1l2", "s2l1", ""}, "", NO_TABLE, 0, false, 2, 1},
	{{"o1", "o1", ""}, "", NO_TABLE, 0, false, 3, 1},
	{{"s1", "l1", ""}, "", NO_TABLE, 0, true, 3, 1},
	{{"s1", "kk", ""}, "", NO_TABLE, 0, false, 3, 1},
	{{"s1", "l1l1", ""}, "0", STAYS, 0, false, 3, 1},
	{{"s1", "s2", "l1l2"}, "3", STAYS, 0, false, 2, 1},
	{{"s1", "o1", "l1"}, "", STAYS, 0, false, 2, 1},
	{{"s1", "l1x1", ""}, "1", STAYS, 0, false, 3, 1},
	{{"s1", "x1", "l1l1"}, "1", STAYS, 0, false, 2, 1},
	{{"x1", "x1", "l1"}, "01", STAYS, 0, true, 2, 1},
	{{"x1", "l2", "l1"}, "12", STAYS, 0, true, 2, 1},
	{{"c1", "c1", "l1"}, "1", STAYS, 0, false, 2, 1},
	{{"e1", "c1", "l1"}, "1", STAYS, 0, false, 2, 1},
	{{"d1", "s1", "l1"}, "01", STAYS, 0, false, 2, 1},
	{{"d1..", "l1..l2..", ""}, "012", STAYS, 0, false, 3, 1},
	{{"d1..", "d2..", "l2..l3.."}, "123", STAYS, 0, false, 2, 1},
	{{"x1..", "d2..", "l3..l2.."}, "123", STAYS, 0, true, 2, 0},
	{{"d1o1", "o1l1", ""}, "1", STAYS, 0, false, 3, 1},
	{{"s1s2", "l1l2", ""}, "", GROWS, 0, false, 3, 1},
	{{"s2s1", "s3l3", ""}, "0", GROWS, 1, false, 2, 1}, /* a bucket begins beside a store that ends */
	{{"s1s2", "l3l2", ""}, "3", GROWS, 0, false, 3, 1},
	{{"s0s1", "s2s3", ""}, "", GROWS, 0, false, 2, 1},
	{{"s2", "s3", "l3"}, "0", GROWS, 1, false, 2, 1},
	{{"s2", "d3..", "l3.."}, "03", GROWS, 1, false, 2, 0},
	{{"s1", "d2..", "l1..l3.."}, "23", GROWS, 0, false, 2, 0},
	{{"s3", "l2", "s1"}, "2", GROWS, 1, false, 2, 1},
	{{"s0", "s3", "l3"}, "", STAYS, 2, false, 2, 1},
	{{"kk", "l1s1", ""}, "1", STAYS, 0, false, 3, 1},
	{{"kk", "s1l1", ""}, "1", STAYS, 0, false, 3, 1},
	{{"kk..", "l1..", "s1.."}, "1", STAYS, 0, false, 2, 0},
	{{"kk..", "kk..", "s1.."}, "1", STAYS, 0, false, 2, 0},
	{{"kk", "d1", ""}, "1", STAYS, 0, false, 3, 1},
},
  *scenario;

/* ---- what was done ---- */

enum { CALLS = 12 };

static struct call {
	char what;
	uint64_t key, value; /* it stores */
	bool found;	     /* what it says */
	uint64_t saw;	     /* the value that it gives; 0: none */
	int thread;
	uint32_t began, ended; /* steps; 0: not yet */
	unsigned after;	       /* calls that had ended, as far as it could know */
} call[CALLS];
static int calls;

static uint64_t first_value(uint64_t key)
{
	return 100 + key;
}

static void put_in(const struct weft_map_type *type, uint64_t key)
{
	struct table *t = table_of(inside(&map));
	struct value v = {first_value(key), first_value(key)};
	struct place p;
	uint64_t hash = hash_of(t, type, &key);
	struct node *n = node_make(type, &key, hash, &v);
	take_for(t, type, &key, hash, &p);
	store_rlx(&n->link, p.link);
	relink(&p, (uintptr_t)n);
	leave(&p);
}

static const struct weft_map_type *type_now(void)
{
	return scenario->large ? &big : &small;
}

static void start_table(void)
{
	struct table *t = table_make(inside(&map), type_now());
	for (int i = 0; i < scenario->depth; i++) {
		uint64_t all = buckets(load_rlx(&t->mask));
		grow(t, load_rlx(&t->mask));
		begin_some(t, all, 2 * all);
	}
	for (const char *k = scenario->there; *k; k++)
		put_in(type_now(), (uint64_t)(*k - '0'));
	counter_add(&t->count, 0, scenario->how == GROWS ? (uint64_t)MANY : -(uint64_t)MANY);
	explorer_private(&t->self, sizeof t->self);
	explorer_private(&t->shard, 3 * sizeof t->shard[0]);
}

static void start(void)
{
	memset(&arena, 0, sizeof arena);
	memset(&map, 0, sizeof map);
	memset(call, 0, sizeof call);
	calls = nretired = 0;
	threads = scripts(scenario->script);
	goroutines_start();
	for (unsigned i = 0; i < 4; i++)
		model_m[i].p.index = MAX_PS; /* its insertions are counted where the explorer sees it */
	explorer_watch(arena.bytes, ARENA);
	if (scenario->how != NO_TABLE)
		start_table();
}

/* ---- calling ---- */

/* Whoever brought about what the call has seen. */
static void check_order(const struct call *c)
{
	bool goes = false, seen = false;
	if (c->saw) {
		for (int i = 0; i < calls; i++)
			explorer_check(call[i].value != c->saw || call[i].thread == c->thread ||
					   explorer_has_seen(call[i].thread, call[i].began),
				       "what happened before a store has happened for who sees it");
		return;
	}
	if (c->found || c->what == 's' || !strchr(scenario->there, (int)('0' + c->key)))
		return;
	for (int i = 0; i < calls; i++) {
		if (!strchr("dek", call[i].what) || (call[i].what != 'k' && call[i].key != c->key))
			continue;
		goes = true;
		seen |= call[i].thread == c->thread || explorer_has_seen(call[i].thread, call[i].began);
	}
	if (strchr("lodx", c->what))
		explorer_check(goes && seen, "and what before a deletion, for who sees that it is gone");
}

static void do_it(struct call *c)
{
	const struct weft_map_type *type = type_now();
	struct value v = {c->value, c->value}, out = {0, 0};
	uint64_t first = first_value(c->key);
	switch (c->what) {
	case 'l':
		c->found = weft_map_sync_load_(&map, type, &c->key, &out);
		break;
	case 's':
		weft_map_sync_swap_(&map, type, &c->key, &v, NULL);
		break;
	case 'x':
		c->found = weft_map_sync_swap_(&map, type, &c->key, &v, &out);
		break;
	case 'o':
		c->found = weft_map_sync_load_or_store_(&map, type, &c->key, &v, &out);
		break;
	case 'd':
		c->found = weft_map_sync_load_and_delete_(&map, type, &c->key, &out);
		break;
	case 'c':
		c->found = weft_map_sync_compare_and_swap_(&map, type, &c->key, first, c->value);
		break;
	case 'e':
		c->found = weft_map_sync_compare_and_delete_(&map, type, &c->key, first);
		break;
	case 'k':
		weft_map_sync_clear_(&map);
		break;
	}
	if (c->found && strchr("lxod", c->what)) {
		c->saw = out.id;
		explorer_check(!scenario->large || out.id == out.again, "a value is whole");
	}
}

static void thread(int which)
{
	for (const char *s = scenario->script[which]; *s; s += 2) {
		if (*s == '.') {
			quiet(which);
			continue;
		}
		struct call *c = &call[calls];
		*c = (struct call){.what = *s, .key = (uint64_t)(s[1] - '0'), .thread = which, .began = explorer_step() + 1};
		c->value = strchr("sxoc", *s) ? (uint64_t)++calls : (uint64_t)(0 * ++calls);
		for (int i = 0; i < calls - 1; i++)
			if (call[i].ended && (call[i].thread == which || explorer_has_seen(call[i].thread, call[i].ended)))
				c->after |= 1u << i;
		do_it(c);
		c->ended = explorer_step();
		check_order(c);
	}
}

/* ---- one order of the calls on a key ---- */

/* What the call says where the key has this value (0: none), and what it leaves; false: it says something else. */
static bool fits(const struct call *c, uint64_t *value)
{
	uint64_t was = *value, first = first_value(c->key);
	switch (c->what) {
	case 'l':
		return c->saw == was;
	case 's':
		*value = c->value;
		return true;
	case 'x':
		*value = c->value;
		return c->saw == was;
	case 'o':
		if (!was)
			*value = c->value;
		return c->saw == was;
	case 'd':
		*value = 0;
		return c->saw == was;
	case 'c':
		if (was == first)
			*value = c->value;
		return c->found == (was == first);
	case 'e':
		if (was == first)
			*value = 0;
		return c->found == (was == first);
	default:
		*value = 0;
		return true;
	}
}

static bool has_order(uint64_t key, unsigned left, uint64_t value)
{
	if (!left)
		return true;
	for (int i = 0; i < calls; i++) {
		uint64_t then = value;
		if (left & 1u << i && !(call[i].after & left) && fits(&call[i], &then) && has_order(key, left & ~(1u << i), then))
			return true;
	}
	return false;
}

static void check_key(uint64_t key)
{
	unsigned on_key = 0;
	for (int i = 0; i < calls; i++)
		if (call[i].what == 'k' || call[i].key == key)
			on_key |= 1u << i;
	explorer_check(has_order(key, on_key, strchr(scenario->there, (int)('0' + key)) ? first_value(key) : 0),
		       "the calls on a key have an order");
}

static void check_list(struct table *t)
{
	uint64_t link = load_rlx(&t->first[0]), before = 0;
	for (int n = 0; link != END; n++) {
		struct node *node = is_mark(link) ? NULL : node_at(link);
		uint64_t hash = node ? node->hash : key_of_mark(link);
		if (n > 16 || hash < before || link & GUARD) {
			explorer_check(false, "the list is sorted, and nobody holds a bucket");
			return;
		}
		before = hash;
		link = load_rlx(node ? &node->link : bucket_at(t, hash));
		explorer_check(link != 0, "a bucket whose mark is there has begun");
	}
}

static void end(void)
{
	struct table *t = load_rlx(&inside(&map)->table);
	if (t)
		check_list(t);
	for (uint64_t key = 0; key < KEYS; key++)
		check_key(key);
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {scripts(scenario->script), start, thread, end, scenario->preemptions,
					     scenario->stale_reads,	NULL,  false};
		const char *broken = explore_scripts(scenario->script, p, m);
		if (broken)
			return broken;
	}
	return NULL;
}

TEST(the_concurrent_map_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}
