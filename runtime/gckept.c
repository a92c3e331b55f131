/* What is kept of a stack is a list of words, from the page at its top down to the page `low`: behind the number of each page that has any, the words
 * there that point into the heap. Pages are counted from the top, so that a number is no such word.
 *
 *     a cycle finds sp where the last one did    the goroutine has not run, it seems: all pages from sp on are marked, then looked at, and kept
 *     the next ones                              down to the last page that was written to (end) words come from the list; below it they are looked
 *                                                at, as are pages that the stack has got since
 *
 * That the goroutine has not run is a guess, and only saves marks: each costs whoever writes there next a fault. What is taken from the list is what
 * stands on the stack: the page was marked before it was looked at, and has not been written to since, neither by its goroutine nor by another that
 * has a pointer to it. What is written once the page has been asked about is shaded, as it is when a page has been looked at already. A stack that
 * passes to another goroutine, or to another mapping at its address, does so with its pages; what lies elsewhere is another stack, though its
 * descriptor may be the same. Below the sp of a blocking section there may be frames that live on: of the page in which that lay, the list has
 * only a part, which is no good once the goroutine has run.
 *
 * Who is looked at is claimed; but the list may be thrown away meanwhile (gc_kept_tidy): whoever has `xbusy` may use it, and nobody waits.
 *
 * R1 gc_kept_note, tidy: store_rel(xbusy)  ->  A1 gc_kept_note, tidy: swap_acq(xbusy)   the record and its list */
#include "runtime/gckept.h"
#include "alloc/os.h"
#include "runtime/gcstack.h"

#include <stddef.h>

enum {
	BIG = 64 * 1024,
	ASK_BYTES = 4096, /* to ask takes as long as to look at so many */
	WORD_BYTES = 16,  /* and a word of the list as these */
	WORDS_MOST = 64, /* in a page, on average: a list that is kept takes an eighth of the stack, and a chunk */
	CYCLES_KEPT = 2,
	RECORDS_AT_ONCE = 1024,
};

struct kept {
	_Atomic bool xbusy;
	_Atomic uint32_t cycle; /* in which it was used last */
	bool is_dense;		/* there were too many words at this sp */
	const char *top, *sp;	/* where it was looked at last */
	const char *low, *whole; /* of the page `low` the list has only what lay from sp on; from `whole` on it has all */
	struct gc_chunk *first, *last; /* NULL: nothing is kept */
	size_t chunks;
};

static struct {
	struct slab records;
	_Atomic uint64_t bytes, spared;
} all;

void gc_kept_start(void)
{
	slab_init(&all.records, sizeof(struct kept), RECORDS_AT_ONCE * sizeof(struct kept));
}

static const char *page_of(const char *at)
{
	return at - (uintptr_t)at % OS_PAGE;
}

static const char *higher(const char *a, const char *b)
{
	return a > b ? a : b;
}

/* ---- the list ---- */

static void drop_from(struct gc_chunk *c)
{
	for (struct gc_chunk *next; c; c = next) {
		next = c->next;
		gc_words_give(&collector.words, c);
	}
}

static void drop(struct kept *k)
{
	drop_from(k->first);
	k->first = k->last = NULL;
	k->chunks = 0;
}

static bool add_chunk(struct kept *k)
{
	struct gc_chunk *c = slab_take_one(&collector.words.chunks);
	if (!c)
		return false;
	c->next = NULL;
	c->n = 0;
	*(k->first ? &k->last->next : &k->first) = c;
	k->last = c;
	k->chunks++;
	return true;
}

/* How many words of a chunk are of pages from `lo` on; all pages before it are. */
static size_t of_pages_from(const char *lo, const char *top, const struct gc_chunk *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (!pages_has(&collector.heap.pages, c->word[i]) && top - c->word[i] * OS_PAGE < lo)
			return i;
	return c->n;
}

/* Nothing is kept any more of what is below `lo`. */
static void cut(struct kept *k, const char *lo, const char *top)
{
	k->low = lo;
	k->whole = higher(k->whole, lo);
	k->chunks = 0;
	for (struct gc_chunk *c = k->first; c; c = c->next) {
		size_t n = of_pages_from(lo, top, c);
		k->chunks++;
		if (n == c->n)
			continue;
		c->n = n;
		k->last = c;
		drop_from(c->next);
		c->next = NULL;
	}
	if (lo == top)
		drop(k);
}

/* How many words. */
static size_t note_all(const struct kept *k, struct gc_filling *f)
{
	size_t n = 0;
	for (const struct gc_chunk *c = k->first; c; n += c->n, c = c->next)
		for (size_t i = 0; i < c->n; i++)
			if (pages_has(&collector.heap.pages, c->word[i]))
				gc_fill(f, c->word[i]);
	return n;
}

/* What is found goes to the end of the list. */
struct listing {
	struct gc_filling f;
	struct kept *k;
	bool failed;
};

static void go_on_in_another(struct gc_filling *f)
{
	struct listing *l = (struct listing *)(void *)((char *)f - offsetof(struct listing, f));
	if (!add_chunk(l->k))
		l->failed = true;
	f->chunk = l->k->last;
}

static void list_page(struct listing *l, const char *page, const char *from, uintptr_t number)
{
	gc_fill(&l->f, number);
	struct gc_chunk *c = l->f.chunk;
	size_t before = c->n;
	gc_note_some_words(&l->f, from, page + OS_PAGE);
	if (l->f.chunk == c && c->n == before)
		c->n--;
}

/* What lies from sp to `lo`, with all pages from there on in the list already. False: there is no memory, and no list. */
static bool list(struct kept *k, const char *sp, const char *lo, const char *top)
{
	struct listing l = {.f = {.from = GC_STACK, .take = go_on_in_another}, .k = k};
	if (!k->first && !add_chunk(k))
		return false;
	l.f.chunk = k->last;
	for (const char *page = lo - OS_PAGE; page + OS_PAGE > sp && !l.failed; page -= OS_PAGE)
		list_page(&l, page, higher(page, sp), (uintptr_t)(top - page) / OS_PAGE);
	k->low = page_of(sp);
	k->whole = page_of(sp + OS_PAGE - 1);
	if (l.failed)
		drop(k);
	return !l.failed;
}

/* ---- a stack ---- */

static struct kept *record_of(struct stack *s)
{
	struct kept *k = load_acq(&s->kept);
	if (!k && (k = slab_take_one(&all.records)))
		store_rel(&s->kept, k);
	return k;
}

static void look_at_all(struct kept *k, struct gc_filling *f, const char *sp, const char *top)
{
	drop(k);
	gc_note_some_words(f, sp, top);
}

static bool is_too_dense(const struct kept *k, const char *top)
{
	return k->chunks * GC_CHUNK_WORDS > (size_t)(top - k->low) / OS_PAGE * WORDS_MOST + GC_CHUNK_WORDS;
}

static void count(size_t bytes, size_t words)
{
	size_t price = ASK_BYTES + words * WORD_BYTES;
	(void)add_rlx(&all.bytes, bytes);
	(void)add_rlx(&all.spared, bytes > price ? bytes - price : 0);
}

/* The descriptor may have come to another mapping. */
static void forget_another(struct kept *k, const char *top)
{
	if (k->top == top)
		return;
	drop(k);
	k->top = top;
	k->sp = NULL;
}

/* With the record. */
static void note(struct kept *k, struct gc_filling *f, const char *sp, const char *top)
{
	forget_another(k, top);
	bool ran = k->sp != sp;
	k->is_dense &= !ran;
	k->sp = sp;
	if (k->is_dense || (ran && !k->first)) {
		gc_note_some_words(f, sp, top);
		return;
	}
	const char *low = !k->first ? top : ran ? k->whole : k->low, *from = ran ? higher(low, page_of(sp)) : page_of(sp);
	const void *end = top;
	if (os_written(from, top, ran ? OS_ASK : OS_MARK, &end)) {
		look_at_all(k, f, sp, top);
		return;
	}
	const char *lo = higher(end, higher(low, from));
	cut(k, lo, top);
	if (!ran && !list(k, sp, lo, top)) {
		look_at_all(k, f, sp, top);
		return;
	}
	count((size_t)(top - higher(lo, sp)), note_all(k, f));
	if (ran && sp < lo)
		gc_note_some_words(f, sp, lo);
	if (is_too_dense(k, top)) {
		drop(k);
		k->is_dense = true;
	}
}

void gc_kept_note(struct gc_filling *f, struct stack *s, const void *sp)
{
	const char *top = stack_top(s);
	struct kept *k = top - (const char *)sp >= BIG ? record_of(s) : NULL;
	gc_noted(f, (size_t)(top - (const char *)sp));
	if (!k || swap_acq(&k->xbusy, true)) { /* A1 */
		gc_note_some_words(f, sp, top);
		return;
	}
	note(k, f, sp, top);
	store_rlx(&k->cycle, load_rlx(&collector.xcycle));
	store_rel(&k->xbusy, false); /* R1 */
}

/* ---- a cycle ---- */

void gc_kept_begin(void)
{
	store_rlx(&all.bytes, 0);
	store_rlx(&all.spared, 0);
}

uint64_t gc_kept_bytes(void)
{
	return load_rlx(&all.bytes);
}

uint64_t gc_kept_spared(void)
{
	return load_rlx(&all.spared);
}

static void tidy(void *object, void *arg)
{
	struct kept *k = object;
	const uint32_t *cycle = arg;
	if (*cycle - load_rlx(&k->cycle) < CYCLES_KEPT || swap_acq(&k->xbusy, true)) /* A1 */
		return;
	drop(k);
	store_rel(&k->xbusy, false); /* R1 */
}

void gc_kept_tidy(void)
{
	uint32_t cycle = load_rlx(&collector.xcycle);
	slab_each(&all.records, tidy, &cycle);
}
