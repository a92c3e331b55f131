/* The bounded queue: a ring under a mutex, with a condition for each side that may wait. So that it is closed, and what becomes of an element, is
 * one decision: whoever is told that an element is in, has it in before anybody is told that there will be no more.
 */
#include "lockfree/assert.h"
#include "runtime/panic.h"

#include <weft/mem.h>
#include <weft/sync.h>
#include <weft/work.h>

#include <errno.h>
#include <string.h>

enum { ELEM_MOST = 65536 };

struct weft_queue {
	weft_mutex lock; /* of all */
	weft_cond has_room, has_elements;
	size_t elem_size, room, head, len;
	weft_queue_policy policy;
	bool closed;
	uint64_t put, rejected, shed;
	char elements[];
};

weft_queue *weft_queue_make(size_t elem_size, size_t room, weft_queue_policy policy)
{
	size_t size;
	if (!room)
		weft_panic("queue without room");
	if (policy < WEFT_QUEUE_BLOCK || policy > WEFT_QUEUE_SHED)
		weft_panic("queue policy %d", (int)policy);
	if (elem_size > ELEM_MOST || room > PTRDIFF_MAX || __builtin_mul_overflow(elem_size, room, &size) ||
	    size > PTRDIFF_MAX - sizeof(weft_queue))
		weft_panic("queue size out of range: %zu elements of %zu bytes", room, elem_size);
	weft_queue *q = weft_malloc(sizeof *q + size);
	if (!q)
		fatal("out of memory for a queue of %zu elements of %zu bytes", room, elem_size);
	*q = (weft_queue){.elem_size = elem_size, .room = room, .policy = policy};
	return q;
}

void weft_queue_free(weft_queue *q)
{
	weft_free(q);
}

/* ---- under the lock ---- */

static void put_last(weft_queue *q, const void *elem)
{
	size_t at = q->head + q->len < q->room ? q->head + q->len : q->head + q->len - q->room;
	if (elem)
		memcpy(q->elements + at * q->elem_size, elem, q->elem_size);
	else
		memset(q->elements + at * q->elem_size, 0, q->elem_size);
	q->len++;
	q->put++;
	weft_cond_signal(&q->has_elements);
}

static void take_first(weft_queue *q, void *elem)
{
	if (elem && q->elem_size)
		memcpy(elem, q->elements + q->head * q->elem_size, q->elem_size);
	q->head = q->head + 1 < q->room ? q->head + 1 : 0;
	q->len--;
}

static int wait_for_room(weft_queue *q, weft_deadline deadline)
{
	int err = 0;
	while (q->len == q->room && !q->closed && !err)
		err = weft_cond_wait_until(&q->has_room, &q->lock, deadline);
	return q->closed ? -EPIPE : q->len < q->room ? 0 : err;
}

/* 0: there is room now; 1: there is, the oldest one having been shed; or why there is none. */
static int make_room(weft_queue *q)
{
	if (q->closed)
		return -EPIPE;
	if (q->len < q->room)
		return 0;
	if (q->policy == WEFT_QUEUE_BLOCK)
		return wait_for_room(q, WEFT_NEVER);
	if (q->policy == WEFT_QUEUE_REJECT) {
		q->rejected++;
		return -EAGAIN;
	}
	take_first(q, NULL);
	q->shed++;
	return 1;
}

/* ---- from outside ---- */

int weft_queue_put(weft_queue *q, const void *elem)
{
	weft_mutex_lock(&q->lock);
	int outcome = make_room(q);
	if (outcome >= 0)
		put_last(q, elem);
	weft_mutex_unlock(&q->lock);
	return outcome;
}

int weft_queue_put_until(weft_queue *q, const void *elem, weft_deadline deadline)
{
	weft_mutex_lock(&q->lock);
	int err = wait_for_room(q, deadline);
	if (!err)
		put_last(q, elem);
	weft_mutex_unlock(&q->lock);
	return err;
}

int weft_queue_get_until(weft_queue *q, void *elem, weft_deadline deadline)
{
	int err = 0;
	weft_mutex_lock(&q->lock);
	while (!q->len && !q->closed && !err)
		err = weft_cond_wait_until(&q->has_elements, &q->lock, deadline);
	bool got = q->len;
	if (got) {
		take_first(q, elem);
		weft_cond_signal(&q->has_room);
	}
	bool over = q->closed;
	weft_mutex_unlock(&q->lock);
	if (!got && over && elem)
		memset(elem, 0, q->elem_size);
	return got ? 1 : over ? 0 : err;
}

bool weft_queue_get(weft_queue *q, void *elem)
{
	return weft_queue_get_until(q, elem, WEFT_NEVER) == 1;
}

void weft_queue_close(weft_queue *q)
{
	weft_mutex_lock(&q->lock);
	q->closed = true;
	weft_cond_broadcast(&q->has_room);
	weft_cond_broadcast(&q->has_elements);
	weft_mutex_unlock(&q->lock);
}

void weft_queue_look(weft_queue *q, weft_queue_stats *s)
{
	weft_mutex_lock(&q->lock);
	*s = (weft_queue_stats){
		.put = q->put, .rejected = q->rejected, .shed = q->shed, .len = q->len, .room = q->room};
	weft_mutex_unlock(&q->lock);
}
