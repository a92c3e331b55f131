/* Channels.
 *
 * A short lock, never held across a switch, guards a ring of elements and two queues of waiters. Invariants,
 * under the lock: 0 <= count <= cap; receivers wait only while count == 0 and senders only while
 * count == cap, so (for every channel but a closed one) one of the two queues is empty; whoever is on a queue
 * has been there longer than whoever comes (first in, first out).
 *
 *     send                                        receive
 *     closed: panic                               a waiting sender: if cap == 0 take its value,
 *     a waiting receiver: copy into its *elem       else the ring's oldest, and the sender's goes in behind
 *     room: into the ring                         count > 0: the ring's oldest
 *     else wait                                   closed: zero; else wait
 *
 * The copy into a waiting receiver's *elem, which is on another goroutine's stack, is what saves the second
 * copy and the second lock; it happens under the lock, before that goroutine is readied.
 *
 * A waiter of select, or one with a deadline, may be ended from elsewhere at the same time: it is claimed
 * (park.h), and passed over when that fails; its owner takes it off the queue itself.
 *
 * Orders, after the Go memory model ("Channel communication"): a send happens before the receive that
 * completes it; a close before a receive that returns because of it; the k-th receive on a channel of
 * capacity C before the completion of send k+C. All three are the lock's release and acquire, or ready's.
 *
 * R1 weft_close: store_rlx(closed) under the lock ->  A1 the try_ forms' look without it: they then take it
 */
#include "runtime/chan.h"
#include "lockfree/assert.h"
#include "lockfree/sanitize.h"
#include "runtime/area.h"
#include "runtime/call.h"
#include "runtime/panic.h"
#include "runtime/signal.h"

#include <weft/mem.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { ELEM_MOST = 65536 };

/* ---- waiters ---- */

void waitq_push(struct waitq *q, struct waiter *w)
{
	w->next = NULL;
	w->prev = q->last;
	w->queued = true;
	if (q->last)
		q->last->next = w;
	else
		store_rlx(&q->first, w);
	q->last = w;
}

void waitq_remove(struct waitq *q, struct waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		store_rlx(&q->first, w->next);
	if (w->next)
		w->next->prev = w->prev;
	else
		q->last = w->prev;
	w->queued = false;
}

/* The first that can be had; those that have been ended from elsewhere are dropped. */
static inline struct waiter *waitq_take(struct waitq *q)
{
	struct waiter *w;
	while ((w = load_rlx(&q->first))) {
		prefetch_to_write(w->g); /* it may have run on another core */
		waitq_remove(q, w);
		if (likely(!w->many) || wait_claim(w->g))
			return w;
	}
	return NULL;
}

static inline struct g *finish(struct waiter *w, bool ok)
{
	w->ok = ok;
	if (w->many && w->taken)
		*w->taken = w;
	return w->g;
}

/* ---- elements ---- */

/* What one goroutine gets from another, or from the buffer: while the collector marks it is told. */
static inline void copy(const struct weft_chan *c, void *to, const void *from)
{
	uint32_t size = c->elem_size;
	if (gc_shades() && !c->leaf && from)
		gc_shade_words(from, size);
	if (likely(size == 8))
		memcpy(to, from, 8);
	else if (size == 4)
		memcpy(to, from, 4);
	else if (size && to && from)
		memcpy(to, from, size);
}

static inline void copy_out(const struct weft_chan *c, void *to, const void *from)
{
	if (likely(to != NULL))
		copy(c, to, from);
}

static inline void zero(void *elem, uint32_t size)
{
	if (elem && size)
		memset(elem, 0, size);
}

static inline char *at(struct weft_chan *c, size_t index)
{
	return c->buf + (index >= c->cap ? index - c->cap : index) * c->elem_size;
}

static inline void ring_put(struct weft_chan *c, const void *elem)
{
	size_t count = load_rlx(&c->count);
	copy(c, at(c, load_rlx(&c->head) + count), elem);
	store_rlx(&c->count, count + 1);
}

static inline void ring_take(struct weft_chan *c, void *elem)
{
	size_t head = load_rlx(&c->head);
	copy_out(c, elem, at(c, head));
	store_rlx(&c->head, head + 1 == c->cap ? 0 : head + 1);
	store_rlx(&c->count, load_rlx(&c->count) - 1);
}

/* ---- making and freeing ---- */

/* Behind the buffer, for the collector. */
struct tail {
	struct area area;
	struct weft_chan *of;
	size_t n, end; /* elements that there were when the look began, and the index behind the youngest */
};

static struct tail *tail_of(struct weft_chan *c)
{
	size_t align = _Alignof(struct tail), bytes = (c->cap * c->elem_size + align - 1) / align * align;
	return (struct tail *)(void *)(c->buf + bytes);
}

static bool has_tail(const struct weft_chan *c)
{
	return !c->leaf && c->cap;
}

/* What is sent during the look is shaded, and what is received; elements that just stay there are found from the youngest on: others come and go
 * at their two ends. The head is read after the count, for receives move it on. */
static bool look_at_buffer(struct area *a, size_t *done, struct gc_filling *f)
{
	enum { BYTES_A_LOOK = 16384 };
	struct tail *t = (struct tail *)(void *)a;
	struct weft_chan *c = t->of;
	size_t elem = c->elem_size;
	if (*done == 0) {
		t->n = load_acq(&c->count);
		t->end = load_acq(&c->head) + t->n;
	}
	for (size_t bytes = 0; *done < t->n && bytes < BYTES_A_LOOK; bytes += elem) {
		const char *from = at(c, t->end - ++*done);
		gc_note_words(f, from, from + elem);
	}
	return *done < t->n;
}
static_assert(offsetof(struct tail, area) == 0, "one is found by the other");

/* From its address: nothing that is copied elsewhere has it. */
static uint32_t tag_of(const struct weft_chan *c)
{
	return (uint32_t)((uintptr_t)c * UINT64_C(0x9e3779b97f4a7c15) >> 32) | 1;
}

static weft_chan *make(size_t elem_size, size_t cap, bool leaf)
{
	size_t bytes, tail = leaf || elem_size < sizeof(void *) ? 0 : sizeof(struct tail) + _Alignof(struct tail);
	if (elem_size > ELEM_MOST)
		weft_panic("channel element of %zu bytes: at most %d", elem_size, ELEM_MOST);
	if (cap > PTRDIFF_MAX || __builtin_mul_overflow(elem_size, cap, &bytes) ||
	    bytes > PTRDIFF_MAX - sizeof(struct weft_chan) - CHAN_LINE - tail)
		weft_panic("channel size out of range: %zu elements of %zu bytes", cap, elem_size);
	size_t size = (sizeof(struct weft_chan) + bytes + tail + CHAN_LINE - 1) / CHAN_LINE * CHAN_LINE;
	weft_chan *c = weft_aligned_alloc(CHAN_LINE, size);
	if (!c)
		fatal("out of memory for a channel of %zu elements of %zu bytes", cap, elem_size);
	memset(c, 0, sizeof *c);
	c->elem_size = (uint32_t)elem_size;
	c->cap = cap;
	c->buf = bytes ? (char *)(c + 1) : (char *)c; /* behind it is somebody else's: reach.h */
	c->tag = tag_of(c);
	c->leaf = !tail;
	if (has_tail(c)) {
		*tail_of(c) = (struct tail){.of = c};
		area_add(&tail_of(c)->area, look_at_buffer);
	}
	return c;
}

weft_chan *weft_chan_make(size_t elem_size, size_t cap)
{
	return make(elem_size, cap, false);
}

weft_chan *weft_chan_make_leaf(size_t elem_size, size_t cap)
{
	return make(elem_size, cap, true);
}

void chan_set_source(struct weft_chan *c, struct chan_source *source)
{
	c->source = source;
}

static void reclaim(struct epoch_entry *entry)
{
	struct weft_chan *c = (struct weft_chan *)(void *)((char *)entry - offsetof(struct weft_chan, retired));
	c->tag = 0; /* whoever gets the memory next has no channel there */
	weft_free(c);
}

void weft_chan_free(weft_chan *c)
{
	if (!c)
		return;
	bool outermost = call_begin();
	chan_lock(c);
	bool waited_on = load_rlx(&c->recvq.first) || load_rlx(&c->sendq.first);
	chan_unlock(c);
	if (waited_on)
		weft_panic("free of a channel on which a goroutine waits");
	if (unlikely(load_acq(&c->subscribed)))
		signal_forget(c);
	if (c->source) {
		call_end(outermost);
		c->source->gone(c->source);
		outermost = call_begin();
	}
	if (has_tail(c))
		area_drop(&tail_of(c)->area);
	retire(&c->retired, reclaim);
	call_end(outermost);
}

/* ---- sending ---- */

void chan_panic_closed(void)
{
	weft_panic("send on closed channel");
}

/* Inlined, so that *wake is in no memory: timers send in the scheduler's identity (fiber.h). */
static inline __attribute__((always_inline)) enum outcome send_locked(struct weft_chan *c, const void *elem, struct g **wake)
{
	*wake = NULL;
	if (unlikely(load_rlx(&c->closed)))
		return SENT_CLOSED;
	struct waiter *w = waitq_take(&c->recvq);
	if (w) {
		copy_out(c, w->elem, elem);
		*wake = finish(w, true);
		return DONE;
	}
	if (load_rlx(&c->count) == c->cap)
		return WOULD_BLOCK;
	ring_put(c, elem);
	return DONE;
}

enum outcome chan_send_locked(struct weft_chan *c, const void *elem, struct g **wake)
{
	return send_locked(c, elem, wake);
}

static WEFT_NORETURN void block_for_ever(enum wait_reason why)
{
	call_begin_blocking();
	wait_begin(why);
	for (;;)
		park();
}

/* Queued, unlocked, parked; true: the deadline ended it, and the waiter is off its queue. */
static bool wait_on(struct weft_chan *c, struct waitq *q, struct waiter *w, enum wait_reason why,
		    weft_deadline deadline)
{
	w->g = wait_begin(why);
	waitq_push(q, w);
	chan_unlock(c);
	if (!w->many) {
		park();
		return false;
	}
	if (!park_until(w->g, deadline))
		return false;
	chan_lock(c);
	if (w->queued)
		waitq_remove(q, w);
	chan_unlock(c);
	return true;
}

static inline int send_inside(struct weft_chan *c, const void *elem, bool many, weft_deadline deadline)
{
	struct g *wake;
	chan_lock(c);
	switch (chan_send_locked(c, elem, &wake)) {
	case DONE:
		chan_unlock(c);
		if (wake)
			ready(wake);
		return 0;
	case SENT_CLOSED:
		chan_unlock(c);
		chan_panic_closed();
	default:
		break;
	}
	struct waiter w = {.elem = (void *)(uintptr_t)elem, .many = many};
	if (wait_on(c, &c->sendq, &w, WAIT_SEND, deadline))
		return -ETIMEDOUT;
	if (unlikely(!w.ok))
		chan_panic_closed();
	return 0;
}

/* 0 or -ETIMEDOUT. */
static inline int send(struct weft_chan *c, const void *elem, bool many, weft_deadline deadline)
{
	bool outermost = call_begin_blocking();
	int err = send_inside(c, elem, many, deadline);
	call_end_blocking(outermost);
	return err;
}

void weft_send(weft_chan *c, const void *elem)
{
	if (unlikely(!c))
		block_for_ever(WAIT_SEND_NIL);
	send(c, elem, false, WEFT_NEVER);
}

int weft_try_send(weft_chan *c, const void *elem)
{
	if (!c)
		return -EAGAIN;
	struct g *wake;
	bool outermost = call_begin();
	chan_lock(c);
	enum outcome o = send_locked(c, elem, &wake);
	chan_unlock(c);
	if (o == SENT_CLOSED)
		chan_panic_closed();
	if (wake)
		ready(wake);
	call_end(outermost);
	return o == DONE ? 0 : -EAGAIN;
}

static int wait_out(enum wait_reason why, weft_deadline deadline)
{
	if (deadline.ns == INT64_MAX)
		block_for_ever(why == WAIT_SEND ? WAIT_SEND_NIL : WAIT_RECV_NIL);
	bool outermost = call_begin_blocking();
	park_until(wait_begin(why), deadline);
	call_end_blocking(outermost);
	return -ETIMEDOUT;
}

int weft_send_until(weft_chan *c, const void *elem, weft_deadline deadline)
{
	return c ? send(c, elem, true, deadline) : wait_out(WAIT_SEND, deadline);
}

/* ---- receiving ---- */

inline enum outcome chan_recv_locked(struct weft_chan *c, void *elem, struct g **wake)
{
	*wake = NULL;
	if (load_rlx(&c->count) > 0) {
		ring_take(c, elem);
		struct waiter *w = waitq_take(&c->sendq);
		if (w) {
			ring_put(c, w->elem);
			*wake = finish(w, true);
		}
		return DONE;
	}
	struct waiter *w = waitq_take(&c->sendq);
	if (w) {
		copy_out(c, elem, w->elem);
		*wake = finish(w, true);
		return DONE;
	}
	if (!load_rlx(&c->closed))
		return WOULD_BLOCK;
	zero(elem, c->elem_size);
	return DRAINED;
}

static inline int recv_inside(struct weft_chan *c, void *elem, bool many, weft_deadline deadline)
{
	struct g *wake;
	chan_lock(c);
	enum outcome o = chan_recv_locked(c, elem, &wake);
	if (likely(o != WOULD_BLOCK)) {
		chan_unlock(c);
		if (wake)
			ready(wake);
		return o == DONE;
	}
	struct waiter w = {.elem = elem, .many = many};
	if (wait_on(c, &c->recvq, &w, WAIT_RECV, deadline))
		return -ETIMEDOUT;
	return w.ok;
}

/* 1 a value, 0 drained, -ETIMEDOUT. */
static inline int recv(struct weft_chan *c, void *elem, bool many, weft_deadline deadline)
{
	bool outermost = call_begin_blocking();
	int got = recv_inside(c, elem, many, deadline);
	call_end_blocking(outermost);
	return got;
}

bool weft_recv(weft_chan *c, void *elem)
{
	if (unlikely(!c))
		block_for_ever(WAIT_RECV_NIL);
	return recv(c, elem, false, WEFT_NEVER) > 0;
}

/* Empty and open, at one moment during the call: nothing to do, and no lock to take for it. */
static inline bool looks_empty(struct weft_chan *c)
{
	return c->cap && load_acq(&c->count) == 0 && !load_acq(&c->closed) && load_acq(&c->count) == 0;
}

int weft_try_recv(weft_chan *c, void *elem)
{
	if (!c || looks_empty(c))
		return -EAGAIN;
	struct g *wake;
	bool outermost = call_begin();
	chan_lock(c);
	enum outcome o = chan_recv_locked(c, elem, &wake);
	chan_unlock(c);
	if (wake)
		ready(wake);
	call_end(outermost);
	return o == WOULD_BLOCK ? -EAGAIN : o == DONE;
}

int weft_recv_until(weft_chan *c, void *elem, weft_deadline deadline)
{
	return c ? recv(c, elem, true, deadline) : wait_out(WAIT_RECV, deadline);
}

/* ---- closing, looking ---- */

/* Takes everybody off a queue, and zeroes what they wait for; a list through `next`. A thousand waiters are on as many stacks,
 * none of which is in the nearest cache: each is looked at twice, here and when it is woken. */
static struct waiter *take_all(struct waitq *q, uint32_t elem_size)
{
	struct waiter *all = NULL, **last = &all, *next;
	for (struct waiter *w = load_rlx(&q->first); w; w = next) {
		next = w->next;
		w->queued = false;
		if (w->many && !wait_claim(w->g))
			continue;
		zero(w->elem, elem_size);
		*last = w;
		last = &w->next;
	}
	*last = NULL;
	store_rlx(&q->first, NULL);
	q->last = NULL;
	return all;
}

static void wake_all(struct waiter *w)
{
	while (w) {
		struct waiter *next = w->next; /* gone with its goroutine's stack once that is ready */
		if (next)
			prefetch_to_write(next->g);
		ready(finish(w, false));
		w = next;
	}
}

void weft_close(weft_chan *c)
{
	if (!c)
		weft_panic("close of nil channel");
	bool outermost = call_begin();
	if (unlikely(load_acq(&c->subscribed)))
		signal_forget(c);
	chan_lock(c);
	if (load_rlx(&c->closed)) {
		chan_unlock(c);
		weft_panic("close of closed channel");
	}
	store_rel(&c->closed, true); /* R1 */
	struct waiter *receivers = take_all(&c->recvq, c->elem_size), *senders = take_all(&c->sendq, 0);
	chan_unlock(c);
	wake_all(receivers);
	wake_all(senders);
	call_end(outermost);
}

size_t weft_chan_len(const weft_chan *c)
{
	return c ? load_acq(&c->count) : 0;
}

size_t weft_chan_cap(const weft_chan *c)
{
	return c ? c->cap : 0;
}

/* ---- for whoever looks at all memory ---- */

NOT_INSTRUMENTED bool chan_is(const struct weft_chan *copy, const struct weft_chan *at)
{
	bool has_buffer = copy->cap && copy->elem_size;
	return copy->buf == (const char *)(at + has_buffer) && copy->tag == tag_of(at);
}

NOT_INSTRUMENTED size_t chan_size(const struct weft_chan *c)
{
	size_t bytes = c->cap * c->elem_size + (has_tail(c) ? sizeof(struct tail) + _Alignof(struct tail) : 0);
	return (sizeof *c + bytes + CHAN_LINE - 1) / CHAN_LINE * CHAN_LINE;
}

NOT_INSTRUMENTED void chan_each_range(const struct weft_chan *c, void (*see)(void *, const void *, const void *), void *arg)
{
	size_t elem = c->elem_size, head = load_rlx(&c->head), n = load_rlx(&c->count);
	size_t first = n < c->cap - head ? n : c->cap - head;
	see(arg, c, c + 1);
	see(arg, c->buf + head * elem, c->buf + (head + first) * elem);
	see(arg, c->buf, c->buf + (n - first) * elem);
}
