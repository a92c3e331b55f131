/* Retries of one call: how long to wait before each, and when to give up.
 *
 * The bound of the wait doubles with each attempt; the wait is anything up to it ("full jitter"), so that clients that have failed
 * together do not come back together. A budget that all calls of a kind share keeps retries a part of the calls, however many fail: each
 * call earns a part of one, time earns some, each costs one.
 */
#include "lockfree/spin.h"
#include "runtime/call.h"
#include "runtime/panic.h"
#include "runtime/random.h"

#include <weft/limit.h>

#include <errno.h>
#include <math.h>

enum { ATTEMPTS = 3, DOUBLINGS_MOST = 40 };
static const double nearly_one = 1 - 1e-9; /* ten tenths are less than one */

struct budget {
	struct spin lock;
	int64_t at; /* the time for which tokens is right */
	double tokens;
	double ratio, per_second, burst;
};
_Static_assert(sizeof(struct budget) == sizeof(weft_retry_budget), "the same thing from outside and inside");

static struct budget *inside(weft_retry_budget *b)
{
	return (struct budget *)(void *)b;
}

/* ---- the budget ---- */

void weft_retry_budget_init(weft_retry_budget *budget, double ratio, double per_second, int64_t burst)
{
	if (!isfinite(ratio) || !isfinite(per_second) || ratio < 0 || per_second < 0 || burst < 0)
		weft_panic("retry budget of %g a call and %g per second, burst %lld", ratio, per_second, (long long)burst);
	*inside(budget) = (struct budget){
		.at = weft_now(), .tokens = (double)burst, .ratio = ratio, .per_second = per_second, .burst = (double)burst};
}

static void add_locked(struct budget *b, double tokens)
{
	b->tokens += tokens;
	if (b->tokens > b->burst)
		b->tokens = b->burst;
}

static void pass_time_locked(struct budget *b, int64_t now)
{
	if (now <= b->at)
		return;
	add_locked(b, b->per_second * (double)(now - b->at) / 1e9);
	b->at = now;
}

void weft_retry_budget_earn(weft_retry_budget *budget)
{
	struct budget *b = inside(budget);
	bool outermost = call_begin();
	spin_lock(&b->lock);
	add_locked(b, b->ratio);
	spin_unlock(&b->lock);
	call_end(outermost);
}

static bool spend(struct budget *b)
{
	int64_t now = weft_now();
	bool outermost = call_begin();
	spin_lock(&b->lock);
	pass_time_locked(b, now);
	bool enough = b->tokens >= nearly_one;
	if (enough)
		b->tokens -= 1;
	spin_unlock(&b->lock);
	call_end(outermost);
	return enough;
}

/* ---- a call's retries ---- */

/* Before attempt `made` + 1. */
static int64_t bound(const weft_retry *r)
{
	int64_t base = r->base_ns ? r->base_ns : 10 * WEFT_MS, most = r->most_ns ? r->most_ns : 10 * WEFT_S;
	int doublings = r->made - 1 < DOUBLINGS_MOST ? r->made - 1 : DOUBLINGS_MOST;
	return base > most >> doublings ? most : base << doublings;
}

static int64_t up_to(int64_t ns)
{
	return (int64_t)(((unsigned __int128)random_u64() * ((uint64_t)ns + 1)) >> 64);
}

/* 0, or why the context has ended. */
static int sleep_for(weft_ctx *ctx, weft_deadline until)
{
	weft_chan *done = ctx ? weft_ctx_done(ctx) : NULL;
	weft_recv_until(done, NULL, until);
	return ctx ? weft_ctx_err(ctx) : 0;
}

int weft_retry_next(weft_retry *r)
{
	if (r->attempts < 0 || r->base_ns < 0 || r->most_ns < 0)
		weft_panic("retry with a negative setting");
	r->made++;
	if (r->made >= (r->attempts ? r->attempts : ATTEMPTS))
		return -EAGAIN;
	int err = r->ctx ? weft_ctx_err(r->ctx) : 0;
	if (err)
		return err;
	weft_deadline until = weft_in(up_to(bound(r)));
	if (r->ctx && until.ns > weft_ctx_deadline(r->ctx).ns)
		return -ETIMEDOUT;
	if (r->budget && !spend(inside(r->budget)))
		return -EBUSY;
	return sleep_for(r->ctx, until);
}
