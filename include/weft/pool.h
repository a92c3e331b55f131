/* Pools of objects that are costly to make and cheap to use again: Go's sync.Pool (https://pkg.go.dev/sync#Pool), in C. docs/pools.md has
 * an example, and says what a pool is not for.
 *
 * Whatever has been put into a pool may be gone at any moment: what nobody has taken out from before one collection until after the
 * next is given to drop. Any number of goroutines and threads at once may get and put. */
#ifndef WEFT_POOL_H
#define WEFT_POOL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_pool weft_pool;

/* make(arg) is an object for a get that finds none; NULL: that get gives NULL. drop(obj, arg) is called once for each object that leaves
 * the pool in another way than by a get; NULL: nothing is to be done. Both may block, panic and exit the goroutine. A pool that is made inside
 * weft_main has a part for each P; one that is made before has none but what threads outside use, and is slower. Running out of memory is
 * fatal. The pool is manual memory; arg, and the objects, may be collected. */
WEFT_API weft_pool *weft_pool_make(void *(*make)(void *arg), void (*drop)(void *obj, void *arg), void *arg);

/* Drops all objects that are in the pool, and waits for those that are being dropped. Nobody else uses it any more. A panic in drop
 * comes out of here after the others have been dropped. NULL is no pool, and fine. */
WEFT_API void weft_pool_free(weft_pool *);

/* Any object of the pool's, or a new one. Does not block, but for what make does. What happened before an object was put has happened for
 * who gets it. */
WEFT_API void *weft_pool_get(weft_pool *);

/* The object is the pool's from here on. NULL is none. Does not block: only when there is no memory to keep it, drop is called
 * here. */
WEFT_API void weft_pool_put(weft_pool *, void *obj);

WEFT_END_DECLS

#endif
