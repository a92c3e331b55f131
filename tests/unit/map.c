#include "alloc/os.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

WEFT_MAP_OF(int, int, ints);
WEFT_MAP_OF(uint64_t, uint64_t, words);

/* ---- one key and its value ---- */

TEST(absent_values_are_zeroed)
{
	ints m = ints_make(0);
	int value = 7;
	CHECK(!ints_get(m, 1, &value) && value == 0);
	CHECK(!ints_get(m, 1, NULL) && !ints_at(m, 1) && !ints_del(m, 1));
	ints_put(m, 1, 5);
	CHECK(ints_get(m, 1, &value) && value == 5);
	CHECK(ints_get(m, 1, NULL));
	CHECK(!ints_get(m, 2, &value) && value == 0);
	ints_free(m);
}

TEST(a_put_replaces)
{
	ints m = ints_make(0);
	for (int i = 0; i < 10; i++) {
		ints_put(m, 3, i);
		CHECK_EQ(ints_len(m), 1);
		CHECK_EQ(*ints_at(m, 3), i);
	}
	*ints_at(m, 3) += 100;
	int value;
	CHECK(ints_get(m, 3, &value) && value == 109);
	ints_free(m);
}

TEST(a_deleted_key_is_absent_and_may_come_back)
{
	ints m = ints_make(0);
	for (int i = 0; i < 5000; i++)
		ints_put(m, i, i);
	for (int i = 0; i < 5000; i += 2)
		CHECK(ints_del(m, i) && !ints_del(m, i));
	CHECK_EQ(ints_len(m), 2500);
	for (int i = 0; i < 5000; i++)
		CHECK_EQ(ints_get(m, i, NULL), i & 1);
	for (int i = 0; i < 5000; i += 2)
		ints_put(m, i, -i);
	int value;
	for (int i = 0; i < 5000; i++)
		CHECK(ints_get(m, i, &value) && value == (i & 1 ? i : -i));
	ints_free(m);
}

static void put_into_nil(void)
{
	ints m = {NULL};
	ints_put(m, 1, 1);
}

TEST(a_zeroed_handle_is_a_nil_map)
{
	ints m = {NULL};
	int value = 3;
	weft_map_iter it = {0};
	CHECK(!ints_get(m, 1, &value) && value == 0);
	CHECK(!ints_del(m, 1) && ints_len(m) == 0 && !ints_at(m, 1) && !ints_next(m, &it, NULL, NULL));
	ints_free(m);
	test_dies(put_into_nil, "panic: assignment to entry in nil map\n");
}

/* ---- kinds of keys ---- */

enum shade { LIGHT, DARK = 1000000 };
WEFT_MAP_OF(bool, int, bools);
WEFT_MAP_OF(signed char, int, chars);
WEFT_MAP_OF(enum shade, int, shades);
WEFT_MAP_OF(const char *, int, pointers);
WEFT_MAP_OF(int64_t, unsigned char, longs);

TEST(keys_are_any_scalar)
{
	static const char text[300];
	bools b = bools_make(0);
	chars c = chars_make(0);
	shades s = shades_make(0);
	pointers p = pointers_make(0);
	longs l = longs_make(0);
	for (int i = 0; i < 300; i++) {
		bools_put(b, i & 1, i);
		chars_put(c, (signed char)i, i);
		shades_put(s, i & 1 ? DARK : LIGHT, i);
		pointers_put(p, text + i, i);
		longs_put(l, (i - 150) * ((int64_t)1 << 50), (unsigned char)i);
	}
	CHECK_EQ(bools_len(b), 2);
	CHECK_EQ(chars_len(c), 256);
	CHECK_EQ(*chars_at(c, -1), 255);
	CHECK_EQ(*shades_at(s, DARK), 299);
	CHECK_EQ(*pointers_at(p, text + 77), 77);
	CHECK_EQ(longs_len(l), 300);
	CHECK_EQ(*longs_at(l, -((int64_t)1 << 55)), 118);
	CHECK(!pointers_at(p, NULL));
	bools_free(b);
	chars_free(c);
	shades_free(s);
	pointers_free(p);
	longs_free(l);
}

/* Between the members lie seven bytes that are not of the key. */
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

WEFT_MAP_BY(struct padded, int, padded_map, hash_padded, same_padded);

static struct padded with_padding(int fill, char kind, int64_t id)
{
	struct padded p;
	memset(&p, fill, sizeof p);
	p.kind = kind;
	p.id = id;
	return p;
}

TEST(padding_is_no_part_of_a_key)
{
	padded_map m = padded_map_make(0);
	for (int i = 0; i < 1000; i++)
		padded_map_put(m, with_padding(i, (char)(i & 3), i >> 2), i);
	CHECK_EQ(padded_map_len(m), 1000);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(*padded_map_at(m, with_padding(~i, (char)(i & 3), i >> 2)), i);
	padded_map_free(m);
}

/* 0.0 and -0.0 are one key, and every NaN is one, too: what a program decides when it writes these two. */
static uint64_t hash_double(weft_seed seed, const double *d)
{
	uint64_t bits;
	double plain = *d + 0.0;
	memcpy(&bits, &plain, sizeof bits);
	return weft_hash_u64(seed, isnan(plain) ? 0 : bits);
}

static bool same_double(const double *a, const double *b)
{
	return *a == *b || (isnan(*a) && isnan(*b));
}

WEFT_MAP_BY(double, int, doubles, hash_double, same_double);

TEST(floating_keys_by_functions_of_ones_own)
{
	doubles m = doubles_make(0);
	doubles_put(m, -0.0, 1);
	doubles_put(m, (double)NAN, 2);
	doubles_put(m, 1.25, 3);
	CHECK_EQ(*doubles_at(m, 0.0), 1);
	CHECK_EQ(*doubles_at(m, -(double)NAN), 2);
	CHECK_EQ(*doubles_at(m, 1.25), 3);
	CHECK(!doubles_at(m, 1.0));
	doubles_free(m);
}

WEFT_MAP_OF_STRING(int, strings);

TEST(strings_are_the_maps_own)
{
	strings m = strings_make(0);
	char key[32];
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof key, "%.*s%d", i % 9, "--------", i);
		strings_put(m, key, i);
	}
	strcpy(key, "");
	strings_put(m, key, -1);
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof key, "%.*s%d", i % 9, "--------", i);
		CHECK_EQ(*strings_at(m, key), i);
		if (i % 3 == 0)
			CHECK(strings_del(m, key));
	}
	CHECK_EQ(*strings_at(m, ""), -1);
	CHECK_EQ(strings_len(m), 2001);
	strings_free(m);
}

WEFT_MAP_OF_BYTES(long double, lumps);

TEST(bytes_may_hold_zeroes_and_be_none)
{
	static const char text[] = "a\0b\0c";
	lumps m = lumps_make(0);
	for (size_t n = 0; n <= 5; n++)
		lumps_put(m, (weft_bytes){text, n}, (long double)n);
	CHECK_EQ(lumps_len(m), 6);
	for (size_t n = 0; n <= 5; n++)
		CHECK_EQ(*lumps_at(m, (weft_bytes){text, n}), n);
	CHECK_EQ(*lumps_at(m, (weft_bytes){NULL, 0}), 0);
	CHECK(!lumps_get(m, (weft_bytes){"a\0d", 3}, NULL));
	CHECK_EQ((uintptr_t)lumps_at(m, (weft_bytes){text, 3}) % _Alignof(long double), 0);
	lumps_free(m);
}

/* ---- kinds of values ---- */

WEFT_SET_OF(uint32_t, numbers);

TEST(sets_have_values_of_no_size)
{
	numbers s = numbers_make(0);
	CHECK_EQ(sizeof(numbers_entry_), sizeof(uint32_t));
	for (uint32_t i = 0; i < 20000; i++)
		CHECK_EQ(numbers_add(s, i * i % 4099), i == 0 || !(i * i % 4099 == 0 || i > 2049));
	CHECK_EQ(numbers_len(s), 2050); /* squares modulo a prime */
	CHECK(numbers_has(s, 4) && numbers_del(s, 4) && !numbers_has(s, 4));
	weft_map_iter it = {0};
	uint32_t k, n = 0;
	while (numbers_next(s, &it, &k))
		n++;
	CHECK_EQ(n, 2049);
	numbers_free(s);
}

struct nothing {
};
WEFT_MAP_OF(uint32_t, struct nothing, nothings);

TEST(a_value_may_have_no_size)
{
	nothings m = nothings_make(0);
	for (uint32_t i = 0; i < 5000; i++)
		nothings_put(m, i / 2, (struct nothing){});
	struct nothing value;
	CHECK_EQ(nothings_len(m), 2500);
	CHECK(nothings_get(m, 2499, &value) && !nothings_get(m, 2500, &value) && nothings_at(m, 0));
	nothings_free(m);
}

struct huge {
	unsigned char bytes[100000];
};
WEFT_MAP_OF(int, struct huge, huges);

TEST(values_of_any_size_stay_where_they_are)
{
	static struct huge h;
	huges m = huges_make(0);
	memset(&h, 42, sizeof h);
	huges_put(m, -1, h);
	struct huge *first = huges_at(m, -1);
	for (int i = 0; i < 300; i++) {
		memset(&h, i, sizeof h);
		huges_put(m, i, h);
	}
	CHECK(huges_at(m, -1) == first && first->bytes[99999] == 42);
	for (int i = 0; i < 300; i++)
		CHECK(huges_get(m, i, &h) && h.bytes[0] == (i & 255) && h.bytes[99999] == (i & 255));
	CHECK(huges_del(m, 5) && !huges_get(m, 5, &h) && h.bytes[99999] == 0);
	huges_free(m);
}

struct medium {
	char bytes[100];
};
WEFT_MAP_OF(uint64_t, struct medium, mediums);

TEST(values_of_a_hundred_bytes_lie_in_the_table)
{
	static struct medium v;
	mediums m = mediums_make(0);
	for (uint64_t i = 0; i < 20000; i++) {
		memset(&v, (int)i, sizeof v);
		uint64_t before = m.map->moved;
		mediums_put(m, i, v);
		CHECK(m.map->moved - before <= 512);
	}
	for (uint64_t i = 0; i < 20000; i++)
		CHECK(mediums_get(m, i, &v) && v.bytes[99] == (char)i);
	mediums_free(m);
}

/* ---- growing ---- */

enum { SEGMENT = 1024 }; /* slots, of small entries */

static uint64_t slots_of(words m)
{
	return (m.map->mask + m.map->split + 1) * (m.map->group_mask + 1) * 8;
}

/* By counters, as clocks are the machine's: what an insertion moves, and how fast memory grows. */
TEST(no_insertion_moves_more_than_a_segment)
{
	words m = words_make(0);
	uint64_t moved = 0, most = 0, slots = 0;
	uint64_t n = (uint64_t)test_rounds(2000000);
	for (uint64_t i = 0; i < n; i++) {
		words_put(m, i, i);
		uint64_t now = m.map->moved - moved, more = slots_of(m) - slots;
		moved += now;
		slots += more;
		if (now > most)
			most = now;
		CHECK(more <= SEGMENT);
		CHECK(i < 8 || slots_of(m) <= i * 3);
	}
	CHECK(most <= SEGMENT);
	CHECK(moved < 3 * n);
	CHECK_EQ(words_len(m), n);
	CHECK(!m.map->spilled);
	uint64_t value;
	for (uint64_t i = 0; i < n; i++)
		CHECK(words_get(m, i, &value) && value == i);
	words_free(m);
}

TEST(what_was_hinted_at_moves_nothing)
{
	for (size_t hint = 1; hint < 300000; hint = hint * 3 + 1) {
		words m = words_make(hint);
		uint64_t slots = slots_of(m);
		for (uint64_t i = 0; i < hint; i++)
			words_put(m, i, i);
		CHECK_EQ(m.map->moved, 0);
		CHECK_EQ(slots_of(m), slots);
		CHECK(slots <= 8 || slots < 3 * hint);
		words_free(m);
	}
}

static void hint_too_large(void)
{
	words_make(SIZE_MAX / 8);
}

TEST(a_hint_out_of_range_panics)
{
	test_dies(hint_too_large, "panic: map size out of range: 2305843009213693951 entries of 16 bytes\n");
}

static void run_out_of_memory(void)
{
	words m = words_make(0);
	os_fail_at(OS_RESERVE, 1, ENOMEM);
	for (uint64_t i = 0;; i++)
		words_put(m, i, i);
}

TEST(running_out_of_memory_is_fatal)
{
	test_dies(run_out_of_memory, "fatal: out of memory for a map of 1536 entries\n");
}

/* Keys come and go, first in, first out and at random: the table stays as large as it is. */
TEST(keys_that_come_and_go_let_nothing_grow)
{
	uint64_t random = random_seed();
	static uint64_t keys[40000];
	for (uint64_t size = 1; size <= 40000; size = size * 6 + 1) {
		words m = words_make(0);
		for (uint64_t i = 0; i < size; i++)
			words_put(m, keys[i] = draw(&random), i);
		uint64_t slots = slots_of(m), most = slots > 16 * SEGMENT ? slots + slots / 8 : slots * 2;
		for (uint64_t i = 0; i < (uint64_t)test_rounds(400000); i++) {
			uint64_t at = i & 1 << 17 ? i % size : draw_below(&random, size), before = m.map->moved;
			CHECK(words_del(m, keys[at]));
			words_put(m, keys[at] = draw(&random), i);
			CHECK(m.map->moved - before <= SEGMENT);
		}
		CHECK_EQ(words_len(m), size);
		CHECK(slots_of(m) <= most);
		for (uint64_t i = 0; i < size; i++)
			CHECK(words_get(m, keys[i], NULL));
		words_free(m);
	}
}

/* ---- a hash that does not spread ---- */

static uint64_t hash_badly(weft_seed seed, const int *key)
{
	(void)seed;
	return *key < 0 ? (uint64_t)*key : 1;
}

static bool same_int(const int *a, const int *b)
{
	return *a == *b;
}

WEFT_MAP_BY(int, int, bad, hash_badly, same_int);

TEST(one_hash_for_all_keys_is_slow_and_right)
{
	enum { N = 3000 };
	bad m = bad_make(0);
	for (int i = 0; i < N; i++)
		bad_put(m, i, i);
	CHECK(m.map->spilled != NULL);
	for (int i = 0; i < N; i++)
		bad_put(m, i, 2 * i);
	CHECK_EQ(bad_len(m), N);
	for (int i = 0; i < N; i++)
		CHECK_EQ(*bad_at(m, i), 2 * i);
	bad_put(m, -5, 3);
	CHECK(bad_at(m, -5) && !bad_at(m, N));
	weft_map_iter it = {0};
	static bool seen[N];
	for (int k, v; bad_next(m, &it, &k, &v);) {
		CHECK(k == -5 || (v == 2 * k && !seen[k]));
		if (k >= 0)
			seen[k] = true;
		CHECK(bad_del(m, k));
	}
	CHECK_EQ(bad_len(m), 0);
	CHECK(!m.map->spilled);
	bad_free(m);
}

TEST(spilled_entries_are_freed)
{
	bad m = bad_make(0);
	for (int i = 0; i < 1500; i++)
		bad_put(m, i, i);
	bad_free(m);
}

/* ---- against a reference ---- */

enum { UNIVERSE = 6000 };
static int reference[UNIVERSE]; /* 0: absent */

static void agree(ints m, size_t len)
{
	CHECK_EQ(ints_len(m), len);
	for (int k = 0; k < UNIVERSE; k++) {
		int value;
		CHECK_EQ(ints_get(m, k * 77, &value), reference[k] != 0);
		CHECK_EQ(value, reference[k]);
	}
}

TEST(random_operations_agree_with_a_reference)
{
	uint64_t random = random_seed();
	for (int round = 0; round < 8; round++) {
		ints m = ints_make(draw_below(&random, 2) ? draw_below(&random, 3000) : 0);
		size_t len = 0;
		int bias = 0;
		memset(reference, 0, sizeof reference);
		for (int i = 1; i <= 100000; i++) {
			int k = (int)draw_below(&random, UNIVERSE);
			if (i % 10000 == 1)
				bias = (int)draw_below(&random, 101);
			if (draw_below(&random, 100) < (uint64_t)bias) {
				ints_put(m, k * 77, i);
				len += reference[k] == 0;
				reference[k] = i;
			} else {
				CHECK_EQ(ints_del(m, k * 77), reference[k] != 0);
				len -= reference[k] != 0;
				reference[k] = 0;
			}
			if (i % 10000 == 0)
				agree(m, len);
		}
		ints_free(m);
	}
}

/* ---- misuse ---- */

static ints shared;
static bool (*meanwhile)(void);

static uint64_t hash_plainly(weft_seed seed, const int *key)
{
	return weft_hash_u64(seed, (uint64_t)*key);
}

/* Somebody else uses the map in the middle of an operation. */
static bool same_with_interruption(const int *a, const int *b)
{
	return (!meanwhile || meanwhile()) && *a == *b;
}

WEFT_MAP_BY(int, int, interrupted, hash_plainly, same_with_interruption);
static interrupted victim;

static bool write_again(void)
{
	meanwhile = NULL;
	interrupted_put(victim, 2, 2);
	return true;
}

static bool read_meanwhile(void)
{
	meanwhile = NULL;
	return interrupted_get(victim, 2, NULL);
}

static bool iterate_meanwhile(void)
{
	meanwhile = NULL;
	weft_map_iter it = {0};
	return interrupted_next(victim, &it, NULL, NULL);
}

static void interrupt(bool (*by)(void))
{
	victim = interrupted_make(0);
	interrupted_put(victim, 1, 1);
	meanwhile = by;
	interrupted_put(victim, 1, 2);
}

static void write_in_a_write(void)
{
	interrupt(write_again);
}

static void read_in_a_write(void)
{
	interrupt(read_meanwhile);
}

static void iterate_in_a_write(void)
{
	interrupt(iterate_meanwhile);
}

/* A write that ends within another one's look is seen by the other's end. */
static void write_in_a_delete(void)
{
	victim = interrupted_make(0);
	interrupted_put(victim, 1, 1);
	meanwhile = write_again;
	interrupted_del(victim, 1);
}

static void write_in_a_read(void)
{
	victim = interrupted_make(0);
	interrupted_put(victim, 1, 1);
	meanwhile = write_again;
	CHECK(interrupted_get(victim, 1, NULL));
	_exit(2);
}

TEST(overlapping_operations_are_fatal_in_gos_words)
{
	test_dies(write_in_a_write, "fatal: concurrent map writes\n");
	test_dies(read_in_a_write, "fatal: concurrent map read and map write\n");
	test_dies(iterate_in_a_write, "fatal: concurrent map iteration and map write\n");
	test_dies(write_in_a_delete, "fatal: concurrent map writes\n");
	test_dies(write_in_a_read, ""); /* a read leaves no trace: the writer cannot see it */
}

static void *write_for_ever(void *arg)
{
	for (int i = 0;; i++)
		ints_put(shared, i & 1023, *(const int *)arg);
	return NULL;
}

static void race(void)
{
	static int marks[] = {1, 2};
	pthread_t other;
	shared = ints_make(0);
	for (int i = 0; i < 1024; i++)
		ints_put(shared, i, 0);
	CHECK_EQ(pthread_create(&other, NULL, write_for_ever, &marks[0]), 0);
	write_for_ever(&marks[1]);
}

TEST(two_threads_that_write_are_found_out)
{
	test_dies(race, "fatal: concurrent map writes\n");
}

/* ---- goroutines, and the other language ---- */

static void fill(void *arg)
{
	int from = *(const int *)arg;
	words m = words_make(0);
	for (uint64_t i = 0; i < 20000; i++) {
		words_put(m, i, i * (uint64_t)from);
		if (i % 512 == 0)
			weft_yield();
	}
	CHECK_EQ(*words_at(m, 19999), 19999 * from);
	words_free(m);
}

static words read_by_all;
static weft_waitgroup join;

static void read_all(void *arg)
{
	uint64_t value, sum = 0;
	weft_map_iter it = {0};
	for (uint64_t i = 0; i < 3000; i++)
		CHECK(words_get(read_by_all, i, &value) && value == i);
	while (words_next(read_by_all, &it, NULL, &value))
		sum += value;
	CHECK_EQ(sum, 3000 * 2999 / 2);
	fill(arg);
	weft_waitgroup_done(&join);
}

TEST_GO(goroutines_read_one_map_and_write_their_own)
{
	static int numbers_of[] = {1, 2, 3, 4, 5, 6};
	read_by_all = words_make(0);
	for (uint64_t i = 0; i < 3000; i++)
		words_put(read_by_all, i, i);
	weft_waitgroup_add(&join, 6);
	for (int i = 0; i < 6; i++)
		weft_go(read_all, &numbers_of[i]);
	weft_waitgroup_wait(&join);
	words_free(read_by_all);
	return 0;
}

const char *map_cxx_check(void); /* map_cxx.cc */

TEST(cxx_has_the_same_maps)
{
	const char *wrong = map_cxx_check();
	if (wrong)
		test_fail(__FILE__, __LINE__, "%s", wrong);
}
