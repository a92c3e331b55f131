/* Select: at most one case is taken, uniformly at random among the ready ones (Go specification, "Select
 * statements").
 *
 * All channels are locked, in the order of their addresses, so that "which are ready" has one answer. In a
 * random order each case is tried; if none can be done, a waiter is put on every channel and the goroutine
 * parks. Wakers claim it (park.h): the one whose claim succeeds has dealt with its case and noted the waiter;
 * the others pass it over. Afterwards the waiters are taken off the other channels.
 *
 * A case on a NULL channel is never ready. The same channel may stand in several cases; it is locked once.
 * Up to SELECT_SMALL cases live on the stack, more on the heap.
 */
#include "lockfree/assert.h"
#include "runtime/chan.h"
#include "runtime/fiber.h"
#include "runtime/call.h"
#include "runtime/panic.h"
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
	uint16_t *poll;           /* the order of trying */
	struct weft_chan **order; /* the order of locking, each channel once */
	int nlocks;
	struct waiter *waiters;
};

static _Thread_local uint64_t seed;

/* Of its own address and the time: nothing here needs to be unpredictable, but two threads should differ. */
static COLD uint64_t first_random(void)
{
	return sim_on ? sim_random() | 1 : (uint64_t)(uintptr_t)&seed * 0x9e3779b97f4a7c15u ^ (uint64_t)weft_now();
}

/* xorshift64* */
static NO_TSAN uint32_t random_below(uint32_t n)
{
	uint64_t x = seed;
	if (unlikely(!x))
		x = first_random();
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	seed = x;
	return (uint32_t)(((x * 0x2545f4914f6cdd1du) >> 32) * (uint64_t)n >> 32);
}

/* The cases that have a channel, in random order; how many. */
static int shuffle(struct selection *s)
{
	int n = 0;
	for (int i = 0; i < s->n; i++) {
		if (!s->cases[i].ch)
			continue;
		uint32_t j = random_below((uint32_t)n + 1);
		s->poll[n] = s->poll[j];
		s->poll[j] = (uint16_t)i;
		n++;
	}
	return n;
}

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

static void order_locks(struct selection *s, int ready)
{
	int n = 0;
	for (int i = 0; i < ready; i++)
		s->order[i] = s->cases[s->poll[i]].ch;
	sort(s->order, ready);
	for (int i = 0; i < ready; i++)
		if (n == 0 || s->order[n - 1] != s->order[i])
			s->order[n++] = s->order[i];
	s->nlocks = n;
}

static void lock_all(struct selection *s)
{
	for (int i = 0; i < s->nlocks; i++)
		spin_lock(&s->order[i]->lock);
}

static void unlock_all(struct selection *s)
{
	for (int i = s->nlocks; i-- > 0;)
		spin_unlock(&s->order[i]->lock);
}

static enum outcome try_locked(weft_case *c, struct g **wake)
{
	return c->op == WEFT_SEND ? chan_send_locked(c->ch, c->elem, wake)
				  : chan_recv_locked(c->ch, c->elem, wake);
}

/* The index of a case that could be done at once, or NONE_READY; everything is unlocked if there was one. */
static int take_ready(struct selection *s, int candidates)
{
	for (int i = 0; i < candidates; i++) {
		struct g *wake;
		weft_case *c = &s->cases[s->poll[i]];
		enum outcome o = try_locked(c, &wake);
		if (o == WOULD_BLOCK)
			continue;
		unlock_all(s);
		if (o == SENT_CLOSED)
			return SELECT_CLOSED;
		c->ok = o == DONE;
		if (wake)
			ready(wake);
		if (unlikely(sim_on))
			sim_trace(SIM_SELECT, s->poll[i], (uint64_t)candidates);
		return s->poll[i];
	}
	return NONE_READY;
}

static struct waitq *queue_of(const weft_case *c)
{
	return c->op == WEFT_SEND ? &c->ch->sendq : &c->ch->recvq;
}

static void dequeue(struct selection *s, int candidates)
{
	lock_all(s);
	for (int i = 0; i < candidates; i++)
		if (s->waiters[i].queued)
			waitq_remove(queue_of(&s->cases[s->poll[i]]), &s->waiters[i]);
	unlock_all(s);
}

/* Waits on every candidate; all locks are held and are given up. */
static int wait_for_one(struct selection *s, int candidates, weft_deadline deadline)
{
	struct waiter *taken = NULL;
	struct g *g = wait_begin(WAIT_SELECT);
	for (int i = 0; i < candidates; i++) {
		weft_case *c = &s->cases[s->poll[i]];
		s->waiters[i] = (struct waiter){.g = g, .elem = c->elem, .many = true, .taken = &taken};
		waitq_push(queue_of(c), &s->waiters[i]);
	}
	unlock_all(s);
	bool timed_out = park_until(g, deadline);
	dequeue(s, candidates);
	if (timed_out)
		return -ETIMEDOUT;
	int index = s->poll[taken - s->waiters];
	weft_case *c = &s->cases[index];
	c->ok = taken->ok;
	return c->op == WEFT_SEND && !taken->ok ? SELECT_CLOSED : index;
}

enum patience { NO_WAIT, WAIT };

static int run(struct selection *s, enum patience patience, weft_deadline deadline)
{
	int candidates = shuffle(s);
	order_locks(s, candidates);
	lock_all(s);
	int index = take_ready(s, candidates);
	if (index != NONE_READY)
		return index;
	if (patience == WAIT && candidates)
		return wait_for_one(s, candidates, deadline);
	unlock_all(s);
	if (patience == NO_WAIT)
		return -EAGAIN;
	park_until(wait_begin(s->n ? WAIT_SELECT : WAIT_SELECT_NONE), deadline);
	return -ETIMEDOUT;
}

static int run_large(weft_case *cases, int n, enum patience patience, weft_deadline deadline)
{
	size_t each = sizeof(struct waiter) + sizeof(struct weft_chan *) + sizeof(uint16_t);
	char *memory = weft_malloc((size_t)n * each);
	if (!memory)
		fatal("out of memory for a select over %d cases", n);
	struct selection s = {.cases = cases, .n = n, .waiters = (struct waiter *)(void *)memory};
	s.order = (struct weft_chan **)(void *)(s.waiters + n);
	s.poll = (uint16_t *)(void *)(s.order + n);
	int index = run(&s, patience, deadline);
	weft_free(memory);
	return index;
}

static int run_small(weft_case *cases, int n, enum patience patience, weft_deadline deadline)
{
	struct waiter waiters[SELECT_SMALL];
	struct weft_chan *order[SELECT_SMALL];
	uint16_t poll[SELECT_SMALL];
	struct selection s = {.cases = cases, .n = n, .poll = poll, .order = order, .waiters = waiters};
	return run(&s, patience, deadline);
}

static int select_among(weft_case *cases, int n, enum patience patience, weft_deadline deadline)
{
	if (n < 0 || n > SELECT_MOST)
		weft_panic("select over %d cases: from 0 to %d", n, SELECT_MOST);
	int index = n > SELECT_SMALL ? run_large(cases, n, patience, deadline) : run_small(cases, n, patience, deadline);
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
