#include "lockfree/histogram.h"
#include "tests/test.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct histogram *make(uint64_t highest)
{
	struct histogram *h = malloc(sizeof *h);
	void *memory = malloc(histogram_bytes(highest));
	CHECK(h && memory);
	histogram_init(h, memory, highest);
	return h;
}

static void drop(struct histogram *h)
{
	free((void *)h->counts);
	free(h);
}

/* Values of every magnitude: a random number of random bits. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return z >> (z & 63);
}

static int ascending(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return x < y ? -1 : x > y;
}

static void check_same(const struct histogram *a, const struct histogram *b)
{
	struct histogram_bucket in_a = {0}, in_b = {0};
	bool more;
	do {
		more = histogram_next(a, &in_a);
		CHECK_EQ(histogram_next(b, &in_b), more);
		if (more) {
			CHECK_EQ(in_a.low, in_b.low);
			CHECK_EQ(in_a.high, in_b.high);
			CHECK_EQ(in_a.count, in_b.count);
		}
	} while (more);
	CHECK_EQ(histogram_min(a), histogram_min(b));
	CHECK_EQ(histogram_max(a), histogram_max(b));
}

TEST(a_bucket_is_never_wider_than_a_thousandth_of_its_values)
{
	struct histogram *h = make(UINT64_MAX);
	uint64_t state = 1;
	for (int i = 0; i < 3000; i++) {
		uint64_t v = i < 200 ? (uint64_t)i : draw(&state);
		if (i >= 200 && i < 264)
			v = UINT64_C(1) << (i - 200);
		else if (i >= 264 && i < 328)
			v = (UINT64_C(1) << (i - 264)) - 1;
		histogram_reset(h);
		histogram_record(h, v);
		histogram_record(h, UINT64_MAX); /* so that the maximum does not clip the bucket */
		struct histogram_bucket b = {0};
		CHECK(histogram_next(h, &b));
		CHECK(b.low <= v && v <= b.high);
		CHECK((b.high - b.low) <= b.low / 1024);
	}
	drop(h);
}

TEST(buckets_follow_each_other_without_a_gap)
{
	CHECK_EQ(histogram_bytes(UINT64_MAX), 56320 * 8);
	for (int bits = 11; bits < 64; bits++) {
		uint64_t v = UINT64_C(1) << bits;
		CHECK_EQ(histogram_index(v), histogram_index(v - 1) + 1);
	}
	for (uint64_t v = 1; v < 100000; v++) {
		uint32_t step = histogram_index(v) - histogram_index(v - 1);
		CHECK(step <= 1 && (v >= 2048 || step == 1));
	}
}

TEST(quantiles_agree_with_a_sorted_array)
{
	enum { N = 20000 };
	static uint64_t values[N];
	struct histogram *h = make(UINT64_MAX);
	for (uint64_t seed = 1; seed <= 5; seed++) {
		uint64_t state = seed;
		histogram_reset(h);
		for (int i = 0; i < N; i++)
			histogram_record(h, values[i] = draw(&state));
		qsort(values, N, sizeof values[0], ascending);
		CHECK_EQ(histogram_count(h), N);
		CHECK_EQ(histogram_max(h), values[N - 1]);
		CHECK_EQ(histogram_min(h), values[0]);
		static const double quantiles[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
		for (size_t i = 0; i < ARRAY_LEN(quantiles); i++) {
			size_t rank = (size_t)ceil(quantiles[i] * N - 1e-6);
			uint64_t exact = values[rank ? rank - 1 : 0];
			uint64_t got = histogram_quantile(h, quantiles[i]);
			CHECK(got >= exact && got - exact <= exact / 1024);
		}
	}
	drop(h);
}

TEST(mean_and_deviation_agree_with_the_samples)
{
	struct histogram *h = make(UINT64_MAX);
	double sum = 0, squares = 0;
	enum { N = 10000 };
	for (int i = 0; i < N; i++) {
		uint64_t v = 1000 + (uint64_t)i * 37 % 9973;
		histogram_record(h, v);
		sum += (double)v;
		squares += (double)v * (double)v;
	}
	double mean = sum / N, deviation = sqrt(squares / N - mean * mean);
	CHECK(fabs(histogram_mean(h) - mean) < mean / 1000);
	CHECK(fabs(histogram_deviation(h) - deviation) < deviation / 500);
	drop(h);
}

TEST(merging_is_recording_both)
{
	struct histogram *a = make(UINT64_MAX), *b = make(UINT64_MAX), *both = make(UINT64_MAX);
	uint64_t state = 7;
	for (int i = 0; i < 50000; i++) {
		uint64_t v = draw(&state);
		histogram_record(i % 3 ? a : b, v);
		histogram_record(both, v);
	}
	histogram_merge(a, b);
	check_same(a, both);
	histogram_reset(b);
	histogram_merge(a, b); /* an empty one changes nothing */
	check_same(a, both);
	drop(a);
	drop(b);
	drop(both);
}

TEST(above_its_limit_a_value_falls_into_the_last_bucket_and_max_stays_exact)
{
	struct histogram *h = make(1000000);
	histogram_record(h, 5);
	histogram_record(h, UINT64_C(123456789012345));
	CHECK_EQ(histogram_count(h), 2);
	CHECK_EQ(histogram_max(h), 123456789012345);
	CHECK_EQ(histogram_quantile(h, 1), 123456789012345);
	struct histogram *wide = make(UINT64_MAX);
	histogram_record(wide, 99999999999);
	histogram_merge(h, wide);
	CHECK_EQ(histogram_count(h), 3);
	drop(h);
	drop(wide);
}

TEST(an_empty_one_has_no_samples)
{
	struct histogram *h = make(UINT64_MAX);
	struct histogram_bucket b = {0};
	struct histogram_point p = {.ticks = 5};
	CHECK_EQ(histogram_count(h), 0);
	CHECK_EQ(histogram_min(h), 0);
	CHECK_EQ(histogram_max(h), 0);
	CHECK_EQ(histogram_quantile(h, 0.5), 0);
	CHECK(histogram_mean(h) == 0 && histogram_deviation(h) == 0);
	CHECK(!histogram_next(h, &b) && !histogram_next_point(h, &p));
	drop(h);
}

TEST(a_quantile_shows_with_a_hundred_samples_beyond_it)
{
	CHECK(histogram_shows(100000, 0.999) && !histogram_shows(99999, 0.999));
	CHECK(histogram_shows(10000, 0.99) && !histogram_shows(9999, 0.99));
	CHECK(histogram_shows(1000000, 0.9999) && !histogram_shows(999999, 0.9999));
	CHECK(histogram_shows(200, 0.5) && !histogram_shows(199, 0.5));
	CHECK(!histogram_shows(0, 0.5) && !histogram_shows(1000000000, 1));
	CHECK_EQ(histogram_beyond(100000, 0.999), 100);
}

TEST(text_reads_back_the_same_and_two_texts_merge)
{
	struct histogram *a = make(UINT64_MAX), *b = make(UINT64_MAX);
	uint64_t state = 3;
	for (int i = 0; i < 5000; i++)
		histogram_record(a, draw(&state));
	FILE *f = tmpfile();
	CHECK(f && histogram_write(a, f) == 0);
	rewind(f);
	CHECK_EQ(histogram_read(b, f), 0);
	check_same(a, b);
	rewind(f);
	CHECK_EQ(histogram_read(b, f), 0);
	histogram_merge(a, a);
	check_same(a, b);
	fclose(f);
	drop(a);
	drop(b);
}

TEST(text_that_is_no_histogram_is_refused)
{
	static const char *const bad[] = {
	    "",
	    "hello\n",
	    "weft-histogram 2 count 0 min 0 max 0\nend\n",
	    "weft-histogram 1 count 1 min 5 max 5\n5 1\n", /* cut off */
	    "weft-histogram 1 count 2 min 5 max 5\n5 1\nend\n",
	    "weft-histogram 1 count 1 min 5 max 5\n5 2\nend\n",
	    "weft-histogram 1 count 1 min 5 max 5\n6 1\nend\n",
	    "weft-histogram 1 count 1 min 5 max 5\n5 one\nend\n",
	    "weft-histogram 1 count 1 min 5 max 5\n5 1 7\nend\n",
	    "weft-histogram 1 count 1 min 5 max 4\n5 1\nend\n",
	    "weft-histogram 1 count 1 min 5 max 5\n5 0\n5 1\nend\n",
	};
	struct histogram *h = make(UINT64_MAX);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		FILE *f = tmpfile();
		CHECK(f && fputs(bad[i], f) >= 0);
		rewind(f);
		CHECK_EQ(histogram_read(h, f), -EINVAL);
		fclose(f);
	}
	drop(h);
}

/* As an existing plotter does: lines of four numbers, "#" lines left out. */
TEST(hdr_text_parses_back)
{
	struct histogram *h = make(UINT64_MAX);
	for (uint64_t v = 1; v <= 100000; v++)
		histogram_record(h, v * 1000);
	FILE *f = tmpfile();
	CHECK(f && histogram_write_hdr(h, f, 1000.0) == 0);
	rewind(f);
	char line[256];
	double value, quantile, count, inverse, last_quantile = -1, last_value = 0, halvings = 0;
	int points = 0, trailers = 0;
	CHECK(fgets(line, sizeof line, f));
	CHECK_STR(line, "       Value     Percentile TotalCount 1/(1-Percentile)\n");
	while (fgets(line, sizeof line, f)) {
		trailers += line[0] == '#';
		int n = sscanf(line, "%lf %lf %lf %lf", &value, &quantile, &count, &inverse);
		if (n < 3)
			continue;
		points++;
		CHECK(quantile > last_quantile && value >= last_value);
		CHECK(fabs(value - fmax(1, quantile * 100000)) <= value / 1000 + 1);
		if (n == 4)
			CHECK(fabs(inverse * (1 - quantile) - 1) < 0.02);
		else
			CHECK(quantile == 1);
		halvings += quantile == 0.5 || quantile == 0.75 || quantile == 0.875;
		last_quantile = quantile;
		last_value = value;
	}
	CHECK(last_quantile == 1 && last_value == 100000 && count == 100000);
	CHECK(halvings == 3 && trailers == 3);
	CHECK(points > 5 * 10 && points < 5 * 13); /* the last bucket ends the curve */
	fclose(f);
	drop(h);
}

TEST(a_curve_of_one_sample_ends)
{
	struct histogram *h = make(UINT64_MAX);
	histogram_record(h, 7);
	struct histogram_point p = {.ticks = 5};
	int n = 0;
	while (histogram_next_point(h, &p)) {
		CHECK_EQ(p.value, 7);
		n++;
	}
	CHECK_EQ(n, 2);
	CHECK(p.quantile == 1);
	drop(h);
}
