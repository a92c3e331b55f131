/* The bounded queue: a channel of the elements, and one that is closed with the queue.
 *
 * The elements' channel itself is never closed, since to send on it would panic: who puts selects between room and the end. Who gets
 * takes elements as long as there are any, and only then the end.
 */
#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "runtime/panic.h"

#include <weft/chan.h>
#include <weft/mem.h>
#include <weft/work.h>

#include <errno.h>

struct weft_queue {
	weft_chan *elements, *end;
	weft_queue_policy policy;
	_Atomic bool closed; /* whoever sets it closes `end` */
	_Atomic uint64_t put, rejected, shed;
};

weft_queue *weft_queue_make(size_t elem_size, size_t room, weft_queue_policy policy)
{
	if (!room)
		weft_panic("queue without room");
	if (policy < WEFT_QUEUE_BLOCK || policy > WEFT_QUEUE_SHED)
		weft_panic("queue policy %d", (int)policy);
	weft_queue *q = weft_calloc(1, sizeof *q);
	if (!q)
		fatal("out of memory for a queue");
	q->elements = weft_chan_make(elem_size, room);
	q->end = weft_chan_make_leaf(0, 0);
	q->policy = policy;
	return q;
}

void weft_queue_free(weft_queue *q)
{
	if (!q)
		return;
	weft_chan_free(q->elements);
	weft_chan_free(q->end);
	weft_free(q);
}

static int is_in(weft_queue *q, int shed)
{
	add_rlx(&q->put, 1);
	return shed;
}

/* Makes room as often as others take it first; what has been shed is told once. */
static int put_shedding(weft_queue *q, const void *elem)
{
	int shed = 0;
	while (weft_try_send(q->elements, elem)) {
		if (weft_try_recv(q->elements, NULL) != 1)
			continue;
		add_rlx(&q->shed, 1);
		shed = 1;
	}
	return is_in(q, shed);
}

int weft_queue_put_until(weft_queue *q, const void *elem, weft_deadline deadline)
{
	if (load_acq(&q->closed))
		return -EPIPE;
	if (!weft_try_send(q->elements, elem))
		return is_in(q, 0);
	weft_case cases[] = {WEFT_CASE_SEND(q->elements, elem), WEFT_CASE_RECV(q->end, NULL)};
	int taken = weft_select_until(cases, 2, deadline);
	return taken == 0 ? is_in(q, 0) : taken == 1 ? -EPIPE : taken;
}

int weft_queue_put(weft_queue *q, const void *elem)
{
	if (load_acq(&q->closed))
		return -EPIPE;
	if (q->policy == WEFT_QUEUE_BLOCK)
		return weft_queue_put_until(q, elem, WEFT_NEVER);
	if (q->policy == WEFT_QUEUE_SHED)
		return put_shedding(q, elem);
	if (!weft_try_send(q->elements, elem))
		return is_in(q, 0);
	add_rlx(&q->rejected, 1);
	return -EAGAIN;
}

int weft_queue_get_until(weft_queue *q, void *elem, weft_deadline deadline)
{
	if (weft_try_recv(q->elements, elem) == 1)
		return 1;
	weft_case cases[] = {WEFT_CASE_RECV(q->elements, elem), WEFT_CASE_RECV(q->end, NULL)};
	int taken = weft_select_until(cases, 2, deadline);
	if (taken == 1) /* of both that were ready, perhaps */
		return weft_recv_until(q->elements, elem, weft_at(0)) == 1;
	return taken == 0 ? 1 : taken;
}

bool weft_queue_get(weft_queue *q, void *elem)
{
	return weft_queue_get_until(q, elem, WEFT_NEVER) == 1;
}

void weft_queue_close(weft_queue *q)
{
	bool open = false;
	if (cas_acqrel(&q->closed, &open, true))
		weft_close(q->end);
}

void weft_queue_look(weft_queue *q, weft_queue_stats *s)
{
	*s = (weft_queue_stats){
		.put = load_rlx(&q->put),
		.rejected = load_rlx(&q->rejected),
		.shed = load_rlx(&q->shed),
		.len = weft_chan_len(q->elements),
		.room = weft_chan_cap(q->elements),
	};
}
