/* Select: at most one case is taken, uniformly at random among the ready ones (Go specification, "Select
 * statements").
 *
 * First one of those that look ready is drawn, and tried under no lock but its own channel's: a case that can be done is ready at that
 * moment, and those that were not drawn have had their chance. That none is ready, only one moment can show: all channels are
 * locked, in the order of their addresses, and looked at again; if there is none, a waiter is put on every channel and the goroutine
 * parks. Wakers claim it (park.h): the one whose claim succeeds has dealt with its case and noted the waiter; the others pass it
 * over. Afterwards the waiters are taken off the other channels, one after the other.
 *
 * A case may look ready that is not: whom it was for has been ended from elsewhere, or somebody was faster. Then another one is
 * drawn; who is unlucky a few times looks under all locks.
 *
 * A case on a NULL channel is never ready. The same channel may stand in several cases; it is locked once.
 * Up to SELECT_SMALL cases live on the stack, more on the heap.
 */
#include "lockfree/assert.h"
#include "runtime/chan.h"
#include "runtime/fiber.h"
#include "runtime/call.h"
#include "runtime/panic.h"
#include "runtime/random.h"
#include "runtime/sim.h"

#include <weft/mem.h>

#include <errno.h>
#include <stdlib.h>

enum { SELECT_SMALL = 8, SELECT_MOST = 65535 };

/* Beside indices and errnos. It was a send on a closed channel: to panic when all is given back. */
enum { NONE_READY = -1, SELECT_CLOSED = -4096 };

struct selection {
	weft_case *cases;
	int n;
	struct weft_chan **order; /* the order of locking, each channel once */
	int nlocks;
	struct waiter *waiters; /* of each case */
};

/* ---- locks ---- */

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (struct weft_chan *const *)a, y = (uintptr_t) * (struct weft_chan *const *)b;
	return x < y ? -1 : x > y;
}

static void sort(struct weft_chan **v, int n)
{
	if (n > SELECT_SMALL) {
		qsort(v, (size_t)n, sizeof *v, by_address);
		return;
	}
	for (int i = 1; i < n; i++) {
		struct weft_chan *c = v[i];
		int j = i;
		for (; j > 0 && (uintptr_t)v[j - 1] > (uintptr_t)c; j--)
			v[j] = v[j - 1];
		v[j] = c;
	}
}

static void order_locks(struct selection *s)
{
	int all = 0, each = 0;
	for (int i = 0; i < s->n; i++)
		if (s->cases[i].ch)
			s->order[all++] = s->cases[i].ch;
	sort(s->order, all);
	for (int i = 0; i < all; i++)
		if (each == 0 || s->order[each - 1] != s->order[i])
			s->order[each++] = s->order[i];
	s->nlocks = each;
}

static void lock_all(struct selection *s)
{
	for (int i = 0; i < s->nlocks; i++)
		chan_lock(s->order[i]);
}

static void unlock_all(struct selection *s)
{
	for (int i = s->nlocks; i-- > 0;)
		chan_unlock(s->order[i]);
}

/* ---- what is ready ---- */

static inline bool looks_ready(const weft_case *c)
{
	struct weft_chan *ch = c->ch;
	if (!ch)
		return false;
	if (c->op == WEFT_RECV)
		return load_rlx(&ch->sendq.first) || load_rlx(&ch->count) || load_acq(&ch->closed);
	return load_rlx(&ch->recvq.first) || load_rlx(&ch->count) < ch->cap || load_acq(&ch->closed);
}

/* One of those that look ready, each as likely; -1: none does. */
static inline int draw(const weft_case *cases, int n)
{
	int drawn = -1;
	uint32_t ready = 0;
	for (int i = 0; i < n; i++)
		if (looks_ready(&cases[i]) && (++ready == 1 || random_below(ready) == 0))
			drawn = i;
	return drawn;
}

static inline enum outcome try_locked(weft_case *c, struct g **wake)
{
	return c->op == WEFT_SEND ? chan_send_locked(c->ch, c->elem, wake)
				  : chan_recv_locked(c->ch, c->elem, wake);
}

/* The case has been done, and nothing is locked. Its index, or SELECT_CLOSED. */
static inline int finish(weft_case *cases, int index, int n, enum outcome o, struct g *wake)
{
	if (unlikely(o == SENT_CLOSED))
		return SELECT_CLOSED;
	cases[index].ok = o == DONE;
	if (wake)
		ready(wake);
	if (unlikely(sim_on))
		sim_trace(SIM_SELECT, (uint64_t)index, (uint64_t)n);
	return index;
}

/* The index of a case that could be done at once, NONE_READY or SELECT_CLOSED. */
static int take_drawn(weft_case *cases, int n)
{
	for (int attempt = 0; attempt < n && attempt < SELECT_SMALL; attempt++) {
		struct g *wake;
		int index = draw(cases, n);
		if (index < 0)
			break;
		weft_case *c = &cases[index];
		chan_lock(c->ch);
		enum outcome o = try_locked(c, &wake);
		chan_unlock(c->ch);
		if (likely(o != WOULD_BLOCK))
			return finish(cases, index, n, o, wake);
	}
	return NONE_READY;
}

/* The same, under all locks: NONE_READY is certain then, and they are held still; otherwise they are not. */
static int take_ready(struct selection *s)
{
	int index;
	while ((index = draw(s->cases, s->n)) >= 0) {
		struct g *wake;
		enum outcome o = try_locked(&s->cases[index], &wake);
		if (o == WOULD_BLOCK)
			continue; /* it had waiters who have been ended from elsewhere; they are gone now */
		unlock_all(s);
		return finish(s->cases, index, s->n, o, wake);
	}
	return NONE_READY;
}

/* ---- waiting ---- */

static struct waitq *queue_of(const weft_case *c)
{
	return c->op == WEFT_SEND ? &c->ch->sendq : &c->ch->recvq;
}

static void leave_queues(struct selection *s, const struct waiter *taken)
{
	for (int i = 0; i < s->n; i++) {
		struct weft_chan *c = s->cases[i].ch;
		if (!c || &s->waiters[i] == taken)
			continue;
		chan_lock(c);
		if (s->waiters[i].queued)
			waitq_remove(queue_of(&s->cases[i]), &s->waiters[i]);
		chan_unlock(c);
	}
}

/* Waits on every case that has a channel; all locks are held and are given up. */
static int wait_for_one(struct selection *s, weft_deadline deadline)
{
	struct waiter *taken = NULL;
	struct g *g = wait_begin(WAIT_SELECT);
	for (int i = 0; i < s->n; i++) {
		weft_case *c = &s->cases[i];
		if (!c->ch)
			continue;
		s->waiters[i] = (struct waiter){.g = g, .elem = c->elem, .many = true, .taken = &taken};
		waitq_push(queue_of(c), &s->waiters[i]);
	}
	unlock_all(s);
	bool timed_out = park_until(g, deadline);
	leave_queues(s, taken);
	if (timed_out)
		return -ETIMEDOUT;
	int index = (int)(taken - s->waiters);
	weft_case *c = &s->cases[index];
	c->ok = taken->ok;
	return c->op == WEFT_SEND && !taken->ok ? SELECT_CLOSED : index;
}

enum patience { NO_WAIT, WAIT };

static int run(struct selection *s, enum patience patience, weft_deadline deadline)
{
	order_locks(s);
	lock_all(s);
	int index = take_ready(s);
	if (index != NONE_READY)
		return index;
	if (patience == WAIT && s->nlocks)
		return wait_for_one(s, deadline);
	unlock_all(s);
	if (patience == NO_WAIT)
		return -EAGAIN;
	park_until(wait_begin(s->n ? WAIT_SELECT : WAIT_SELECT_NONE), deadline);
	return -ETIMEDOUT;
}

static int run_large(weft_case *cases, int n, enum patience patience, weft_deadline deadline)
{
	char *memory = weft_malloc((size_t)n * (sizeof(struct waiter) + sizeof(struct weft_chan *)));
	if (!memory)
		fatal("out of memory for a select over %d cases", n);
	struct selection s = {.cases = cases, .n = n, .waiters = (struct waiter *)(void *)memory};
	s.order = (struct weft_chan **)(void *)(s.waiters + n);
	int index = run(&s, patience, deadline);
	weft_free(memory);
	return index;
}

/* Its own frame: who finds something ready needs none of it. */
static __attribute__((noinline)) int run_small(weft_case *cases, int n, enum patience patience, weft_deadline deadline)
{
	struct waiter waiters[SELECT_SMALL];
	struct weft_chan *order[SELECT_SMALL];
	struct selection s = {.cases = cases, .n = n, .order = order, .waiters = waiters};
	return run(&s, patience, deadline);
}

static inline int select_among(weft_case *cases, int n, enum patience patience, weft_deadline deadline)
{
	if (unlikely(n < 0 || n > SELECT_MOST))
		weft_panic("select over %d cases: from 0 to %d", n, SELECT_MOST);
	int index = take_drawn(cases, n);
	if (unlikely(index == NONE_READY))
		index = n > SELECT_SMALL ? run_large(cases, n, patience, deadline) : run_small(cases, n, patience, deadline);
	if (unlikely(index == SELECT_CLOSED))
		chan_panic_closed();
	return index;
}

static int select_until(weft_case *cases, int n, weft_deadline deadline)
{
	bool outermost = call_begin_blocking();
	int index = select_among(cases, n, WAIT, deadline);
	call_end_blocking(outermost);
	return index;
}

int weft_select(weft_case *cases, int n)
{
	return select_until(cases, n, WEFT_NEVER);
}

int weft_try_select(weft_case *cases, int n)
{
	bool outermost = call_begin();
	int index = select_among(cases, n, NO_WAIT, WEFT_NEVER);
	call_end(outermost);
	return index;
}

int weft_select_until(weft_case *cases, int n, weft_deadline deadline)
{
	return select_until(cases, n, deadline);
}
