/* Groups: goroutines that work on one thing, of which the first error ends the others. Package errgroup of Go, in C. */
#ifndef WEFT_GROUP_H
#define WEFT_GROUP_H

#include <weft/base.h>
#include <weft/context.h>

WEFT_BEGIN_DECLS

typedef struct weft_group weft_group;

/* A group whose context is a child of parent (NULL: of the background). Running out of memory is fatal. */
WEFT_API weft_group *weft_group_make(weft_ctx *parent);

/* The context that the group's functions are given. The group's own: ref it to keep it beyond weft_group_wait. */
WEFT_API weft_ctx *weft_group_ctx(weft_group *);

/* At most n (positive, or it panics) goroutines at a time. Before the first go; later it panics. */
WEFT_API void weft_group_limit(weft_group *, int n);

/* Runs fn(context of the group, arg) on a goroutine of its own. At the limit it blocks until another one has ended. What fn
 * returns, other than 0, is an error: the first in time cancels the group's context, with strerror's words as the cause. One that exits its goroutine has
 * returned 0. */
WEFT_API void weft_group_go(weft_group *, int (*fn)(weft_ctx *, void *), void *arg);

/* The same, if the limit allows it now: 0, or -EAGAIN. */
WEFT_API int weft_group_try_go(weft_group *, int (*fn)(weft_ctx *, void *), void *arg);

/* Waits for all of them, cancels the context, and frees the group and its reference to it. The first error, or 0. */
WEFT_API int weft_group_wait(weft_group *);

WEFT_END_DECLS

#endif
