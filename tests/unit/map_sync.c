#include "tests/random.h"
#include "tests/unit/go.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct large {
	int64_t n[5];
};

WEFT_MAP_SYNC_OF(int, int, ints);
WEFT_MAP_SYNC_OF(uint64_t, struct large, larges);

static struct large large_of(int64_t n)
{
	return (struct large){{n, n + 1, n + 2, n + 3, n + 4}};
}

static void check_large(const struct large *l, int64_t n)
{
	for (int i = 0; i < 5; i++)
		CHECK_EQ(l->n[i], n + i);
}

/* ---- one key and its value ---- */

TEST_GO(zeroed_memory_is_an_empty_map)
{
	ints m = {0};
	int value = 7;
	CHECK(!ints_load(&m, 1, &value) && value == 0);
	CHECK(!ints_load(&m, 1, NULL) && !ints_del(&m, 1) && ints_len(&m) == 0);
	value = 7;
	CHECK(!ints_load_and_delete(&m, 1, &value) && value == 0);
	CHECK(!ints_compare_and_swap(&m, 1, 0, 1) && !ints_compare_and_delete(&m, 1, 0));
	ints_clear(&m);
	ints_fini(&m);
	return 0;
}

TEST_GO(what_is_stored_is_loaded)
{
	ints m = {0};
	int value;
	for (int i = 0; i < 5; i++) {
		ints_store(&m, 3, i);
		CHECK(ints_load(&m, 3, &value) && value == i);
		CHECK_EQ(ints_len(&m), 1);
	}
	CHECK(ints_load(&m, 3, NULL) && !ints_load(&m, 4, &value) && value == 0);
	ints_fini(&m);
	return 0;
}

TEST_GO(load_or_store_keeps_what_is_there)
{
	ints m = {0};
	int value;
	CHECK(!ints_load_or_store(&m, 1, 5, &value) && value == 5);
	CHECK(ints_load_or_store(&m, 1, 6, &value) && value == 5);
	CHECK(ints_load_or_store(&m, 1, 6, NULL) && !ints_load_or_store(&m, 2, 0, NULL));
	CHECK(ints_load(&m, 2, &value) && value == 0);
	ints_fini(&m);
	return 0;
}

TEST_GO(swap_gives_the_previous_one)
{
	ints m = {0};
	int value = 9;
	CHECK(!ints_swap(&m, 1, 5, &value) && value == 0);
	CHECK(ints_swap(&m, 1, 6, &value) && value == 5);
	CHECK(ints_swap(&m, 1, 7, NULL) && ints_load(&m, 1, &value) && value == 7);
	ints_fini(&m);
	return 0;
}

TEST_GO(load_and_delete_gives_the_last_one)
{
	ints m = {0};
	int value = 9;
	ints_store(&m, 1, 5);
	CHECK(ints_load_and_delete(&m, 1, &value) && value == 5 && ints_len(&m) == 0);
	CHECK(!ints_load_and_delete(&m, 1, &value) && value == 0);
	ints_store(&m, 1, 6);
	CHECK(ints_del(&m, 1) && !ints_del(&m, 1) && !ints_load(&m, 1, NULL));
	ints_fini(&m);
	return 0;
}

TEST_GO(compare_and_swap_wants_the_old_one)
{
	ints m = {0};
	int value;
	ints_store(&m, 1, -5);
	CHECK(!ints_compare_and_swap(&m, 1, 5, 6) && !ints_compare_and_swap(&m, 2, 0, 6));
	CHECK(ints_compare_and_swap(&m, 1, -5, 6) && ints_load(&m, 1, &value) && value == 6);
	CHECK(ints_compare_and_swap(&m, 1, 6, 6) && ints_len(&m) == 1);
	ints_fini(&m);
	return 0;
}

TEST_GO(compare_and_delete_wants_the_old_one)
{
	ints m = {0};
	ints_store(&m, 1, 5);
	CHECK(!ints_compare_and_delete(&m, 1, 6) && !ints_compare_and_delete(&m, 2, 0) && ints_len(&m) == 1);
	CHECK(ints_compare_and_delete(&m, 1, 5) && !ints_compare_and_delete(&m, 1, 5) && ints_len(&m) == 0);
	ints_fini(&m);
	return 0;
}

TEST_GO(large_values_come_and_go_whole)
{
	larges m = {0};
	struct large value = large_of(1);
	CHECK(!larges_load(&m, 1, &value) && value.n[0] == 0 && value.n[4] == 0);
	larges_store(&m, 1, large_of(10));
	CHECK(larges_load(&m, 1, &value));
	check_large(&value, 10);
	CHECK(larges_swap(&m, 1, large_of(20), &value));
	check_large(&value, 10);
	CHECK(larges_load_or_store(&m, 1, large_of(30), &value));
	check_large(&value, 20);
	CHECK(!larges_load_or_store(&m, 2, large_of(30), &value));
	check_large(&value, 30);
	CHECK(!larges_swap(&m, 3, large_of(40), &value) && value.n[3] == 0);
	CHECK(larges_load_and_delete(&m, 1, &value) && larges_len(&m) == 2);
	check_large(&value, 20);
	CHECK(!larges_load_and_delete(&m, 1, &value) && value.n[0] == 0);
	CHECK(larges_swap(&m, 2, large_of(1), NULL) && larges_del(&m, 2));
	larges_fini(&m);
	return 0;
}

/* ---- kinds of keys and values ---- */

enum shade { LIGHT, DARK = 1000000 };
struct padded {
	char kind;
	int64_t id;
};

static uint64_t hash_padded(weft_seed seed, const struct padded *p)
{
	return weft_hash_u64(seed, weft_hash_u64(seed, (uint64_t)p->kind) ^ (uint64_t)p->id);
}

static bool same_padded(const struct padded *a, const struct padded *b)
{
	return a->kind == b->kind && a->id == b->id;
}

WEFT_MAP_SYNC_OF(bool, unsigned char, bools);
WEFT_MAP_SYNC_OF(signed char, short, chars);
WEFT_MAP_SYNC_OF(enum shade, enum shade, shades);
WEFT_MAP_SYNC_OF(const char *, const char *, pointers);
WEFT_MAP_SYNC_OF(int64_t, bool, longs);
WEFT_MAP_SYNC_BY(struct padded, double, padded_map, hash_padded, same_padded);
WEFT_MAP_SYNC_BY(struct padded, struct large, padded_larges, hash_padded, same_padded);

static struct padded with_padding(int fill, char kind, int64_t id)
{
	struct padded p;
	memset(&p, fill, sizeof p);
	p.kind = kind;
	p.id = id;
	return p;
}

TEST_GO(keys_and_values_are_any_scalar)
{
	static const char text[300];
	static bools b;
	static chars c;
	static shades s;
	static pointers p;
	static longs l;
	unsigned char byte;
	short number;
	enum shade shade;
	bool truth;
	for (int i = 0; i < 300; i++) {
		bools_store(&b, i & 1, (unsigned char)i);
		chars_store(&c, (signed char)i, (short)-i);
		shades_store(&s, i & 1 ? DARK : LIGHT, i & 2 ? DARK : LIGHT);
		pointers_store(&p, text + i, text + 2 * i % 300);
		longs_store(&l, (i - 150) * ((int64_t)1 << 50), i & 1);
	}
	CHECK(bools_len(&b) == 2 && bools_load(&b, true, &byte) && byte == (299 & 255));
	CHECK(chars_len(&c) == 256 && chars_load(&c, -1, &number) && number == -255);
	CHECK(chars_compare_and_swap(&c, -1, -255, -1) && chars_load(&c, -1, &number) && number == -1);
	CHECK(shades_load(&s, DARK, &shade) && shade == DARK && shades_compare_and_delete(&s, DARK, DARK));
	const char *found;
	CHECK(pointers_load(&p, text + 7, &found) && found == text + 14 && !pointers_load(&p, NULL, &found) && !found);
	CHECK(pointers_compare_and_swap(&p, text + 7, text + 14, NULL));
	CHECK(longs_len(&l) == 300 && longs_load(&l, -((int64_t)1 << 55), &truth) && !truth);
	bools_fini(&b), chars_fini(&c), shades_fini(&s), pointers_fini(&p), longs_fini(&l);
	return 0;
}

TEST_GO(keys_by_functions_of_ones_own)
{
	static padded_map m;
	static padded_larges l;
	double value;
	struct large big;
	for (int i = 0; i < 1000; i++) {
		padded_map_store(&m, with_padding(i, (char)(i & 3), i >> 2), i / 2.0);
		padded_larges_store(&l, with_padding(i, (char)(i & 3), i >> 2), large_of(i));
	}
	CHECK(padded_map_len(&m) == 1000 && padded_larges_len(&l) == 1000);
	for (int i = 0; i < 1000; i++) {
		CHECK(padded_map_load(&m, with_padding(~i, (char)(i & 3), i >> 2), &value) && value == i / 2.0);
		CHECK(padded_larges_load(&l, with_padding(~i, (char)(i & 3), i >> 2), &big));
		check_large(&big, i);
	}
	padded_map_fini(&m);
	padded_larges_fini(&l);
	return 0;
}

WEFT_MAP_SYNC_OF_STRING(int, strings);
WEFT_MAP_SYNC_OF_BYTES(struct large, bytes_map);

TEST_GO(strings_and_bytes_are_the_maps_own)
{
	static strings m;
	static bytes_map b;
	char key[600];
	int value;
	struct large big;
	for (int i = 0; i < 500; i++) {
		memset(key, 'a', sizeof key);
		snprintf(key + i, sizeof key - (size_t)i, "%d", i);
		strings_store(&m, key, i);
		key[i] = 0;
		bytes_map_store(&b, (weft_bytes){key, (size_t)i + 1}, large_of(i));
	}
	memset(key, 'z', sizeof key);
	for (int i = 0; i < 500; i++) {
		memset(key, 'a', sizeof key);
		snprintf(key + i, sizeof key - (size_t)i, "%d", i);
		CHECK(strings_load(&m, key, &value) && value == i);
		key[i] = 0;
		CHECK(bytes_map_load(&b, (weft_bytes){key, (size_t)i + 1}, &big));
		check_large(&big, i);
		CHECK(!bytes_map_load(&b, (weft_bytes){key, (size_t)i + 2}, NULL));
	}
	CHECK(!strings_load(&m, "", &value) && !strings_load_or_store(&m, "", 1, &value) && strings_del(&m, ""));
	CHECK(!bytes_map_load(&b, (weft_bytes){NULL, 0}, NULL) && !bytes_map_swap(&b, (weft_bytes){NULL, 0}, large_of(1), NULL));
	CHECK(bytes_map_swap(&b, (weft_bytes){NULL, 0}, large_of(2), &big));
	check_large(&big, 1);
	strings_fini(&m);
	bytes_map_fini(&b);
	return 0;
}

/* ---- many keys ---- */

enum { MANY = 100000 };

TEST_GO(it_grows_and_keeps_everything)
{
	static ints m;
	int n = (int)test_rounds(MANY), value;
	for (int i = 0; i < n; i++) {
		CHECK(!ints_load_or_store(&m, i, -i, NULL));
		CHECK(ints_load(&m, i / 2, &value) && value == -(i / 2));
	}
	CHECK_EQ(ints_len(&m), n);
	for (int i = 0; i < n; i++)
		CHECK(ints_load(&m, i, &value) && value == -i && !ints_load(&m, n + i, NULL));
	for (int i = 0; i < n; i += 2)
		CHECK(ints_del(&m, i));
	CHECK_EQ(ints_len(&m), n / 2);
	for (int i = 0; i < n; i++)
		CHECK_EQ(ints_load(&m, i, NULL), i & 1);
	ints_fini(&m);
	return 0;
}

static uint64_t hash_to_one(weft_seed seed, const int *key)
{
	(void)seed, (void)key;
	return 5;
}

static bool same_int(const int *a, const int *b)
{
	return *a == *b;
}

WEFT_MAP_SYNC_BY(int, int, alikes, hash_to_one, same_int);

static bool count_each(int key, int value, void *seen)
{
	CHECK_EQ(value, key + 1);
	CHECK(!((bool *)seen)[key]);
	((bool *)seen)[key] = true;
	return true;
}

TEST_GO(keys_with_one_hash_are_slow_and_right)
{
	static alikes m;
	enum { N = 300 };
	bool seen[N] = {false};
	int value;
	for (int i = 0; i < N; i++)
		alikes_store(&m, i, i + 1);
	CHECK_EQ(alikes_len(&m), N);
	alikes_range(&m, count_each, seen);
	for (int i = 0; i < N; i++)
		CHECK(seen[i] && alikes_load(&m, i, &value) && value == i + 1);
	for (int i = 0; i < N; i += 3)
		CHECK(alikes_del(&m, i) && !alikes_load(&m, i, NULL));
	CHECK(!alikes_load_or_store(&m, 0, 9, &value) && value == 9);
	alikes_fini(&m);
	return 0;
}

TEST_GO(a_cleared_map_is_empty_and_goes_on)
{
	static larges m;
	for (int round = 0; round < 5; round++) {
		CHECK_EQ(larges_len(&m), 0);
		for (uint64_t i = 0; i < 1000; i++)
			CHECK(!larges_load_or_store(&m, i, large_of((int64_t)i), NULL));
		CHECK_EQ(larges_len(&m), 1000);
		larges_clear(&m);
		CHECK(!larges_load(&m, 7, NULL) && !larges_del(&m, 8));
	}
	larges_fini(&m);
	larges_store(&m, 1, large_of(1));
	CHECK_EQ(larges_len(&m), 1);
	larges_fini(&m);
	return 0;
}

/* ---- range ---- */

struct walk {
	ints *m;
	bool seen[4000];
	int visits, stop_at;
};

static bool visit(int key, int value, void *walk)
{
	struct walk *w = walk;
	CHECK(key >= 0 && key < 4000 && value == -key && !w->seen[key]);
	w->seen[key] = true;
	return ++w->visits != w->stop_at;
}

TEST_GO(range_visits_each_once_until_it_is_told_to_stop)
{
	static ints m;
	static struct walk w;
	for (int i = 0; i < 2000; i++)
		ints_store(&m, i, -i);
	memset(&w, 0, sizeof w);
	ints_range(&m, visit, &w);
	CHECK_EQ(w.visits, 2000);
	memset(&w, 0, sizeof w);
	w.stop_at = 17;
	ints_range(&m, visit, &w);
	CHECK_EQ(w.visits, 17);
	ints_fini(&m);
	memset(&w, 0, sizeof w);
	ints_range(&m, visit, &w);
	CHECK_EQ(w.visits, 0);
	return 0;
}

/* Blocks, adds keys so that the map grows, and deletes those that are behind and before it. */
static bool visit_and_use(int key, int value, void *walk)
{
	struct walk *w = walk;
	CHECK(value == -key && !w->seen[key]);
	w->seen[key] = true;
	w->visits += key < 1000;
	if (key >= 1000)
		return true;
	ints_store(w->m, 1000 + key, -(1000 + key));
	ints_store(w->m, 2000 + key, -(2000 + key));
	ints_del(w->m, 3000 + key);
	if (key % 16 == 0)
		weft_yield();
	return true;
}

TEST_GO(range_may_use_the_map_and_block)
{
	static ints m;
	static struct walk w;
	memset(&w, 0, sizeof w);
	w.m = &m;
	for (int i = 0; i < 1000; i++) {
		ints_store(&m, i, -i);
		ints_store(&m, 3000 + i, -(3000 + i));
	}
	ints_range(&m, visit_and_use, &w);
	CHECK_EQ(w.visits, 1000);
	CHECK_EQ(ints_len(&m), 3000);
	ints_fini(&m);
	return 0;
}

static bool visit_and_clear(int key, int value, void *walk)
{
	struct walk *w = walk;
	(void)key, (void)value;
	ints_clear(w->m);
	for (int i = 0; i < 100; i++)
		ints_store(w->m, i, i);
	w->visits++;
	return true;
}

TEST_GO(range_ends_when_the_map_is_cleared)
{
	static ints m;
	static struct walk w;
	memset(&w, 0, sizeof w);
	w.m = &m;
	for (int i = 0; i < 100; i++)
		ints_store(&m, i, i);
	ints_range(&m, visit_and_clear, &w);
	CHECK_EQ(w.visits, 1);
	CHECK_EQ(ints_len(&m), 100);
	ints_fini(&m);
	return 0;
}

/* The key's bytes stay though it is deleted. */
static bool delete_and_look(const char *key, int value, void *map)
{
	char copy[600];
	snprintf(copy, sizeof copy, "%s", key);
	CHECK(strings_del(map, key));
	weft_yield();
	CHECK_EQ(strlen(key), (size_t)value);
	CHECK_STR(key, copy);
	return true;
}

TEST_GO(a_visited_key_lives_until_the_visit_is_over)
{
	static strings m;
	char key[600];
	for (int i = 1; i < 500; i++) {
		memset(key, 'k', sizeof key);
		key[i] = 0;
		strings_store(&m, key, i);
	}
	strings_range(&m, delete_and_look, &m);
	CHECK_EQ(strings_len(&m), 0);
	strings_fini(&m);
	return 0;
}

static bool panics(int key, int value, void *arg)
{
	(void)arg;
	weft_panic("visiting %d %d", key, value);
}

static void range_and_panic(void *m)
{
	alikes_range(m, panics, NULL);
}

TEST_GO(a_visit_may_panic)
{
	static alikes m;
	weft_panic_info info;
	int value;
	for (int i = 0; i < 10; i++)
		alikes_store(&m, i, i);
	CHECK_EQ(weft_protect(range_and_panic, &m, &info), 1);
	CHECK_STR(info.message, "visiting 9 9");
	CHECK(alikes_load(&m, 3, &value) && value == 3 && alikes_del(&m, 3));
	alikes_fini(&m);
	return 0;
}

/* ---- several goroutines, threads ---- */

enum { ADDERS = 8, EACH = 5000 };
static weft_waitgroup join;
static ints shared;

static void add_own(void *arg)
{
	int from = (int)(uintptr_t)arg * EACH;
	for (int i = from; i < from + EACH; i++)
		ints_store(&shared, i, -i);
	weft_waitgroup_done(&join);
}

TEST_GO(goroutines_add_keys_of_their_own)
{
	int value;
	weft_waitgroup_add(&join, ADDERS);
	for (uintptr_t i = 0; i < ADDERS; i++)
		weft_go(add_own, (void *)i);
	weft_waitgroup_wait(&join);
	CHECK_EQ(ints_len(&shared), ADDERS * EACH);
	for (int i = 0; i < ADDERS * EACH; i++)
		CHECK(ints_load(&shared, i, &value) && value == -i);
	ints_fini(&shared);
	return 0;
}

static void *thread_uses_it(void *arg)
{
	int value;
	for (int i = 0; i < 2000; i++) {
		ints_store(&shared, i, i);
		CHECK(ints_load(&shared, i, &value));
	}
	return arg;
}

static larges before_main;

static void *use_early(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < 100; i++) {
		larges_store(&before_main, i, large_of(1));
		larges_store(&before_main, i, large_of((int64_t)i));
	}
	return NULL;
}

static int go_on_with_it(void)
{
	use_early(NULL);
	weft_sleep(10 * WEFT_MS); /* grace periods, in which threads that are gone must not be waited for */
	use_early(NULL);
	CHECK_EQ(larges_len(&before_main), 100);
	larges_fini(&before_main);
	return 0;
}

/* Their memory goes with them. */
TEST(threads_may_use_it_before_the_runtime_starts_and_end)
{
	pthread_attr_t large_stack;
	pthread_attr_init(&large_stack);
	pthread_attr_setstacksize(&large_stack, (size_t)64 << 20);
	for (int i = 0; i < 4; i++) {
		pthread_t thread;
		CHECK_EQ(pthread_create(&thread, &large_stack, use_early, NULL), 0);
		pthread_join(thread, NULL);
	}
	use_early(NULL);
	CHECK_EQ(run_weft(2, go_on_with_it), 0);
}

TEST_GO(threads_outside_may_use_it)
{
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, thread_uses_it, NULL), 0);
	int value;
	for (int i = 0; i < 2000; i++) {
		ints_store(&shared, i, i);
		CHECK(ints_load(&shared, i, &value) && value == i);
		if (i % 100 == 0)
			weft_yield();
	}
	weft_block_begin();
	CHECK(ints_load(&shared, 1, &value) && value == 1);
	pthread_join(thread, NULL);
	weft_block_end();
	CHECK_EQ(ints_len(&shared), 2000);
	ints_fini(&shared);
	return 0;
}

/* ---- misuse ---- */

static int copied_too_late(void)
{
	ints m = {0}, early = m;
	ints_store(&early, 1, 1);
	ints_store(&m, 1, 2);
	ints copy = m;
	ints_store(&copy, 2, 2);
	return 0;
}

static void misused(void)
{
	run_weft(1, copied_too_late);
}

/* Whether a used one has been copied is looked at where assertions are on. */
TEST(one_may_be_copied_before_its_first_use_and_not_after)
{
#ifdef WEFT_ASSERT_DEBUG
	test_dies(misused, "panic: map copied after its first use\n");
#else
	misused();
#endif
}

/* ---- beside an array ---- */

enum { KEYS = 512 };

static int same_as_an_array(void)
{
	static ints m;
	static int value[KEYS];
	static bool there[KEYS];
	uint64_t random = random_seed();
	size_t len = 0;
	for (int64_t i = test_rounds(300000); i > 0; i--) {
		int k = (int)draw_below(&random, KEYS), v = (int)draw_below(&random, 4), old = (int)draw_below(&random, 4), found;
		bool was = there[k];
		switch (draw_below(&random, 8)) {
		case 0:
			CHECK(ints_load(&m, k, &found) == was && found == (was ? value[k] : 0));
			break;
		case 1:
			ints_store(&m, k, v);
			there[k] = true, value[k] = v;
			break;
		case 2:
			CHECK(ints_load_or_store(&m, k, v, &found) == was && found == (was ? value[k] : v));
			there[k] = true, value[k] = found;
			break;
		case 3:
			CHECK(ints_swap(&m, k, v, &found) == was && found == (was ? value[k] : 0));
			there[k] = true, value[k] = v;
			break;
		case 4:
			CHECK(ints_load_and_delete(&m, k, &found) == was && found == (was ? value[k] : 0));
			there[k] = false;
			break;
		case 5:
			CHECK_EQ(ints_compare_and_swap(&m, k, old, v), was && value[k] == old);
			if (was && value[k] == old)
				value[k] = v;
			break;
		case 6:
			CHECK_EQ(ints_compare_and_delete(&m, k, old), was && value[k] == old);
			there[k] = was && value[k] != old;
			break;
		default:
			CHECK_EQ(ints_del(&m, k), was);
			there[k] = false;
			if (draw_below(&random, 5000) == 0) {
				ints_clear(&m);
				memset(there, 0, sizeof there);
				len = 0;
				was = false;
			}
		}
		len += (size_t)there[k] - (size_t)was;
		CHECK_EQ(ints_len(&m), len);
	}
	ints_fini(&m);
	return 0;
}

TEST(random_operations_do_what_they_do_to_an_array)
{
	CHECK_EQ(run_weft(1, same_as_an_array), 0);
}

/* ---- the other language ---- */

const char *map_sync_cxx_check(void);

static int other_language(void)
{
	const char *wrong = map_sync_cxx_check();
	CHECK_STR(wrong ? wrong : "", "");
	return 0;
}

TEST(cxx_takes_it_as_well)
{
	CHECK_EQ(run_weft(1, other_language), 0);
}
