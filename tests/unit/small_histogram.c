#include "lockfree/small_histogram.h"
#include "tests/test.h"

TEST(buckets_follow_each_other_without_a_gap)
{
	CHECK_EQ(small_histogram_index(0), 0);
	for (unsigned i = 0; i + 1 < SMALL_HISTOGRAM_BUCKETS; i++) {
		CHECK_EQ(small_histogram_index(small_histogram_high(i)), i);
		CHECK_EQ(small_histogram_index(small_histogram_high(i) + 1), i + 1);
	}
	CHECK(small_histogram_high(SMALL_HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
	CHECK_EQ(small_histogram_index(UINT64_MAX), SMALL_HISTOGRAM_BUCKETS - 1);
}

TEST(a_bucket_is_no_wider_than_a_quarter_of_its_values)
{
	for (unsigned i = 8; i < SMALL_HISTOGRAM_BUCKETS; i++) {
		uint64_t low = small_histogram_high(i - 1) + 1, high = small_histogram_high(i);
		CHECK(high - low + 1 <= low / SMALL_HISTOGRAM_PER_OCTAVE);
	}
}

TEST(quantiles_are_those_of_the_samples)
{
	static struct small_histogram h[2];
	struct small_histogram_sum sum = {.total = 0};
	CHECK_EQ(small_histogram_quantile(&sum, 0.5), 0);
	for (uint64_t v = 1; v <= 1000; v++)
		small_histogram_record(&h[v % 2], v);
	small_histogram_add(&sum, &h[0]);
	small_histogram_add(&sum, &h[1]);
	CHECK_EQ(sum.total, 1000);
	CHECK_EQ(sum.max, 1000);
	for (int percent = 1; percent <= 100; percent++) {
		uint64_t exact = (uint64_t)percent * 10, q = small_histogram_quantile(&sum, percent / 100.0);
		CHECK(q >= exact && q <= exact + exact / SMALL_HISTOGRAM_PER_OCTAVE + 1);
	}
	CHECK_EQ(small_histogram_quantile(&sum, 1), 1000); /* not its bucket's end */
}
