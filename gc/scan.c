#include "gc/scan.h"

#include "lockfree/sanitize.h"

enum {
	OBJECTS_AHEAD = 8,
	BYTES_A_POINTER = 40, /* that are looked at while one pointer is followed that is not in the cache */
	STREAMS = 2,	      /* of neighbours, by turns */
	DENSE = 8,	      /* so many of 64 slots are looked at by lines */
	GROUP_WORDS = 64,     /* of some lines, whose pointers are bits of a word */
	DENSE_WORDS = 32,     /* of a slot, at most */
};

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
	if (o.span && !heap_is_fresh(o))
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
			m->here_marks[slot / 64] |= (uint64_t)1 << slot % 64;
		return;
	}
	size_t page = pages_index(&h->pages, word);
	const struct gc_near *near = &m->near[page % GC_NEAR];
	if (near->span && near->page == page) {
		reach_in(m, near->span, word);
		return;
	}
	m->effort += BYTES_A_POINTER;
	__builtin_prefetch((void *)(uintptr_t)&h->table[page]);
	reach_word(m, word);
}

void gc_see_all(struct gc_marker *m)
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

static inline void look(struct gc_marker *m, uint64_t bytes)
{
	m->work += bytes;
	m->effort += bytes;
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
	look(m, bytes);
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
	for (; todo && !gc_is_enough(m); todo &= todo - 1) {
		ahead = fetch_first(s, word, ahead);
		scan(m, &s->shape, kind, span_slot(s, word * 64 + (uint32_t)__builtin_ctzll(todo)), s->slot_size);
	}
	if (todo)
		(void)and_rlx(&s->scanned[word], ~todo);
}

/* ---- many objects at once ---- */

static uint64_t pattern_over(const struct shape *shape, unsigned words)
{
	uint64_t pattern = 0;
	for (unsigned at = 0; at < words; at += shape->period)
		pattern |= shape->map << at;
	return pattern & UINT64_MAX >> (64 - words);
}

/* Slots that are powers of two fill lines. Their pointers are a pattern, once for each slot that is to be looked at; of these words, a few
 * instructions find those that point into the heap at all. */
static uint64_t pattern_of(const struct span *s)
{
	size_t words = s->slot_size / sizeof(uintptr_t);
	if (s->shape.kind != SHAPE_MAP || words > DENSE_WORDS || words & (words - 1))
		return 0;
	return pattern_over(&s->shape, (unsigned)words);
}

typedef uint64_t spread_fn(uint64_t slots, uint64_t every, unsigned words);
typedef uint32_t line_fn(const uintptr_t *at, uint32_t which, uintptr_t base, size_t bytes);

/* A bit for each of the slots, `words` apart. */
static inline uint64_t spread_slots(uint64_t slots, uint64_t every, unsigned words)
{
	uint64_t bits = 0;
	(void)every;
	for (; slots; slots &= slots - 1)
		bits |= (uint64_t)1 << (unsigned)__builtin_ctzll(slots) * words;
	return bits;
}

/* Of a group's lines. */
static inline __attribute__((always_inline)) void scan_group(struct gc_marker *m, const uintptr_t *at, uint64_t pointers, line_fn *line)
{
	const struct pages *pages = &m->all->heap->pages;
	for (; pointers; pointers >>= LINE_WORDS, at += LINE_WORDS) {
		uint32_t which = pointers & ((1u << LINE_WORDS) - 1);
		__builtin_prefetch(at + GROUP_WORDS);
		if (!which)
			continue;
		for (which = line(at, which, (uintptr_t)pages->base, pages->npages << PAGE_SHIFT); which; which &= which - 1)
			see(m, word_at((const char *)&at[__builtin_ctz(which)]));
	}
}

/* As scan_slots. */
static inline __attribute__((always_inline)) void scan_dense(struct gc_marker *m, struct span *s, uint32_t word, uint64_t todo,
							     spread_fn *spread, line_fn *line)
{
	unsigned words = (unsigned)(s->slot_size / sizeof(uintptr_t)), slots = GROUP_WORDS / words;
	uint64_t every = UINT64_MAX / (((uint64_t)1 << words) - 1), in_group = UINT64_MAX >> (64 - slots);
	const uintptr_t *at = (const uintptr_t *)(void *)span_slot(s, word * 64);
	for (unsigned done = 0; done < 64; done += slots, at += GROUP_WORDS) {
		uint64_t these = todo >> done & in_group;
		if (!these)
			continue;
		if (gc_is_enough(m)) {
			(void)and_rlx(&s->scanned[word], ~(todo >> done << done));
			return;
		}
		look(m, (uint64_t)__builtin_popcountll(these) * s->slot_size);
		scan_group(m, at, spread(these, every, words) * m->here_pattern, line);
	}
}

static inline __attribute__((always_inline)) void scan_alike(struct gc_marker *m, const uintptr_t *at, size_t groups, uint64_t pattern,
							     line_fn *line)
{
	for (; groups; groups--, at += GROUP_WORDS)
		scan_group(m, at, pattern, line);
}

static void scan_alike_scalar(struct gc_marker *m, const uintptr_t *at, size_t groups, uint64_t pattern)
{
	scan_alike(m, at, groups, pattern, gc_line_scalar);
}

static void scan_dense_scalar(struct gc_marker *m, struct span *s, uint32_t word, uint64_t todo)
{
	scan_dense(m, s, word, todo, spread_slots, gc_line_scalar);
}

#if defined(__x86_64__)

GC_TARGET_AVX2 static inline uint64_t spread_by_pdep(uint64_t slots, uint64_t every, unsigned words)
{
	(void)words;
	return _pdep_u64(slots, every);
}

GC_TARGET_AVX2 static void scan_dense_avx2(struct gc_marker *m, struct span *s, uint32_t word, uint64_t todo)
{
	scan_dense(m, s, word, todo, spread_by_pdep, gc_line_avx2);
}

GC_TARGET_AVX2 static void scan_alike_avx2(struct gc_marker *m, const uintptr_t *at, size_t groups, uint64_t pattern)
{
	scan_alike(m, at, groups, pattern, gc_line_avx2);
}

GC_TARGET_AVX512 static void scan_alike_avx512(struct gc_marker *m, const uintptr_t *at, size_t groups, uint64_t pattern)
{
	scan_alike(m, at, groups, pattern, gc_line_avx512);
}

GC_TARGET_AVX512 static void scan_dense_avx512(struct gc_marker *m, struct span *s, uint32_t word, uint64_t todo)
{
	scan_dense(m, s, word, todo, spread_by_pdep, gc_line_avx512);
}

#elif defined(__aarch64__)

static void scan_alike_neon(struct gc_marker *m, const uintptr_t *at, size_t groups, uint64_t pattern)
{
	scan_alike(m, at, groups, pattern, gc_line_neon);
}

static void scan_dense_neon(struct gc_marker *m, struct span *s, uint32_t word, uint64_t todo)
{
	scan_dense(m, s, word, todo, spread_slots, gc_line_neon);
}

#endif

/* By which form: enum gc_lines. */
static const struct {
	void (*dense)(struct gc_marker *, struct span *, uint32_t word, uint64_t todo);
	void (*alike)(struct gc_marker *, const uintptr_t *at, size_t groups, uint64_t pattern);
} forms[] = {
	[GC_LINES_SCALAR] = {scan_dense_scalar, scan_alike_scalar},
#if defined(__x86_64__)
	[GC_LINES_AVX2] = {scan_dense_avx2, scan_alike_avx2},
	[GC_LINES_AVX512] = {scan_dense_avx512, scan_alike_avx512},
#elif defined(__aarch64__)
	[GC_LINES_NEON] = {scan_dense_neon, scan_alike_neon},
#endif
};

/* ---- spans ---- */

/* What one step of a large object is: whole elements. */
static size_t piece_of(const struct span *s)
{
	size_t unit = sizeof(uintptr_t);
	if (s->shape.kind == SHAPE_MAP)
		unit = (size_t)s->shape.period * sizeof(uintptr_t);
	return GC_PIECE / unit * unit;
}

/* By lines, if groups of them are all alike. */
static void scan_piece(struct gc_marker *m, const struct span *s, const char *piece, size_t bytes)
{
	if (s->shape.kind != SHAPE_MAP || GROUP_WORDS % s->shape.period || bytes % (GROUP_WORDS * sizeof(uintptr_t))) {
		scan(m, &s->shape, s->shape.kind, piece, bytes);
		return;
	}
	look(m, bytes);
	forms[m->all->lines].alike(m, (const uintptr_t *)(const void *)piece, bytes / (GROUP_WORDS * sizeof(uintptr_t)),
				   pattern_over(&s->shape, GROUP_WORDS));
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
	scan_piece(m, s, s->base + from, left < piece ? left : piece);
}

/* What has been seen in the span itself is marked, as far as it is in that word. */
static inline void reach_here(struct gc_marker *m, struct span *s, uint32_t word)
{
	uint64_t bits = m->here_marks[word];
	if (!bits)
		return;
	m->here_marks[word] = 0;
	reach(m, s, word, bits);
}

static inline uint64_t take_all_slots(struct gc_marker *m, struct span *s, uint32_t word)
{
	reach_here(m, s, word);
	return take_slots(s, word);
}

/* Downwards: who points to another was mostly made after it. What one object in a word has of others there is looked at at once. */
static inline __attribute__((always_inline)) void scan_words(struct gc_marker *m, struct span *s, enum shape_kind kind)
{
	for (uint32_t word = (s->nslots + 63) / 64; word-- > 0 && !gc_is_enough(m);)
		for (uint64_t todo; !gc_is_enough(m) && (todo = take_all_slots(m, s, word));)
			if (kind == SHAPE_MAP && m->here_pattern && __builtin_popcountll(todo) >= DENSE)
				forms[m->all->lines].dense(m, s, word, todo);
			else
				scan_slots(m, s, word, todo, kind);
}

static void scan_small(struct gc_marker *m, struct span *s)
{
	m->here = s;
	m->here_base = (uintptr_t)s->base;
	m->here_bytes = s->npages << PAGE_SHIFT;
	m->here_pattern = pattern_of(s);
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
	for (uint32_t word = 0; word < (s->nslots + 63) / 64; word++)
		reach_here(m, s, word);
}

void gc_scan_span(struct gc_marker *m, struct span *s)
{
	if (span_is_large(s))
		scan_large(m, s);
	else
		scan_small(m, s);
}
