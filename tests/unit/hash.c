/* The hashes of maps: SipHash by what another implementation says, and how well the one for integers spreads. */
#include "tests/random.h"
#include "tests/test.h"

#include <weft/hash.h>

#include <string.h>

/* CPython's hash of bytes is SipHash-1-3, under PYTHONHASHSEED=0 with a key of zeroes. */
TEST(bytes_are_siphash_1_3)
{
	static const struct {
		const char *text;
		uint64_t hash;
	} known[] = {{"a", 0x407448d2b89b1813u},
		     {"weft", 0x3ea610a9ed234c93u},
		     {"seven b", 0xab2262fcb5199654u},
		     {"eight by", 0xd54cf3f0e0ee2aadu},
		     {"0123456789abcdef", 0x1d42b30f7e060c24u},
		     {"a longer key of thirty-nine bytes, here", 0x50ffc24523077ea9u}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		CHECK(weft_hash_bytes((weft_seed){0, 0}, known[i].text, strlen(known[i].text)) == known[i].hash);
}

TEST(bytes_are_told_apart_by_length_and_seed)
{
	static const char zeroes[64];
	uint64_t seen[65];
	weft_seed seed = weft_seed_make();
	for (size_t n = 0; n <= 64; n++) {
		seen[n] = weft_hash_bytes(seed, zeroes, n);
		for (size_t i = 0; i < n; i++)
			CHECK(seen[i] != seen[n]);
	}
	CHECK(weft_hash_bytes(weft_seed_make(), zeroes, 8) != seen[8]);
	CHECK(weft_hash_bytes(seed, NULL, 0) == seen[0]);
}

TEST(seeds_differ_and_are_odd)
{
	weft_seed before = {0, 0};
	for (int i = 0; i < 1000; i++) {
		weft_seed seed = weft_seed_make();
		CHECK((seed.b & 1) == 1 && seed.a != before.a && seed.b != before.b);
		before = seed;
	}
}

/* Whichever bit of a key is flipped, about half of the hash's bits change, and each of them about half of the times. */
TEST(each_bit_of_a_key_changes_half_of_the_hash)
{
	enum { KEYS = 4000 };
	uint64_t random = random_seed();
	weft_seed seed = {draw(&random), draw(&random) | 1};
	for (int in = 0; in < 64; in++) {
		int changed[64] = {0};
		for (int i = 0; i < KEYS; i++) {
			uint64_t key = draw(&random);
			uint64_t bits = weft_hash_u64(seed, key) ^ weft_hash_u64(seed, key ^ UINT64_C(1) << in);
			for (int out = 0; out < 64; out++)
				changed[out] += bits >> out & 1;
		}
		for (int out = 0; out < 64; out++)
			if (changed[out] < KEYS * 44 / 100 || changed[out] > KEYS * 56 / 100)
				test_fail(__FILE__, __LINE__, "bit %d changes bit %d of the hash %d times in %d", in, out,
					  changed[out], KEYS);
	}
}

/* The bits that a map takes: the tag, the group, the segment. Chi-squared over 1024 buckets; its mean is 1023, its standard
 * deviation 45. */
static void spreads(const char *what, uint64_t (*key)(uint64_t), weft_seed seed, int shift)
{
	enum { BUCKETS = 1024, EACH = 64 };
	static int count[BUCKETS];
	double sum = 0;
	memset(count, 0, sizeof count);
	for (uint64_t i = 0; i < BUCKETS * EACH; i++)
		count[weft_hash_u64(seed, key(i)) >> shift & (BUCKETS - 1)]++;
	for (int i = 0; i < BUCKETS; i++)
		sum += (double)(count[i] - EACH) * (count[i] - EACH) / EACH;
	if (sum > BUCKETS + 8 * 45)
		test_fail(__FILE__, __LINE__, "%s from bit %d: chi-squared %g", what, shift, sum);
}

static uint64_t sequential(uint64_t i)
{
	return i;
}

static uint64_t by_eight(uint64_t i)
{
	return i * 8;
}

static uint64_t by_pages(uint64_t i)
{
	return i << 12;
}

static uint64_t high_halves(uint64_t i)
{
	return i << 32;
}

static uint64_t highest_bits(uint64_t i)
{
	return i << 48;
}

static uint64_t pointers(uint64_t i)
{
	return 0x7f3a5c000010u + i * 48;
}

static uint64_t falling(uint64_t i)
{
	return ~i;
}

static uint64_t in_a_plane(uint64_t i)
{
	return (i >> 8) << 32 | (i & 255);
}

TEST(keys_in_patterns_spread_over_groups_and_segments)
{
	static const struct {
		const char *what;
		uint64_t (*key)(uint64_t);
	} patterns[] = {{"sequential", sequential}, {"by eight", by_eight}, {"by pages", by_pages}, {"high halves", high_halves},
			{"highest bits", highest_bits}, {"pointers", pointers}, {"falling", falling}, {"in a plane", in_a_plane}};
	uint64_t random = random_seed();
	for (int64_t round = test_rounds(20); round > 0; round--) {
		weft_seed seed = {draw(&random), draw(&random) | 1};
		for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
			for (int shift = 0; shift <= 28; shift += 7)
				spreads(patterns[i].what, patterns[i].key, seed, shift);
	}
}
