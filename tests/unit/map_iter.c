/* Iteration: Go's semantics ("For statements with range clause"), while the map is written to. */
#include "tests/random.h"
#include "tests/test.h"

#include <weft/map.h>

#include <string.h>

WEFT_MAP_OF(uint32_t, uint32_t, map);

enum { UNIVERSE = 1 << 18 };
static unsigned char produced[UNIVERSE];

static map filled(uint32_t n)
{
	map m = map_make(0);
	for (uint32_t i = 0; i < n; i++)
		map_put(m, i, ~i);
	return m;
}

static void begin(void)
{
	memset(produced, 0, sizeof produced);
}

TEST(every_entry_once)
{
	for (uint32_t n = 0; n < 100000; n = n < 40 ? n + 1 : n * 3) {
		map m = filled(n);
		for (int round = 0; round < 3; round++) {
			weft_map_iter it = {0};
			uint32_t k, v, count = 0;
			begin();
			for (; map_next(m, &it, &k, &v); count++) {
				CHECK(k < n && v == ~k && !produced[k]);
				produced[k] = 1;
			}
			CHECK_EQ(count, n);
			CHECK(!map_next(m, &it, &k, &v)); /* it stays at the end */
			memset(&it, 0, sizeof it);
			for (count = 0; map_next(m, &it, NULL, NULL);)
				count++;
			CHECK_EQ(count, n);
		}
		map_free(m);
	}
}

static uint32_t first_of(map m)
{
	weft_map_iter it = {0};
	uint32_t k = UINT32_MAX;
	CHECK(map_next(m, &it, &k, NULL));
	return k;
}

/* Among 8 entries each comes first now and then, among many more than a few do. */
TEST(the_start_is_random)
{
	for (uint32_t n = 8; n <= 8000; n *= 10) {
		map m = filled(n);
		uint32_t firsts = 0;
		begin();
		for (int i = 0; i < 400; i++) {
			uint32_t k = first_of(m);
			firsts += !produced[k];
			produced[k] = 1;
		}
		CHECK(firsts == n || firsts > 30);
		map_free(m);
	}
}

TEST(maps_with_the_same_keys_have_orders_of_their_own)
{
	map a = filled(50), b = filled(50);
	weft_map_iter i = {0}, j = {0};
	uint32_t k, l, same = 0;
	while (map_next(a, &i, &k, NULL) && map_next(b, &j, &l, NULL))
		same += k == l;
	CHECK(same < 25);
	map_free(a);
	map_free(b);
}

TEST(what_is_deleted_is_not_produced)
{
	for (uint32_t n = 2; n < 60000; n *= 3) {
		map m = filled(n);
		weft_map_iter it = {0};
		uint32_t k, v, count = 0;
		begin();
		for (; map_next(m, &it, &k, &v); count++) {
			CHECK(v == ~k && !produced[k] && !produced[k ^ 1]);
			produced[k] = 1;
			map_del(m, k ^ 1); /* of each pair one is produced */
		}
		CHECK_EQ(count, (n + 1) / 2);
		CHECK_EQ(map_len(m), count);
		map_free(m);
	}
}

TEST(all_may_be_deleted_on_the_way)
{
	for (uint32_t n = 1; n < 60000; n *= 3) {
		map m = filled(n);
		weft_map_iter it = {0};
		uint32_t k, count = 0;
		for (; map_next(m, &it, &k, NULL); count++)
			CHECK(map_del(m, k));
		CHECK_EQ(count, n);
		CHECK_EQ(map_len(m), 0);
		map_free(m);
	}
}

/* `n` entries, and `each` more for each that is produced, so that the map doubles its groups and goes through rounds of
 * splits meanwhile. */
static void grow_meanwhile(uint32_t n, uint32_t each)
{
	map m = filled(n);
	weft_map_iter it = {0};
	uint32_t k, v, next = n;
	uint32_t most = test_is_slow() ? UNIVERSE / 8 : UNIVERSE;
	begin();
	while (map_next(m, &it, &k, &v)) {
		CHECK(v == ~k);
		if (produced[k])
			test_fail(__FILE__, __LINE__, "%u of %u is produced twice, at %u", k, n, next);
		produced[k] = 1;
		for (uint32_t i = 0; i < each && next < most; i++, next++)
			map_put(m, next, ~next);
	}
	for (k = 0; k < n; k++)
		if (!produced[k])
			test_fail(__FILE__, __LINE__, "%u of %u is not produced", k, n);
	CHECK_EQ(map_len(m), next);
	map_free(m);
}

TEST(growing_on_the_way_loses_nothing_and_gives_nothing_twice)
{
	static const uint32_t sizes[] = {1, 2, 5, 8, 9, 13, 14, 15, 50, 112, 113, 300, 447, 448, 700, 767, 768, 770, 850, 1500, 3000, 7000, 30000};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (uint32_t each = 1; each < 2000; each *= 5)
			grow_meanwhile(sizes[i], each);
}

/* Puts, deletions and several iterators at random. A key that was there all the time is produced once; one that was
 * deleted and put anew may come again. */
enum { ITERATORS = 4, KEYS = 20000 };

struct watched {
	weft_map_iter it;
	unsigned char seen[KEYS]; /* since the key was put */
	bool throughout[KEYS];
	bool on;
};
static struct watched watched[ITERATORS];
static bool present[KEYS];

static void restart(struct watched *w)
{
	memset(w, 0, sizeof *w);
	memcpy(w->throughout, present, sizeof present);
	w->on = true;
}

static void advance(struct watched *w, map m, uint32_t steps)
{
	uint32_t k;
	for (; steps > 0 && w->on; steps--) {
		w->on = map_next(m, &w->it, &k, NULL);
		if (!w->on)
			break;
		CHECK(k < KEYS && present[k]);
		CHECK_EQ(w->seen[k]++, 0);
	}
	for (k = 0; !w->on && k < KEYS; k++)
		CHECK(!w->throughout[k] || w->seen[k] == 1);
}

static void put_or_delete(map m, uint32_t k, bool put)
{
	if (put) {
		map_put(m, k, k);
		present[k] = true;
		return;
	}
	CHECK_EQ(map_del(m, k), present[k]);
	present[k] = false;
	for (int i = 0; i < ITERATORS; i++) {
		watched[i].throughout[k] = false;
		watched[i].seen[k] = 0;
	}
}

TEST(writes_and_iterators_at_random)
{
	uint64_t random = random_seed();
	for (int64_t round = test_rounds(40); round > 0; round--) {
		map m = map_make(0);
		uint64_t range = 1 + draw_below(&random, KEYS), bias = 0;
		memset(present, 0, sizeof present);
		for (int i = 0; i < ITERATORS; i++)
			restart(&watched[i]);
		for (int i = 0; i < 60000; i++) {
			struct watched *w = &watched[draw_below(&random, ITERATORS)];
			if (i % 5000 == 0)
				bias = 20 + draw_below(&random, 75);
			put_or_delete(m, (uint32_t)draw_below(&random, range), draw_below(&random, 100) < bias);
			if (w->on && draw_below(&random, 4) == 0)
				advance(w, m, (uint32_t)draw_below(&random, 12));
			else if (!w->on && draw_below(&random, 200) == 0)
				restart(w);
		}
		for (int i = 0; i < ITERATORS; i++)
			advance(&watched[i], m, UINT32_MAX);
		map_free(m);
	}
}
