/* Work that waits its turn: a fixed number of goroutines that do jobs, and a queue that says no when it is full. */
#ifndef WEFT_WORK_H
#define WEFT_WORK_H

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* ---- workers ---- */

typedef struct weft_workers weft_workers;

/* n goroutines (positive, or it panics) that do jobs in the order in which they are submitted; up to `waiting` jobs wait, beyond those
 * being done. Running out of memory is fatal. */
WEFT_API weft_workers *weft_workers_make(int n, size_t waiting);

/* fn(arg) will be done. Blocks while all places are taken. A job may submit others, but then not block for a place: the last worker would
 * wait for itself. */
WEFT_API void weft_workers_submit(weft_workers *, void (*fn)(void *), void *arg);
WEFT_API int weft_workers_try_submit(weft_workers *, void (*fn)(void *), void *arg);                  /* 0, -EAGAIN */
WEFT_API int weft_workers_submit_until(weft_workers *, void (*fn)(void *), void *arg, weft_deadline); /* 0, -ETIMEDOUT */

/* Waits until all that was submitted has been done, and frees them. Nobody submits meanwhile, jobs excepted. */
WEFT_API void weft_workers_wait(weft_workers *);

/* ---- a queue with back-pressure ---- */

/* What becomes of an element that finds no room. */
typedef enum weft_queue_policy {
	WEFT_QUEUE_BLOCK,  /* whoever puts it waits */
	WEFT_QUEUE_REJECT, /* it is refused */
	WEFT_QUEUE_SHED,   /* the oldest one makes room for it */
} weft_queue_policy;

typedef struct weft_queue weft_queue;

/* For `room` elements (at least 1) of elem_size bytes each (at most 64 KiB), which hold no collected pointers. Nonsensical sizes panic, running out of memory is fatal. */
WEFT_API weft_queue *weft_queue_make(size_t elem_size, size_t room, weft_queue_policy);
WEFT_API void weft_queue_free(weft_queue *);

/* Copies the element in (NULL: zeroes). 0; 1: in, and an older one was shed; -EAGAIN: refused; -EPIPE: the queue is closed. Blocks by its policy only. */
WEFT_API int weft_queue_put(weft_queue *, const void *elem);

/* The same, but whatever its policy it waits for room until the deadline: then -ETIMEDOUT. */
WEFT_API int weft_queue_put_until(weft_queue *, const void *elem, weft_deadline);

/* The oldest element; NULL discards it. True, or false: the queue is closed, and empty, and *elem zeroed. Blocks. */
WEFT_API bool weft_queue_get(weft_queue *, void *elem);
WEFT_API int weft_queue_get_until(weft_queue *, void *elem, weft_deadline); /* 1 an element, 0 closed and empty, -ETIMEDOUT */

/* No more is taken in; what is in can be had. Who waits to put is told -EPIPE. Once; a second time has no effect. */
WEFT_API void weft_queue_close(weft_queue *);

/* What a producer, or whoever decides what to admit, goes by. */
typedef struct weft_queue_stats {
	uint64_t put, rejected, shed; /* so far; put counts those that were shed later */
	size_t len, room;
} weft_queue_stats;
WEFT_API void weft_queue_look(weft_queue *, weft_queue_stats *);

WEFT_END_DECLS

#endif
