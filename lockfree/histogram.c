#include "lockfree/histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { TICKS_HDR = 5 };

_Static_assert(sizeof(_Atomic uint64_t) == 8, "counters are plain words");

static uint32_t buckets_for(uint64_t highest)
{
	return histogram_index(highest) + 1;
}

/* The first value of a bucket, the inverse of histogram_index. */
static uint64_t low_of(uint32_t index)
{
	if (index < 2 * HISTOGRAM_HALF)
		return index;
	int shift = (int)(index >> HISTOGRAM_HALF_BITS) - 1;
	return (uint64_t)(index - ((uint32_t)shift << HISTOGRAM_HALF_BITS)) << shift;
}

static uint64_t high_of(uint32_t index)
{
	return low_of(index + 1) - 1; /* wraps to UINT64_MAX behind the last */
}

size_t histogram_bytes(uint64_t highest)
{
	return buckets_for(highest) * sizeof(uint64_t);
}

void histogram_init_zeroed(struct histogram *h, void *memory, uint64_t highest)
{
	assert_always((uintptr_t)memory % sizeof(uint64_t) == 0);
	h->counts = memory;
	h->buckets = buckets_for(highest);
	store_rlx(&h->min, UINT64_MAX);
	store_rlx(&h->max, 0);
}

void histogram_init(struct histogram *h, void *memory, uint64_t highest)
{
	memset(memory, 0, histogram_bytes(highest));
	histogram_init_zeroed(h, memory, highest);
}

void histogram_reset(struct histogram *h)
{
	for (uint32_t i = 0; i < h->buckets; i++)
		if (load_rlx(&h->counts[i])) /* leaves untouched pages untouched */
			store_rlx(&h->counts[i], 0);
	store_rlx(&h->min, UINT64_MAX);
	store_rlx(&h->max, 0);
}

static void widen(struct histogram *h, uint64_t min, uint64_t max)
{
	if (max > load_rlx(&h->max))
		store_rlx(&h->max, max);
	if (min < load_rlx(&h->min))
		store_rlx(&h->min, min);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (uint32_t i = 0; i < from->buckets; i++) {
		uint64_t n = load_rlx(&from->counts[i]);
		if (n)
			bump(&into->counts[i < into->buckets ? i : into->buckets - 1], n);
	}
	widen(into, load_rlx(&from->min), load_rlx(&from->max));
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < h->buckets; i++)
		total += load_rlx(&h->counts[i]);
	return total;
}

uint64_t histogram_min(const struct histogram *h)
{
	uint64_t min = load_rlx(&h->min);
	return min == UINT64_MAX ? 0 : min;
}

uint64_t histogram_max(const struct histogram *h)
{
	return load_rlx(&h->max);
}

bool histogram_next(const struct histogram *h, struct histogram_bucket *b)
{
	for (; b->next < h->buckets; b->next++) {
		b->count = load_rlx(&h->counts[b->next]);
		if (!b->count)
			continue;
		b->low = low_of(b->next);
		b->high = b->next + 1 == h->buckets ? UINT64_MAX : high_of(b->next);
		if (b->high > histogram_max(h))
			b->high = histogram_max(h);
		b->next++;
		return true;
	}
	return false;
}

static double middle(const struct histogram_bucket *b)
{
	return (double)b->low + (double)(b->high - b->low) / 2;
}

double histogram_mean(const struct histogram *h)
{
	struct histogram_bucket b = {0};
	double sum = 0, count = 0;
	while (histogram_next(h, &b)) {
		sum += middle(&b) * (double)b.count;
		count += (double)b.count;
	}
	return count > 0 ? sum / count : 0;
}

/* Newton's method, from above: a square root without the mathematics library, which nothing else in
 * this folder needs. */
static double root(double x)
{
	if (!(x > 0))
		return 0;
	double r = x > 1 ? x : 1;
	for (;;) {
		double next = (r + x / r) / 2;
		if (next >= r)
			return r;
		r = next;
	}
}

double histogram_deviation(const struct histogram *h)
{
	struct histogram_bucket b = {0};
	double mean = histogram_mean(h), sum = 0, count = 0;
	while (histogram_next(h, &b)) {
		sum += (middle(&b) - mean) * (middle(&b) - mean) * (double)b.count;
		count += (double)b.count;
	}
	return count > 0 ? root(sum / count) : 0;
}

/* The rank, from 1, of the sample at a quantile: quantile * count rounded up, after a step down by
 * a few units of the last place, or 0.999 of 100,000 would be sample 99,901. */
static uint64_t rank_of(uint64_t count, double quantile)
{
	double exact = quantile * (double)count * (1 - 4 * __DBL_EPSILON__);
	if (!(exact > 0))
		return count ? 1 : 0;
	uint64_t rank = (uint64_t)exact;
	rank += (double)rank < exact;
	return rank > count ? count : rank ? rank : 1;
}

uint64_t histogram_beyond(uint64_t count, double quantile)
{
	return count - rank_of(count, quantile);
}

uint64_t histogram_quantile(const struct histogram *h, double quantile)
{
	uint64_t rank = rank_of(histogram_count(h), quantile), seen = 0;
	struct histogram_bucket b = {0};
	while (histogram_next(h, &b)) {
		seen += b.count;
		if (seen >= rank)
			return b.high;
	}
	return histogram_max(h);
}

/* From q, a step of 1/ticks of the distance between the last halving and the next. */
static double step_quantile(double q, int ticks)
{
	double halving = 1;
	while (halving / 2 >= 1 - q)
		halving /= 2;
	return q + halving / (2 * ticks);
}

bool histogram_next_point(const struct histogram *h, struct histogram_point *p)
{
	enum { START, RUNNING, LAST, END };
	switch (p->phase) {
	case START:
		p->total = histogram_count(h);
		if (!p->total)
			return false;
		p->phase = RUNNING;
		break;
	case RUNNING:
		p->quantile = step_quantile(p->quantile, p->ticks);
		break;
	case LAST:
		p->phase = END;
		p->quantile = 1;
		p->value = histogram_max(h);
		return true;
	default:
		return false;
	}
	uint64_t rank = rank_of(p->total, p->quantile);
	while (p->count < rank && histogram_next(h, &p->at))
		p->count += p->at.count;
	p->value = p->at.high;
	if (p->count >= p->total)
		p->phase = LAST;
	return true;
}

int histogram_write_hdr(const struct histogram *h, FILE *out, double unit)
{
	struct histogram_point p = {.ticks = TICKS_HDR};
	fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
		"1/(1-Percentile)");
	while (histogram_next_point(h, &p)) {
		fprintf(out, "%12.3f %2.12f %10" PRIu64, (double)p.value / unit, p.quantile,
			p.count);
		if (p.quantile < 1)
			fprintf(out, " %14.2f", 1 / (1 - p.quantile));
		fputc('\n', out);
	}
	fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", histogram_mean(h) / unit,
		histogram_deviation(h) / unit);
	fprintf(out, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n",
		(double)histogram_max(h) / unit, histogram_count(h));
	fprintf(out, "#[Buckets = %12u, SubBuckets     = %12u]\n", h->buckets / HISTOGRAM_HALF - 1,
		2u * HISTOGRAM_HALF);
	return ferror(out) ? -EIO : 0;
}

/* "VALUE COUNT" a line, between a head that carries the exact ends and a foot that shows the file
 * is whole. */
int histogram_write(const struct histogram *h, FILE *out)
{
	struct histogram_bucket b = {0};
	fprintf(out, "weft-histogram 1 count %" PRIu64 " min %" PRIu64 " max %" PRIu64 "\n",
		histogram_count(h), histogram_min(h), histogram_max(h));
	while (histogram_next(h, &b))
		fprintf(out, "%" PRIu64 " %" PRIu64 "\n", b.low, b.count);
	fprintf(out, "end\n");
	return ferror(out) ? -EIO : 0;
}

int histogram_read(struct histogram *into, FILE *in)
{
	uint64_t count, min, max, seen = 0, value, n;
	char line[128], rest;
	if (!fgets(line, sizeof line, in))
		return ferror(in) ? -EIO : -EINVAL;
	if (sscanf(line, "weft-histogram 1 count %" SCNu64 " min %" SCNu64 " max %" SCNu64 " %c",
		   &count, &min, &max, &rest) != 3 ||
	    (count ? min > max : max > 0))
		return -EINVAL;
	while (fgets(line, sizeof line, in)) {
		if (!strcmp(line, "end\n")) {
			if (seen != count)
				return -EINVAL;
			if (count)
				widen(into, min, max);
			return 0;
		}
		if (sscanf(line, "%" SCNu64 " %" SCNu64 " %c", &value, &n, &rest) != 2 || !n ||
		    n > count - seen || value > max)
			return -EINVAL;
		seen += n;
		uint32_t i = histogram_index(value);
		bump(&into->counts[i < into->buckets ? i : into->buckets - 1], n);
	}
	return ferror(in) ? -EIO : -EINVAL;
}
