/* A value as JSON, by its type. As in decoding the levels are a list on the heap: values may be deep, and cyclic ones end at the depth
 * that is allowed. Pointers are followed where they stand, and count as depth for the sake of those that come back to themselves.
 *
 * A map's entries are sorted by the bytes of their keys as they are written, so that equal maps have one text.
 */
#include "runtime/json_plan.h"
#include "runtime/json_text.h"
#include "runtime/value.h"

#include "lockfree/assert.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft/mem.h>

/* A map's entry: its key as it is written, without quotes and escapes, and its value. */
struct pair {
	const char *own; /* the map's; NULL: an integer's digits */
	size_t len;
	void *at;
	char digits[24];
};

static const char *key_of(const struct pair *p)
{
	return p->own ? p->own : p->digits;
}

struct level {
	const weft_type *type;
	const struct json_plan *plan; /* of a struct */
	struct pair *pairs;	      /* of a map */
	char *at;		      /* the struct, or the elements of an array or a slice */
	size_t n, next;
	size_t depth; /* with the pointers before it */
	bool is_first;
};

struct encoder {
	char *text;
	size_t len, room;
	struct level *levels;
	size_t depth, levels_room, max_depth;
	unsigned indent;
	weft_json_error *error;
	struct level first[JSON_FIRST_LEVELS];
};

/* ---- what is wrong, and where ---- */

static void find_path(weft_json_error *e, const struct encoder *c)
{
	e->path[0] = 0;
	for (size_t i = 0; i < c->depth; i++) {
		const struct level *l = &c->levels[i];
		if (!l->next)
			continue;
		if (l->plan)
			json_path_field(e, json_field_name(&l->plan->fields[l->next - 1]), l->plan->fields[l->next - 1].name_len);
		else if (l->pairs)
			json_path_key(e, key_of(&l->pairs[l->next - 1]), l->pairs[l->next - 1].len);
		else
			json_path_index(e, l->next - 1);
	}
}

static COLD __attribute__((format(printf, 3, 4))) int fail(struct encoder *c, int error, const char *fmt, ...)
{
	weft_json_error *e = c->error;
	char words[160];
	va_list ap;
	if (!e)
		return error;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	e->offset = e->line = e->column = 0;
	find_path(e, c);
	snprintf(e->message, sizeof e->message, "%s%s%s", e->path, *e->path ? ": " : "", words);
	return error;
}

static COLD int no_memory(struct encoder *c)
{
	return fail(c, -ENOMEM, "out of memory");
}

/* ---- the text ---- */

enum { FIRST_ROOM = 512 };

static COLD bool more_room(struct encoder *c, size_t n)
{
	size_t room = c->room ? 2 * c->room : FIRST_ROOM;
	if (room < c->len + n)
		room = c->len + n;
	char *text = weft_realloc(c->text, room);
	if (!text)
		return false;
	c->text = text;
	c->room = room;
	return true;
}

/* Where n bytes may be written; NULL: no memory. */
static inline char *room_for(struct encoder *c, size_t n)
{
	if (unlikely(c->room - c->len < n) && !more_room(c, n))
		return NULL;
	return c->text + c->len;
}

static inline int put(struct encoder *c, const char *bytes, size_t n)
{
	char *out = room_for(c, n);
	if (unlikely(!out))
		return no_memory(c);
	memcpy(out, bytes, n);
	c->len += n;
	return 0;
}

static int new_line(struct encoder *c)
{
	size_t n = 1 + c->depth * c->indent;
	char *out;
	if (!c->indent)
		return 0;
	out = room_for(c, n);
	if (!out)
		return no_memory(c);
	out[0] = '\n';
	memset(out + 1, ' ', n - 1);
	c->len += n;
	return 0;
}

static size_t escape(char *out, unsigned char byte)
{
	static const char short_ones[32] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	static const char hex[] = "0123456789abcdef";
	out[0] = '\\';
	out[1] = byte >= 0x20 ? (char)byte : short_ones[byte] ? short_ones[byte] : 'u';
	if (out[1] != 'u')
		return 2;
	out[2] = out[3] = '0';
	out[4] = hex[byte >> 4];
	out[5] = hex[byte & 15];
	return 6;
}

/* A string of up to 32 bytes with nothing to escape, in one go: halves that overlap. False: it is not such a one. */
static inline bool copy_short(char *out, const char *s, size_t n)
{
	uint64_t head, tail, second = 0, third = 0;
	if (n > 32)
		return false;
	if (n < 8) {
		head = n ? json_few(s, n) : 0;
		memcpy(out, &head, sizeof head);
		return n == 0 || !json_marks(head);
	}
	head = json_eight(s);
	tail = json_eight(s + n - 8);
	uint64_t marks = json_marks(head) | json_marks(tail);
	if (n > 16) {
		second = json_eight(s + 8);
		third = json_eight(s + n - 16);
		marks |= json_marks(second) | json_marks(third);
		memcpy(out + 8, &second, sizeof second);
		memcpy(out + n - 16, &third, sizeof third);
	}
	memcpy(out, &head, sizeof head);
	memcpy(out + n - 8, &tail, sizeof tail);
	return !marks;
}

/* Eight bytes at a time are copied and judged; what was copied from a mark on is written over. */
static int put_string(struct encoder *c, const char *s, size_t n)
{
	enum { LONGEST_ESCAPE = 6, SLACK = 8 };
	const char *from = s, *end = s + n;
	bool is_utf8 = false; /* has been judged */
	char *out = room_for(c, n + 2 + SLACK);
	if (unlikely(!out))
		return no_memory(c);
	*out++ = '"';
	if (likely(copy_short(out, s, n))) {
		out[n] = '"';
		c->len += n + 2;
		return 0;
	}
	while (s < end) {
		size_t left = (size_t)(end - s);
		uint64_t x = left >= 8 ? json_eight(s) : json_few(s, left), marks = json_marks(x);
		memcpy(out, &x, sizeof x);
		if (likely(!marks)) {
			s += left < 8 ? left : 8;
			out += left < 8 ? left : 8;
			continue;
		}
		s += json_unmarked(marks);
		out += json_unmarked(marks);
		if ((unsigned char)*s >= 0x80) {
			is_utf8 = is_utf8 || json_is_utf8(from, n);
			if (unlikely(!is_utf8))
				return fail(c, -EILSEQ, "a string that is not UTF-8");
			while (s < end && (unsigned char)*s >= 0x80)
				*out++ = *s++;
		} else {
			c->len = (size_t)(out - c->text);
			out = room_for(c, LONGEST_ESCAPE + (size_t)(end - s) + 1 + SLACK);
			if (unlikely(!out))
				return no_memory(c);
			out += escape(out, (unsigned char)*s++);
		}
	}
	*out++ = '"';
	c->len = (size_t)(out - c->text);
	return 0;
}

static int put_bytes(struct encoder *c, weft_bytes b)
{
	size_t n;
	char *out;
	if (!b.bytes)
		return put(c, "null", 4);
	n = json_base64_size(b.n);
	out = room_for(c, n + 2);
	if (!out)
		return no_memory(c);
	out[0] = '"';
	json_base64_write(out + 1, b.bytes, b.n);
	out[n + 1] = '"';
	c->len += n + 2;
	return 0;
}

static int put_number(struct encoder *c, struct value v)
{
	char *out = room_for(c, JSON_NUMBER_MAX);
	int64_t i;
	double d;
	if (!out)
		return no_memory(c);
	switch (v.type->kind) {
	case WEFT_KIND_INT:
		i = value_int(v);
		c->len += json_integer_write(out, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, i < 0);
		return 0;
	case WEFT_KIND_UINT:
		c->len += json_integer_write(out, value_uint(v), false);
		return 0;
	default:
		d = v.type->size == sizeof(float) ? (double)*(const float *)v.at : *(const double *)v.at;
		if (!isfinite(d))
			return fail(c, -EINVAL, "%s is no number in JSON", isnan(d) ? "a NaN" : "an infinity");
		c->len += v.type->size == sizeof(float) ? json_float_write(out, (float)d) : json_double_write(out, d);
		return 0;
	}
}

/* ---- arrays and objects ---- */

static struct level *top_of(struct encoder *c)
{
	return &c->levels[c->depth - 1];
}

static COLD int more_levels(struct encoder *c)
{
	size_t room = 2 * c->levels_room;
	struct level *levels = weft_realloc(c->levels == c->first ? NULL : c->levels, room * sizeof *levels);
	if (!levels)
		return no_memory(c);
	if (c->levels == c->first)
		memcpy(levels, c->first, sizeof c->first);
	c->levels = levels;
	c->levels_room = room;
	return 0;
}

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *p = a, *q = b;
	int order = memcmp(key_of(p), key_of(q), p->len < q->len ? p->len : q->len);
	return order ? order : (p->len > q->len) - (p->len < q->len);
}

/* The entries, sorted. */
static int find_pairs(struct encoder *c, struct level *l, const weft_map *m)
{
	const weft_type *t = l->type;
	weft_map_iter it = {0};
	char name[64];
	if (!json_key_is_own(t) && !json_key_is_integer(t))
		return fail(c, -ENOTSUP, "a map with keys of %s cannot be encoded", json_type_name(t->key, name, sizeof name));
	l->pairs = weft_malloc((size_t)(m->len ? m->len : 1) * sizeof *l->pairs);
	if (!l->pairs)
		return no_memory(c);
	for (char *entry; (entry = weft_map_next_(m, t->map_type_, &it));) {
		struct pair *p = &l->pairs[l->n++];
		struct value key = {t->key, entry};
		p->at = entry + t->map_type_->value_at;
		p->own = NULL;
		if (json_key_is_own(t)) {
			p->own = ((const weft_map_own_ *)(void *)entry)->bytes;
			p->len = ((const weft_map_own_ *)(void *)entry)->n;
		} else if (t->key->kind == WEFT_KIND_INT) {
			int64_t i = value_int(key);
			p->len = json_integer_write(p->digits, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, i < 0);
		} else {
			p->len = json_integer_write(p->digits, value_uint(key), false);
		}
	}
	qsort(l->pairs, l->n, sizeof *l->pairs, compare_pairs);
	return 0;
}

static int open_level(struct encoder *c, struct value v, size_t depth)
{
	const struct any_slice *s = v.at;
	if (depth > c->max_depth)
		return fail(c, -ELOOP, "deeper than %zu, or cyclic", c->max_depth);
	if (c->depth == c->levels_room) {
		int rc = more_levels(c);
		if (rc)
			return rc;
	}
	int rc = put(c, v.type->kind == WEFT_KIND_ARRAY || v.type->kind == WEFT_KIND_SLICE ? "[" : "{", 1);
	if (rc)
		return rc;
	struct level *l = &c->levels[c->depth++];
	l->type = v.type;
	l->at = v.at;
	l->plan = NULL;
	l->pairs = NULL;
	l->n = l->next = 0;
	l->depth = depth;
	l->is_first = true;
	switch (v.type->kind) {
	case WEFT_KIND_STRUCT:
		l->plan = json_plan_of(v.type);
		if (!l->plan)
			return no_memory(c);
		l->n = l->plan->n;
		return 0;
	case WEFT_KIND_MAP:
		return find_pairs(c, l, *(weft_map *const *)v.at);
	case WEFT_KIND_ARRAY:
		l->n = weft_type_len(v.type);
		return 0;
	default:
		l->n = s->len;
		l->at = s->data;
		return 0;
	}
}

/* What pointers point to and interfaces hold, in the end; `at` is NULL for none of it. */
static int follow(struct encoder *c, struct value *v, size_t *depth)
{
	while (v->at && (v->type->kind == WEFT_KIND_POINTER || v->type->kind == WEFT_KIND_ANY)) {
		if (++*depth > c->max_depth)
			return fail(c, -ELOOP, "deeper than %zu, or cyclic", c->max_depth);
		if (v->type->kind == WEFT_KIND_POINTER) {
			*v = (struct value){v->type->elem, *(void *const *)v->at};
		} else {
			const weft_any *any = v->at;
			*v = (struct value){any->methods_ ? any->methods_->type : v->type, any->methods_ ? any->self : NULL};
		}
	}
	return 0;
}

static COLD int put_opaque(struct encoder *c, const weft_type *t)
{
	char name[64];
	return fail(c, -ENOTSUP, "%s cannot be encoded", json_type_name(t, name, sizeof name));
}

/* What is no pointer. A scalar is written whole; an array or object is begun. */
static inline int put_direct(struct encoder *c, struct value v, size_t depth)
{
	const char *s;
	switch (v.type->kind) {
	case WEFT_KIND_BOOL:
		return *(const unsigned char *)v.at ? put(c, "true", 4) : put(c, "false", 5);
	case WEFT_KIND_INT:
	case WEFT_KIND_UINT:
	case WEFT_KIND_FLOAT:
		return put_number(c, v);
	case WEFT_KIND_STRING:
		s = *(const char *const *)v.at;
		return s ? put_string(c, s, strlen(s)) : put(c, "null", 4);
	case WEFT_KIND_TEXT:
		return put_string(c, v.at, strnlen(v.at, v.type->size));
	case WEFT_KIND_BYTES:
		return put_bytes(c, *(const weft_bytes *)v.at);
	case WEFT_KIND_MAP:
		return *(weft_map *const *)v.at ? open_level(c, v, depth + 1) : put(c, "null", 4);
	case WEFT_KIND_ARRAY:
	case WEFT_KIND_SLICE:
	case WEFT_KIND_STRUCT:
		return open_level(c, v, depth + 1);
	default:
		return put_opaque(c, v.type);
	}
}

static __attribute__((noinline)) int put_followed(struct encoder *c, struct value v, size_t depth)
{
	int rc = follow(c, &v, &depth);
	if (rc)
		return rc;
	return v.at ? put_direct(c, v, depth) : put(c, "null", 4);
}

/* A value whose address is taken would lie in memory: following pointers is apart from the rest. */
static int put_value(struct encoder *c, struct value v)
{
	size_t depth = c->depth ? top_of(c)->depth : 0;
	if (unlikely(v.type->kind == WEFT_KIND_POINTER || v.type->kind == WEFT_KIND_ANY))
		return put_followed(c, v, depth);
	return put_direct(c, v, depth);
}

/* ---- members ---- */

/* Go's: false, 0, NULL, nothing in it. */
static bool is_empty(struct value v)
{
	switch (v.type->kind) {
	case WEFT_KIND_BOOL:
	case WEFT_KIND_INT:
	case WEFT_KIND_UINT:
		return value_uint(v) == 0;
	case WEFT_KIND_FLOAT:
		return v.type->size == sizeof(float) ? *(const float *)v.at == 0 : *(const double *)v.at == 0;
	case WEFT_KIND_STRING:
		return !*(const char *const *)v.at || !**(const char *const *)v.at;
	case WEFT_KIND_TEXT:
		return !*(const char *)v.at;
	case WEFT_KIND_BYTES:
		return ((const weft_bytes *)v.at)->n == 0;
	case WEFT_KIND_POINTER:
		return !*(void *const *)v.at;
	case WEFT_KIND_SLICE:
		return ((const struct any_slice *)v.at)->len == 0;
	case WEFT_KIND_MAP:
		return !*(weft_map *const *)v.at || (*(weft_map *const *)v.at)->len == 0;
	case WEFT_KIND_ANY:
		return !((const weft_any *)v.at)->methods_;
	default:
		return false;
	}
}

/* What stands between members, and before the first. */
static inline int separate(struct encoder *c, struct level *l)
{
	char *out = room_for(c, 1);
	if (unlikely(!out))
		return no_memory(c);
	*out = ',';
	c->len += !l->is_first;
	l->is_first = false;
	return c->indent ? new_line(c) : 0;
}

static int put_colon(struct encoder *c)
{
	return put(c, ": ", c->indent ? 2 : 1);
}

static int put_name_indented(struct encoder *c, struct level *l, const struct json_field *f)
{
	int rc = separate(c, l);
	rc = rc ? rc : put(c, f->quoted + 1, f->name_len + 2);
	return rc ? rc : put_colon(c);
}

/* With its comma and colon, in pieces of a constant size. */
static int put_name(struct encoder *c, struct level *l, const struct json_field *f)
{
	const char *name = f->quoted + l->is_first;
	size_t len = f->name_len + 4 - l->is_first;
	char *out;
	if (unlikely(c->indent))
		return put_name_indented(c, l, f);
	out = room_for(c, len + JSON_PAD);
	if (unlikely(!out))
		return no_memory(c);
	for (size_t i = 0; i < len; i += JSON_PAD)
		memcpy(out + i, name + i, JSON_PAD);
	c->len += len;
	l->is_first = false;
	return 0;
}

static int put_field(struct encoder *c, struct level *l)
{
	const struct json_field *f = &l->plan->fields[l->next++];
	struct value v = {f->type, l->at + f->offset};
	if (f->omit_empty && is_empty(v))
		return 0;
	int rc = put_name(c, l, f);
	return rc ? rc : put_value(c, v);
}

static int put_entry(struct encoder *c, struct level *l)
{
	struct pair *p = &l->pairs[l->next++];
	struct value v = {l->type->elem, p->at};
	int rc = separate(c, l);
	if (!rc)
		rc = l->type->key->kind == WEFT_KIND_BYTES ? put_bytes(c, (weft_bytes){p->own, p->len})
							   : put_string(c, key_of(p), p->len);
	rc = rc ? rc : put_colon(c);
	return rc ? rc : put_value(c, v);
}

/* All of an array of integers, on one line. */
static int put_integers(struct encoder *c, struct level *l)
{
	enum { MOST = 1024 };
	const weft_type *t = l->type->elem;
	bool is_signed = t->kind == WEFT_KIND_INT;
	while (l->next < l->n) {
		size_t some = l->n - l->next < MOST ? l->n - l->next : MOST;
		char *out = room_for(c, some * (1 + JSON_NUMBER_MAX));
		if (unlikely(!out))
			return no_memory(c);
		for (; some; some--) {
			struct value v = {t, l->at + l->next++ * t->size};
			uint64_t bits = is_signed ? (uint64_t)value_int(v) : value_uint(v);
			bool negative = is_signed && bits >> 63;
			*out = ',';
			out += !l->is_first;
			l->is_first = false;
			out += json_integer_write(out, negative ? 0 - bits : bits, negative);
		}
		c->len = (size_t)(out - c->text);
	}
	return 0;
}

static bool has_integers(const weft_type *t)
{
	return t->elem->kind == WEFT_KIND_INT || t->elem->kind == WEFT_KIND_UINT;
}

static int put_element(struct encoder *c, struct level *l)
{
	if (has_integers(l->type) && !c->indent)
		return put_integers(c, l);
	const weft_type *t = l->type->elem;
	struct value v = {t, l->at + l->next++ * t->size};
	int rc = separate(c, l);
	return rc ? rc : put_value(c, v);
}

static int close_level(struct encoder *c)
{
	struct level *l = top_of(c);
	bool is_object = l->plan || l->pairs, was_empty = l->is_first;
	weft_free(l->pairs);
	c->depth--;
	int rc = was_empty ? 0 : new_line(c);
	return rc ? rc : put(c, is_object ? "}" : "]", 1);
}

/* Members of the innermost level, until one of them is a level itself, or the end. */
static int step(struct encoder *c)
{
	size_t depth = c->depth;
	int rc = 0;
	for (struct level *l = top_of(c); !rc && c->depth == depth;) {
		if (l->next == l->n)
			return close_level(c);
		rc = l->plan ? put_field(c, l) : l->pairs ? put_entry(c, l) : put_element(c, l);
	}
	return rc;
}

int weft_json_encode(const weft_type *t, const void *value, const weft_json_options *options, char **text, size_t *n,
		     weft_json_error *e)
{
	static const weft_json_options usual;
	const weft_json_options *o = options ? options : &usual;
	struct encoder c = {.levels = c.first,
			    .levels_room = JSON_FIRST_LEVELS,
			    .max_depth = o->max_depth ? o->max_depth : JSON_DEPTH,
			    .indent = o->indent,
			    .error = e};
	int rc = json_plans_of(t) ? put_value(&c, (struct value){t, (void *)(uintptr_t)value}) : no_memory(&c);
	while (!rc && c.depth)
		rc = step(&c);
	rc = rc ? rc : put(&c, "", 1);
	while (c.depth)
		weft_free(c.levels[--c.depth].pairs);
	if (c.levels != c.first)
		weft_free(c.levels);
	if (rc)
		weft_free(c.text);
	*text = rc ? NULL : c.text;
	if (n)
		*n = rc ? 0 : c.len - 1;
	return rc;
}
