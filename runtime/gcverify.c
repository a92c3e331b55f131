/* When marking is over, everything stands, and nothing has been swept, all that is reachable is marked a second time: by itself, in bits of its
 * own, one word after the other. It follows declared members from where the collector begins as well. What must hold is
 *
 *     (1) what a declared member of a marked object points to is marked;    what roots and the runtime hold is
 *     (2) what no mark keeps has no word pointing to it in what lives
 *
 * Against (1) is a store that the collector was not told of (*barrier*): its object would have been freed. Against (2) is a pointer where none is
 * declared (*field*): its object is about to be. In (1) only marked objects are asked: what a lost object points to is lost with it, and is
 * one finding.
 *
 * Words of stacks begin it, and prove nothing: a goroutine's stack was looked at some time ago, and may have grown since over what an earlier
 * call has left there. So what stacks alone point to is followed if it is marked, and let be otherwise. A pointer that was taken out of the heap by
 * a plain store is found when it is stored again, and under the name of where that was.
 *
 * What is found is noted, with names that the side table has (gcsite.c), and printed when the world goes on, since that allocates; then the
 * program ends. Until then what was found is kept: it gets its mark, with all that it points to.
 */
#include "runtime/gcverify.h"
#include "alloc/os.h"
#include "lockfree/assert.h"
#include "runtime/dump.h"
#include "runtime/gccache.h"
#include "runtime/gcroots.h"
#include "runtime/gcsite.h"
#include "runtime/trace.h"
#include "runtime/world.h"

#include <weft/go.h>
#include <weft/reflect.h>

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { WORD = sizeof(uintptr_t), WORDS_A_BITS = 64, FINDINGS_MOST = 32, FIELD_NAME = 128 };

enum fault { FAULT_BARRIER, FAULT_FIELD };

/* An object as it is named, which may be gone by then. */
struct named {
	const char *at; /* NULL: it is none */
	struct gc_site site;
	bool is_leaf;
};

struct finding {
	enum fault fault;
	const char *outside; /* the holder is no object: a root, or what of the runtime's */
	const char *root, *where;
	struct named holder, object;
	size_t offset; /* in the holder */
};

/* Where a word was read. */
struct source {
	bool is_stack;
	const char *outside, *root, *where;
	const char *root_at;
	struct heap_object holder;
	size_t offset;
};

static struct {
	uint64_t *seen; /* a bit for each word of the heap that an object may begin with */
	struct heap_object *todo;
	size_t ntodo;
	size_t heap_bytes; /* that have ever been used */
	struct gc_words words; /* what the runtime holds, on its way from where it is noted */
	_Atomic bool no_memory;
	uint32_t cycle;
	_Atomic uint64_t total; /* the watch writes */
	unsigned nfound;
	struct finding found[FINDINGS_MOST];
} verify;

/* ---- bits ---- */

static size_t bit_of(struct heap_object o)
{
	return (size_t)(span_slot(o.span, o.slot) - collector.heap.pages.base) / WORD;
}

static bool is_seen(struct heap_object o)
{
	size_t bit = bit_of(o);
	return verify.seen[bit / WORDS_A_BITS] >> bit % WORDS_A_BITS & 1;
}

static void set_seen(struct heap_object o)
{
	size_t bit = bit_of(o);
	verify.seen[bit / WORDS_A_BITS] |= (uint64_t)1 << bit % WORDS_A_BITS;
}

/* ---- findings ---- */

static bool is_marked(struct heap_object o)
{
	return span_is_marked(o.span, o.slot);
}

static struct named named(struct heap_object o)
{
	const char *at = o.span ? span_slot(o.span, o.slot) : NULL;
	return (struct named){at, at ? gc_site_of(at) : (struct gc_site){NULL, 0}, o.span && o.span->shape.kind == SHAPE_LEAF};
}

static void find(enum fault fault, const struct source *from, struct heap_object o)
{
	bump(&verify.total, 1);
	if (verify.nfound == FINDINGS_MOST)
		return;
	struct finding *f = &verify.found[verify.nfound++];
	*f = (struct finding){fault, from->outside, from->root, from->where, named(from->holder), named(o), from->offset};
	if (from->root)
		f->holder.at = from->root_at;
}

/* ---- marking ---- */

static void reach(uintptr_t word, const struct source *from)
{
	struct heap_object o = heap_find(&collector.heap, word);
	if (!o.span || is_seen(o) || (from->is_stack && !is_marked(o)))
		return;
	set_seen(o);
	if (!is_marked(o) && (!from->holder.span || is_marked(from->holder)))
		find(FAULT_BARRIER, from, o);
	verify.todo[verify.ntodo++] = o;
}

static NOT_INSTRUMENTED uintptr_t word_at(const char *at)
{
	return *(const volatile uintptr_t *)(const void *)at;
}

/* Whether the collector looks at this word of an object. */
static bool is_declared(const struct span *s, const char *object, size_t offset)
{
	switch (s->shape.kind) {
	case SHAPE_LEAF:
		return false;
	case SHAPE_CONSERVATIVE:
		return true;
	case SHAPE_MAP:
		return s->shape.map >> offset / WORD % s->shape.period & 1;
	case SHAPE_TYPED:
		break;
	}
	const struct gc_type *t = (const struct gc_type *)word_at(object + s->slot_size - WORD);
	if (!t || offset + WORD == s->slot_size)
		return false;
	for (size_t i = 0, at = offset % t->size; i < t->nranges; i++)
		if (at >= t->ranges[i].offset && at < t->ranges[i].offset + t->ranges[i].n * WORD)
			return true;
	return false;
}

/* Each word of an object that points into the heap, if it is declared or if it is not. */
static void each_pointer(struct heap_object o, bool declared, void (*see)(uintptr_t word, const struct source *))
{
	const char *object = span_slot(o.span, o.slot);
	struct source from = {.holder = o};
	for (size_t at = 0; at + WORD <= o.span->slot_size; at += WORD) {
		uintptr_t word = word_at(object + at);
		from.offset = at;
		if (pages_has(&collector.heap.pages, word) && is_declared(o.span, object, at) == declared)
			see(word, &from);
	}
}

static void follow(void)
{
	while (verify.ntodo)
		each_pointer(verify.todo[--verify.ntodo], true, reach);
}

/* ---- where it begins ---- */

/* One that points to the beginning of an object may be meant for the end of the one before. */
static void see_stack(void *unused, struct g *g, const void *first, const void *end)
{
	struct source from = {.is_stack = true};
	(void)unused, (void)g;
	for (const char *at = (const char *)((uintptr_t)first & ~(uintptr_t)(WORD - 1)); at < (const char *)end; at += WORD) {
		uintptr_t word = word_at(at);
		if (pages_has(&collector.heap.pages, word))
			reach(word, &from);
		if (pages_has(&collector.heap.pages, word - 1))
			reach(word - 1, &from);
	}
	follow();
}

static void see_root(const struct weft_root_ *r, void *unused)
{
	struct source from = {.outside = "root", .root = r->name, .where = r->where, .root_at = r->at};
	(void)unused;
	for (; from.offset + WORD <= r->bytes; from.offset += WORD)
		reach(word_at((const char *)r->at + from.offset), &from);
	follow();
}

static void see_noted(const char *what)
{
	struct source from = {.outside = what};
	struct gc_chunk *c;
	while ((c = gc_words_take(&verify.words))) {
		for (size_t i = 0; i < c->n; i++)
			reach(c->word[i], &from);
		gc_words_give(&verify.words, c);
	}
	follow();
}

static void begin_everywhere(void)
{
	static const char *const whose[] = {[GC_HELD_TIMERS] = "timer", [GC_HELD_AREAS] = "area", [GC_HELD_POOLS] = "pool"};
	world_each_range(see_stack, NULL);
	gc_roots_each(see_root, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(whose); i++) {
		struct gc_filling f = {.words = &verify.words, .from = GC_EXACT};
		gc_roots_note_held((enum gc_held)i, &f);
		gc_fill_end(&f);
		see_noted(whose[i]);
	}
}

/* ---- what is not kept ---- */

/* From here on it is kept too, with what it points to. */
static void see_undeclared(uintptr_t word, const struct source *from)
{
	struct heap_object o = heap_find(&collector.heap, word);
	if (!o.span || is_marked(o) || is_seen(o))
		return;
	find(FAULT_FIELD, from, o);
	set_seen(o);
	verify.todo[verify.ntodo++] = o;
	follow();
}

static void each_seen(struct span *s, void (*see)(struct heap_object))
{
	for (uint32_t slot = 0; slot < s->nslots; slot++) {
		struct heap_object o = {s, slot};
		if (is_seen(o))
			see(o);
	}
}

static void look_beside(struct heap_object o)
{
	each_pointer(o, false, see_undeclared);
}

static void keep(struct heap_object o)
{
	span_mark(o.span, o.slot);
}

static void look_in_span(struct span *s, void *unused)
{
	(void)unused;
	if (s->shape.kind != SHAPE_CONSERVATIVE)
		each_seen(s, look_beside);
}

static void keep_in_span(struct span *s, void *unused)
{
	(void)unused;
	each_seen(s, keep);
}

/* ---- all of it ---- */

static size_t bytes_of_bits(void)
{
	return verify.heap_bytes / WORD / 8;
}

/* An object for each word of the heap there cannot be: none is smaller than a word. */
static size_t bytes_of_todo(void)
{
	return verify.heap_bytes / WORD * sizeof *verify.todo;
}

static bool begin(void)
{
	verify.heap_bytes = collector.heap.pages.opened << PAGE_SHIFT;
	verify.ntodo = 0;
	verify.cycle = load_rlx(&collector.xcycle);
	if (!verify.heap_bytes)
		return false;
	verify.seen = os_reserve(bytes_of_bits());
	verify.todo = os_reserve(bytes_of_todo());
	store_rlx(&verify.no_memory, !verify.seen || !verify.todo);
	return verify.seen && verify.todo;
}

static void end(void)
{
	if (verify.seen)
		os_release(verify.seen, bytes_of_bits());
	if (verify.todo)
		os_release(verify.todo, bytes_of_todo());
	verify.seen = NULL;
	verify.todo = NULL;
}

void gc_verify(void)
{
	if (begin()) {
		gc_settle_caches();
		begin_everywhere();
		heap_each_span(&collector.heap, look_in_span, NULL);
		heap_each_span(&collector.heap, keep_in_span, NULL);
	}
	end();
}

/* ---- what is printed ---- */

struct text {
	char at[FIELD_NAME];
	size_t n;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(t->at + t->n, sizeof t->at - t->n, fmt, ap);
	va_end(ap);
	t->n += (size_t)n;
	if (t->n >= sizeof t->at)
		t->n = sizeof t->at - 1;
}

static const weft_field *field_at(const weft_type *type, size_t offset)
{
	weft_fields all = weft_type_fields(type);
	for (size_t i = 0; i < all.n; i++)
		if (offset >= all.fields[i].offset && offset - all.fields[i].offset < weft_field_type(&all.fields[i])->size)
			return &all.fields[i];
	return NULL;
}

static const weft_pointers *pointers_at(const weft_type *type, size_t offset)
{
	for (size_t i = 0; i < type->npointers; i++)
		if (offset >= type->pointers[i].offset && offset < type->pointers[i].offset + type->pointers[i].n * WORD)
			return &type->pointers[i];
	return NULL;
}

/* By reflection, if the type has fields that go so deep; by the declaration's members; else by the offset alone. */
static void add_member(struct text *t, const weft_type *type, size_t offset)
{
	const weft_field *f = field_at(type, offset);
	const weft_pointers *p = f ? NULL : pointers_at(type, offset);
	if (p && p->n > 1)
		add(t, "%s[%zu]", p->name, (offset - p->offset) / WORD);
	else if (p)
		add(t, "%s", p->name);
	else if (!f)
		add(t, "offset %zu", offset);
	for (; f; f = field_at(type, offset)) {
		add(t, "%s%s", t->n && t->at[t->n - 1] != '.' ? "." : "", f->name);
		type = weft_field_type(f);
		offset -= f->offset;
		if (type->kind == WEFT_KIND_ARRAY && type->elem->size) {
			add(t, "[%zu]", offset / type->elem->size);
			offset %= type->elem->size;
			type = type->elem;
		}
	}
}

static struct text field_of(const struct finding *f)
{
	struct text t = {.n = 0};
	const weft_type *type = f->holder.site.type;
	if (f->root)
		add(&t, "%s+%zu", f->root, f->offset);
	else if (f->outside)
		add(&t, "-");
	else if (!type || !type->size)
		add(&t, "offset %zu", f->offset);
	else if (f->offset / type->size)
		add(&t, "[%zu].", f->offset / type->size);
	if (!f->outside && type && type->size)
		add_member(&t, type, f->offset % type->size);
	return t;
}

static const char *type_of(const struct named *n)
{
	if (n->site.type)
		return n->site.type->name;
	return n->site.pc == 0 ? "?" : n->is_leaf ? "bytes" : "pointers";
}

static void print_from(const struct named *n)
{
	if (n->site.pc)
		trace_print_place(STDERR_FILENO, n->site.pc);
	else
		dprintf(STDERR_FILENO, "?");
}

static void print_finding(const struct finding *f)
{
	static const char *const fault[] = {[FAULT_BARRIER] = "barrier", [FAULT_FIELD] = "field"};
	dprintf(STDERR_FILENO, "gcverify: cycle=%u fault=%s holder=%s field=\"%s\" holder_at=%p holder_from=\"", verify.cycle, fault[f->fault],
		f->outside ? f->outside : type_of(&f->holder), field_of(f).at, (const void *)f->holder.at);
	if (f->root)
		dprintf(STDERR_FILENO, "at %s", f->where);
	else
		print_from(&f->holder);
	dprintf(STDERR_FILENO, "\" object=%s object_at=%p object_from=\"", type_of(&f->object), (const void *)f->object.at);
	print_from(&f->object);
	dprintf(STDERR_FILENO, "\"\n");
}

static void print_findings(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < verify.nfound; i++)
		print_finding(&verify.found[i]);
}

void gc_verify_report(void)
{
	if (load_rlx(&verify.no_memory))
		fatal("gcverify: no address space to mark again what is reachable");
	if (!load_rlx(&verify.total))
		return;
	dump_alone(print_findings, NULL);
	fatal("gcverify: %llu pointers that the collector was not told of", (unsigned long long)load_rlx(&verify.total));
}

void gc_verify_let_end(void)
{
	if (!load_rlx(&verify.total) && !load_rlx(&verify.no_memory))
		return;
	weft_block_begin();
	for (;;)
		pause();
}

void gc_verify_start(void)
{
	gc_words_init(&verify.words, NULL);
	gc_sites_start();
}
