/* Every collected object, and every pointer to one, as lines of text: docs/gc.md has them. They are written while the world stands, out of memory of
 * the dump's own, and never with a lock, for who is to read them may want it; and not while the collector is at the same places, for they are gone
 * through with its own cursors (gcroots.h).
 *
 * An object's address is its distance from the beginning of the heap, in hexadecimal digits; a pointer into an object is written as the object's.
 */
#include "runtime/heapdump.h"
#include "alloc/os.h"
#include "runtime/collect.h"
#include "runtime/gcroots.h"
#include "runtime/gctype.h"
#include "runtime/panic.h"
#include "runtime/sched.h"
#include "runtime/world.h"

#include <weft/gc.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WORD = sizeof(uintptr_t), BUFFER = 1 << 20, LINE_MOST = 512, POINTER_MOST = 17, ESCAPE_MOST = 4, HELD_FIRST = 1 << 14 };
static_assert((size_t)HELD_FIRST >= GC_CHUNK_WORDS, "a chunk finds room");

struct dump {
	int fd, err;
	bool is_early, is_short;
	size_t n, room;
	char *buffer;
	struct g *of;	       /* whose line has begun */
	uintptr_t *held; /* what the runtime holds, on its way */
	size_t nheld, room_held;
	uint64_t objects, bytes;
};

/* ---- writing ---- */

static void flush(struct dump *d)
{
	for (size_t at = 0; at < d->n && !d->err;) {
		ssize_t n = write(d->fd, d->buffer + at, d->n - at);
		if (n >= 0)
			at += (size_t)n;
		else if (errno != EINTR)
			d->err = -errno;
	}
	d->n = 0;
}

__attribute__((format(printf, 2, 3))) static void say(struct dump *d, const char *fmt, ...)
{
	if (d->room - d->n < LINE_MOST)
		flush(d);
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(d->buffer + d->n, LINE_MOST, fmt, args);
	va_end(args);
	d->n += n < LINE_MOST ? (size_t)n : LINE_MOST - 1;
}

/* A name that the program has chosen, whatever it holds. */
static void say_text(struct dump *d, const char *text)
{
	for (; *text; text++) {
		if (d->room - d->n < LINE_MOST)
			flush(d);
		unsigned char c = (unsigned char)*text;
		if (c < 0x20 || c == 0x7f)
			say(d, "\\x%02x", c);
		else
			d->buffer[d->n++] = *text;
	}
}

static void say_hex(struct dump *d, uint64_t value)
{
	char digits[16];
	unsigned n = 0;
	do {
		digits[n++] = "0123456789abcdef"[value % 16];
		value /= 16;
	} while (value);
	if (d->room - d->n < LINE_MOST)
		flush(d);
	d->buffer[d->n++] = ' ';
	while (n)
		d->buffer[d->n++] = digits[--n];
}

/* The object that the word points into, if it does. */
static void say_pointer(struct dump *d, uintptr_t word)
{
	struct heap_object o = heap_find(&collector.heap, word);
	if (o.span)
		say_hex(d, (uint64_t)(span_slot(o.span, o.slot) - collector.heap.pages.base));
}

static void say_shape(struct dump *d, const struct shape *s)
{
	static const char *const kinds[] = {[SHAPE_LEAF] = "leaf", [SHAPE_MAP] = "map", [SHAPE_TYPED] = "typed", [SHAPE_CONSERVATIVE] = "conservative"};
	say(d, " shape=%s", kinds[s->kind]);
	if (s->kind == SHAPE_MAP)
		say(d, ":%u:%llx", s->period, (unsigned long long)s->map);
}

/* ---- what holds objects ---- */

static NOT_INSTRUMENTED void say_words(struct dump *d, const void *from, const void *to)
{
	const volatile uintptr_t *at = (const uintptr_t *)((uintptr_t)from & ~(uintptr_t)(WORD - 1));
	for (; at < (const volatile uintptr_t *)to; at++)
		say_pointer(d, *at);
}

/* Of what say_root says. */
static size_t most_of(const struct weft_root_ *r)
{
	return 2 * LINE_MOST + (strlen(r->name) + strlen(r->where)) * ESCAPE_MOST + (r->bytes / WORD + 2) * POINTER_MOST;
}

static void add_most(const struct weft_root_ *r, void *most)
{
	*(size_t *)most += most_of(r);
}

static void say_root(const struct weft_root_ *r, void *dump)
{
	struct dump *d = dump;
	d->is_short |= d->room - d->n < LINE_MOST + most_of(r);
	if (d->is_short)
		return;
	say(d, "root ");
	say_text(d, r->name);
	say(d, " at ");
	say_text(d, r->where);
	say(d, " >");
	say_words(d, r->at, (const char *)r->at + r->bytes);
	say(d, "\n");
}

static bool make_room(struct dump *d, size_t room)
{
	if (room <= d->room)
		return true;
	char *buffer = os_map(room);
	if (!buffer)
		return false;
	if (d->buffer)
		os_unmap(d->buffer, d->room);
	d->buffer = buffer;
	d->room = room;
	return true;
}

/* Nothing is written while they are locked: whoever is to read it may be loading a library. Threads that go on may have added some meanwhile. */
static void say_roots(struct dump *d)
{
	do {
		size_t most = LINE_MOST;
		flush(d);
		gc_roots_each(add_most, &most);
		if (!make_room(d, most)) {
			d->err = -ENOMEM;
			return;
		}
		d->is_short = false;
		gc_roots_each(say_root, d);
		if (d->is_short)
			d->n = 0;
	} while (d->is_short);
}

/* Its ranges come one after the other. */
static void say_range(void *dump, struct g *g, const void *from, const void *to)
{
	struct dump *d = dump;
	if (d->of != g) {
		char name[G_NAME] = "";
		if (!load_rlx(&g->is_thread))
			g_name(g, name);
		say(d, "%s%s %llu%s", d->of ? "\n" : "", load_rlx(&g->is_thread) ? "thread" : "goroutine",
		    (unsigned long long)load_rlx(&g->id), name[0] ? " name=" : "");
		say_text(d, name);
		say(d, " >");
	}
	d->of = g;
	say_words(d, from, to);
}

static void say_stacks(struct dump *d)
{
	world_each_range(say_range, d);
	if (d->of)
		say(d, "\n");
}

/* Those of a dump. */
struct holding {
	struct gc_filling f;
	struct dump *dump;
	struct gc_chunk chunk;
};

static void free_held(struct dump *d)
{
	if (d->held)
		os_unmap(d->held, d->room_held * WORD);
}

static bool make_room_held(struct dump *d)
{
	size_t room = d->room_held ? 2 * d->room_held : HELD_FIRST;
	uintptr_t *held = os_map(room * WORD);
	if (!held)
		return false;
	for (size_t i = 0; i < d->nheld; i++)
		held[i] = d->held[i];
	free_held(d);
	d->held = held;
	d->room_held = room;
	return true;
}

/* Here and there a lock is held. */
static void take_held(struct gc_filling *f)
{
	struct dump *d = ((struct holding *)(void *)((char *)f - offsetof(struct holding, f)))->dump;
	if (d->room_held - d->nheld < f->chunk->n && !make_room_held(d)) {
		d->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < f->chunk->n; i++)
		d->held[d->nheld++] = f->chunk->word[i];
}

static void say_held(struct dump *d, enum gc_held what, const char *name)
{
	struct holding h = {.f = {.from = GC_EXACT, .take = take_held}, .dump = d};
	h.f.chunk = &h.chunk;
	d->nheld = 0;
	gc_roots_note_held(what, &h.f);
	gc_fill_end(&h.f);
	say(d, "held %s >", name);
	for (size_t i = 0; i < d->nheld; i++)
		say_pointer(d, d->held[i]);
	say(d, "\n");
}

/* ---- objects ---- */

static void say_map(struct dump *d, const struct shape *s, const char *object, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += s->period * WORD)
		for (uint64_t bits = s->map; bits; bits &= bits - 1) {
			size_t offset = at + (size_t)__builtin_ctzll(bits) * WORD;
			if (offset + WORD <= bytes)
				say_words(d, object + offset, object + offset + WORD);
		}
}

static void say_typed(struct dump *d, const struct gc_type *type, const char *object, size_t end)
{
	for (size_t at = 0; at + type->size <= end; at += type->size)
		for (size_t r = 0; r < type->nranges; r++)
			say_words(d, object + at + type->ranges[r].offset, object + at + type->ranges[r].offset + type->ranges[r].n * WORD);
}

static NOT_INSTRUMENTED const struct gc_type *type_of(const char *object, size_t bytes)
{
	return *(const struct gc_type *const volatile *)(const void *)(object + bytes - WORD);
}

static void say_object(struct dump *d, const struct span *s, uint32_t slot)
{
	const char *object = span_slot(s, slot);
	const struct gc_type *type = s->shape.kind == SHAPE_TYPED ? type_of(object, s->slot_size) : NULL;
	say(d, "o %u", slot);
	if (type)
		say(d, " type=%llx", (unsigned long long)(uintptr_t)type);
	if (s->shape.kind != SHAPE_LEAF)
		say(d, " >");
	if (s->shape.kind == SHAPE_MAP)
		say_map(d, &s->shape, object, s->slot_size);
	else if (s->shape.kind == SHAPE_CONSERVATIVE)
		say_words(d, object, object + s->slot_size);
	else if (type)
		say_typed(d, type, object, s->slot_size - WORD);
	say(d, "\n");
	d->objects++;
	d->bytes += s->slot_size;
}

static void say_span(struct dump *d, const struct span *s)
{
	say(d, "span %llx slot=%zu", (unsigned long long)(s->base - collector.heap.pages.base), s->slot_size);
	say_shape(d, &s->shape);
	say(d, "\n");
	for (uint32_t slot = 0; slot < s->nslots && !d->err; slot++)
		if (heap_find(&collector.heap, (uintptr_t)span_slot(s, slot)).span == s)
			say_object(d, s, slot);
}

static void say_types(struct dump *d)
{
	for (const struct gc_known *k = gc_types_known(); k; k = k->next) {
		say(d, "type ");
		say_text(d, k->name);
		say(d, " size=%zu", k->size);
		say_shape(d, &k->shape);
		if (k->scan)
			say(d, " scan=%llx", (unsigned long long)(uintptr_t)k->scan);
		say(d, " at ");
		say_text(d, k->where);
		say(d, "\n");
	}
}

static void say_spans(struct dump *d)
{
	struct heap *h = &collector.heap;
	size_t n = load_acq(&h->opened);
	for (size_t page = 0; page < n && !d->err;) {
		struct span *s = load_acq(&h->table[page]);
		if (s)
			say_span(d, s);
		page += s ? s->npages : 1;
	}
}

/* ---- all of it ---- */

static void dump_all(void *dump)
{
	struct dump *d = dump;
	d->is_early = gc_phase(&collector) == GC_SCANNING;
	if (d->is_early)
		return;
	say(d, "weft heap 1\n");
	say_types(d);
	say_roots(d);
	say_stacks(d);
	say_held(d, GC_HELD_TIMERS, "timers");
	say_held(d, GC_HELD_AREAS, "areas");
	say_held(d, GC_HELD_POOLS, "pools");
	say_spans(d);
	say(d, "end objects=%llu bytes=%llu\n", (unsigned long long)d->objects, (unsigned long long)d->bytes);
	flush(d);
}

int heap_dump(int fd)
{
	struct dump d = {.fd = fd};
	if (!make_room(&d, BUFFER))
		return -ENOMEM;
	int err;
	do
		err = world_stand_still(dump_all, &d);
	while (!err && d.is_early);
	os_unmap(d.buffer, d.room);
	free_held(&d);
	return err ? err : d.err;
}

int weft_heap_dump(int fd)
{
	weft_gc();
	return heap_dump(fd);
}
