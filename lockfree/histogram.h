/* A log-linear histogram of 64-bit values: three significant digits from 0 to the maximum.
 *
 * Values below 2048 have a bucket each. Above, every power of two is cut into 1024 buckets of one
 * width, so that a bucket is never wider than 1/1024 of its values. With shift = max(0, bits(v) -
 * 11):
 *
 *     index(v) = 1024 * shift + (v >> shift)
 *
 * which is contiguous, as v >> shift lies in [1024, 2048) wherever shift is not 0.
 *
 * One thread records; any other may read or merge meanwhile, and sees each bucket as it is at some
 * moment of its reading. Recording is a count of leading zeros, a shift, an add and two compares
 * that nearly always go the same way. The total, the mean and the percentiles are worked out by who
 * asks. The memory is the caller's, zeroed pages that are never touched cost nothing: 450 KiB for
 * all 64 bits, 266 KiB for nanoseconds up to 73 minutes. A value above the limit falls into the
 * last bucket; the maximum is exact all the same.
 *
 * Gil Tene, HdrHistogram; "How NOT to Measure Latency".
 */
#ifndef LOCKFREE_HISTOGRAM_H
#define LOCKFREE_HISTOGRAM_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <stddef.h>
#include <stdio.h>

enum {
	HISTOGRAM_HALF_BITS = 10,
	HISTOGRAM_HALF = 1 << HISTOGRAM_HALF_BITS, /* buckets per power of two */
	HISTOGRAM_BEYOND_MIN = 100, /* samples beyond a percentile, or it is not shown */
};

struct histogram {
	_Atomic uint64_t *counts; /* caller's memory; the recorder writes */
	uint32_t buckets;
	_Atomic uint64_t min, max; /* exact; min is UINT64_MAX while empty */
};

/* Bytes of memory for values up to `highest`. */
size_t histogram_bytes(uint64_t highest);

/* Clears `memory`, of histogram_bytes(highest), aligned to 8, unless it is known to be zero. */
void histogram_init(struct histogram *, void *memory, uint64_t highest);
void histogram_init_zeroed(struct histogram *, void *memory, uint64_t highest);

static inline uint32_t histogram_index(uint64_t value)
{
	int shift = 53 - __builtin_clzll(value | HISTOGRAM_HALF);
	return ((uint32_t)shift << HISTOGRAM_HALF_BITS) + (uint32_t)(value >> shift);
}

/* Adds `n` samples of one value. Owner only. */
static inline void histogram_record_n(struct histogram *h, uint64_t value, uint64_t n)
{
	uint32_t i = histogram_index(value);
	if (unlikely(i >= h->buckets))
		i = h->buckets - 1;
	bump(&h->counts[i], n);
	if (unlikely(value > load_rlx(&h->max)))
		store_rlx(&h->max, value);
	if (unlikely(value < load_rlx(&h->min)))
		store_rlx(&h->min, value);
}

static inline void histogram_record(struct histogram *h, uint64_t value)
{
	histogram_record_n(h, value, 1);
}

/* Forgets all samples. Owner only. */
void histogram_reset(struct histogram *);

/* Adds the samples of `from` to `into`, whose owner the caller is. */
void histogram_merge(struct histogram *into, const struct histogram *from);

uint64_t histogram_count(const struct histogram *);
uint64_t histogram_min(const struct histogram *); /* 0 when empty */
uint64_t histogram_max(const struct histogram *);
double histogram_mean(const struct histogram *);
double histogram_deviation(const struct histogram *);

/* The value that a share `quantile` (0 to 1) of the samples does not exceed, rounded up to the end
 * of its bucket but not above the maximum; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *, double quantile);

/* How many samples of `count` lie beyond that quantile, and whether they are enough to show it. */
uint64_t histogram_beyond(uint64_t count, double quantile);
static inline bool histogram_shows(uint64_t count, double quantile)
{
	return histogram_beyond(count, quantile) >= HISTOGRAM_BEYOND_MIN;
}

/* The buckets that hold samples, from the lowest. Starts zeroed; false at the end. */
struct histogram_bucket {
	uint64_t low, high; /* the values it stands for, both included */
	uint64_t count;
	uint32_t next;
};
bool histogram_next(const struct histogram *, struct histogram_bucket *);

/* A curve for plotting: quantiles from 0, `ticks` of them per halving of the distance to 1, and at
 * the end the maximum at 1. Starts zeroed but for ticks; false at the end. The curve goes to the
 * maximum whatever the number of samples beyond: it is a list of samples, not of claims about a
 * percentile. */
struct histogram_point {
	int ticks;
	double quantile;
	uint64_t value;
	uint64_t count; /* samples up to value */
	uint64_t total;
	struct histogram_bucket at;
	int phase;
};
bool histogram_next_point(const struct histogram *, struct histogram_point *);

/* HdrHistogram's percentile distribution as text, values divided by `unit`. 0, or -EIO. */
int histogram_write_hdr(const struct histogram *, FILE *, double unit);

/* The samples as text, and back: reading adds them to `into`, so several processes' files merge.
 * 0; -EIO; reading, -EINVAL for text that is no histogram, and then `into` may hold part of it. */
int histogram_write(const struct histogram *, FILE *);
int histogram_read(struct histogram *into, FILE *);

#endif
