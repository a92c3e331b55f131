#include "runtime/reach.h"
#include "alloc/manual.h"
#include "alloc/os.h"
#include "lockfree/sanitize.h"
#include "runtime/chan.h"
#include "runtime/gcstack.h"
#include "runtime/mapping.h"
#include "runtime/sched.h"

#include <errno.h>
#include <string.h>

enum {
	ROOM_AT_FIRST = 64 * 1024, /* bytes */
	RANGES_MOST = 1 << 18,
	CHUNK = 64 * 1024, /* of a place, that is copied */
	WORD = sizeof(uintptr_t),
};

/* ---- memory to work in: it grows, and goes as a whole ---- */

struct room {
	char *at;
	size_t n, bytes; /* used, and there */
};

struct range {
	uintptr_t from, to;
};

/* A room that has become too small. What is listed as memory is given back at the end only, or something else of ours might come to lie there,
 * and pass for a place. */
struct retired {
	struct retired *next;
	size_t bytes;
};

/* The part of a sleeper's stack that is in use. All kinds of objects begin with where they do, and are sorted by that. */
struct sleeper {
	uintptr_t from, to;
	struct g *g;
	bool reached;
};

/* Blocks of one size; two bits for each: it is in use, it has been reached. */
struct blocks {
	uintptr_t from, to;
	size_t size, first_bit;
};

struct channel {
	uintptr_t from, to;
	bool reached;
};

static struct {
	struct room sleepers, blocks, used, marks, channels; /* objects */
	struct room mapped, holes;			     /* ranges: all memory, and what in it is no place */
	struct room todo;				     /* ranges to be looked at */
	struct room collected;				     /* a bit for each word at which an object may begin */
	struct room copy;
	struct retired *retired;
	bool failed;
} reach;

static bool room_open(struct room *r, size_t bytes)
{
	*r = (struct room){.at = os_map(bytes)};
	r->bytes = r->at ? bytes : 0;
	return r->at;
}

static void room_close(struct room *r)
{
	if (r->at)
		os_unmap(r->at, r->bytes);
	*r = (struct room){0};
}

static void room_retire(const struct room *r)
{
	struct retired *old = (struct retired *)(void *)r->at;
	if (!old)
		return;
	memset(old + 1, 0, r->bytes - sizeof *old);
	*old = (struct retired){reach.retired, r->bytes};
	reach.retired = old;
}

static bool room_for(struct room *r, size_t bytes)
{
	struct room larger;
	size_t want = r->bytes ? r->bytes : ROOM_AT_FIRST;
	while (want - r->n < bytes)
		want *= 2;
	if (want == r->bytes)
		return true;
	if (!room_open(&larger, want)) {
		reach.failed = true;
		return false;
	}
	if (r->n)
		memcpy(larger.at, r->at, r->n);
	larger.n = r->n;
	room_retire(r);
	*r = larger;
	return true;
}

static void push(struct room *r, const void *entry, size_t size)
{
	if (r->bytes - r->n < size && !room_for(r, size))
		return;
	memcpy(r->at + r->n, entry, size);
	r->n += size;
}

/* Zeroes. */
static void extend(struct room *r, size_t bytes)
{
	if (room_for(r, bytes))
		r->n += bytes;
}

/* ---- sorting, by the first word ---- */

static uintptr_t key(const char *at)
{
	uintptr_t k;
	memcpy(&k, at, sizeof k);
	return k;
}

static void sift(char *all, size_t size, size_t i, size_t n)
{
	char one[sizeof(struct sleeper)];
	memcpy(one, all + i * size, size);
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && key(all + child * size) < key(all + (child + 1) * size))
			child++;
		if (key(all + child * size) <= key(one))
			break;
		memcpy(all + i * size, all + child * size, size);
	}
	memcpy(all + i * size, one, size);
}
_Static_assert(sizeof(struct blocks) <= sizeof(struct sleeper) && sizeof(struct channel) <= sizeof(struct sleeper) &&
		       sizeof(struct range) <= sizeof(struct sleeper),
	       "one of each fits");

/* libc's allocates. */
static void sort(struct room *r, size_t size)
{
	size_t n = r->n / size;
	char one[sizeof(struct sleeper)];
	bool sorted = true;
	for (size_t i = 1; i < n && sorted; i++)
		sorted = key(r->at + (i - 1) * size) <= key(r->at + i * size);
	if (sorted)
		return;
	for (size_t i = n / 2; i-- > 0;)
		sift(r->at, size, i, n);
	for (size_t i = n; i-- > 1;) {
		memcpy(one, r->at + i * size, size);
		memcpy(r->at + i * size, r->at, size);
		memcpy(r->at, one, size);
		sift(r->at, size, 0, i);
	}
}

/* The last that does not begin behind the word, if the word is within it. */
static void *find(const struct room *r, size_t size, uintptr_t word)
{
	size_t low = 0, high = r->n / size;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (key(r->at + middle * size) <= word)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	struct range *at = (struct range *)(void *)(r->at + (low - 1) * size);
	return word < at->to ? at : NULL;
}

/* ---- bits ---- */

static bool bit(const struct room *r, size_t i)
{
	return r->at[i / 8] >> i % 8 & 1;
}

/* True: it was not set. */
static bool set_bit(struct room *r, size_t i)
{
	if (bit(r, i))
		return false;
	r->at[i / 8] = (char)(r->at[i / 8] | 1 << i % 8);
	return true;
}

/* ---- objects ---- */

void reach_add_sleeper(struct g *g)
{
	uintptr_t sp = (uintptr_t)context_peek(&g->ctx), top = (uintptr_t)stack_top(load_acq(&g->stack));
	push(&reach.sleepers, &(struct sleeper){sp, top, g, false}, sizeof(struct sleeper));
}

void reach_add_hole(const void *from, const void *to)
{
	push(&reach.holes, &(struct range){(uintptr_t)from, (uintptr_t)to}, sizeof(struct range));
}

static struct blocks *last_blocks(void)
{
	return (struct blocks *)(void *)(reach.blocks.at + reach.blocks.n - sizeof(struct blocks));
}

static void add_blocks(void *arg, const struct manual_area *a)
{
	(void)arg;
	size_t n = (a->to - a->from) / a->block_size, first = 8 * reach.used.n;
	extend(&reach.used, n / 8 + 1);
	extend(&reach.marks, n / 8 + 1);
	push(&reach.blocks, &(struct blocks){a->from, a->to, a->block_size, first}, sizeof(struct blocks));
	reach_add_hole((void *)a->from, (void *)a->to);
}

static void add_block(void *arg, uintptr_t at)
{
	(void)arg;
	if (reach.failed)
		return;
	const struct blocks *b = last_blocks();
	set_bit(&reach.used, b->first_bit + (at - b->from) / b->size);
}

void reach_add_heap(void *heap)
{
	manual_heap_each(heap, add_blocks, add_block, NULL);
}

static void add_mapped(void *arg, uintptr_t from, uintptr_t to)
{
	(void)arg;
	if (reach.mapped.bytes - reach.mapped.n < sizeof(struct range))
		reach.failed = true; /* to grow it would change what it lists */
	else
		push(&reach.mapped, &(struct range){from, to}, sizeof(struct range));
}

/* ---- what a word points into ---- */

static void look_later(uintptr_t from, uintptr_t to)
{
	push(&reach.todo, &(struct range){from, to}, sizeof(struct range));
}

static void see_range(void *arg, const void *from, const void *to)
{
	(void)arg;
	look_later((uintptr_t)from, (uintptr_t)to);
}

static void reach_sleeper(struct sleeper *s)
{
	if (s->reached)
		return;
	s->reached = true;
	gc_ranges_of_parked(s->g, see_range, NULL);
}

static void reach_collected(uintptr_t word)
{
	struct heap_object o = heap_find(&collector.heap, word);
	if (!o.span)
		return;
	uintptr_t at = (uintptr_t)span_slot(o.span, o.slot), base = (uintptr_t)collector.heap.pages.base;
	size_t size = span_is_large(o.span) ? o.span->npages << PAGE_SHIFT : span_slot_size(o.span);
	if ((at - base) / WORD / 8 < reach.collected.bytes && set_bit(&reach.collected, (at - base) / WORD))
		look_later(at, at + size);
}

static void reach_channel(struct weft_chan *c)
{
	chan_each_range(c, see_range, NULL);
}

/* Aligned as channels are, it is one or begins with one. */
static bool is_channel(uintptr_t from, uintptr_t to, struct weft_chan **c)
{
	*c = (struct weft_chan *)((from + CHAN_LINE - 1) / CHAN_LINE * CHAN_LINE);
	return (uintptr_t)(*c + 1) <= to && chan_is(*c, *c);
}

static void reach_block(const struct blocks *b, uintptr_t word)
{
	size_t i = (word - b->from) / b->size;
	uintptr_t at = b->from + i * b->size;
	struct weft_chan *c;
	if (at + b->size > b->to || !bit(&reach.used, b->first_bit + i) || !set_bit(&reach.marks, b->first_bit + i))
		return;
	if (is_channel(at, at + b->size, &c))
		reach_channel(c);
	else
		look_later(at, at + b->size);
}

static void reach_word(uintptr_t word)
{
	void *found;
	if (word < OS_PAGE || word >> 56)
		return;
	if (pages_has(&collector.heap.pages, word)) {
		reach_collected(word);
	} else if ((found = find(&reach.sleepers, sizeof(struct sleeper), word))) {
		reach_sleeper(found);
	} else if ((found = find(&reach.blocks, sizeof(struct blocks), word))) {
		reach_block(found, word);
	} else if ((found = find(&reach.channels, sizeof(struct channel), word))) {
		struct channel *c = found;
		if (!c->reached)
			reach_channel((struct weft_chan *)c->from);
		c->reached = true;
	}
}

static NOT_INSTRUMENTED void look_at(uintptr_t from, uintptr_t to, enum reach_kind kind)
{
	const volatile uintptr_t *at = (const uintptr_t *)((from + WORD - 1) / WORD * WORD);
	for (; (uintptr_t)(at + 1) <= to; at++) {
		uintptr_t word = *at;
		reach_word(word);
		if (kind == REACH_STACK && pages_has(&collector.heap.pages, word - 1))
			reach_collected(word - 1);
	}
}

static bool is_on_a_stack(uintptr_t at)
{
	return find(&reach.sleepers, sizeof(struct sleeper), at);
}

static void look_at_all(void)
{
	while (reach.todo.n) {
		struct range r;
		reach.todo.n -= sizeof r;
		memcpy(&r, reach.todo.at + reach.todo.n, sizeof r);
		look_at(r.from, r.to, is_on_a_stack(r.from) ? REACH_STACK : REACH_WORDS);
	}
}

/* ---- places ---- */

void reach_place(const void *from, const void *to, enum reach_kind kind)
{
	look_at((uintptr_t)from, (uintptr_t)to, kind);
	look_at_all();
}

static NOT_INSTRUMENTED struct g *goroutine_at(uintptr_t word)
{
	for (const struct slab_chunk *c = load_acq(&sched.gs.newest); c; c = c->older)
		if (word - (uintptr_t)c->objects < load_acq(&c->used))
			return (struct g *)(void *)(c->objects + (word - (uintptr_t)c->objects) / sched.gs.object_size * sched.gs.object_size);
	return NULL;
}

static void reach_goroutine(uintptr_t word)
{
	const struct g *g = goroutine_at(word);
	uintptr_t sp = g ? (uintptr_t)context_peek(&g->ctx) : 0;
	struct sleeper *found = find(&reach.sleepers, sizeof(struct sleeper), sp);
	if (found && found->g == g)
		reach_sleeper(found);
}

NOT_INSTRUMENTED void reach_place_of_waker(const void *from, const void *to)
{
	const volatile uintptr_t *at = from;
	for (; at + 1 <= (const volatile uintptr_t *)to; at++)
		reach_goroutine(*at);
	reach_place(from, to, REACH_STACK);
}

void reach_stack_of_waker(uintptr_t from, uintptr_t to)
{
	const struct range *r = find(&reach.mapped, sizeof *r, from);
	if (r)
		reach_place_of_waker((const void *)from, (const void *)(to > from && to < r->to ? to : r->to));
}

/* Calls look for each part of memory that is no hole, a copy of it. */
static void each_part(void (*look)(uintptr_t at, const char *copy, size_t bytes), uintptr_t from, uintptr_t to)
{
	while (from < to) {
		size_t bytes = to - from < CHUNK ? to - from : CHUNK;
		char *copy = reach.copy.at + from % CHAN_LINE; /* whose channels are aligned as they should be */
		long got = os_copy(copy, from, bytes);
		if (got > 0)
			look(from, copy, (size_t)got);
		if (got == (long)bytes)
			from += bytes == CHUNK ? CHUNK - CHAN_LINE : bytes; /* a channel may begin in the last line */
		else
			from = ((from + (got > 0 ? (size_t)got : 0)) / OS_PAGE + 1) * OS_PAGE;
	}
}

static void each_place(void (*look)(uintptr_t at, const char *copy, size_t bytes))
{
	const struct range *hole = (struct range *)(void *)reach.holes.at, *last = hole + reach.holes.n / sizeof *hole;
	const struct range *m = (struct range *)(void *)reach.mapped.at, *end = m + reach.mapped.n / sizeof *m;
	for (; m < end; m++) {
		uintptr_t at = m->from;
		while (hole < last && hole->to <= at)
			hole++;
		for (const struct range *h = hole; at < m->to; h++) {
			uintptr_t until = h < last && h->from < m->to ? h->from : m->to;
			if (until > at)
				each_part(look, at, until);
			if (h >= last || h->from >= m->to)
				break;
			at = h->to > at ? h->to : at;
		}
	}
}

/* Channels begin on whole lines. */
static NOT_INSTRUMENTED void look_for_channels(uintptr_t at, const char *copy, size_t bytes)
{
	uintptr_t first = (at + CHAN_LINE - 1) / CHAN_LINE * CHAN_LINE;
	for (; first + sizeof(struct weft_chan) <= at + bytes; first += CHAN_LINE) {
		struct weft_chan *c = (struct weft_chan *)first;
		struct channel found = {.from = first};
		if (!chan_is((const struct weft_chan *)(const void *)(copy + (first - at)), c))
			continue;
		found.to = first + chan_size(c);
		push(&reach.channels, &found, sizeof found);
	}
}

static NOT_INSTRUMENTED void look_at_copy(uintptr_t at, const char *copy, size_t bytes)
{
	(void)at;
	look_at((uintptr_t)copy, (uintptr_t)copy + bytes, REACH_WORDS);
	look_at_all();
}

int reach_settle(void)
{
	size_t words = (collector.heap.pages.opened << PAGE_SHIFT) / WORD;
	if (reach.failed || !room_open(&reach.copy, CHUNK + CHAN_LINE) || !room_open(&reach.collected, words / 8 + 1))
		return -ENOMEM;
	sort(&reach.sleepers, sizeof(struct sleeper));
	sort(&reach.blocks, sizeof(struct blocks));
	sort(&reach.holes, sizeof(struct range));
	each_place(look_for_channels);
	for (size_t i = 0; i < reach.channels.n; i += sizeof(struct channel)) {
		const struct channel *c = (struct channel *)(void *)(reach.channels.at + i);
		reach_add_hole((void *)c->from, (void *)c->to);
	}
	sort(&reach.holes, sizeof(struct range));
	return reach.failed ? -ENOMEM : 0;
}

void reach_memory(void)
{
	each_place(look_at_copy);
}

/* ---- begin and end ---- */

static void add_reserved(void *arg, uintptr_t from, uintptr_t to)
{
	(void)arg;
	reach_add_hole((void *)from, (void *)to);
}

int reach_begin(void)
{
	char one;
	long got = os_copy(&one, (uintptr_t)&one, 1);
	if (got < 0)
		return (int)got;
	reach.failed = false;
	os_each_reserved(add_reserved, NULL);
	return reach.failed ? -ENOMEM : 0;
}

/* Until memory is listed, what is mapped for it and for the holes is among it. */
int reach_list_memory(void)
{
	char *buffer = os_map(MAPPING_BUFFER);
	if (!buffer)
		return -ENOMEM;
	reach.failed |= !room_open(&reach.mapped, RANGES_MOST * sizeof(struct range));
	int err = reach.failed ? -ENOMEM : mapping_each(add_mapped, NULL, buffer);
	os_unmap(buffer, MAPPING_BUFFER);
	reach_add_hole(buffer, buffer + MAPPING_BUFFER);
	reach_add_hole(reach.mapped.at, reach.mapped.at + reach.mapped.bytes);
	reach_add_hole(reach.holes.at, reach.holes.at + reach.holes.bytes);
	return err;
}

void reach_end(void)
{
	struct room *all[] = {&reach.sleepers, &reach.blocks, &reach.used, &reach.marks, &reach.channels, &reach.mapped,
			      &reach.holes, &reach.todo, &reach.collected, &reach.copy};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		room_close(all[i]);
	for (struct retired *r = reach.retired, *next; r; r = next) {
		next = r->next;
		os_unmap(r, r->bytes);
	}
	reach.retired = NULL;
}

bool reach_failed(void)
{
	return reach.failed;
}

void reach_each_lost(void (*see)(void *arg, struct g *), void *arg)
{
	for (size_t i = 0; i < reach.sleepers.n; i += sizeof(struct sleeper)) {
		const struct sleeper *s = (struct sleeper *)(void *)(reach.sleepers.at + i);
		if (!s->reached)
			see(arg, s->g);
	}
}
