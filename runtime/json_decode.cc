/* JSON into a value, by its type, in one pass over the words that simdjson finds.
 *
 * Its On-Demand interface makes no document: whatever is read is written to its place at once. The levels that are open are a list on
 * the heap, not a recursion, as the text may be deep and a goroutine's stack is not. What has not been decoded is always zero
 * (fresh memory is zeroed before it can be reached), so that weft_value_fini can take down a half-made value wherever the text
 * turns out to be wrong; the program's memory is written at the very end.
 *
 * What the library wants of its user, and what it leaves to him (docs/decisions/018-json-library.md):
 *
 *     It reads beyond the text, so the text is copied to where it may; and between brackets: a value that is alone would have rules of its
 *     own (numbers of so many characters at most), one in an array has none.
 *     It passes over what nobody asks for, malformed or not. So here all is asked for: names that a struct does not have
 *     are passed over by the same code with no type.
 *     A NUL ends a word as a space would. So a text with a NUL, which JSON has nowhere, is refused before.
 *     A number that is malformed and one that is too large are one error. The grammar tells them apart.
 *     Its errors have no place: json_place.c finds it.
 *
 * A name that comes twice is refused. RFC 8259 (section 4) leaves open which one counts, and programs differ: what one has checked, the
 * next does not see.
 */
#include "runtime/json_place.h"
#include "runtime/json_plan.h"
#include "runtime/json_text.h"
#include "runtime/value.h"

#include <charconv>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <simdjson.h>
#include <weft/mem.h>

#define COLD	    __attribute__((cold, noinline))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

namespace
{

namespace ondemand = simdjson::ondemand;

struct level {
	const weft_type *type; /* NULL: it is passed over */
	char *at;	       /* the struct, the array, the slice, the map's handle */
	const struct json_plan *plan;
	const char *from;     /* its bracket */
	const char *name;     /* the quote before the name of the member that is being read */
	size_t n;	      /* elements begun; of a struct, the field that is likely next */
	uint64_t seen;	      /* a bit for each of the first 64 fields */
	uint64_t *seen_later; /* for the others, where there are any */
	bool is_array, is_first;
	ondemand::array_iterator elements;
	ondemand::object_iterator members;
};

/* Pointers to the text point into the copy. */
struct decoder {
	const struct json_source *of;
	const char *text, *end;
	const char *word; /* that was read last: a value's beginning */
	struct level *levels;
	size_t depth, room;
	bool refuse_unknown;
	weft_json_error *error;
	struct level first[JSON_FIRST_LEVELS];
};

struct level *top_of(struct decoder *d)
{
	return &d->levels[d->depth - 1];
}

/* ---- what is wrong, and where ---- */

COLD __attribute__((format(printf, 4, 5))) int fail(struct decoder *d, int error, const char *at, const char *fmt, ...)
{
	char words[160];
	va_list ap;
	if (!d->error)
		return error;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	json_place(d->of, (size_t)(at - d->text), d->error);
	json_say(d->error, words);
	return error;
}

COLD int no_memory_at(const struct json_source *of, size_t offset, weft_json_error *e)
{
	if (e) {
		json_place(of, offset, e);
		json_say(e, "out of memory");
	}
	return -ENOMEM;
}

COLD int no_memory(struct decoder *d)
{
	return no_memory_at(d->of, (size_t)(d->word - d->text), d->error);
}

/* The library refuses the text. */
COLD int malformed(struct decoder *d)
{
	return json_flaw(d->of, d->error);
}

/* The text has what the type has not. */
COLD int misfit(struct decoder *d, const weft_type *t, const char *at, const char *what)
{
	char name[64];
	json_type_name(t, name, sizeof name);
	if (t->kind == WEFT_KIND_OPAQUE || t->kind == WEFT_KIND_ANY)
		return fail(d, -ENOTSUP, at, "%s cannot be decoded", json_type_name(t, name, sizeof name));
	return fail(d, -EINVAL, at, "%s is no %s", what, json_type_name(t, name, sizeof name));
}

/* ---- scalars ---- */

int null(struct decoder *d, ondemand::value v)
{
	bool is_null;
	return likely(!v.is_null().get(is_null) && is_null) ? 0 : malformed(d);
}

int boolean(struct decoder *d, const weft_type *t, char *at, ondemand::value v)
{
	bool value;
	if (unlikely(v.get_bool().get(value)))
		return malformed(d);
	if (!t)
		return 0;
	if (t->kind != WEFT_KIND_BOOL)
		return misfit(d, t, d->word, value ? "true" : "false");
	*(bool *)at = value;
	return 0;
}

COLD int out_of_range(struct decoder *d, const weft_type *t)
{
	char name[64];
	size_t len = (size_t)(json_number_end(d->word, d->end) - d->word);
	return fail(d, -ERANGE, d->word, "%.*s%s is out of range of %s", len < 48 ? (int)len : 48, d->word, len < 48 ? "" : "...",
		    json_type_name(t, name, sizeof name));
}

/* The library has not read the number that is the last word. */
COLD int not_read(struct decoder *d, const weft_type *t)
{
	const char *end = json_number_end(d->word, d->end);
	if (!end || !strchr(" \t\n\r,:[]{}", *end))
		return malformed(d);
	if (!t)
		return 0;
	if (t->kind != WEFT_KIND_FLOAT && strcspn(d->word, ".eE") < (size_t)(end - d->word))
		return misfit(d, t, d->word, "a number with a fraction or an exponent");
	return out_of_range(d, t);
}

void store(char *at, size_t size, uint64_t value)
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
bool store_integer(const weft_type *t, char *at, uint64_t magnitude, bool negative)
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

/* False: the library has not read it. */
inline bool read_integer(ondemand::value v, uint64_t *magnitude, bool negative)
{
	int64_t i;
	if (likely(!negative))
		return !v.get_uint64().get(*magnitude);
	if (v.get_int64().get(i))
		return false;
	*magnitude = 0 - (uint64_t)i;
	return true;
}

int integer(struct decoder *d, const weft_type *t, char *at, ondemand::value v)
{
	uint64_t magnitude;
	bool negative = *d->word == '-';
	if (unlikely(!read_integer(v, &magnitude, negative)))
		return not_read(d, t);
	return likely(store_integer(t, at, magnitude, negative)) ? 0 : out_of_range(d, t);
}

/* Rounding a double once more could be wrong: the library that knows floats reads it again. What that finds out of range is 0
 * or infinite, as a double too. */
bool store_float(char *at, double value, const char *word, const char *end)
{
	float f;
	if (std::from_chars(word, end, f).ec != std::errc())
		f = (float)value;
	*(float *)at = f;
	return std::isfinite(f);
}

int real(struct decoder *d, const weft_type *t, char *at, ondemand::value v)
{
	double value;
	if (unlikely(v.get_double().get(value)))
		return not_read(d, t);
	if (t && t->size == sizeof(float))
		return likely(store_float(at, value, d->word, d->end)) ? 0 : out_of_range(d, t);
	if (t)
		*(double *)at = value;
	return 0;
}

int number(struct decoder *d, const weft_type *t, char *at, ondemand::value v)
{
	if (!t || t->kind == WEFT_KIND_FLOAT)
		return real(d, t, at, v);
	if (t->kind == WEFT_KIND_INT || t->kind == WEFT_KIND_UINT)
		return integer(d, t, at, v);
	int rc = real(d, NULL, NULL, v);
	return rc ? rc : misfit(d, t, d->word, "a number");
}

bool has_nul(std::string_view s)
{
	return memchr(s.data(), 0, s.size()) != NULL;
}

int text(struct decoder *d, const weft_type *t, char *at, std::string_view s)
{
	if (s.size() > t->size) {
		char name[64];
		return fail(d, -ERANGE, d->word, "a string of %zu bytes does not fit %s", s.size(),
			    json_type_name(t, name, sizeof name));
	}
	memcpy(at, s.data(), s.size());
	return 0;
}

/* -EINVAL: it is not base64. */
int read_base64(std::string_view s, weft_bytes *out)
{
	char *room = (char *)weft_malloc(s.size() + 1);
	if (!room)
		return -ENOMEM;
	if (s.size() % 4 || !json_base64_read(room, &out->n, s.data(), s.size())) {
		weft_free(room);
		return -EINVAL;
	}
	out->bytes = room;
	return 0;
}

int bytes(struct decoder *d, const weft_type *t, char *at, std::string_view s)
{
	weft_bytes b;
	int rc = read_base64(s, &b);
	if (rc)
		return rc == -ENOMEM ? no_memory(d) : misfit(d, t, d->word, "a string that is not base64");
	memcpy(at, &b, sizeof b);
	return 0;
}

int string(struct decoder *d, const weft_type *t, char *at, ondemand::value v)
{
	std::string_view s;
	char *copy;
	if (unlikely(v.get_string().get(s)))
		return malformed(d);
	if (!t)
		return 0;
	if (t->kind == WEFT_KIND_BYTES)
		return bytes(d, t, at, s);
	if (t->kind != WEFT_KIND_STRING && t->kind != WEFT_KIND_TEXT)
		return misfit(d, t, d->word, "a string");
	if (unlikely(has_nul(s)))
		return misfit(d, t, d->word, "a string with a NUL");
	if (t->kind == WEFT_KIND_TEXT)
		return text(d, t, at, s);
	copy = (char *)weft_malloc(s.size() + 1);
	if (!copy)
		return no_memory(d);
	memcpy(copy, s.data(), s.size());
	copy[s.size()] = 0;
	*(char **)at = copy;
	return 0;
}

/* ---- arrays and objects ---- */

COLD int more_levels(struct decoder *d)
{
	size_t room = 2 * d->room;
	void *old = d->levels == d->first ? NULL : d->levels, *levels = weft_realloc(old, room * sizeof *d->levels);
	if (!levels)
		return no_memory(d);
	if (d->levels == d->first)
		memcpy(levels, (void *)d->first, sizeof d->first);
	d->levels = (struct level *)levels;
	d->room = room;
	return 0;
}

int open_level(struct decoder *d, const weft_type *t, char *at)
{
	if (unlikely(d->depth == d->of->max_depth))
		return fail(d, -ELOOP, d->word, "deeper than %zu", d->of->max_depth);
	if (unlikely(d->depth == d->room)) {
		int rc = more_levels(d);
		if (rc)
			return rc;
	}
	struct level *l = &d->levels[d->depth++];
	l->type = t;
	l->at = at;
	l->plan = NULL;
	l->from = d->word;
	l->name = NULL;
	l->n = 0;
	l->seen = 0;
	l->seen_later = NULL;
	l->is_first = true;
	return 0;
}

int open_array(struct decoder *d, const weft_type *t, char *at, ondemand::value v)
{
	ondemand::array array;
	if (t && t->kind != WEFT_KIND_ARRAY && t->kind != WEFT_KIND_SLICE)
		return misfit(d, t, d->word, "an array");
	int rc = open_level(d, t, at);
	if (rc)
		return rc;
	top_of(d)->is_array = true;
	return likely(!v.get_array().get(array) && !array.begin().get(top_of(d)->elements)) ? 0 : malformed(d);
}

int open_struct(struct decoder *d, const weft_type *t, char *at)
{
	char name[64];
	if (t->npointers || t->flags_ & WEFT_TYPE_CONSERVATIVE_)
		return fail(d, -ENOTSUP, d->word, "%s has collected pointers and cannot be decoded",
			    json_type_name(t, name, sizeof name));
	const struct json_plan *plan = json_plan_of(t);
	if (!plan)
		return no_memory(d);
	int rc = open_level(d, t, at);
	if (rc)
		return rc;
	struct level *l = top_of(d);
	l->plan = plan;
	if (unlikely(plan->n > 64)) {
		l->seen_later = (uint64_t *)weft_calloc(plan->n / 64, sizeof *l->seen_later);
		if (!l->seen_later)
			return no_memory(d);
	}
	return 0;
}

int open_map(struct decoder *d, const weft_type *t, char *at)
{
	char name[64];
	if (!json_key_is_own(t) && !json_key_is_integer(t))
		return fail(d, -ENOTSUP, d->word, "a map with keys of %s cannot be decoded",
			    json_type_name(t->key, name, sizeof name));
	int rc = open_level(d, t, at);
	if (!rc)
		*(weft_map **)at = weft_map_make_(t->map_type_, 0);
	return rc;
}

int open_object(struct decoder *d, const weft_type *t, char *at, ondemand::value v)
{
	ondemand::object object;
	int rc;
	if (t && t->kind != WEFT_KIND_STRUCT && t->kind != WEFT_KIND_MAP)
		return misfit(d, t, d->word, "an object");
	rc = !t ? open_level(d, NULL, NULL) : t->kind == WEFT_KIND_STRUCT ? open_struct(d, t, at) : open_map(d, t, at);
	if (rc)
		return rc;
	top_of(d)->is_array = false;
	return likely(!v.get_object().get(object) && !object.begin().get(top_of(d)->members)) ? 0 : malformed(d);
}

void close_level(struct decoder *d)
{
	weft_free(d->levels[--d->depth].seen_later);
}

/* Memory for a value, zeroed; NULL: there is none. */
void *value_make(const weft_type *t)
{
	void *made = t->align <= alignof(std::max_align_t) ? weft_malloc(t->size) : weft_aligned_alloc(t->align, t->size);
	return made ? memset(made, 0, t->size) : NULL;
}

/* What pointers point to; a type may be a pointer to itself. */
int follow(struct decoder *d, const weft_type **type, char **at)
{
	const weft_type *t = *type;
	for (size_t n = 0; t->kind == WEFT_KIND_POINTER; n++) {
		if (n == d->of->max_depth)
			return fail(d, -ELOOP, d->word, "deeper than %zu", d->of->max_depth);
		void *to = value_make(t->elem);
		if (!to)
			return no_memory(d);
		*(void **)*at = to;
		*at = (char *)to;
		t = t->elem;
	}
	*type = t;
	return 0;
}

/* A scalar is read whole; an array or object is opened. */
int value(struct decoder *d, const weft_type *t, char *at, ondemand::value v)
{
	int rc;
	d->word = v.raw_json_token().data();
	if (*d->word == 'n')
		return null(d, v);
	if (t && t->kind == WEFT_KIND_POINTER) {
		rc = follow(d, &t, &at);
		if (rc)
			return rc;
	}
	switch (*d->word) {
	case '"':
		return string(d, t, at, v);
	case '{':
		return open_object(d, t, at, v);
	case '[':
		return open_array(d, t, at, v);
	case 't':
	case 'f':
		return boolean(d, t, at, v);
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
		return number(d, t, at, v);
	default:
		return malformed(d);
	}
}

/* ---- members ---- */

COLD int repeated(struct decoder *d, const struct level *l)
{
	return fail(d, -EINVAL, l->name, "the name comes twice");
}

/* True: it has been here before. */
bool mark_seen(struct level *l, size_t field)
{
	uint64_t *word = field < 64 ? &l->seen : &l->seen_later[field / 64 - 1], bit = UINT64_C(1) << field % 64;
	bool before = (*word & bit) != 0;
	*word |= bit;
	return before;
}

bool has_seen(const struct level *l, size_t field)
{
	return ((field < 64 ? l->seen : l->seen_later[field / 64 - 1]) >> field % 64 & 1) != 0;
}

int known_field(struct decoder *d, struct level *l, size_t i, ondemand::value v)
{
	const struct json_field *f = &l->plan->fields[i];
	if (unlikely(mark_seen(l, i)))
		return repeated(d, l);
	l->n = i + 1;
	return value(d, f->type, l->at + f->offset, v);
}

int field(struct decoder *d, struct level *l, std::string_view name, ondemand::value v)
{
	size_t i = json_plan_find(l->plan, l->n, name.data(), name.size());
	if (likely(i != SIZE_MAX))
		return known_field(d, l, i, v);
	if (d->refuse_unknown)
		return fail(d, -EINVAL, l->name, "%s has no such field", l->type->name ? l->type->name : "the struct");
	return value(d, NULL, NULL, v);
}

/* Written as JSON writes an integer. */
int integer_key(struct decoder *d, struct level *l, std::string_view key, uint64_t *out)
{
	const weft_type *t = l->type->key;
	const char *end = key.data() + key.size(), *digits = key.data() + (key.size() && key[0] == '-');
	bool negative = digits != key.data();
	uint64_t magnitude;
	if (json_number_end(key.data(), end) != end || key.find_first_of(".eE") != key.npos)
		return misfit(d, t, l->name, "a key that is no integer");
	if (std::from_chars(digits, end, magnitude).ec != std::errc() || !store_integer(t, (char *)out, magnitude, negative)) {
		char name[64];
		return fail(d, -ERANGE, l->name, "the key is out of range of %s", json_type_name(t, name, sizeof name));
	}
	return 0;
}

/* Puts it into the map; NULL with *rc: it cannot be, or is there. The map copies what the key leads to. */
char *add_entry(struct decoder *d, struct level *l, const void *key, int *rc)
{
	weft_map *m = *(weft_map **)l->at;
	const struct weft_map_type *t = l->type->map_type_;
	uint64_t before = m->len;
	char *entry = (char *)weft_map_put_(m, t, key);
	if (m->len == before) {
		*rc = repeated(d, l);
		return NULL;
	}
	memset(entry + t->value_at, 0, t->value_size);
	return entry + t->value_at;
}

char *bytes_entry(struct decoder *d, struct level *l, std::string_view key, int *rc)
{
	weft_bytes b;
	*rc = read_base64(key, &b);
	if (*rc) {
		*rc = *rc == -ENOMEM ? no_memory(d) : misfit(d, l->type->key, l->name, "a key that is not base64");
		return NULL;
	}
	weft_map_own_ own = {b.bytes, b.n, 0};
	char *at = add_entry(d, l, &own, rc);
	weft_free((void *)(uintptr_t)b.bytes);
	return at;
}

int entry(struct decoder *d, struct level *l, std::string_view key, ondemand::value v)
{
	weft_map_own_ own = {key.data(), key.size(), 0};
	uint64_t number = 0;
	char *at = NULL;
	int rc = 0;
	if (json_key_is_integer(l->type)) {
		rc = integer_key(d, l, key, &number);
		at = rc ? NULL : add_entry(d, l, &number, &rc);
	} else if (l->type->key->kind == WEFT_KIND_BYTES) {
		at = bytes_entry(d, l, key, &rc);
	} else if (has_nul(key)) {
		rc = misfit(d, l->type->key, l->name, "a key with a NUL");
	} else {
		at = add_entry(d, l, &own, &rc);
	}
	return at ? value(d, l->type->elem, at, v) : rc;
}

/* Most texts have the fields in their order. */
bool is_next(const struct decoder *d, const struct level *l, const char *name)
{
	if (!l->plan || l->n >= l->plan->n)
		return false;
	const struct json_field *f = &l->plan->fields[l->n];
	return (size_t)(d->end - name) > f->name_len && memcmp(name, json_field_name(f), f->name_len + 1) == 0;
}

int member(struct decoder *d, struct level *l)
{
	ondemand::field f;
	std::string_view name;
	if (unlikely((*l->members).get(f)))
		return malformed(d);
	l->name = f.key().raw() - 1;
	if (likely(is_next(d, l, l->name + 1)))
		return known_field(d, l, l->n, f.value());
	if (unlikely(f.unescaped_key().get(name)))
		return malformed(d);
	if (!l->type)
		return value(d, NULL, NULL, f.value());
	return l->plan ? field(d, l, name, f.value()) : entry(d, l, name, f.value());
}

/* All the new room is zeroed at once. */
int grow(struct decoder *d, struct any_slice *s, size_t size)
{
	enum { FIRST_BYTES = 64 };
	size_t cap = s->cap ? 2 * s->cap : FIRST_BYTES / size ? FIRST_BYTES / size : 1;
	char *data = cap > PTRDIFF_MAX / size ? NULL : (char *)weft_realloc(s->data, cap * size);
	if (!data)
		return no_memory(d);
	memset(data + s->cap * size, 0, (cap - s->cap) * size);
	s->data = data;
	s->cap = cap;
	return 0;
}

int element(struct decoder *d, struct level *l)
{
	const weft_type *t = l->type;
	ondemand::value v;
	size_t i = l->n++;
	if (unlikely((*l->elements).get(v)))
		return malformed(d);
	if (!t)
		return value(d, NULL, NULL, v);
	if (t->kind == WEFT_KIND_ARRAY) {
		if (i == weft_type_len(t))
			return fail(d, -ERANGE, v.raw_json_token().data(), "the array has only %zu elements", i);
		return value(d, t->elem, l->at + i * t->elem->size, v);
	}
	struct any_slice *s = (struct any_slice *)l->at;
	int rc = unlikely(s->len == s->cap) ? grow(d, s, t->elem->size) : 0;
	if (rc)
		return rc;
	return value(d, t->elem, s->data + s->len++ * t->elem->size, v);
}

COLD int missing(struct decoder *d, const struct level *l, const struct json_field *f)
{
	if (d->error) {
		json_place(d->of, (size_t)(l->from - d->text), d->error);
		json_path_field(d->error, json_field_name(f), f->name_len);
		json_say(d->error, "the field is required and missing");
	}
	return -EINVAL;
}

int close_object(struct decoder *d, struct level *l)
{
	const struct json_plan *plan = l->plan;
	for (size_t i = 0; plan && plan->required && i < plan->n; i++) {
		if (plan->fields[i].required && !has_seen(l, i))
			return missing(d, l, &plan->fields[i]);
	}
	close_level(d);
	return 0;
}

/* One more member of the innermost level, or its end. Going on from the one before can fail, which the next one tells. */
int step(struct decoder *d)
{
	struct level *l = top_of(d);
	bool is_first = l->is_first;
	l->is_first = false;
	if (l->is_array) {
		if (!is_first)
			++l->elements;
		if (l->elements != ondemand::array_iterator())
			return element(d, l);
		close_level(d);
		return 0;
	}
	if (!is_first)
		++l->members;
	return l->members != ondemand::object_iterator() ? member(d, l) : close_object(d, l);
}

/* The array around the text has one element, and nothing is behind it. */
int document(struct decoder *d, const weft_type *t, char *at, ondemand::document *words)
{
	ondemand::array around;
	ondemand::array_iterator it;
	ondemand::value v;
	if (words->get_array().get(around) || around.begin().get(it) || it == ondemand::array_iterator() || (*it).get(v))
		return malformed(d);
	int rc = value(d, t, at, v);
	while (!rc && d->depth)
		rc = step(d);
	if (rc)
		return rc;
	++it;
	if (it != ondemand::array_iterator() || words->current_location().error() != simdjson::OUT_OF_BOUNDS)
		return malformed(d);
	return 0;
}

int words_of(struct decoder *d, ondemand::parser *parser, ondemand::document *words)
{
	size_t n = (size_t)(d->end - d->text) + 1;
	/* No depth: that is for documents, and the memory would be for nothing. */
	simdjson::error_code error = parser->allocate(n, 1);
	if (!error)
		error = parser->iterate(d->text - 1, n, n + simdjson::SIMDJSON_PADDING).get(*words);
	if (error == simdjson::MEMALLOC)
		return no_memory(d);
	return error ? malformed(d) : 0;
}

int decode(struct decoder *d, const weft_type *t, char *at)
{
	ondemand::parser parser;
	ondemand::document words;
	int rc = words_of(d, &parser, &words);
	rc = rc ? rc : document(d, t, at, &words);
	while (d->depth)
		close_level(d);
	if (d->levels != d->first)
		weft_free(d->levels);
	return rc;
}

/* For the library, whose offsets have 32 bits. */
COLD int too_long(const struct json_source *of, weft_json_error *e)
{
	if (e) {
		json_place(of, 0, e);
		json_say(e, "the text has 4 GiB or more");
	}
	return -ERANGE;
}

/* Between brackets, and with room behind it. NULL: no memory. */
char *copy_of(const char *text, size_t n)
{
	char *copy = (char *)weft_malloc(n + 2 + simdjson::SIMDJSON_PADDING);
	if (!copy)
		return NULL;
	copy[0] = '[';
	memcpy(copy + 1, text, n);
	copy[n + 1] = ']';
	memset(copy + n + 2, 0, simdjson::SIMDJSON_PADDING);
	return copy;
}

int copy_and_decode(const struct json_source *of, char *at, bool refuse_unknown, weft_json_error *e)
{
	struct decoder d;
	if (of->n > simdjson::SIMDJSON_MAXSIZE_BYTES - 2)
		return too_long(of, e);
	char *copy = copy_of(of->text, of->n);
	if (!copy)
		return no_memory_at(of, 0, e);
	d.of = of;
	d.text = d.word = copy + 1;
	d.end = d.text + of->n + 1;
	d.levels = d.first;
	d.depth = 0;
	d.room = JSON_FIRST_LEVELS;
	d.refuse_unknown = refuse_unknown;
	d.error = e;
	int rc = of->n && memchr(of->text, 0, of->n) ? malformed(&d) : decode(&d, of->type, at);
	weft_free(copy);
	return rc;
}

} // namespace

int weft_json_decode(const weft_type *t, void *out, const char *text, size_t n, const weft_json_options *options,
		     weft_json_error *e)
{
	size_t max_depth = options && options->max_depth ? options->max_depth : (size_t)JSON_DEPTH;
	const struct json_source of = {text, n, t, max_depth};
	if (!json_plans_of(t))
		return no_memory_at(&of, 0, e);
	char *made = t ? (char *)value_make(t) : NULL;
	if (t && !made)
		return no_memory_at(&of, 0, e);
	int rc = copy_and_decode(&of, made, options && options->refuse_unknown, e);
	if (made && rc)
		weft_value_fini(t, made);
	else if (made)
		memcpy(out, made, t->size);
	weft_free(made);
	return rc;
}
