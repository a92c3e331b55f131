/* Calls for the same thing at the same time, made once: what keeps a crowd that misses one entry of a cache from fetching it one
 * and all. Package singleflight of Go, in C.
 *
 * A call has a key, a C string, which is copied. Who comes with a key for which a call is under way waits for that one's result
 * instead of making a call of its own. Nothing is kept afterwards: what is to be found later belongs in a cache.
 *
 * Several may get the value of one call. By itself weft only hands the pointer on: whose it is, they know (a cache that has it, a
 * program that never frees it). Otherwise the value counts its references, and the flight is told how: `ref` takes one
 * more, `unref` gives one up. Then fn gives the value with one reference, each caller gets one of its own, and what
 * nobody is there to take is given up. */
#ifndef WEFT_FLIGHT_H
#define WEFT_FLIGHT_H

#include <weft/base.h>
#include <weft/chan.h>
#include <weft/sync.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* The caller's memory, ready when zeroed, for any goroutine or thread. It holds nothing while no call is under way. */
typedef struct weft_flight {
	/* Both or neither, set before the first call. They are called on any goroutine, never with NULL, and must not panic. */
	void (*ref)(void *value);
	void (*unref)(void *value);
	/* The library's. */
	weft_mutex lock;
	struct weft_map *calls;
	weft_waitgroup detached;
} weft_flight;

typedef struct weft_flight_result {
	void *value; /* as fn has set it, also beside an error */
	int err;     /* what fn has returned */
	bool shared; /* somebody else has the same */
} weft_flight_result;

/* The call itself: 0, or an error of its own choice, and *value, which is NULL before. key stays until it returns. To come to the same
 * flight with the same key it would wait for itself. arg may be a collected pointer; the value is handed on through manual memory, and may
 * not. */
typedef int weft_flight_fn(const char *key, void *arg, void **value);

/* Runs fn on this goroutine; or, if a call for the key is under way, waits for that, and fn and arg are not used. What the call has
 * returned, with *result filled (NULL: the value is not wanted, and given up). Blocks; running out of memory is fatal.
 *
 * If fn panics, so do those who wait, in the same words, each where it waits. If fn exits its goroutine, so do they; a thread
 * outside the runtime, which cannot, panics. */
WEFT_API int weft_flight_do(weft_flight *, const char *key, weft_flight_fn *fn, void *arg, weft_flight_result *result);

/* The same until the deadline: then -ETIMEDOUT, and *result is zeroed. Who gives up leaves the call and its other callers alone; it
 * is begun even if the deadline has passed, and goes on to its end. So fn runs on a goroutine of its own, and what arg points
 * to stays until it has returned. A panic of fn's that finds nobody waiting any more ends the program. */
WEFT_API int weft_flight_do_until(weft_flight *, const char *key, weft_flight_fn *fn, void *arg, weft_flight_result *result,
				  weft_deadline);

/* The same for select: a channel that gives one weft_flight_result. Free it with weft_chan_free, at any time: what has not been
 * received is given up. fn, if it is not joined to a call under way, runs on a goroutine of its own, and what arg points to stays until it has returned. Does not block. If
 * fn exits its goroutine, the channel is closed without a result; if fn panics, nobody can stop that, as in Go, and the program ends. */
WEFT_API weft_chan *weft_flight_chan(weft_flight *, const char *key, weft_flight_fn *fn, void *arg);

/* Who comes with the key from now on makes a new call. One that is under way goes on for those who wait for it. */
WEFT_API void weft_flight_forget(weft_flight *, const char *key);

/* Waits until no call is under way that everybody has given up: for who wants the memory back after weft_flight_do_until or
 * weft_flight_chan. Nobody comes to it meanwhile. It is as if zeroed then, but for ref and unref. */
WEFT_API void weft_flight_fini(weft_flight *);

WEFT_END_DECLS

#endif
