/* JSON into a value, by its type, in one pass over the text.
 *
 * There is no token in between and no document: whatever is read is written to its place at once. The levels that are open are a list on the
 * heap, not a recursion, as the text may be deep and a goroutine's stack is not. What has not been decoded is always zero
 * (fresh memory is zeroed before it can be reached), so that weft_value_fini can take down a half-made value wherever the text
 * turns out to be wrong; the program's memory is written at the very end.
 *
 * Names that a struct does not have are passed over by the same code with no type: what is skipped is judged as strictly.
 *
 * A name that comes twice is refused. RFC 8259 (section 4) leaves open which one counts, and programs differ: what one has checked, the
 * next does not see.
 *
 * Rejected: a library's events in between. docs/decisions/018-json-library.md.
 */
#include "runtime/json_plan.h"
#include "runtime/json_text.h"
#include "runtime/value.h"

#include "lockfree/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <weft/mem.h>

struct level {
	const weft_type *type; /* NULL: it is passed over */
	char *at;	       /* the struct, the array, the slice, the map's handle */
	const struct json_plan *plan;
	const char *from; /* its bracket */
	char closing;
	size_t n;	 /* elements begun; of a struct, the field that is likely next */
	const char *key; /* of the member that is being read, as it is written; of an element, where it begins; NULL: none is */
	size_t key_len;
	uint64_t seen;	      /* a bit for each of the first 64 fields */
	uint64_t *seen_later; /* for the others, where there are any */
};

struct decoder {
	const char *text, *p, *end;
	struct level *levels;
	size_t depth, room, max_depth;
	bool refuse_unknown;
	weft_json_error *error;
	struct level first[JSON_FIRST_LEVELS];
};

static struct level *top_of(struct decoder *d)
{
	return &d->levels[d->depth - 1];
}

/* ---- what is wrong, and where ---- */

static void find_place(weft_json_error *e, const char *text, const char *at)
{
	e->offset = (size_t)(at - text);
	e->line = e->column = 1;
	for (const char *p = text; p < at; p++) {
		if (*p == '\n') {
			e->line++;
			e->column = 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			e->column++;
		}
	}
}

static void find_path(weft_json_error *e, const struct decoder *d)
{
	e->path[0] = 0;
	for (size_t i = 0; i < d->depth; i++) {
		const struct level *l = &d->levels[i];
		if (!l->key)
			continue;
		if (l->closing == ']')
			json_path_index(e, l->n - 1);
		else if (l->type && l->type->kind == WEFT_KIND_MAP)
			json_path_key(e, l->key, l->key_len);
		else
			json_path_field(e, l->key, l->key_len);
	}
}

static COLD __attribute__((format(printf, 4, 5))) int fail(struct decoder *d, int error, const char *at, const char *fmt, ...)
{
	weft_json_error *e = d->error;
	char words[160];
	va_list ap;
	if (!e)
		return error;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	find_place(e, d->text, at);
	find_path(e, d);
	snprintf(e->message, sizeof e->message, "line %zu, column %zu: %s%s%s", e->line, e->column, e->path, *e->path ? ": " : "",
		 words);
	return error;
}

static COLD int cut_off(struct decoder *d)
{
	return fail(d, -EBADMSG, d->end, "the text ends too early");
}

static COLD int no_memory(struct decoder *d)
{
	return fail(d, -ENOMEM, d->p, "out of memory");
}

static COLD int unexpected(struct decoder *d, const char *wanted)
{
	unsigned char c;
	if (d->p == d->end)
		return cut_off(d);
	c = (unsigned char)*d->p;
	if (c > 0x20 && c < 0x7f)
		return fail(d, -EBADMSG, d->p, "unexpected '%c', where %s is wanted", c, wanted);
	return fail(d, -EBADMSG, d->p, "unexpected byte 0x%02x, where %s is wanted", c, wanted);
}

static COLD int flawed(struct decoder *d, enum json_flaw flaw)
{
	switch (flaw) {
	case JSON_CUT_OFF:
		return cut_off(d);
	case JSON_BAD_ESCAPE:
		return fail(d, -EBADMSG, d->p, "a backslash with nothing that it could escape");
	case JSON_LONE_SURROGATE:
		return fail(d, -EILSEQ, d->p, "half of a surrogate pair");
	case JSON_CONTROL_CHARACTER:
		return fail(d, -EBADMSG, d->p, "a control character in a string");
	case JSON_NOT_UTF8:
		return fail(d, -EILSEQ, d->p, "not UTF-8");
	case JSON_LEADING_ZERO:
		return fail(d, -EBADMSG, d->p, "a number that begins with 0");
	default:
		return unexpected(d, "a digit");
	}
}

/* The text has what the type has not. */
static COLD int misfit(struct decoder *d, const weft_type *t, const char *at, const char *what)
{
	char name[64];
	json_type_name(t, name, sizeof name);
	if (t->kind == WEFT_KIND_OPAQUE || t->kind == WEFT_KIND_ANY)
		return fail(d, -ENOTSUP, at, "%s cannot be decoded", json_type_name(t, name, sizeof name));
	return fail(d, -EINVAL, at, "%s is no %s", what, json_type_name(t, name, sizeof name));
}

/* ---- scalars ---- */

static int literal(struct decoder *d, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++, d->p++) {
		if (d->p == d->end || *d->p != word[i])
			return unexpected(d, word);
	}
	return 0;
}

static int boolean(struct decoder *d, const weft_type *t, char *at)
{
	const char *from = d->p;
	bool value = *from == 't';
	int rc = value ? literal(d, "true", 4) : literal(d, "false", 5);
	if (rc || !t)
		return rc;
	if (t->kind != WEFT_KIND_BOOL)
		return misfit(d, t, from, value ? "true" : "false");
	*(bool *)at = value;
	return 0;
}

static COLD int out_of_range(struct decoder *d, const weft_type *t, const struct json_number *n)
{
	char name[64];
	size_t len = (size_t)(n->end - n->from);
	return fail(d, -ERANGE, n->from, "%.*s%s is out of range of %s", len < 48 ? (int)len : 48, n->from, len < 48 ? "" : "...",
		    json_type_name(t, name, sizeof name));
}

static void store(char *at, size_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*(uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)at = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)at = (uint32_t)value;
		break;
	default:
		*(uint64_t *)at = value;
	}
}

/* False: it is out of the type's range. */
static bool store_integer(const weft_type *t, char *at, uint64_t magnitude, bool negative)
{
	unsigned bits = 8 * (unsigned)t->size;
	uint64_t most = t->kind == WEFT_KIND_UINT ? UINT64_MAX >> (64 - bits) : UINT64_MAX >> (65 - bits);
	if (negative)
		most = t->kind == WEFT_KIND_UINT ? 0 : most + 1;
	if (magnitude > most)
		return false;
	store(at, t->size, negative ? 0 - magnitude : magnitude);
	return true;
}

static int number(struct decoder *d, const weft_type *t, char *at)
{
	struct json_number n;
	bool fits;
	enum json_flaw flaw = json_number_scan(&n, &d->p, d->end);
	if (unlikely(flaw))
		return flawed(d, flaw);
	if (!t)
		return 0;
	switch (t->kind) {
	case WEFT_KIND_INT:
	case WEFT_KIND_UINT:
		if (!n.is_integer)
			return misfit(d, t, n.from, "a number with a fraction or an exponent");
		fits = !n.too_long && store_integer(t, at, n.digits, n.negative);
		break;
	case WEFT_KIND_FLOAT:
		fits = t->size == sizeof(float) ? json_number_float(&n, (float *)at) : json_number_double(&n, (double *)at);
		break;
	default:
		return misfit(d, t, n.from, "a number");
	}
	return likely(fits) ? 0 : out_of_range(d, t, &n);
}

/* The quote is the next byte. */
static int scan_string(struct decoder *d, struct json_string *s)
{
	d->p++;
	enum json_flaw flaw = json_string_scan(s, &d->p, d->end);
	return likely(!flaw) ? 0 : flawed(d, flaw);
}

static COLD int has_nul(struct decoder *d, const weft_type *t, const struct json_string *s)
{
	return misfit(d, t, s->raw - 1, "a string with a NUL");
}

static int text(struct decoder *d, const weft_type *t, char *at, const struct json_string *s)
{
	if (s->has_nul)
		return has_nul(d, t, s);
	if (s->len > t->size) {
		char name[64];
		return fail(d, -ERANGE, s->raw - 1, "a string of %zu bytes does not fit %s", s->len,
			    json_type_name(t, name, sizeof name));
	}
	json_string_copy(at, s);
	return 0;
}

/* It is decoded where it is copied to: it becomes shorter. */
static int bytes(struct decoder *d, const weft_type *t, char *at, const struct json_string *s)
{
	weft_bytes b = {weft_malloc(s->len + 1), 0};
	if (!b.bytes)
		return no_memory(d);
	char *room = (char *)(uintptr_t)b.bytes;
	json_string_copy(room, s);
	if (s->len % 4 || !json_base64_read(room, &b.n, room, s->len)) {
		weft_free(room);
		return misfit(d, t, s->raw - 1, "a string that is not base64");
	}
	memcpy(at, &b, sizeof b);
	return 0;
}

static int string(struct decoder *d, const weft_type *t, char *at)
{
	struct json_string s;
	char *copy;
	int rc = scan_string(d, &s);
	if (rc || !t)
		return rc;
	switch (t->kind) {
	case WEFT_KIND_STRING:
		if (unlikely(s.has_nul))
			return has_nul(d, t, &s);
		copy = weft_malloc(s.len + 1);
		if (!copy)
			return no_memory(d);
		json_string_copy(copy, &s);
		copy[s.len] = 0;
		*(char **)at = copy;
		return 0;
	case WEFT_KIND_TEXT:
		return text(d, t, at, &s);
	case WEFT_KIND_BYTES:
		return bytes(d, t, at, &s);
	default:
		return misfit(d, t, s.raw - 1, "a string");
	}
}

/* ---- arrays and objects ---- */

static COLD int more_levels(struct decoder *d)
{
	size_t room = 2 * d->room;
	struct level *levels = weft_realloc(d->levels == d->first ? NULL : d->levels, room * sizeof *levels);
	if (!levels)
		return no_memory(d);
	if (d->levels == d->first)
		memcpy(levels, d->first, sizeof d->first);
	d->levels = levels;
	d->room = room;
	return 0;
}

static int open_level(struct decoder *d, const weft_type *t, char *at, char closing)
{
	if (unlikely(d->depth == d->max_depth))
		return fail(d, -ELOOP, d->p, "deeper than %zu", d->max_depth);
	if (unlikely(d->depth == d->room)) {
		int rc = more_levels(d);
		if (rc)
			return rc;
	}
	struct level *l = &d->levels[d->depth++];
	l->type = t;
	l->at = at;
	l->plan = NULL;
	l->from = d->p++;
	l->closing = closing;
	l->n = 0;
	l->key = NULL;
	l->seen = 0;
	l->seen_later = NULL;
	return 0;
}

static int open_array(struct decoder *d, const weft_type *t, char *at)
{
	if (t && t->kind != WEFT_KIND_ARRAY && t->kind != WEFT_KIND_SLICE)
		return misfit(d, t, d->p, "an array");
	return open_level(d, t, at, ']');
}

static int open_struct(struct decoder *d, const weft_type *t, char *at)
{
	char name[64];
	if (t->npointers || t->flags_ & WEFT_TYPE_CONSERVATIVE_)
		return fail(d, -ENOTSUP, d->p, "%s has collected pointers and cannot be decoded",
			    json_type_name(t, name, sizeof name));
	const struct json_plan *plan = json_plan_of(t);
	if (!plan)
		return no_memory(d);
	int rc = open_level(d, t, at, '}');
	if (rc)
		return rc;
	struct level *l = top_of(d);
	l->plan = plan;
	if (unlikely(plan->n > 64)) {
		l->seen_later = weft_calloc(plan->n / 64, sizeof *l->seen_later);
		if (!l->seen_later)
			return no_memory(d);
	}
	return 0;
}

static int open_map(struct decoder *d, const weft_type *t, char *at)
{
	char name[64];
	if (!json_key_is_own(t) && !json_key_is_integer(t))
		return fail(d, -ENOTSUP, d->p, "a map with keys of %s cannot be decoded",
			    json_type_name(t->key, name, sizeof name));
	int rc = open_level(d, t, at, '}');
	if (!rc)
		*(weft_map **)at = weft_map_make_(t->map_type_, 0);
	return rc;
}

static int open_object(struct decoder *d, const weft_type *t, char *at)
{
	if (!t)
		return open_level(d, NULL, NULL, '}');
	if (t->kind == WEFT_KIND_STRUCT)
		return open_struct(d, t, at);
	if (t->kind == WEFT_KIND_MAP)
		return open_map(d, t, at);
	return misfit(d, t, d->p, "an object");
}

static void close_level(struct decoder *d)
{
	weft_free(d->levels[--d->depth].seen_later);
}

static void skip_space(struct decoder *d)
{
	while (d->p < d->end && (*d->p == ' ' || *d->p == '\n' || *d->p == '\r' || *d->p == '\t'))
		d->p++;
}

/* Memory for a value, zeroed; NULL: there is none. */
static void *value_make(const weft_type *t)
{
	void *made = t->align <= _Alignof(max_align_t) ? weft_malloc(t->size) : weft_aligned_alloc(t->align, t->size);
	return made ? memset(made, 0, t->size) : NULL;
}

/* What pointers point to; a type may be a pointer to itself. */
static int follow(struct decoder *d, const weft_type **type, char **at)
{
	const weft_type *t = *type;
	for (size_t n = 0; t->kind == WEFT_KIND_POINTER; n++) {
		if (n == d->max_depth)
			return fail(d, -ELOOP, d->p, "deeper than %zu", d->max_depth);
		void *to = value_make(t->elem);
		if (!to)
			return no_memory(d);
		*(void **)*at = to;
		*at = to;
		t = t->elem;
	}
	*type = t;
	return 0;
}

/* A scalar is read whole; an array or object is opened. */
static int value(struct decoder *d, const weft_type *t, char *at)
{
	int rc;
	skip_space(d);
	if (unlikely(d->p == d->end))
		return cut_off(d);
	if (*d->p == 'n')
		return literal(d, "null", 4);
	if (t && t->kind == WEFT_KIND_POINTER) {
		rc = follow(d, &t, &at);
		if (rc)
			return rc;
	}
	switch (*d->p) {
	case '"':
		return string(d, t, at);
	case '{':
		return open_object(d, t, at);
	case '[':
		return open_array(d, t, at);
	case 't':
	case 'f':
		return boolean(d, t, at);
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return number(d, t, at);
	default:
		return unexpected(d, "a value");
	}
}

/* ---- members ---- */

static COLD int repeated(struct decoder *d, const struct level *l)
{
	return fail(d, -EINVAL, l->key - 1, "the name comes twice");
}

/* True: it has been here before. */
static bool mark_seen(struct level *l, size_t field)
{
	uint64_t *word = field < 64 ? &l->seen : &l->seen_later[field / 64 - 1], bit = UINT64_C(1) << field % 64;
	bool before = (*word & bit) != 0;
	*word |= bit;
	return before;
}

static bool has_seen(const struct level *l, size_t field)
{
	return ((field < 64 ? l->seen : l->seen_later[field / 64 - 1]) >> field % 64 & 1) != 0;
}

/* The key without escapes, which is itself if it has none; NULL: no memory. */
static const char *plain_key(const struct json_string *key)
{
	if (likely(key->len == key->raw_len))
		return key->raw;
	char *copy = weft_malloc(key->len + 1);
	if (copy)
		json_string_copy(copy, key);
	return copy;
}

static void plain_key_free(const struct json_string *key, const char *plain)
{
	if (plain != key->raw)
		weft_free((void *)(uintptr_t)plain);
}

static int field(struct decoder *d, struct level *l, const struct json_string *key)
{
	const char *name = plain_key(key);
	if (!name)
		return no_memory(d);
	size_t i = json_plan_find(l->plan, l->n, name, key->len);
	plain_key_free(key, name);
	if (i == SIZE_MAX && d->refuse_unknown)
		return fail(d, -EINVAL, key->raw - 1, "%s has no such field", l->type->name ? l->type->name : "the struct");
	if (i == SIZE_MAX)
		return value(d, NULL, NULL);
	if (unlikely(mark_seen(l, i)))
		return repeated(d, l);
	l->n = i + 1;
	return value(d, l->plan->fields[i].type, l->at + l->plan->fields[i].offset);
}

/* Written as JSON writes an integer. */
static int integer_key(struct decoder *d, const weft_type *t, const char *key, size_t len, uint64_t *out)
{
	struct json_number n;
	const char *p = key;
	if (json_number_scan(&n, &p, key + len) != JSON_FINE || p != key + len || !n.is_integer)
		return misfit(d, t, top_of(d)->key - 1, "a key that is no integer");
	if (n.too_long || !store_integer(t, (char *)out, n.digits, n.negative)) {
		char name[64];
		return fail(d, -ERANGE, top_of(d)->key - 1, "the key is out of range of %s",
			    json_type_name(t, name, sizeof name));
	}
	return 0;
}

/* Puts it into the map; NULL with *rc: it cannot be, or is there. The map copies what the key leads to. */
static char *add_entry(struct decoder *d, struct level *l, const void *key, int *rc)
{
	weft_map *m = *(weft_map **)l->at;
	const struct weft_map_type *t = l->type->map_type_;
	uint64_t before = m->len;
	char *entry = weft_map_put_(m, t, key);
	if (m->len == before) {
		*rc = repeated(d, l);
		return NULL;
	}
	memset(entry + t->value_at, 0, t->value_size);
	return entry + t->value_at;
}

static char *own_entry(struct decoder *d, struct level *l, const char *key, size_t len, int *rc)
{
	weft_map_own_ own = {key, len, 0};
	char *decoded = NULL, *at = NULL;
	if (l->type->key->kind == WEFT_KIND_BYTES) {
		decoded = weft_malloc(len + 1);
		own.bytes = decoded;
		if (!decoded)
			*rc = no_memory(d);
		else if (len % 4 || !json_base64_read(decoded, &own.n, key, len))
			*rc = misfit(d, l->type->key, l->key - 1, "a key that is not base64");
	} else if (memchr(key, 0, len)) {
		*rc = misfit(d, l->type->key, l->key - 1, "a key with a NUL");
	}
	if (!*rc)
		at = add_entry(d, l, &own, rc);
	weft_free(decoded);
	return at;
}

static int entry(struct decoder *d, struct level *l, const struct json_string *key)
{
	const char *name = plain_key(key);
	uint64_t integer = 0;
	char *at = NULL;
	int rc = 0;
	if (!name)
		return no_memory(d);
	if (json_key_is_own(l->type))
		at = own_entry(d, l, name, key->len, &rc);
	else if (!(rc = integer_key(d, l->type->key, name, key->len, &integer)))
		at = add_entry(d, l, &integer, &rc);
	plain_key_free(key, name);
	return at ? value(d, l->type->elem, at) : rc;
}

/* Most texts have the fields in their order, and no space before a colon. */
static bool is_expected(const struct decoder *d, const struct level *l)
{
	const struct json_plan *plan = l->plan;
	if (!plan || l->n >= plan->n)
		return false;
	size_t len = plan->fields[l->n].name_len + 3;
	return (size_t)(d->end - d->p) > len && memcmp(d->p, plan->fields[l->n].quoted + 1, len) == 0;
}

static int expected_field(struct decoder *d, struct level *l)
{
	const struct json_field *f = &l->plan->fields[l->n];
	l->key = d->p + 1;
	l->key_len = f->name_len;
	d->p += f->name_len + 3;
	if (unlikely(mark_seen(l, l->n++)))
		return repeated(d, l);
	return value(d, f->type, l->at + f->offset);
}

/* The quote before the name is the next byte. */
static int member(struct decoder *d, struct level *l)
{
	struct json_string key;
	if (likely(is_expected(d, l)))
		return expected_field(d, l);
	int rc = scan_string(d, &key);
	if (rc)
		return rc;
	l->key = key.raw;
	l->key_len = key.raw_len;
	skip_space(d);
	if (d->p == d->end || *d->p != ':')
		return unexpected(d, "':'");
	d->p++;
	if (!l->type)
		return value(d, NULL, NULL);
	return l->plan ? field(d, l, &key) : entry(d, l, &key);
}

/* All the new room is zeroed at once. */
static int grow(struct decoder *d, struct any_slice *s, size_t size)
{
	enum { FIRST_BYTES = 64 };
	size_t cap = s->cap ? 2 * s->cap : FIRST_BYTES / size ? FIRST_BYTES / size : 1;
	char *data = cap > PTRDIFF_MAX / size ? NULL : weft_realloc(s->data, cap * size);
	if (!data)
		return no_memory(d);
	memset(data + s->cap * size, 0, (cap - s->cap) * size);
	s->data = data;
	s->cap = cap;
	return 0;
}

static int element(struct decoder *d, struct level *l)
{
	const weft_type *t = l->type;
	size_t i = l->n++;
	l->key = d->p;
	if (!t)
		return value(d, NULL, NULL);
	if (t->kind == WEFT_KIND_ARRAY) {
		if (i == weft_type_len(t))
			return fail(d, -ERANGE, d->p, "the array has only %zu elements", i);
		return value(d, t->elem, l->at + i * t->elem->size);
	}
	struct any_slice *s = (struct any_slice *)l->at;
	int rc = unlikely(s->len == s->cap) ? grow(d, s, t->elem->size) : 0;
	if (rc)
		return rc;
	return value(d, t->elem, s->data + s->len++ * t->elem->size);
}

static int close_object(struct decoder *d, struct level *l)
{
	const struct json_plan *plan = l->plan;
	for (size_t i = 0; plan && plan->required && i < plan->n; i++) {
		if (plan->fields[i].required && !has_seen(l, i)) {
			l->key = json_field_name(&plan->fields[i]);
			l->key_len = plan->fields[i].name_len;
			return fail(d, -EINVAL, l->from, "the field is required and missing");
		}
	}
	d->p++;
	close_level(d);
	return 0;
}

static int close_array(struct decoder *d)
{
	d->p++;
	close_level(d);
	return 0;
}

/* One more member of the innermost level, or its end. */
static int step(struct decoder *d)
{
	struct level *l = top_of(d);
	bool is_array = l->closing == ']', is_first = d->p == l->from + 1;
	l->key = NULL;
	skip_space(d);
	if (unlikely(d->p == d->end))
		return cut_off(d);
	if (*d->p == l->closing)
		return is_array ? close_array(d) : close_object(d, l);
	if (!is_first) {
		if (*d->p != ',')
			return unexpected(d, is_array ? "',' or ']'" : "',' or '}'");
		d->p++;
		skip_space(d);
	}
	if (is_array)
		return element(d, l);
	if (d->p == d->end || *d->p != '"')
		return unexpected(d, "a name in quotes");
	return member(d, l);
}

static int document(struct decoder *d, const weft_type *t, char *at)
{
	int rc = value(d, t, at);
	while (!rc && d->depth)
		rc = step(d);
	if (rc)
		return rc;
	skip_space(d);
	if (d->p != d->end)
		return unexpected(d, "the end of the text");
	return 0;
}

static void decoder_fini(struct decoder *d)
{
	while (d->depth)
		close_level(d);
	if (d->levels != d->first)
		weft_free(d->levels);
}

int weft_json_decode(const weft_type *t, void *out, const char *text, size_t n, const weft_json_options *options,
		     weft_json_error *e)
{
	static const weft_json_options usual;
	const weft_json_options *o = options ? options : &usual;
	struct decoder d = {.text = text,
			    .p = text,
			    .end = text + n,
			    .levels = d.first,
			    .room = JSON_FIRST_LEVELS,
			    .max_depth = o->max_depth ? o->max_depth : JSON_DEPTH,
			    .refuse_unknown = o->refuse_unknown,
			    .error = e};
	char *made = t ? value_make(t) : NULL;
	if (t && !made)
		return no_memory(&d);
	int rc = document(&d, t, made);
	decoder_fini(&d);
	if (t && rc)
		weft_value_fini(t, made);
	else if (t)
		memcpy(out, made, t->size);
	weft_free(made);
	return rc;
}
