#include "gc/mark.h"

#include "lockfree/assert.h"
#include "lockfree/sanitize.h"

#include <string.h>

enum {
	OBJECTS_AHEAD = 8,
	BYTES_A_POINTER = 40, /* that are looked at while one pointer is followed that is not in the cache */
	STREAMS = 2,	      /* of neighbours, by turns */
};

void gc_marking_init(struct gc_marking *all, struct heap *heap)
{
	*all = (struct gc_marking){.heap = heap};
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

/* Something in the span was marked. */
static void gc_queue(struct gc_marker *m, struct span *s)
{
	uint32_t none = 0;
	if (!load_seq(&s->queued) && cas_rlx(&s->queued, &none, 1)) /* A2 */
		push(m, s);
}

/* The caller has given back what it had taken to look at: whoever takes the span knows. */
static void gc_requeue(struct gc_marker *m, struct span *s)
{
	if (!swap_seq(&s->queued, 1)) /* R3 */
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
		(void)swap_seq(&s->queued, 0); /* R2, A3 */
	return s;
}

/* ---- reaching ---- */

static void reach(struct gc_marker *m, struct span *s, uint32_t word, uint64_t bits)
{
	uint64_t first = span_mark_bits(s, word, bits);
	if (!first)
		return;
	m->live += (uint64_t)__builtin_popcountll(first) * s->slot_size;
	if (s->shape.kind != SHAPE_LEAF)
		gc_queue(m, s);
}

static inline void reach_slot(struct gc_marker *m, struct span *s, uint32_t slot)
{
	reach(m, s, slot / 64, (uint64_t)1 << slot % 64);
}

void gc_mark(struct gc_marker *m, uintptr_t word)
{
	struct heap_object o = heap_find(m->all->heap, word);
	if (o.span)
		reach_slot(m, o.span, o.slot);
}

/* A pointer of a declared member points to an object, or to nothing of the heap's: it need not be asked whether the slot is one's. To mark the object
 * is three misses: the table, the span, its mark. Each is begun, and waited for when eight others have been: pointers go by three rings.
 *
 * Objects that are pointed to one after the other often lie beside one another. Then the first two need no ring, for the span is known; and
 * in the last one they share a word, which is marked as a whole: an atomic operation costs as much as all else together. */
static void reach_marks(struct gc_marker *m, struct gc_reached next)
{
	struct gc_reached *r = &m->marks[m->at_marks++ % GC_AHEAD], old = *r;
	*r = next;
	if (next.span)
		__builtin_prefetch((const void *)(uintptr_t)&next.span->marks[next.word], 1);
	if (old.span)
		reach(m, old.span, old.word, old.bits);
}

/* Which may be in what is left over at the span's end. */
static inline void reach_in(struct gc_marker *m, struct span *s, uintptr_t address)
{
	uint32_t slot = span_slot_of(s, address), word = slot / 64;
	uint64_t bit = (uint64_t)1 << slot % 64;
	if (slot >= s->nslots)
		return;
	for (unsigned back = 1; back <= STREAMS; back++) {
		struct gc_reached *r = &m->marks[(m->at_marks - back) % GC_AHEAD];
		if (r->span == s && r->word == word) {
			r->bits |= bit;
			return;
		}
	}
	reach_marks(m, (struct gc_reached){s, word, bit});
}

static void reach_span(struct gc_marker *m, struct span *s, uintptr_t word)
{
	struct gc_found *r = &m->spans[m->at_spans++ % GC_AHEAD], old = *r;
	*r = (struct gc_found){s, word};
	if (s)
		__builtin_prefetch(s);
	if (old.span)
		reach_in(m, old.span, old.word);
}

static void reach_word(struct gc_marker *m, uintptr_t word)
{
	struct heap *h = m->all->heap;
	uintptr_t *w = &m->words[m->at_words++ % GC_AHEAD], old = *w;
	*w = word;
	struct span *s = NULL;
	if (old) {
		size_t page = pages_index(&h->pages, old);
		s = load_acq(&h->table[page]);
		m->near[page % GC_NEAR] = (struct gc_near){page, s};
	}
	reach_span(m, s, old);
}

static inline void see(struct gc_marker *m, uintptr_t word)
{
	struct heap *h = m->all->heap;
	if (!pages_has(&h->pages, word))
		return;
	if (word - m->here_base < m->here_bytes) {
		uint32_t slot = span_slot_of(m->here, word);
		if (slot < m->here->nslots)
			reach_slot(m, (struct span *)(uintptr_t)m->here, slot);
		return;
	}
	size_t page = pages_index(&h->pages, word);
	const struct gc_near *near = &m->near[page % GC_NEAR];
	if (near->span && near->page == page) {
		reach_in(m, near->span, word);
		return;
	}
	m->seen++;
	__builtin_prefetch((void *)(uintptr_t)&h->table[page]);
	reach_word(m, word);
}

/* Nothing is on its way any more. */
static void see_all(struct gc_marker *m)
{
	for (unsigned i = 0; i < GC_AHEAD; i++)
		reach_word(m, 0);
	for (unsigned i = 0; i < GC_AHEAD; i++)
		reach_span(m, NULL, 0);
	for (unsigned i = 0; i < GC_AHEAD; i++)
		reach_marks(m, (struct gc_reached){NULL, 0, 0});
}

/* One that points to the beginning of an object may be meant for the end of the one before. */
static void mark_ambiguous(struct gc_marker *m, uintptr_t word)
{
	struct heap_object o = heap_find(m->all->heap, word);
	if (o.span)
		reach_slot(m, o.span, o.slot);
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
static NOT_INSTRUMENTED uintptr_t word_at(const char *at)
{
	return load_acq((const _Atomic uintptr_t *)(const void *)at);
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

static inline __attribute__((always_inline)) void scan(struct gc_marker *m, const struct shape *shape, enum shape_kind kind,
						       const char *object, size_t bytes)
{
	m->work += bytes;
	switch (kind) {
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
	scan(m, &s->shape, s->shape.kind, s->base + from, left < piece ? left : piece);
}

static bool is_enough(const struct gc_marker *m)
{
	return m->work >= m->until || m->seen >= m->seen_until;
}

/* The object of the first of these bits is on its way into the cache; the bits that are left. */
static uint64_t fetch_first(const struct span *s, uint32_t word, uint64_t bits)
{
	if (!bits)
		return 0;
	__builtin_prefetch(span_slot(s, word * 64 + (uint32_t)__builtin_ctzll(bits)));
	return bits & (bits - 1);
}

/* Of 64 slots, those that are marked, and that nobody has taken to look at; they are the caller's. */
static uint64_t take_slots(struct span *s, uint32_t word)
{
	uint64_t marked = load_seq(&s->marks[word]); /* A1 */
	if (!(marked & ~load_rlx(&s->scanned[word]))) /* A1 */
		return 0;
	return marked & ~or_rlx(&s->scanned[word], marked);
}

/* What the marker does not come to any more is left to the next who takes the span. */
static inline __attribute__((always_inline)) void scan_slots(struct gc_marker *m, struct span *s, uint32_t word, uint64_t todo,
							     enum shape_kind kind)
{
	uint64_t ahead = todo;
	for (unsigned i = 0; i < OBJECTS_AHEAD && ahead; i++)
		ahead = fetch_first(s, word, ahead);
	for (; todo && !is_enough(m); todo &= todo - 1) {
		ahead = fetch_first(s, word, ahead);
		scan(m, &s->shape, kind, span_slot(s, word * 64 + (uint32_t)__builtin_ctzll(todo)), s->slot_size);
	}
	if (todo)
		(void)and_rlx(&s->scanned[word], ~todo);
}

/* Downwards: who points to another was mostly made after it. What one object in a word has of others there is looked at at once. */
static inline __attribute__((always_inline)) void scan_words(struct gc_marker *m, struct span *s, enum shape_kind kind)
{
	for (uint32_t word = (s->nslots + 63) / 64; word-- > 0 && !is_enough(m);)
		for (uint64_t todo; !is_enough(m) && (todo = take_slots(s, word));)
			scan_slots(m, s, word, todo, kind);
}

static void scan_small(struct gc_marker *m, struct span *s)
{
	m->here = s;
	m->here_base = (uintptr_t)s->base;
	m->here_bytes = s->npages << PAGE_SHIFT;
	switch (s->shape.kind) {
	case SHAPE_LEAF:
		break;
	case SHAPE_MAP:
		scan_words(m, s, SHAPE_MAP);
		break;
	case SHAPE_TYPED:
		scan_words(m, s, SHAPE_TYPED);
		break;
	case SHAPE_CONSERVATIVE:
		scan_words(m, s, SHAPE_CONSERVATIVE);
	}
	m->here_bytes = 0;
	if (is_enough(m))
		gc_requeue(m, s); /* perhaps there is more */
}

static void scan_span(struct gc_marker *m, struct span *s)
{
	if (span_is_large(s))
		scan_large(m, s);
	else
		scan_small(m, s);
}

bool gc_mark_step(struct gc_marker *m, uint64_t budget, struct gc_marker *const *others, unsigned n)
{
	m->until = m->work + budget;
	m->seen_until = m->seen + budget / BYTES_A_POINTER + 1;
	bool more = true;
	while (more && !is_enough(m)) {
		struct span *s = gc_take(m, others, n);
		if (s) {
			scan_span(m, s);
		} else {
			see_all(m);
			more = deque_len(&m->queue) != 0;
		}
	}
	see_all(m);
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
