#include "gc/mark.h"
#include "gc/scan.h"

#include "lockfree/assert.h"

#include <string.h>

void gc_marking_init(struct gc_marking *all, struct heap *heap)
{
	*all = (struct gc_marking){.heap = heap, .lines = gc_lines_best()};
}

void gc_marker_begin(struct gc_marker *m)
{
	m->work = m->live = 0;
	memset(m->near, 0, sizeof m->near);
}

void gc_marker_init(struct gc_marker *m, struct gc_marking *all)
{
	memset(m, 0, offsetof(struct gc_marker, queue));
	m->all = all;
	deque_init(&m->queue, m->slots, GC_QUEUE);
}

/* ---- queues ---- */

static void overflow_push(struct gc_marking *all, struct span *s)
{
	spin_lock(&all->lock);
	s->next_queued = all->overflow;
	all->overflow = s;
	spin_unlock(&all->lock);
	(void)add_rlx(&all->in_overflow, 1);
}

static struct span *overflow_pop(struct gc_marking *all)
{
	if (!load_rlx(&all->in_overflow))
		return NULL;
	spin_lock(&all->lock);
	struct span *s = all->overflow;
	if (s)
		all->overflow = s->next_queued;
	spin_unlock(&all->lock);
	if (s)
		(void)sub_rlx(&all->in_overflow, 1);
	return s;
}

static void push(struct gc_marker *m, struct span *s)
{
	if (!deque_push(&m->queue, s))
		overflow_push(m->all, s);
}

void gc_queue_slow(struct gc_marker *m, struct span *s)
{
	uint32_t none = 0;
	if (cas_rlx(&s->queued, &none, 1))
		push(m, s);
}

/* The caller has given back what it had taken to look at: whoever takes the span knows. */
static void gc_requeue(struct gc_marker *m, struct span *s)
{
	if (!swap_seq(&s->queued, 1)) /* R3 */
		push(m, s);
}

static struct span *take_oldest(struct gc_marker *const *others, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		void *s;
		enum deque_result r;
		while ((r = deque_steal(&others[i]->queue, &s)) == DEQUE_LOST)
			cpu_relax();
		if (r == DEQUE_TAKEN)
			return s;
	}
	return NULL;
}

/* A span with objects to look at, which may be queued again from now on. */
static struct span *gc_take(struct gc_marker *m, struct gc_marker *const *others, unsigned n)
{
	struct span *s = take_oldest(&m, 1);
	if (!s)
		s = overflow_pop(m->all);
	if (!s)
		s = take_oldest(others, n);
	if (s)
		(void)swap_seq(&s->queued, 0); /* R2, A3 */
	return s;
}

static void scan_span(struct gc_marker *m, struct span *s)
{
	gc_scan_span(m, s);
	if (!span_is_large(s) && gc_is_enough(m))
		gc_requeue(m, s); /* perhaps there is more */
}

bool gc_mark_step(struct gc_marker *m, uint64_t budget, struct gc_marker *const *others, unsigned n)
{
	m->until = m->effort + budget;
	bool more = true;
	while (more && !gc_is_enough(m)) {
		struct span *s = gc_take(m, others, n);
		if (s) {
			scan_span(m, s);
		} else {
			gc_see_all(m);
			more = deque_len(&m->queue) != 0;
		}
	}
	gc_see_all(m);
	return more;
}

bool gc_nothing_queued(struct gc_marking *all, struct gc_marker *const *markers, unsigned n)
{
	if (load_rlx(&all->in_overflow))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (deque_len(&markers[i]->queue))
			return false;
	return true;
}
