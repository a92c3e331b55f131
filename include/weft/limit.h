/* Limits that a server puts on itself and on what it calls: a rate, a circuit breaker, and retries within bounds.
 *
 * All may be used from any goroutine or thread. A nonsensical setting panics, running out of memory is fatal. */
#ifndef WEFT_LIMIT_H
#define WEFT_LIMIT_H

#include <weft/base.h>
#include <weft/context.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* ---- rate ---- */

/* A token bucket: `burst` tokens at most, all there at first, and per_second new ones in each second, as exactly as the number
 * is given however long it runs. per_second 0: none; INFINITY: no limit. */
typedef struct weft_limiter weft_limiter;
WEFT_API weft_limiter *weft_limiter_make(double per_second, int64_t burst);
WEFT_API void weft_limiter_free(weft_limiter *);

/* Takes n tokens if they are there; does not block. n that is negative panics. */
WEFT_API bool weft_limiter_allow(weft_limiter *, int64_t n);

/* Takes n tokens, those to come if need be, and sleeps until they are there: who comes first is served first. 0; -ETIMEDOUT at
 * once, with nothing taken, when they will not be there by the deadline, n above the burst included. */
WEFT_API int weft_limiter_wait_until(weft_limiter *, int64_t n, weft_deadline);

/* ---- circuit breaker ---- */

/* Closed, calls pass, and their results are counted over the last window. When enough of them have failed, or have been slow, it
 * opens: no call passes for open_ns. Then it is half-open: `probes` calls pass, and if all of them succeed it closes; one that
 * does not opens it again. */
typedef struct weft_breaker_opts {
	int64_t window_ns;    /* 0: 10 s */
	int64_t min_calls;    /* in the window, before anything is judged. 0: 20 */
	double failure_ratio; /* from which it opens, up to 1. 0: 0.5 */
	int64_t slow_ns;      /* a call that takes this long is slow. 0: none is */
	double slow_ratio;    /* from which it opens, up to 1. 0: 0.5 */
	int64_t open_ns;      /* 0: 5 s */
	int probes;           /* 0: 3 */
} weft_breaker_opts;

typedef enum weft_breaker_state { WEFT_BREAKER_CLOSED, WEFT_BREAKER_OPEN, WEFT_BREAKER_HALF_OPEN } weft_breaker_state;
typedef struct weft_breaker weft_breaker;

WEFT_API weft_breaker *weft_breaker_make(const weft_breaker_opts *); /* NULL: all 0 */
WEFT_API void weft_breaker_free(weft_breaker *);

/* May a call be made now? Who is told so reports how it went. A probe that is not reported within open_ns is given to
 * another. */
WEFT_API bool weft_breaker_allow(weft_breaker *);

/* The outcome of a call that was allowed: 0 or an error, and how long it has taken. In a half-open breaker, calls that began before it
 * was so are no probes, and do not count. */
WEFT_API void weft_breaker_report(weft_breaker *, int err, int64_t took_ns);
WEFT_API weft_breaker_state weft_breaker_now(weft_breaker *);

/* ---- retries ---- */

/* What all retries of a kind of call may cost together: `ratio` of one for each call, and per_second besides, so that a
 * server that is down is not asked many times as often. Ready when initialised. */
typedef struct weft_retry_budget {
	uint64_t words[6];
} weft_retry_budget;

/* Holds room for `burst` retries, all there at first. */
WEFT_API void weft_retry_budget_init(weft_retry_budget *, double ratio, double per_second, int64_t burst);

/* Retries of one call, in the caller's memory; what is 0 has the value that stands behind it.
 *
 *     weft_retry retry = {.attempts = 5};
 *     do
 *         err = call();
 *     while (err && weft_retry_next(&retry) == 0);
 */
typedef struct weft_retry {
	int attempts;              /* at most, the first included. 0: 3 */
	int64_t base_ns;           /* before the second: up to this. 0: 10 ms */
	int64_t most_ns;           /* twice as long each time, up to this. 0: 10 s */
	weft_ctx *ctx;             /* on whose behalf; its deadline is the last moment. NULL: nobody's */
	weft_retry_budget *budget; /* NULL: none */
	int made;                  /* attempts, before this one; weft_retry_next counts */
} weft_retry;

/* After an attempt that failed: sleeps for a random time between nothing and the bound (full jitter), then 0: try again. Otherwise
 * nothing more is to be tried: -EAGAIN, it was the last attempt; -EBUSY, the budget is spent; -ETIMEDOUT, the context's deadline would come
 * before the end of the sleep, which is told at once; -ECANCELED or -ETIMEDOUT, the context is cancelled, which ends the sleep too. */
WEFT_API int weft_retry_next(weft_retry *);

/* A call has been made, or is about to be, the first attempt of it: its share goes into the budget. */
WEFT_API void weft_retry_budget_earn(weft_retry_budget *);

WEFT_END_DECLS

#endif
