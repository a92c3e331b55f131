/* The token bucket, as the time at which it would be full if nobody took any more: the "theoretical arrival time" of the generic cell
 * rate algorithm (ITU-T I.371, annex A).
 *
 *     taking n tokens     full := max(full, now) + n * each
 *     they are there      when full - now <= burst * each, after that
 *
 * Nothing is added up over time, so nothing is lost: `each`, the time for one token, is kept to 2^-32 ns, in 128 bits, and so is
 * `full`. Whoever waits has taken its tokens already, before whoever comes after it.
 */
#include "lockfree/assert.h"
#include "lockfree/spin.h"
#include "runtime/call.h"
#include "runtime/panic.h"

#include <weft/limit.h>
#include <weft/mem.h>

#include <errno.h>
#include <math.h>

enum { FRACTION_BITS = 32 };

/* ns, with FRACTION_BITS behind the point. */
__extension__ typedef __int128 fine_ns;
static const fine_ns clock_end = (fine_ns)INT64_MAX << FRACTION_BITS;

struct weft_limiter {
	struct spin lock;
	fine_ns full;
	fine_ns each;
	fine_ns room; /* the time for as many tokens as it holds */
	int64_t burst;
	int64_t left; /* without a rate: there are no others */
	bool has_rate;
};

weft_limiter *weft_limiter_make(double per_second, int64_t burst)
{
	if (isnan(per_second) || per_second < 0 || burst < 0)
		weft_panic("limiter of %g per second, burst %lld", per_second, (long long)burst);
	double each = ldexp(1e9 / per_second, FRACTION_BITS);
	bool has_rate = per_second > 0;
	if (has_rate && each * ((double)burst + 1) >= ldexp(1, 126))
		weft_panic("limiter of %g per second, burst %lld: out of range", per_second, (long long)burst);
	weft_limiter *l = weft_aligned_alloc(_Alignof(weft_limiter), sizeof *l);
	if (!l)
		fatal("out of memory for a limiter");
	*l = (weft_limiter){.burst = burst, .left = burst, .has_rate = has_rate};
	if (has_rate) {
		l->each = (fine_ns)each;
		l->room = l->each * burst;
	}
	return l;
}

void weft_limiter_free(weft_limiter *l)
{
	weft_free(l);
}

/* When n tokens are there, if that is not after `latest`, and then they are taken; else INT64_MAX, and nothing is. */
static int64_t take_locked(weft_limiter *l, int64_t n, int64_t now, int64_t latest)
{
	if (!l->has_rate) {
		if (n > l->left)
			return INT64_MAX;
		l->left -= n;
		return now;
	}
	fine_ns from = (fine_ns)now << FRACTION_BITS;
	fine_ns full = (l->full > from ? l->full : from) + l->each * n;
	fine_ns due = full - l->room + ((fine_ns)1 << FRACTION_BITS) - 1; /* up to whole ns */
	if (due >= clock_end || (int64_t)(due >> FRACTION_BITS) > latest)
		return INT64_MAX;
	int64_t at = (int64_t)(due >> FRACTION_BITS);
	l->full = full;
	return at > now ? at : now;
}

static int64_t take(weft_limiter *l, int64_t n, int64_t now, int64_t latest)
{
	if (n < 0)
		weft_panic("%lld tokens of a limiter", (long long)n);
	if (l->has_rate && !l->each)
		return now;
	if (n > l->burst)
		return INT64_MAX;
	bool outermost = call_begin();
	spin_lock(&l->lock);
	int64_t at = take_locked(l, n, now, latest);
	spin_unlock(&l->lock);
	call_end(outermost);
	return at;
}

bool weft_limiter_allow(weft_limiter *l, int64_t n)
{
	int64_t now = weft_now();
	return take(l, n, now, now) <= now;
}

int weft_limiter_wait_until(weft_limiter *l, int64_t n, weft_deadline deadline)
{
	int64_t now = weft_now();
	int64_t at = take(l, n, now, deadline.ns > now ? deadline.ns : now);
	if (at == INT64_MAX)
		return -ETIMEDOUT;
	weft_sleep(at - now);
	return 0;
}
