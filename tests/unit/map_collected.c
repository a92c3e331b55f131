/* Maps as places for collected pointers. */
#include "tests/random.h"
#include "tests/unit/collected.h"
#include "tests/unit/still.h"

#include <stdio.h>

static uint64_t state; /* of random numbers */

/* ---- kinds of maps ---- */

enum { ENTRIES = 2000, FEW = 300, GAP = 1000, WIDE = 40000, NEAR = 96 };

struct kind {
	const char *name;
	int entries; /* of a map with many */
	void (*make)(void);
	void (*put)(int, struct thing *);
	struct thing *(*get)(int);
	void (*del)(int);
	void (*end)(void);
};

struct near_value {
	char pad[NEAR];
	struct thing *thing;
};

struct far_value {
	char gap[GAP];
	struct thing *thing;
};

struct wide_value {
	char gap[WIDE];
	struct thing *thing;
};

struct pair {
	int64_t a, b;
};

static uint64_t hash_pair(weft_seed seed, const struct pair *p)
{
	return weft_hash_u64(seed, (uint64_t)p->a);
}

static uint64_t hash_all_the_same(weft_seed seed, const struct pair *p)
{
	(void)seed, (void)p;
	return 1;
}

static bool same_pair(const struct pair *a, const struct pair *b)
{
	return a->a == b->a && a->b == b->b;
}

WEFT_MAP_OF(int, struct thing *, simple);
WEFT_MAP_OF(int, struct near_value, near);
WEFT_MAP_OF(int, struct far_value, far);
WEFT_MAP_OF(int, struct wide_value, wide);
WEFT_MAP_OF_STRING(struct thing *, strings);
WEFT_MAP_OF_BYTES(struct far_value, bytes);
WEFT_MAP_BY(struct pair, struct thing *, pairs, hash_pair, same_pair);
WEFT_MAP_BY(struct pair, struct thing *, spilled, hash_all_the_same, same_pair);
WEFT_MAP_SYNC_OF(int, struct thing *, words);
WEFT_MAP_SYNC_OF(int, struct near_value, larger);
WEFT_MAP_SYNC_OF_STRING(struct thing *, named);
WEFT_MAP_SYNC_BY(struct pair, struct far_value, same, hash_all_the_same, same_pair);

enum { TEXT = 16 };

static const char *text(int i, char to[TEXT])
{
	snprintf(to, TEXT, "key %d", i);
	return to;
}

#define AS_INT(i)    (i)
#define AS_TEXT(i)   (text(i, (char[TEXT]){0}))
#define AS_BYTES(i)  ((weft_bytes){AS_TEXT(i), strlen(AS_TEXT(i))})
#define AS_PAIR(i)   ((struct pair){(i), -(i)})
#define OF_POINTER(t) (t)
#define POINTER_OF(v) (v)
#define OF_NEAR(t)   ((struct near_value){.thing = (t)})
#define OF_FAR(t)    ((struct far_value){.thing = (t)})
#define OF_WIDE(t)   ((struct wide_value){.thing = (t)})
#define THING_OF(v)  ((v).thing)

#define PLAIN_KIND(map, entries, value, key_of, value_of, thing_of)                \
	static map map##_it;                                                \
	static void map##_begin(void)                                       \
	{                                                                   \
		map##_it = map##_make(0);                                   \
	}                                                                   \
	static void map##_set(int i, struct thing *t)                       \
	{                                                                   \
		map##_put(map##_it, key_of(i), value_of(t));                \
	}                                                                   \
	static struct thing *map##_thing(int i)                             \
	{                                                                   \
		value v;                                                    \
		return map##_get(map##_it, key_of(i), &v) ? thing_of(v) : NULL; \
	}                                                                   \
	static void map##_drop(int i)                                       \
	{                                                                   \
		map##_del(map##_it, key_of(i));                             \
	}                                                                   \
	static void map##_end(void)                                         \
	{                                                                   \
		map##_free(map##_it);                                       \
	}                                                                   \
	static const struct kind kind_##map = {#map, entries, map##_begin, map##_set, map##_thing, map##_drop, map##_end}

#define SYNC_KIND(map, entries, value, key_of, value_of, thing_of)                  \
	static map map##_it;                                                 \
	static void map##_begin(void)                                        \
	{                                                                    \
	}                                                                    \
	static void map##_set(int i, struct thing *t)                        \
	{                                                                    \
		map##_store(&map##_it, key_of(i), value_of(t));              \
	}                                                                    \
	static struct thing *map##_thing(int i)                              \
	{                                                                    \
		value v;                                                     \
		return map##_load(&map##_it, key_of(i), &v) ? thing_of(v) : NULL; \
	}                                                                    \
	static void map##_drop(int i)                                        \
	{                                                                    \
		map##_del(&map##_it, key_of(i));                             \
	}                                                                    \
	static void map##_end(void)                                          \
	{                                                                    \
		map##_fini(&map##_it);                                       \
	}                                                                    \
	static const struct kind kind_##map = {#map, entries, map##_begin, map##_set, map##_thing, map##_drop, map##_end}

PLAIN_KIND(simple, ENTRIES, struct thing *, AS_INT, OF_POINTER, POINTER_OF);
PLAIN_KIND(near, ENTRIES, struct near_value, AS_INT, OF_NEAR, THING_OF);
PLAIN_KIND(far, ENTRIES, struct far_value, AS_INT, OF_FAR, THING_OF);
PLAIN_KIND(wide, FEW, struct wide_value, AS_INT, OF_WIDE, THING_OF);
PLAIN_KIND(strings, ENTRIES, struct thing *, AS_TEXT, OF_POINTER, POINTER_OF);
PLAIN_KIND(bytes, ENTRIES, struct far_value, AS_BYTES, OF_FAR, THING_OF);
PLAIN_KIND(pairs, ENTRIES, struct thing *, AS_PAIR, OF_POINTER, POINTER_OF);
PLAIN_KIND(spilled, 2 * ENTRIES, struct thing *, AS_PAIR, OF_POINTER, POINTER_OF);
SYNC_KIND(words, ENTRIES, struct thing *, AS_INT, OF_POINTER, POINTER_OF);
SYNC_KIND(larger, ENTRIES, struct near_value, AS_INT, OF_NEAR, THING_OF);
SYNC_KIND(named, ENTRIES, struct thing *, AS_TEXT, OF_POINTER, POINTER_OF);
SYNC_KIND(same, ENTRIES, struct far_value, AS_PAIR, OF_FAR, THING_OF);

/* The keys are what keeps. */
WEFT_SET_OF(struct thing *, set);
static set set_it;

static void set_begin(void)
{
	set_it = set_make(0);
}

static uintptr_t disguised[2 * ENTRIES];

static void set_set(int i, struct thing *t)
{
	if (disguised[i])
		set_del(set_it, (struct thing *)~disguised[i]);
	disguised[i] = t ? ~(uintptr_t)t : 0;
	if (t)
		set_add(set_it, t);
}

static struct thing *set_thing(int i)
{
	weft_map_iter it = {0};
	struct thing *t;
	while (set_next(set_it, &it, &t))
		if (~(uintptr_t)t == disguised[i])
			return t;
	return NULL;
}

static void set_drop(int i)
{
	set_set(i, NULL);
}

static void set_end(void)
{
	set_free(set_it);
	memset(disguised, 0, sizeof disguised);
}

static const struct kind kind_set = {"set", ENTRIES, set_begin, set_set, set_thing, set_drop, set_end};

static const struct kind *const kinds[] = {&kind_simple, &kind_near,  &kind_far,    &kind_wide,	 &kind_strings, &kind_bytes, &kind_pairs,
					   &kind_spilled, &kind_words, &kind_larger, &kind_named, &kind_same,    &kind_set};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- all of them ---- */

static __attribute__((noinline)) void put_all(const struct kind *k)
{
	for (int i = 0; i < WATCHED; i++)
		k->put(i, watch_new(i));
}

static __attribute__((noinline)) void overwrite_all(const struct kind *k)
{
	for (int i = 0; i < WATCHED; i++)
		k->put(i, NULL);
}

static __attribute__((noinline)) void delete_all(const struct kind *k)
{
	for (int i = 0; i < WATCHED; i++)
		k->del(i);
}

static __attribute__((noinline)) void check_all(const struct kind *k)
{
	for (int i = 0; i < WATCHED; i++)
		CHECK_EQ(k->get(i)->number, 1000 + i);
}

static void each_kind(void (*test)(const struct kind *))
{
	for (int i = 0; i < KINDS; i++) {
		printf("# %s\n", kinds[i]->name);
		kinds[i]->make();
		test(kinds[i]);
		kinds[i]->end();
		CHECK_MOSTLY_DEAD();
	}
}

/* ---- for how long ---- */

static void keep_and_let_go(const struct kind *k)
{
	put_all(k);
	CHECK_ALL_ALIVE();
	check_all(k);
	overwrite_all(k);
	CHECK_MOSTLY_DEAD();
	put_all(k);
	CHECK_ALL_ALIVE();
	delete_all(k);
	CHECK_MOSTLY_DEAD();
	put_all(k);
	CHECK_ALL_ALIVE();
}

TEST_GO(an_entry_keeps_until_it_is_overwritten_deleted_or_the_map_freed)
{
	each_kind(keep_and_let_go);
	return 0;
}

static void among_many(const struct kind *k)
{
	for (int i = WATCHED; i < k->entries; i++)
		k->put(i, NULL);
	put_all(k);
	CHECK_ALL_ALIVE();
	check_all(k);
}

TEST_GO(entries_keep_in_a_map_that_has_grown)
{
	each_kind(among_many);
	return 0;
}

WEFT_MAP_OF_LEAF(int, struct thing *, leaf);
WEFT_MAP_SYNC_OF_LEAF(int, struct thing *, leaf_words);
WEFT_MAP_OF(uint64_t, double, numbers);
WEFT_MAP_OF(bool, enum weft_op, choices);
WEFT_SET_OF(uint32_t, ids);
WEFT_MAP_OF_STRING(int64_t, counts);
WEFT_MAP_OF_STRING_LEAF(struct thing *, leaf_strings);
WEFT_MAP_SYNC_OF(uint64_t, uint64_t, sync_numbers);
PLAIN_KIND(leaf, ENTRIES, struct thing *, AS_INT, OF_POINTER, POINTER_OF);
SYNC_KIND(leaf_words, ENTRIES, struct thing *, AS_INT, OF_POINTER, POINTER_OF);

TEST_GO(leaf_maps_keep_nothing)
{
	const struct kind *const leaves[] = {&kind_leaf, &kind_leaf_words};
	for (int i = 0; i < 2; i++) {
		leaves[i]->make();
		put_all(leaves[i]);
		CHECK_MOSTLY_DEAD();
		leaves[i]->end();
	}
	return 0;
}

TEST(maps_of_numbers_are_not_looked_at)
{
	const struct weft_map_type *const not[] = {&numbers_type_, &choices_type_, &ids_type_, &counts_type_, &leaf_strings_type_, &sync_numbers_type_,
						   &leaf_type_, &leaf_words_type_};
	for (size_t i = 0; i < sizeof not / sizeof not[0]; i++)
		CHECK(!(not[i]->flags & WEFT_MAP_TRACED_));
	CHECK(simple_type_.flags & WEFT_MAP_TRACED_ && set_type_.flags & WEFT_MAP_TRACED_ && strings_type_.flags & WEFT_MAP_TRACED_);
}

/* ---- while the collector marks ---- */

/* Only the caller's stack, which has been looked at, has what is read; then it goes from the map. */
static __attribute__((noinline)) void read_and(const struct kind *k, void (*lose)(const struct kind *))
{
	struct thing *read[WATCHED];
	stand_still();
	for (int i = 0; i < WATCHED; i++)
		read[i] = k->get(i);
	lose(k);
	go_on();
	use_memory_again();
	for (int i = 0; i < WATCHED; i++)
		CHECK_EQ(read[i]->number, 1000 + i);
	CHECK_EQ(alive(), WATCHED);
	memset(read, 0, sizeof read);
	weft_keep_alive(read);
}

static void free_it(const struct kind *k)
{
	k->end();
	k->make();
}

static void read_then_gone(const struct kind *k)
{
	static void (*const ways[])(const struct kind *) = {overwrite_all, delete_all, free_it};
	for (int i = 0; i < 3; i++) {
		put_all(k);
		read_and(k, ways[i]);
		CHECK_MOSTLY_DEAD();
	}
}

TEST_GO(what_was_read_lives_though_it_goes_from_the_map_while_the_collector_marks)
{
	each_kind(read_then_gone);
	return 0;
}

static void clear_words(const struct kind *k)
{
	(void)k;
	words_clear(&words_it);
	for (int i = 0; i < 100; i++)
		weft_sleep(100000); /* a grace period, mostly */
}

TEST_GO(what_was_loaded_lives_though_the_map_is_cleared_while_the_collector_marks)
{
	put_all(&kind_words);
	read_and(&kind_words, clear_words);
	for (int i = 0; alive_after_gc() > STRAY; i++) { /* a longer one */
		CHECK(i < 1000);
		weft_sleep(WEFT_MS);
	}
	return 0;
}

/* A value that nobody has is put where everything has been looked at: if it is not shaded, it goes. */
static __attribute__((noinline)) void hide_all(uintptr_t hidden[])
{
	for (int i = 0; i < WATCHED; i++)
		hidden[i] = ~(uintptr_t)watch_new(i);
}

static void put_late(const struct kind *k)
{
	uintptr_t hidden[WATCHED];
	for (int grown = 0; grown < 2; grown++) {
		hide_all(hidden);
		stand_still();
		while (look())
			;
		for (int i = 0; i < WATCHED; i++)
			k->put(i, (struct thing *)~hidden[i]);
		go_on();
		use_memory_again();
		CHECK_EQ(alive(), WATCHED);
		check_all(k);
		overwrite_all(k);
		CHECK_MOSTLY_DEAD();
	}
}

TEST_GO(what_is_put_is_shaded_while_the_collector_marks)
{
	each_kind(put_late);
	return 0;
}

struct look_span {
	int from, to;
};

/* Those of a look through everything that are about the map. */
static struct look_span steps_in_map(void)
{
	struct look_span s = {0, 0};
	uint64_t before = 0;
	stand_still();
	for (int i = 1; look(); i++, before = load_rlx(&collector.xroots)) {
		if (load_rlx(&collector.xroots) - before < 4096)
			continue;
		s.from = s.from ? s.from : i;
		s.to = i;
	}
	go_on();
	return s;
}

enum { ONCE = 100000, STEPS_AT_LEAST = 100 };
static words emptied;
static int visits;

static bool visit(int key, struct thing *t, void *unused)
{
	(void)unused;
	CHECK(key == ONCE && t);
	visits++;
	return true;
}

/* Its buckets are all that is left of them. */
TEST_GO(a_map_that_has_been_emptied_is_looked_at_in_steps)
{
	for (int i = 0; i < ONCE; i++)
		words_store(&emptied, i, NULL);
	for (int i = 0; i < ONCE; i++)
		words_del(&emptied, i);
	struct look_span s = steps_in_map();
	CHECK(s.to - s.from >= STEPS_AT_LEAST);
	words_range(&emptied, visit, NULL);
	CHECK_EQ(visits, 0);
	words_store(&emptied, ONCE, weft_new(thing));
	weft_gc();
	words_range(&emptied, visit, NULL);
	CHECK_EQ(visits, 1);
	words_clear(&emptied);
	return 0;
}

/* The look stands somewhere in the map, which is then changed so that entries move. */
static void change_in_the_midst(const struct kind *k)
{
	int rounds = test_is_slow() ? 20 : 60;
	for (int round = 0; round < rounds; round++) {
		int n = round % 2 ? k->entries / 6 : k->entries / 2;
		k->end();
		k->make();
		for (int i = WATCHED; i < n; i++)
			k->put(i, NULL);
		put_all(k);
		struct look_span s = steps_in_map();
		int stop = s.from + (int)draw_below(&state, (uint64_t)(s.to - s.from + 1));
		stand_still();
		for (int i = 0; i < stop; i++)
			look();
		for (int i = WATCHED; i < n && round % 4 == 2; i++) /* among them those that would be looked at next */
			k->del(i);
		for (int i = n; i < 2 * n; i++) { /* places wear, and are made anew */
			k->put(i, NULL);
			if (round % 3 == 0)
				k->del(i - (int)draw_below(&state, 9));
		}
		go_on();
		use_memory_again();
		CHECK_EQ(alive(), WATCHED);
		check_all(k);
		delete_all(k);
	}
	CHECK_MOSTLY_DEAD();
}

TEST_GO(entries_that_move_while_the_collector_marks_are_kept)
{
	state = random_seed();
	each_kind(change_in_the_midst);
	return 0;
}

static __attribute__((noinline)) void iterate_and_delete(void)
{
	struct thing *read[WATCHED];
	weft_map_iter it = {0};
	struct pair key;
	int n = 0;
	stand_still();
	while (pairs_next(pairs_it, &it, &key, &read[n])) {
		pairs_drop((int)key.a);
		n++;
	}
	CHECK_EQ(n, WATCHED);
	go_on();
	use_memory_again();
	CHECK_EQ(alive(), WATCHED);
	memset(read, 0, sizeof read);
	weft_keep_alive(read);
}

TEST_GO(what_an_iterator_gives_lives_though_it_goes_from_the_map)
{
	pairs_begin();
	put_all(&kind_pairs);
	iterate_and_delete();
	CHECK_MOSTLY_DEAD();
	pairs_end();
	return 0;
}

static __attribute__((noinline)) void set_all_in_place(void)
{
	for (int i = 0; i < WATCHED; i++)
		weft_set(&far_at(far_it, i)->thing, watch_new(i));
}

TEST_GO(a_value_may_be_stored_where_it_lies)
{
	far_begin();
	put_all(&kind_far);
	set_all_in_place();
	CHECK_ALL_ALIVE();
	check_all(&kind_far);
	far_end();
	CHECK_MOSTLY_DEAD();
	return 0;
}

/* ---- a range's copies ---- */

static int visited;

/* Of entries with the same hash all are copied before the first is visited. */
static bool visit_and_collect(struct pair key, struct far_value value, void *arg)
{
	(void)arg;
	if (visited++ == 0) {
		delete_all(&kind_same);
		clean_stack();
		weft_gc();
		use_memory_again();
	}
	CHECK_EQ(value.thing->number, 1000 + key.a);
	return true;
}

TEST_GO(a_range_keeps_what_it_has_copied)
{
	visited = 0;
	put_all(&kind_same);
	same_range(&same_it, visit_and_collect, NULL);
	CHECK_EQ(visited, WATCHED);
	CHECK_MOSTLY_DEAD();
	same_end();
	return 0;
}

static bool visit_while_marking(struct pair key, struct far_value value, void *arg)
{
	struct thing **read = arg;
	if (visited++ == 0) {
		delete_all(&kind_same);
		clean_stack();
		weft_gc(); /* only the copies have them, and the marks are those of the next cycle */
		stand_still();
	}
	read[key.a] = value.thing;
	return true;
}

static __attribute__((noinline)) void range_while_marking(void)
{
	struct thing *read[WATCHED];
	same_range(&same_it, visit_while_marking, read);
	go_on();
	use_memory_again();
	for (int i = 0; i < WATCHED; i++)
		CHECK_EQ(read[i]->number, 1000 + i);
	memset(read, 0, sizeof read);
	weft_keep_alive(read);
}

TEST_GO(what_a_range_has_given_lives_though_its_copy_goes)
{
	visited = 0;
	put_all(&kind_same);
	range_while_marking();
	CHECK_MOSTLY_DEAD();
	same_end();
	return 0;
}

/* ---- all of it at once ---- */

struct node {
	struct node *next;
	uint64_t number, check;
};
WEFT_TYPE(node, struct node, next);

struct held {
	struct node *node;
	char pad[200];
};

WEFT_MAP_OF(uint32_t, struct node *, nodes);
WEFT_MAP_OF_STRING(struct held, held_nodes);
WEFT_MAP_SYNC_OF(uint32_t, struct node *, shared_nodes);

enum { WORKERS = 4, KEYS = 3000 };

static shared_nodes shared;
static weft_waitgroup working;

static struct node *node_new(uint32_t key, struct node *next)
{
	struct node *n = weft_new(node);
	n->number = key;
	n->check = ~(uint64_t)key;
	n->next = next && next->number % 8 ? next : NULL; /* short lists */
	return n;
}

/* What was freed and is used again has another key. */
static void check_node(const struct node *n, uint32_t key)
{
	CHECK(!n || n->number == key);
	for (; n; n = n->next)
		CHECK(n->check == ~n->number);
}

static bool enough_cycles(void)
{
	return load_acq(&collector.xended) >= 3;
}

static void work(void *arg)
{
	uint64_t random = state + (uintptr_t)arg;
	nodes mine = nodes_make(0);
	held_nodes named_mine = held_nodes_make(0);
	struct node *last = NULL;
	uint32_t last_key = 0;
	for (int64_t round = test_rounds(20000); round > 0 || !enough_cycles(); round--) {
		uint32_t key = (uint32_t)draw_below(&random, KEYS);
		struct node *n = NULL;
		struct held h;
		switch (draw_below(&random, 8)) {
		case 0:
			nodes_put(mine, key, node_new(key, last));
			break;
		case 1:
			nodes_get(mine, key, &n);
			nodes_del(mine, key);
			break;
		case 2:
			held_nodes_put(named_mine, AS_TEXT((int)key), (struct held){.node = node_new(key, last)});
			break;
		case 3:
			held_nodes_get(named_mine, AS_TEXT((int)key), &h);
			n = h.node;
			held_nodes_del(named_mine, AS_TEXT((int)key));
			break;
		case 4:
			shared_nodes_swap(&shared, key, node_new(key, last), &n);
			break;
		case 5:
			shared_nodes_load_and_delete(&shared, key, &n);
			break;
		case 6:
			shared_nodes_load(&shared, key, &n);
			break;
		default:
			nodes_get(mine, key, &n);
		}
		check_node(n, key);
		check_node(last, last_key);
		last = n;
		last_key = key;
		if (round % 5000 == 0) {
			nodes_free(mine);
			mine = nodes_make(0);
		}
		if (round % 7000 == 0)
			shared_nodes_clear(&shared);
	}
	nodes_free(mine);
	held_nodes_free(named_mine);
	weft_waitgroup_done(&working);
}

static int work_under_stress(void)
{
	weft_waitgroup_add(&working, WORKERS);
	for (uintptr_t i = 0; i < WORKERS; i++)
		weft_go(work, (void *)i);
	weft_waitgroup_wait(&working);
	shared_nodes_fini(&shared);
	return 0;
}

TEST(goroutines_with_maps_of_their_own_and_one_of_all_while_cycles_follow_each_other)
{
	state = random_seed();
	setenv("WEFT_DEBUG", "gcstress=100", 1);
	CHECK_EQ(run_weft(2, work_under_stress), 0);
}
