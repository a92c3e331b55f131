#include "alloc/heap.h"
#include "alloc/os.h"
#include "alloc/poison.h"

#include "lockfree/assert.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#ifndef HEAP_RUN_BYTES_MOST
#define HEAP_RUN_BYTES_MOST 16384 /* of larger objects */
#endif

enum { RUN_BYTES = 4096, PIECE_BYTES = 512, SPANS_AT_ONCE = 64, ZERO_BY_WORDS = 64 };

static_assert(HEAP_CELLS <= HEAP_PLACES / 2, "looking for a cell ends soon");
static_assert(HEAP_CELLS <= UINT16_MAX, "a place has a cell's number");

/* ---- lists ---- */

static void push(struct span **list, struct span *s)
{
	s->next = *list;
	*list = s;
}

static struct span *pop(struct span **list)
{
	struct span *s = *list;
	if (s)
		*list = s->next;
	return s;
}

/* ---- spans and pages ---- */

/* As far as the end of these pages the table can be written; false: there is no memory. */
static bool open_table(struct heap *h, size_t end)
{
	enum { AT_ONCE = 64 * OS_PAGE / sizeof(struct span *) };
	if (end <= load_acq(&h->opened))
		return true;
	spin_lock(&h->opening);
	size_t from = load_rlx(&h->opened), to = (end + AT_ONCE - 1) / AT_ONCE * AT_ONCE;
	to = to < h->pages.npages ? to : h->pages.npages;
	bool done = to <= from || os_open((void *)(uintptr_t)&h->table[from], (to - from) * sizeof *h->table) == 0;
	if (done && to > from)
		store_rel(&h->opened, to);
	spin_unlock(&h->opening);
	return done;
}

static struct span *span_make(struct heap *h, size_t npages, int node)
{
	struct span *s = slab_take_one(&h->spans);
	if (!s)
		return NULL;
	struct pages_run run = pages_take(&h->pages, npages, node);
	if (run.at && !open_table(h, pages_index(&h->pages, (uintptr_t)run.at) + npages)) {
		pages_give(&h->pages, run.at, npages);
		run.at = NULL;
	}
	if (!run.at) {
		slab_give(&h->spans, (struct slab_free *)s, (struct slab_free *)s, 1);
		return NULL;
	}
	memset(s, 0, sizeof *s);
	s->base = run.at;
	s->npages = npages;
	s->zeroed = run.zeroed;
	s->cycle = load_rlx(&h->cycle);
	poison(s->base, npages << PAGE_SHIFT);
	return s;
}

/* Found from now on. */
static void publish(struct heap *h, struct span *s)
{
	size_t at = pages_index(&h->pages, (uintptr_t)s->base);
	for (size_t i = 0; i < s->npages; i++)
		store_rel(&h->table[at + i], s); /* R3 */
}

static void span_free(struct heap *h, struct span *s)
{
	size_t at = pages_index(&h->pages, (uintptr_t)s->base);
	for (size_t i = 0; i < s->npages; i++)
		store_rlx(&h->table[at + i], NULL);
	pages_give(&h->pages, s->base, s->npages);
	slab_give(&h->spans, (struct slab_free *)s, (struct slab_free *)s, 1);
}

/* ---- runs, for who looks ---- */

static uint32_t packed(struct span_slots o)
{
	return (uint32_t)o.more << 16 | o.word;
}

/* The slots that are a run's. While its owner goes on to another one, others may see the bits of this and the words of that: then they see another
 * pair the next time, and this run is over. */
static struct span_slots handed(const struct span *s)
{
	uint64_t bits = load_acq(&s->handed);		/* A8 */
	uint32_t words = load_acq(&s->handed_words); /* A9 */
	return (struct span_slots){bits, (uint16_t)words, (uint16_t)(words >> 16)};
}

static bool is_still_handed(const struct span *s, struct span_slots before)
{
	struct span_slots o = handed(s);
	return o.bits == before.bits && packed(o) == packed(before);
}

/* In between no slot is handed: the words are never beside another run's bits. */
static void hand(struct span *s, struct span_slots o)
{
	store_rlx(&s->handed, 0);
	store_rel(&s->handed_words, packed(o)); /* R9 */
	store_rel(&s->handed, o.bits);		/* R8 */
}

static bool is_of(struct span_slots o, uint32_t slot)
{
	uint32_t behind = slot / 64 - o.word;
	return behind ? o.bits && behind <= o.more : o.bits >> slot % 64 & 1;
}

/* A slot of a run is an object once the run's beginning has passed it. One that stands at the first is that of another run, which has ended there. If the
 * run is over, a slot of it that is used is an object. */
static bool is_allocated(struct span *s, uint32_t slot)
{
	struct span_slots o = handed(s);
	if (!is_of(o, slot))
		return true;
	const struct heap_run *r = load_rlx(&s->run);
	const char *at = r ? load_acq(&r->at) : NULL; /* A7 */
	if (!is_still_handed(s, o))
		return true;
	const char *first = span_slot(s, o.word * 64u + (uint32_t)__builtin_ctzll(o.bits)),
		   *end = span_slot(s, (o.word + o.more + 1u) * 64);
	return at <= first || at > end || at > span_slot(s, slot);
}

static char *coloured(const struct heap_run *r)
{
	return (char *)(load_rlx(&r->coloured) & ~(uintptr_t)HEAP_BLACK);
}

/* From here on the run's slots have the cache's colour. */
static void set_coloured(const struct heap_cache *c, struct heap_run *r, char *from)
{
	store_rel(&r->coloured, (uintptr_t)from | c->colour); /* R6 */
}

/* Either it looks at the run that the slot is of, or that is over, and the slot is coloured. The run may be elsewhere by now, and look as if it
 * had come to the slot: then the slot is handed to nobody any more. */
bool heap_is_fresh(struct heap_object o)
{
	struct span_slots before = handed(o.span);
	if (!is_of(before, o.slot))
		return false;
	const struct heap_run *r = load_rlx(&o.span->run);
	uintptr_t from = r ? load_acq(&r->coloured) : 0; /* A6 */
	return from & HEAP_BLACK && (uintptr_t)span_slot(o.span, o.slot) >= from - HEAP_BLACK && is_still_handed(o.span, before);
}

struct heap_object heap_find(struct heap *h, uintptr_t address)
{
	struct heap_object none = {NULL, 0};
	if (!pages_has(&h->pages, address))
		return none;
	struct span *s = load_acq(&h->table[pages_index(&h->pages, address)]); /* A3 */
	if (!s)
		return none;
	uint32_t slot = span_slot_of(s, address);
	if (slot >= s->nslots || !span_is_used(s, slot) || !is_allocated(s, slot))
		return none;
	return (struct heap_object){s, slot};
}

bool heap_is_to_be_marked(struct heap *h, uintptr_t word)
{
	struct heap_object o = heap_find(h, word);
	return o.span && !span_is_marked(o.span, o.slot) && !heap_is_fresh(o);
}

/* ---- cells ---- */

static bool same_shape(const struct shape *a, const struct shape *b)
{
	return a->kind == b->kind && (a->kind != SHAPE_MAP || (a->period == b->period && a->map == b->map));
}

static bool is_cell(const struct heap *h, uint32_t cell, const struct size_class *size, const struct shape *shape)
{
	return h->cells[cell].size == size && same_shape(&h->cells[cell].shape, shape);
}

static uint32_t hash_of(const struct size_class *size, const struct shape *shape)
{
	uint64_t key = (uint64_t)(size - size_classes) << 8 | (uint64_t)shape->kind << 6 | shape->period;
	if (shape->kind == SHAPE_MAP)
		key ^= shape->map * 0x9e3779b97f4a7c15u;
	return (uint32_t)(key * 0xd6e8feb86659fd93u >> 32);
}

/* The place of a cell in the table: where it is, or would be. Never full: there are fewer cells than places. */
static uint32_t place_of(const struct heap *h, const struct size_class *size, const struct shape *shape)
{
	uint32_t at = hash_of(size, shape) % HEAP_PLACES, cell;
	while ((cell = load_acq(&h->places[at])) && !is_cell(h, cell, size, shape)) /* A2 */
		at = (at + 1) % HEAP_PLACES;
	return at;
}

/* Under the lock: the cell that has this place from now on. */
static uint32_t new_cell(struct heap *h, uint32_t at, const struct size_class *size, const struct shape *shape)
{
	if (h->ncells == HEAP_CELLS)
		return HEAP_NO_CELL;
	uint32_t cell = h->ncells;
	h->cells[cell] = (struct heap_cell){.size = size, .shape = *shape};
	h->ncells++;
	store_rel(&h->places[at], (uint16_t)cell); /* R2 */
	return cell;
}

uint32_t heap_cell(struct heap *h, size_t size, const struct shape *shape)
{
	assert_always(size > 0 && size <= SMALL_MOST);
	const struct size_class *class = &size_classes[size_class_of(size)];
	uint32_t cell = load_acq(&h->places[place_of(h, class, shape)]); /* A2 */
	if (cell)
		return cell;
	spin_lock(&h->lock);
	uint32_t at = place_of(h, class, shape);
	cell = load_rlx(&h->places[at]);
	if (!cell)
		cell = new_cell(h, at, class, shape);
	spin_unlock(&h->lock);
	return cell;
}

/* ---- sweeping ---- */

/* Whose sweeping it is may have it: a span with no object goes to the pages, and NULL is left. The sweeper is one until done_sweeping: when
 * the span is where it belongs. */
static struct span *swept(struct heap *h, struct span *s, size_t *freed)
{
	uint64_t cycle = load_rlx(&h->cycle);
	uint32_t n = load_rlx(&s->specials) ? h->sweep_special(h, s, cycle) : span_sweep(s, cycle);
	(void)add_rlx(&h->nfreed, n);
	*freed += (size_t)n * span_slot_size(s);
	if (!s->nused) {
		span_free(h, s);
		s = NULL;
	}
	return s;
}

static void done_sweeping(struct heap *h)
{
	(void)sub_rel(&h->sweepers, 1); /* R4 */
}

/* One that is of the last cycle has not been swept in this. */
static void put_locked(struct heap *h, struct heap_cell *c, struct span *s)
{
	if (s->cycle != load_rlx(&h->cycle))
		push(&c->unswept[1], s);
	else
		push(s->nused < s->nslots ? &c->roomy : &c->full, s);
}

static void put(struct heap *h, struct heap_cell *c, struct span *s)
{
	spin_lock(&c->lock);
	put_locked(h, c, s);
	spin_unlock(&c->lock);
}

static struct span *take_unswept(struct heap *h, struct spin *lock, struct span **lists)
{
	spin_lock(lock);
	struct span *s = pop(&lists[1]);
	if (!s)
		s = pop(&lists[0]);
	if (s)
		(void)add_rlx(&h->sweepers, 1);
	spin_unlock(lock);
	return s;
}

static bool sweep_one_of(struct heap *h, struct heap_cell *c, size_t *freed)
{
	struct span *s = take_unswept(h, &c->lock, c->unswept);
	if (!s)
		return false;
	s = swept(h, s, freed);
	if (s)
		put(h, c, s);
	done_sweeping(h);
	return true;
}

static bool sweep_one_large(struct heap *h, size_t *freed)
{
	struct span *s = take_unswept(h, &h->lock, h->large_unswept);
	if (!s)
		return false;
	s = swept(h, s, freed);
	if (s) {
		spin_lock(&h->lock);
		push(&h->large, s);
		spin_unlock(&h->lock);
	}
	done_sweeping(h);
	return true;
}

bool heap_sweep_one(struct heap *h, size_t *freed)
{
	*freed = 0;
	if (sweep_one_large(h, freed))
		return true;
	spin_lock(&h->lock);
	uint32_t n = h->ncells;
	spin_unlock(&h->lock);
	for (uint32_t i = 1; i < n; i++) {
		if (sweep_one_of(h, &h->cells[i], freed))
			return true;
	}
	return false;
}

/* The spans of two lists become unswept, as whole lists: there may be many of them, and somebody waits. What a cache that has seen the new cycle has
 * put there already is moved one by one. */
static void all_unswept(struct span **unswept, struct span **roomy, struct span **full)
{
	struct span *early = unswept[1], *s;
	assert_always(!unswept[0]);
	unswept[0] = *roomy;
	unswept[1] = full ? *full : NULL;
	while ((s = pop(&early)))
		push(&unswept[0], s);
	*roomy = NULL;
	if (full)
		*full = NULL;
}

void heap_begin_sweeping(struct heap *h)
{
	spin_lock(&h->lock);
	store_rlx(&h->cycle, load_rlx(&h->cycle) + 1);
	all_unswept(h->large_unswept, &h->large, NULL);
	for (uint32_t i = 1; i < h->ncells; i++) {
		struct heap_cell *c = &h->cells[i];
		spin_lock(&c->lock);
		all_unswept(c->unswept, &c->roomy, &c->full);
		spin_unlock(&c->lock);
	}
	spin_unlock(&h->lock);
}

static bool is_empty(struct spin *lock, struct span *const *lists)
{
	spin_lock(lock);
	bool empty = !lists[0] && !lists[1];
	spin_unlock(lock);
	return empty;
}

bool heap_is_swept(struct heap *h)
{
	bool swept = is_empty(&h->lock, h->large_unswept);
	spin_lock(&h->lock);
	uint32_t n = h->ncells;
	spin_unlock(&h->lock);
	for (uint32_t i = 1; swept && i < n; i++)
		swept = is_empty(&h->cells[i].lock, h->cells[i].unswept);
	return swept && load_acq(&h->sweepers) == 0; /* A4 */
}

/* ---- a cache's spans ---- */

static struct span *new_span(struct heap_cache *c, uint32_t cell)
{
	struct heap_cell *k = &c->heap->cells[cell];
	struct span *s = span_make(c->heap, k->size->pages, c->node);
	if (!s)
		return NULL;
	s->reciprocal = k->size->reciprocal;
	s->slot_size = k->size->size;
	s->shape = k->shape;
	s->nslots = k->size->slots;
	s->cell = cell;
	publish(c->heap, s);
	return s;
}

/* A span with room: one that has some, or that has some after it was swept, or a new one. */
static struct span *find_span(struct heap_cache *c, uint32_t cell)
{
	struct heap_cell *k = &c->heap->cells[cell];
	size_t freed = 0;
	for (;;) {
		spin_lock(&k->lock);
		struct span *s = pop(&k->roomy);
		spin_unlock(&k->lock);
		if (s)
			return s;
		s = take_unswept(c->heap, &k->lock, k->unswept);
		if (!s)
			return new_span(c, cell);
		s = swept(c->heap, s, &freed);
		bool has_room = s && s->nused < s->nslots;
		if (s && !has_room)
			put(c->heap, k, s);
		done_sweeping(c->heap);
		if (has_room)
			return s;
	}
}

/* Calls see for those of the run's slots that are at `from` or behind it, up to `to`, word by word. */
static inline void each_slots(const struct heap_run *r, const char *from, const char *to,
			      void (*see)(struct heap_cache *, struct span *, struct span_slots), struct heap_cache *c)
{
	struct span *s = r->span;
	struct span_slots all = handed(s);
	uint32_t first = span_slot_of(s, (uintptr_t)from), end = span_slot_of(s, (uintptr_t)to);
	for (uint32_t i = 0, at = all.word * 64u; i <= all.more; i++, at += 64) {
		uint64_t bits = (i ? UINT64_MAX : all.bits) & span_bits(first > at ? first - at : 0, end > at ? end - at : 0);
		if (bits)
			see(c, s, (struct span_slots){bits, (uint16_t)(all.word + i), 0});
	}
}

static void mark_these(struct heap_cache *c, struct span *s, struct span_slots o)
{
	(void)c;
	span_mark_all(s, o);
}

/* Slots that were allocated since the last time have the cache's colour. */
static void settle(struct heap_cache *c, struct heap_run *r)
{
	char *at = load_rlx(&r->at);
	char *from = coloured(r);
	if (r->span && c->colour == HEAP_BLACK && r->span->cycle == c->cycle && at > from)
		each_slots(r, from, at, mark_these, c);
	set_coloured(c, r, at);
}

/* Small gaps are many, and a call for each would cost more than it does. */
static inline void zero(char *at, size_t bytes)
{
	unpoison(at, bytes);
	if (bytes > ZERO_BY_WORDS)
		memset(at, 0, bytes);
	else
		for (size_t i = 0; i < bytes; i += sizeof(uint64_t))
			*(volatile uint64_t *)(void *)(at + i) = 0; /* or the compiler makes it a call again */
	poison(at, bytes);
}

/* The slots [first, first + n) of a word. */
static uint64_t slots(uint32_t first, uint32_t n)
{
	return span_bits(first, first + n);
}

/* Of those that are left, how many in a row are zeroed at once. */
static uint32_t next_piece(const struct heap_run *r, uint64_t left, uint32_t first)
{
	uint64_t taken = ~(left >> first);
	uint32_t n = taken ? (uint32_t)__builtin_ctzll(taken) : 64;
	return n < r->piece ? n : r->piece;
}

/* Those of the next word, if it is free as a whole. */
static uint64_t next_word(struct heap_run *r, size_t slot_size)
{
	uint32_t more = load_rlx(&r->more);
	if (!more)
		return 0;
	r->word += 64 * slot_size;
	store_rlx(&r->more, more - 1);
	return UINT64_MAX;
}

static void fetch(const char *at)
{
	for (size_t i = 0; i < PIECE_BYTES; i += CACHE_LINE)
		__builtin_prefetch(at + i, 1);
}

/* A piece is zeroed when it is come to, and not sooner, while the next one is on its way into the cache: the misses of a piece are over before it is
 * come to. */
void *heap_next_piece(struct heap_run *r, size_t slot_size)
{
	uint64_t left = load_rlx(&r->left);
	uint32_t first = (uint32_t)__builtin_ctzll(left), n = next_piece(r, left, first);
	char *object = r->word + first * slot_size;
	left &= ~slots(first, n);
	if (!left)
		left = next_word(r, slot_size);
	if (left)
		fetch(r->word + (uint32_t)__builtin_ctzll(left) * slot_size);
	if (!r->span->zeroed)
		zero(object, n * slot_size);
	unpoison(object, slot_size);
	store_rlx(&r->left, left);
	store_rel(&r->at, object + slot_size); /* R7 */
	store_rlx(&r->end, object + n * slot_size);
	return object;
}

/* How many slots in a row a run has at most. Small objects have some pages' worth of words; larger ones a word, so that the way here is taken once
 * for many of them: but a run is counted as allocated from its beginning on, and the collector is paid by what was. */
static uint32_t most_slots(const struct heap_cache *c, const struct span *s)
{
	size_t few = RUN_BYTES / s->slot_size, many = HEAP_RUN_BYTES_MOST / s->slot_size;
	if (c->one_by_one)
		return 1;
	if (few < 64)
		few = many < 64 ? many : 64;
	return few ? (uint32_t)few : 1;
}

/* The next free slots of the run's span become the run, and the first is the object that it was wanted for; NULL: there are none. */
static void *next_run(struct heap_cache *c, struct heap_run *r)
{
	struct span *s = r->span;
	struct span_slots free = span_next_free(s, most_slots(c, s));
	if (!free.bits)
		return NULL;
	uint32_t n = span_count(free);
	r->word = span_slot(s, free.word * 64u);
	r->piece = PIECE_BYTES / s->slot_size ? (uint32_t)(PIECE_BYTES / s->slot_size) : 1;
	store_rlx(&r->more, free.more);
	store_rlx(&r->left, free.bits);
	char *first = heap_next_piece(r, s->slot_size);
	store_rlx(&s->run, r);
	hand(s, free);
	span_use(s, free); /* R1 */
	set_coloured(c, r, first);
	bump(&c->allocated, (uint64_t)n * s->slot_size);
	bump(&c->objects, n);
	return first;
}

static void give_span(struct heap_cache *c, struct span *s)
{
	store_rlx(&s->handed, 0);
	put(c->heap, &c->heap->cells[s->cell], s);
}

static void *refill(struct heap_cache *c, uint32_t cell)
{
	struct heap_run *r = &c->runs[cell];
	void *object;
	settle(c, r);
	while (!r->span || !(object = next_run(c, r))) {
		struct span *s = find_span(c, cell);
		if (!s)
			return NULL;
		if (r->span)
			give_span(c, r->span);
		r->span = s;
	}
	if (cell >= load_rlx(&c->ncells))
		store_rel(&c->ncells, cell + 1); /* R5 */
	return object;
}

void *heap_new_slow(struct heap_cache *c, uint32_t cell)
{
	struct heap_run *r = &c->runs[cell];
	size_t size = c->heap->cells[cell].size->size;
	if (load_rlx(&r->at) == load_rlx(&r->end))
		return load_rlx(&r->left) ? heap_next_piece(r, size) : refill(c, cell);
	char *object = load_rlx(&r->at);
	unpoison(object, size);
	store_rlx(&r->at, object + size);
	return object;
}

void *heap_new_large(struct heap_cache *c, size_t size, const struct shape *shape)
{
	struct heap *h = c->heap;
	assert_always(size > SMALL_MOST);
	if (size > h->pages.npages << PAGE_SHIFT)
		return NULL;
	struct span *s = span_make(h, (size + PAGE_BYTES - 1) >> PAGE_SHIFT, c->node);
	if (!s)
		return NULL;
	unpoison(s->base, s->npages << PAGE_SHIFT);
	if (!s->zeroed)
		memset(s->base, 0, s->npages << PAGE_SHIFT);
	s->shape = *shape;
	s->slot_size = s->npages << PAGE_SHIFT;
	s->nslots = 1;
	s->cell = HEAP_NO_CELL;
	span_use(s, (struct span_slots){1, 0, 0});
	if (c->colour == HEAP_BLACK && s->cycle == c->cycle)
		span_mark(s, 0);
	publish(h, s);
	bump(&c->allocated, s->npages << PAGE_SHIFT);
	bump(&c->objects, 1);
	char *object = s->base; /* once it is in a list, it may be swept */
	spin_lock(&h->lock);
	push(s->cycle == load_rlx(&h->cycle) ? &h->large : &h->large_unswept[1], s);
	spin_unlock(&h->lock);
	return object;
}

void heap_recolour(struct heap_cache *c, enum heap_colour colour)
{
	for (uint32_t i = 1; i < load_rlx(&c->ncells); i++)
		settle(c, &c->runs[i]);
	c->colour = colour;
	for (uint32_t i = 1; i < load_rlx(&c->ncells); i++)
		set_coloured(c, &c->runs[i], coloured(&c->runs[i]));
}

static void unuse_these(struct heap_cache *c, struct span *s, struct span_slots o)
{
	span_unuse(s, o);
	bump(&c->allocated, -(uint64_t)span_count(o) * s->slot_size);
	bump(&c->objects, -(uint64_t)span_count(o));
}

/* What of the run was not allocated is free, and still reads as zeroes if the span's unused slots do. */
static void end_run(struct heap_cache *c, struct heap_run *r)
{
	settle(c, r);
	each_slots(r, load_rlx(&r->at), span_slot(r->span, r->span->nslots), unuse_these, c);
	give_span(c, r->span);
	store_rlx(&r->at, NULL);
	store_rlx(&r->end, NULL);
	store_rlx(&r->left, 0);
	store_rlx(&r->more, 0);
	store_rlx(&r->coloured, 0);
	r->span = NULL;
}

void heap_flush(struct heap_cache *c)
{
	for (uint32_t i = 1; i < load_rlx(&c->ncells); i++) {
		if (c->runs[i].span)
			end_run(c, &c->runs[i]);
	}
	c->cycle = load_rlx(&c->heap->cycle);
}

uint64_t heap_cache_objects(struct heap_cache *c)
{
	uint64_t n = load_rlx(&c->objects);
	for (uint32_t i = 1; i < load_acq(&c->ncells); i++) { /* A5 */
		const char *at = load_rlx(&c->runs[i].at), *end = load_rlx(&c->runs[i].end);
		uint64_t none = (uint64_t)__builtin_popcountll(load_rlx(&c->runs[i].left)) + 64 * (uint64_t)load_rlx(&c->runs[i].more);
		if (at < end)
			none += (size_t)(end - at) / c->heap->cells[i].size->size;
		n -= none < n ? none : n; /* its owner may be about to count the run */
	}
	return n;
}

void heap_each_span(struct heap *h, void (*see)(struct span *, void *arg), void *arg)
{
	size_t npages = load_acq(&h->opened);
	for (size_t i = 0; i < npages; i++) {
		struct span *s = load_acq(&h->table[i]); /* A3 */
		if (s && s->base == h->pages.base + (i << PAGE_SHIFT))
			see(s, arg);
	}
}

/* ---- beginning and end ---- */

void heap_cache_init(struct heap_cache *c, struct heap *h, int node)
{
	memset(c, 0, sizeof *c);
	c->heap = h;
	c->node = node;
	c->cycle = load_rlx(&h->cycle);
}

int heap_init(struct heap *h, size_t bytes)
{
	memset(h, 0, sizeof *h);
	int err = pages_init(&h->pages, bytes);
	if (err)
		return err;
	h->table = os_reserve_closed(h->pages.npages * sizeof *h->table, OS_READS);
	if (!h->table) {
		pages_fini(&h->pages);
		return -ENOMEM;
	}
	slab_init(&h->spans, sizeof(struct span), SPANS_AT_ONCE * sizeof(struct span));
	h->ncells = 1;
	return 0;
}

void heap_fini(struct heap *h)
{
	unpoison(h->pages.base, h->pages.opened << PAGE_SHIFT);
	os_release(h->table, h->pages.npages * sizeof *h->table);
	pages_fini(&h->pages);
}
