/* The circuit breaker.
 *
 *     closed      calls pass, and are counted in slots of a tenth of the window; too many bad ones among enough: open
 *     open        none pass; after open_ns, whoever asks next makes it half-open
 *     half-open   `probes` calls pass; all good: closed, with an empty window; one bad: open again
 *
 * A report says how long the call has taken, so when it began: what began before the half-open state is no probe of it, and what
 * began while it was closed is not counted later. A probe that is never reported does not keep the breaker half-open for ever: after
 * open_ns its place is given to another.
 *
 * Counts are exact within the window but for its oldest slot, which is left out when its time has come. After the state
 * machine of Nygard, "Release It!" (2007).
 */
#include "lockfree/assert.h"
#include "lockfree/spin.h"
#include "runtime/call.h"
#include "runtime/panic.h"

#include <weft/limit.h>
#include <weft/mem.h>

enum { SLOTS = 10 };

struct slot {
	int64_t number; /* of the tenths of windows since the clock's beginning */
	int64_t calls, failed, slow;
};

struct weft_breaker {
	struct spin lock;
	weft_breaker_opts opts;
	weft_breaker_state state;
	int64_t since; /* the state */
	int64_t slot_ns;
	struct slot slots[SLOTS];
	int probes_out, probes_good;
	int64_t probe_at; /* the last one's beginning */
};

static bool is_ratio(double r)
{
	return r > 0 && r <= 1;
}

static weft_breaker_opts with_defaults(const weft_breaker_opts *given)
{
	weft_breaker_opts o = given ? *given : (weft_breaker_opts){0};
	o.window_ns = o.window_ns ? o.window_ns : 10 * WEFT_S;
	o.min_calls = o.min_calls ? o.min_calls : 20;
	o.failure_ratio = o.failure_ratio != 0 ? o.failure_ratio : 0.5;
	o.slow_ns = o.slow_ns ? o.slow_ns : INT64_MAX;
	o.slow_ratio = o.slow_ratio != 0 ? o.slow_ratio : 0.5;
	o.open_ns = o.open_ns ? o.open_ns : 5 * WEFT_S;
	o.probes = o.probes ? o.probes : 3;
	return o;
}

weft_breaker *weft_breaker_make(const weft_breaker_opts *given)
{
	weft_breaker_opts o = with_defaults(given);
	if (o.window_ns < SLOTS || o.min_calls < 0 || o.slow_ns < 0 || o.open_ns < 0 || o.probes < 0)
		weft_panic("circuit breaker with a negative setting, or a window of less than %d ns", SLOTS);
	if (!is_ratio(o.failure_ratio) || !is_ratio(o.slow_ratio))
		weft_panic("circuit breaker with a ratio that is not above 0 and at most 1");
	weft_breaker *b = weft_calloc(1, sizeof *b);
	if (!b)
		fatal("out of memory for a circuit breaker");
	b->opts = o;
	b->slot_ns = o.window_ns / SLOTS;
	return b;
}

void weft_breaker_free(weft_breaker *b)
{
	weft_free(b);
}

/* ---- under the lock ---- */

static void enter(weft_breaker *b, weft_breaker_state state, int64_t now)
{
	b->state = state;
	b->since = now;
	b->probes_out = b->probes_good = 0;
	for (int i = 0; state == WEFT_BREAKER_CLOSED && i < SLOTS; i++)
		b->slots[i] = (struct slot){0};
}

static struct slot *slot_at(weft_breaker *b, int64_t now)
{
	int64_t number = now / b->slot_ns;
	struct slot *s = &b->slots[number % SLOTS];
	if (s->number != number)
		*s = (struct slot){.number = number};
	return s;
}

static bool too_many_are_bad(const weft_breaker *b, int64_t now)
{
	int64_t oldest = now / b->slot_ns - SLOTS + 1, calls = 0, failed = 0, slow = 0;
	for (int i = 0; i < SLOTS; i++) {
		if (b->slots[i].number < oldest)
			continue;
		calls += b->slots[i].calls;
		failed += b->slots[i].failed;
		slow += b->slots[i].slow;
	}
	return calls >= b->opts.min_calls && ((double)failed >= b->opts.failure_ratio * (double)calls ||
					      (double)slow >= b->opts.slow_ratio * (double)calls);
}

static bool give_probe(weft_breaker *b, int64_t now)
{
	if (b->probes_out == b->opts.probes && now - b->probe_at >= b->opts.open_ns)
		b->probes_out = b->probes_good;
	if (b->probes_out == b->opts.probes)
		return false;
	b->probes_out++;
	b->probe_at = now;
	return true;
}

static bool allow(weft_breaker *b, int64_t now)
{
	if (b->state == WEFT_BREAKER_CLOSED)
		return true;
	if (b->state == WEFT_BREAKER_OPEN) {
		if (now - b->since < b->opts.open_ns)
			return false;
		enter(b, WEFT_BREAKER_HALF_OPEN, now);
	}
	return give_probe(b, now);
}

static void count(weft_breaker *b, bool failed, bool slow, int64_t now)
{
	struct slot *s = slot_at(b, now);
	s->calls++;
	s->failed += failed;
	s->slow += slow;
	if (too_many_are_bad(b, now))
		enter(b, WEFT_BREAKER_OPEN, now);
}

static void judge_probe(weft_breaker *b, bool bad, int64_t now)
{
	if (bad)
		enter(b, WEFT_BREAKER_OPEN, now);
	else if (++b->probes_good == b->opts.probes)
		enter(b, WEFT_BREAKER_CLOSED, now);
}

static void report(weft_breaker *b, bool failed, bool slow, int64_t began, int64_t now)
{
	if (began < b->since)
		return;
	if (b->state == WEFT_BREAKER_CLOSED)
		count(b, failed, slow, now);
	else if (b->state == WEFT_BREAKER_HALF_OPEN)
		judge_probe(b, failed || slow, now);
}

/* ---- from outside ---- */

bool weft_breaker_allow(weft_breaker *b)
{
	int64_t now = weft_now();
	bool outermost = call_begin();
	spin_lock(&b->lock);
	bool allowed = allow(b, now);
	spin_unlock(&b->lock);
	call_end(outermost);
	return allowed;
}

void weft_breaker_report(weft_breaker *b, int err, int64_t took_ns)
{
	if (took_ns < 0)
		weft_panic("a call that has taken %lld ns", (long long)took_ns);
	int64_t now = weft_now();
	bool outermost = call_begin();
	spin_lock(&b->lock);
	report(b, err != 0, took_ns >= b->opts.slow_ns, now - took_ns, now);
	spin_unlock(&b->lock);
	call_end(outermost);
}

weft_breaker_state weft_breaker_now(weft_breaker *b)
{
	bool outermost = call_begin();
	spin_lock(&b->lock);
	weft_breaker_state state = b->state;
	spin_unlock(&b->lock);
	call_end(outermost);
	return state;
}
