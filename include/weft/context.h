/* Contexts: what a request hands down to everything that works for it, so that all of it ends together. Package
 * context of Go, in C.
 *
 * A context is cancelled once, by weft_ctx_cancel, by its deadline, or with its parent; from then on its done channel is
 * closed, weft_ctx_err is not 0, and so it is for all of its descendants. Nothing is interrupted by that: whoever works for it
 * looks, or selects on the channel.
 *
 * All functions may be called from any goroutine or thread. None blocks, but a cancellation waits for one that is under way
 * already. Running out of memory is fatal. */
#ifndef WEFT_CONTEXT_H
#define WEFT_CONTEXT_H

#include <weft/base.h>
#include <weft/chan.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

typedef struct weft_ctx weft_ctx;

/* The root of all others: it has no deadline and no values, and to cancel it panics. Neither ref nor free has an effect on it. */
WEFT_API weft_ctx *weft_ctx_background(void);

/* A child, of which the caller has one reference; it keeps its parent. If the parent has been cancelled, it is so from the
 * beginning. A parent that is NULL panics.
 *
 * _timeout: cancelled `ns` from now, and at once if that is not positive. _deadline: the same at a time; WEFT_NEVER is none.
 * The parent's deadline holds for the child as well. _value: looked up by the key's address, which is not NULL. */
WEFT_API weft_ctx *weft_ctx_with_cancel(weft_ctx *parent);
WEFT_API weft_ctx *weft_ctx_with_timeout(weft_ctx *parent, int64_t ns);
WEFT_API weft_ctx *weft_ctx_with_deadline(weft_ctx *parent, weft_deadline);
WEFT_API weft_ctx *weft_ctx_with_value(weft_ctx *parent, const void *key, void *value);

/* The value of the nearest among it and its ancestors that has one by this key; NULL if none has. */
WEFT_API void *weft_ctx_value(weft_ctx *, const void *key);

/* Cancels it and its descendants; that is done when it returns. One that is cancelled already keeps its cause. The text is copied;
 * NULL is "context canceled". */
WEFT_API void weft_ctx_cancel(weft_ctx *, const char *cause);

/* One more reference, for whoever else keeps it. Returns its argument. */
WEFT_API weft_ctx *weft_ctx_ref(weft_ctx *);

/* Gives up a reference; the last one cancels it, and it is gone when its children are. NULL is ignored. */
WEFT_API void weft_ctx_free(weft_ctx *);

/* Closed on cancellation, never sent on; it lives as long as the context. NULL, Go's nil channel, for the background. */
WEFT_API weft_chan *weft_ctx_done(weft_ctx *);

/* 0; -ECANCELED; -ETIMEDOUT: by a deadline, its own or an ancestor's. */
WEFT_API int weft_ctx_err(weft_ctx *);

/* What it was cancelled for ("context deadline exceeded" by a deadline); NULL: it has not been. Lives as long as the context. */
WEFT_API const char *weft_ctx_cause(weft_ctx *);

/* When it will be cancelled at the latest; WEFT_NEVER if nothing is said. */
WEFT_API weft_deadline weft_ctx_deadline(weft_ctx *);

WEFT_END_DECLS

#endif
