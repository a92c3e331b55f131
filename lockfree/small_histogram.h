/* A histogram small enough to be always there: four buckets for each power of two, 2 KiB for all 64 bits.
 *
 * Values below 8 have a bucket each; above, with shift = bits(v) - 3,
 *
 *     index(v) = 4 * shift + (v >> shift)
 *
 * which is contiguous, as v >> shift lies in [4, 8) wherever shift is not 0. A bucket is never wider than a quarter of its
 * values: enough to tell a microsecond from two, and not what a benchmark reports (lockfree/histogram.h).
 *
 * One thread records. Others sum up meanwhile, and see each bucket as it is at some moment of their reading.
 */
#ifndef LOCKFREE_SMALL_HISTOGRAM_H
#define LOCKFREE_SMALL_HISTOGRAM_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

enum {
	SMALL_HISTOGRAM_PER_OCTAVE = 4,
	SMALL_HISTOGRAM_BUCKETS = 252,
};

struct small_histogram { /* zeroed: empty */
	_Atomic uint64_t count[SMALL_HISTOGRAM_BUCKETS];
	_Atomic uint64_t max;
};

/* Of several, for who asks. */
struct small_histogram_sum { /* zeroed: empty */
	uint64_t count[SMALL_HISTOGRAM_BUCKETS];
	uint64_t total, max;
};

static inline unsigned small_histogram_index(uint64_t value)
{
	int shift = 61 - __builtin_clzll(value | SMALL_HISTOGRAM_PER_OCTAVE);
	return (unsigned)shift * SMALL_HISTOGRAM_PER_OCTAVE + (unsigned)(value >> shift);
}
_Static_assert(SMALL_HISTOGRAM_BUCKETS == 61 * SMALL_HISTOGRAM_PER_OCTAVE + 8, "the largest value has the last bucket");

/* The largest value of a bucket. */
static inline uint64_t small_histogram_high(unsigned index)
{
	if (index < 2 * SMALL_HISTOGRAM_PER_OCTAVE)
		return index;
	unsigned shift = index / SMALL_HISTOGRAM_PER_OCTAVE - 1;
	uint64_t next = index % SMALL_HISTOGRAM_PER_OCTAVE + SMALL_HISTOGRAM_PER_OCTAVE + 1;
	return (next << shift) - 1; /* of the last bucket: 8 << 61 is 0 */
}

/* Owner only. */
static inline void small_histogram_record(struct small_histogram *h, uint64_t value)
{
	bump(&h->count[small_histogram_index(value)], 1);
	if (unlikely(value > load_rlx(&h->max)))
		store_rlx(&h->max, value);
}

static inline void small_histogram_add(struct small_histogram_sum *sum, const struct small_histogram *h)
{
	for (unsigned i = 0; i < SMALL_HISTOGRAM_BUCKETS; i++) {
		uint64_t n = load_rlx(&h->count[i]);
		sum->count[i] += n;
		sum->total += n;
	}
	uint64_t max = load_rlx(&h->max);
	if (max > sum->max)
		sum->max = max;
}

/* The value that a share `quantile` (0 to 1) of the samples does not exceed, rounded up to the end of its bucket but not above
 * the maximum; 0 when empty. */
static inline uint64_t small_histogram_quantile(const struct small_histogram_sum *sum, double quantile)
{
	double want = quantile * (double)sum->total;
	uint64_t seen = 0;
	for (unsigned i = 0; i < SMALL_HISTOGRAM_BUCKETS && sum->total; i++) {
		seen += sum->count[i];
		if (sum->count[i] && (double)seen >= want)
			return small_histogram_high(i) < sum->max ? small_histogram_high(i) : sum->max;
	}
	return sum->max;
}

#endif
