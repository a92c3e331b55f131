/* The clock, deadlines, sleep, timers and tickers. */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_chan weft_chan;

/* A point on weft_now()'s clock. A struct, so that it cannot be mistaken for a duration; zeroed, it is
 * long past. */
typedef struct weft_deadline {
	int64_t ns;
} weft_deadline;

/* Nanoseconds on the monotonic clock. */
WEFT_API int64_t weft_now(void);

/* The point `ns` from now; WEFT_NEVER if that is beyond the clock's range. */
WEFT_API weft_deadline weft_in(int64_t ns);

static inline weft_deadline weft_at(int64_t ns)
{
	weft_deadline d = {ns};
	return d;
}

#define WEFT_NEVER (weft_at(INT64_MAX))

/* Blocks the goroutine (outside weft's threads: the thread) for at least `ns`; zero or less returns at
 * once. */
WEFT_API void weft_sleep(int64_t ns);

/* A timer in the caller's memory, ready when zeroed; it may be embedded. Start, stop and reset may be
 * called from any goroutine or thread, never block for long, and allocate nothing. */
typedef struct weft_timer {
	struct weft_timer *next, **link;
	int64_t when;
	void (*fn)(void *);
	void *arg;
	void *wheel;
	uint32_t slot, flags;
	uint64_t reserved[2];
} weft_timer;

/* Runs fn(arg) on a goroutine of its own, `ns` from now. A pending timer starts anew. */
WEFT_API void weft_timer_start(weft_timer *, int64_t ns, void (*fn)(void *), void *arg);

/* True: it was pending, and fn will not run. Either way the runtime does not touch the timer after stop
 * has returned or fn has started. */
WEFT_API bool weft_timer_stop(weft_timer *);

/* Arms the timer again with the fn and arg of its last start, also after it has fired or been stopped.
 * True: it was pending. A timer that was never started panics. The runtime keeps a collected arg only while the timer is pending: after
 * that, whoever means to reset it keeps arg. */
WEFT_API bool weft_timer_reset(weft_timer *, int64_t ns);

/* Runs fn(arg) on a goroutine of its own, `ns` from now; nobody can stop it. Allocates the timer. */
WEFT_API void weft_after_func(int64_t ns, void (*fn)(void *), void *arg);

/* A channel that gives one int64_t, the time of firing, `ns` from now. The caller frees it with
 * weft_chan_free, fired or not. */
WEFT_API weft_chan *weft_after(int64_t ns);

/* Ticks every `ns` (panics unless positive) on a channel of int64_t, the time of the tick. The period
 * does not drift; a slow receiver finds at most one tick held back. */
typedef struct weft_ticker weft_ticker;
WEFT_API weft_ticker *weft_ticker_make(int64_t ns);
WEFT_API weft_chan *weft_ticker_chan(weft_ticker *);
WEFT_API void weft_ticker_free(weft_ticker *);

WEFT_END_DECLS

#endif
