#include "gc/mark.h"

#include "lockfree/assert.h"
#include "lockfree/sanitize.h"

#include <string.h>

void gc_marking_init(struct gc_marking *all, struct heap *heap)
{
	*all = (struct gc_marking){.heap = heap};
}

void gc_marker_init(struct gc_marker *m, struct gc_marking *all)
{
	m->all = all;
	m->work = m->live = 0;
	m->near = m->far = 0;
	memset(m->word, 0, sizeof m->word);
	memset(m->reached, 0, sizeof m->reached);
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

/* Something in the span was marked. */
static void gc_queue(struct gc_marker *m, struct span *s)
{
	if (!load_seq(&s->queued) && !swap_seq(&s->queued, 1)) /* A2 */
		push(m, s);
}

static struct span *steal(struct gc_marker *const *others, unsigned n)
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
	struct span *s = deque_pop(&m->queue);
	if (!s)
		s = overflow_pop(m->all);
	if (!s)
		s = steal(others, n);
	if (s)
		(void)swap_seq(&s->queued, 0); /* R2, A1 */
	return s;
}

/* ---- reaching ---- */

static void reach(struct gc_marker *m, struct span *s, uint32_t slot)
{
	if (!span_mark(s, slot))
		return;
	m->live += s->slot_size;
	if (s->shape.kind != SHAPE_LEAF)
		gc_queue(m, s);
}

void gc_mark(struct gc_marker *m, uintptr_t word)
{
	struct heap_object o = heap_find(m->all->heap, word);
	if (o.span)
		reach(m, o.span, o.slot);
}

/* A pointer of a declared member points to an object, or to nothing of the heap's: it need not be asked whether the slot is one's. Each lookup
 * is two misses, the span and its marks, which are waited for while others are on their way. */
static void reach_far(struct gc_marker *m, struct span *s, uintptr_t word)
{
	struct gc_reached *r = &m->reached[m->far++ % GC_AHEAD], old = *r;
	*r = (struct gc_reached){s, word};
	if (s)
		__builtin_prefetch(s->marks);
	if (!old.span)
		return;
	uint32_t slot = span_slot_of(old.span, old.word);
	if (slot < old.span->nslots)
		reach(m, old.span, slot);
}

static void reach_near(struct gc_marker *m, uintptr_t word)
{
	struct heap *h = m->all->heap;
	uintptr_t *w = &m->word[m->near++ % GC_AHEAD], old = *w;
	*w = word;
	struct span *s = old ? load_acq(&h->table[pages_index(&h->pages, old)]) : NULL;
	if (s)
		__builtin_prefetch(s);
	reach_far(m, s, old);
}

static inline void see(struct gc_marker *m, uintptr_t word)
{
	struct heap *h = m->all->heap;
	if (!pages_has(&h->pages, word))
		return;
	__builtin_prefetch((void *)(uintptr_t)&h->table[pages_index(&h->pages, word)]);
	reach_near(m, word);
}

/* Nothing is on its way any more. */
static void see_all(struct gc_marker *m)
{
	for (unsigned i = 0; i < 2 * GC_AHEAD; i++)
		reach_near(m, 0);
}

/* One that points to the beginning of an object may be meant for the end of the one before. */
static void mark_ambiguous(struct gc_marker *m, uintptr_t word)
{
	struct heap_object o = heap_find(m->all->heap, word);
	if (o.span)
		reach(m, o.span, o.slot);
	if (word % sizeof word == 0 && (!o.span || word == (uintptr_t)span_slot(o.span, o.slot)))
		gc_mark(m, word - 1);
}

void gc_mark_words(struct gc_marker *m, const uintptr_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mark_ambiguous(m, words[i]);
}

/* ---- looking at objects ---- */

/* Mutators store meanwhile, whole words. */
static NO_TSAN uintptr_t word_at(const char *at)
{
	return load_rlx((const _Atomic uintptr_t *)(const void *)at);
}

static void scan_map(struct gc_marker *m, const struct shape *shape, const char *object, size_t bytes)
{
	size_t period = (size_t)shape->period * sizeof(uintptr_t);
	for (size_t at = 0; at < bytes; at += period) {
		for (uint64_t bits = shape->map; bits; bits &= bits - 1) {
			size_t offset = at + (size_t)__builtin_ctzll(bits) * sizeof(uintptr_t);
			if (offset + sizeof(uintptr_t) > bytes)
				return; /* the slot is larger than the objects in it */
			see(m, word_at(object + offset));
		}
	}
}

static void scan_conservatively(struct gc_marker *m, const char *object, size_t bytes)
{
	for (size_t at = 0; at + sizeof(uintptr_t) <= bytes; at += sizeof(uintptr_t))
		mark_ambiguous(m, word_at(object + at));
}

static void scan_typed(struct gc_marker *m, const char *object, size_t bytes)
{
	size_t end = bytes - sizeof(uintptr_t);
	const struct gc_type *type = (const struct gc_type *)word_at(object + end);
	if (!type)
		return; /* it is being made, and no pointer is in it yet */
	for (size_t at = 0; at + type->size <= end; at += type->size)
		for (size_t r = 0; r < type->nranges; r++)
			for (size_t i = 0; i < type->ranges[r].n; i++)
				see(m, word_at(object + at + type->ranges[r].offset + i * sizeof(uintptr_t)));
}

static void scan(struct gc_marker *m, const struct shape *shape, const char *object, size_t bytes)
{
	m->work += bytes;
	switch (shape->kind) {
	case SHAPE_LEAF:
		break;
	case SHAPE_MAP:
		scan_map(m, shape, object, bytes);
		break;
	case SHAPE_TYPED:
		scan_typed(m, object, bytes);
		break;
	case SHAPE_CONSERVATIVE:
		scan_conservatively(m, object, bytes);
	}
}

/* What one step of a large object is: whole elements. */
static size_t piece_of(const struct span *s)
{
	size_t unit = sizeof(uintptr_t);
	if (s->shape.kind == SHAPE_MAP)
		unit = (size_t)s->shape.period * sizeof(uintptr_t);
	return GC_PIECE / unit * unit;
}

static void scan_large(struct gc_marker *m, struct span *s)
{
	size_t size = s->npages << PAGE_SHIFT, piece = s->shape.kind == SHAPE_TYPED ? size : piece_of(s);
	size_t from = add_rlx(&s->begun, piece);
	if (from >= size)
		return;
	size_t left = size - from;
	if (left > piece)
		gc_queue(m, s);
	scan(m, &s->shape, s->base + from, left < piece ? left : piece);
}

/* Of 64 slots; what the marker does not come to any more is left to the next who takes the span. */
static void scan_slots(struct gc_marker *m, struct span *s, uint32_t word, uint64_t until)
{
	uint64_t marked = load_rlx(&s->marks[word]);
	if (!(marked & ~load_rlx(&s->scanned[word])))
		return;
	uint64_t todo = marked & ~or_rlx(&s->scanned[word], marked);
	for (; todo && m->work < until; todo &= todo - 1)
		scan(m, &s->shape, span_slot(s, word * 64 + (uint32_t)__builtin_ctzll(todo)), s->slot_size);
	if (todo)
		(void)and_rlx(&s->scanned[word], ~todo);
}

static void scan_small(struct gc_marker *m, struct span *s, uint64_t until)
{
	uint32_t words = (s->nslots + 63) / 64, i = 0;
	for (; i < words && m->work < until; i++)
		scan_slots(m, s, i, until);
	if (m->work >= until)
		gc_queue(m, s); /* perhaps there is more */
}

static void scan_span(struct gc_marker *m, struct span *s, uint64_t until)
{
	if (span_is_large(s))
		scan_large(m, s);
	else
		scan_small(m, s, until);
}

bool gc_mark_step(struct gc_marker *m, uint64_t budget, struct gc_marker *const *others, unsigned n)
{
	uint64_t until = m->work + budget;
	while (m->work < until) {
		struct span *s = gc_take(m, others, n);
		if (s)
			scan_span(m, s, until);
		see_all(m);
		if (!s && !deque_len(&m->queue))
			return false;
	}
	return true;
}

bool gc_nothing_queued(struct gc_marking *all, struct gc_marker *const *markers, unsigned n)
{
	if (load_seq(&all->in_overflow))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (deque_len(&markers[i]->queue))
			return false;
	return true;
}
