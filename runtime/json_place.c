/* simdjson says that a text is wrong, and hardly ever where: its first stage judges UTF-8, quotes and control characters of the whole text
 * at once, and keeps no place; later an error has the word that was read last, and none of what was wanted there. So a text that is
 * refused is read once more, here, byte by byte and by the grammar of RFC 8259, until the first flaw or until the place that is asked
 * for. Nothing is converted, and no text that is right comes by.
 *
 * The types go along for the path's sake: a map's keys stand in it otherwise than a struct's names.
 */
#include "runtime/json_place.h"

#include "runtime/json_plan.h"

#include "lockfree/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <weft/mem.h>

struct level {
	const weft_type *type; /* of the array or object, if it fits */
	const char *key; /* of the member that is being read, as it is written; of an element, where it begins; NULL: none is */
	size_t key_len;
	size_t n; /* elements begun */
	char closing;
};

enum { ARRIVED = 1 };

/* Its steps return 0; ARRIVED; or the error, and then p is at the flaw and words say what it is. */
struct reader {
	const struct json_source *of;
	const char *p, *end, *to;
	struct level *levels;
	size_t depth, room;
	char words[96];
	struct level first[JSON_FIRST_LEVELS];
};

static __attribute__((format(printf, 3, 4))) int flaw(struct reader *r, int error, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r->words, sizeof r->words, fmt, ap);
	va_end(ap);
	return error;
}

static int cut_off(struct reader *r)
{
	r->p = r->end;
	return flaw(r, -EBADMSG, "the text ends too early");
}

static int unexpected(struct reader *r, const char *wanted)
{
	unsigned char c;
	if (r->p == r->end)
		return cut_off(r);
	c = (unsigned char)*r->p;
	if (c > 0x20 && c < 0x7f)
		return flaw(r, -EBADMSG, "unexpected '%c', where %s is wanted", c, wanted);
	return flaw(r, -EBADMSG, "unexpected byte 0x%02x, where %s is wanted", c, wanted);
}

/* ---- words ---- */

static bool is_within(char c, unsigned char least, unsigned char most)
{
	return (unsigned char)c >= least && (unsigned char)c <= most;
}

/* How many bytes the character at p has; 0: it is none. RFC 3629, section 4. */
static unsigned character(const char *p, const char *end)
{
	unsigned char first = (unsigned char)*p, least = 0x80, most = 0xbf;
	unsigned n = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	if ((size_t)(end - p) < n)
		return 0;
	if (first == 0xe0 || first == 0xf0) /* overlong below */
		least = first == 0xe0 ? 0xa0 : 0x90;
	if (first == 0xed || first == 0xf4) /* surrogates, and what is beyond U+10FFFF, above */
		most = first == 0xed ? 0x9f : 0x8f;
	for (unsigned i = 1; i < n; i++) {
		if (!is_within(p[i], i == 1 ? least : 0x80, i == 1 ? most : 0xbf))
			return 0;
	}
	return n;
}

/* The value of four digits; -1: they are not. */
static int hex4(const char *p, const char *end)
{
	int value = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = (char)(p[i] | 32);
		if (!is_within(p[i], '0', '9') && !is_within(c, 'a', 'f'))
			return -1;
		value = value << 4 | (p[i] <= '9' ? p[i] - '0' : c - 'a' + 10);
	}
	return value;
}

/* \uXXXX, and the second half of a pair behind a first. */
static int code_escape(struct reader *r)
{
	const char *second = r->p + 6;
	int code = hex4(r->p + 2, r->end), low = -1;
	bool ends_within = r->end - r->p < 6 && !memchr(r->p, '"', (size_t)(r->end - r->p));
	if (code < 0)
		return ends_within ? cut_off(r) : flaw(r, -EBADMSG, "a backslash with nothing that it could escape");
	if (code >> 10 == 0xd800 >> 10) {
		if (r->end - second >= 2 && second[0] == '\\' && second[1] == 'u')
			low = hex4(second + 2, r->end);
		if (low < 0 && r->end - second < 6 && !memchr(second, '"', (size_t)(r->end - second)))
			return cut_off(r);
		if (low >> 10 == 0xdc00 >> 10)
			return r->p += 12, 0;
	}
	if (code >> 11 == 0xd800 >> 11)
		return flaw(r, -EILSEQ, "half of a surrogate pair");
	r->p += 6;
	return 0;
}

static int escape(struct reader *r)
{
	if (r->end - r->p < 2)
		return cut_off(r);
	if (r->p[1] == 'u')
		return code_escape(r);
	if (!r->p[1] || !strchr("\"\\/bfnrt", r->p[1]))
		return flaw(r, -EBADMSG, "a backslash with nothing that it could escape");
	r->p += 2;
	return 0;
}

/* From its quote on. */
static int string(struct reader *r)
{
	for (r->p++; r->p < r->end && *r->p != '"';) {
		unsigned n = character(r->p, r->end);
		if (*r->p == '\\') {
			int rc = escape(r);
			if (rc)
				return rc;
			continue;
		}
		if (!n)
			return flaw(r, -EILSEQ, "not UTF-8");
		if ((unsigned char)*r->p < 0x20)
			return flaw(r, -EBADMSG, "a control character in a string");
		r->p += n;
	}
	if (r->p == r->end)
		return cut_off(r);
	r->p++;
	return 0;
}

static int literal(struct reader *r, const char *word)
{
	for (const char *c = word; *c; c++, r->p++) {
		if (r->p == r->end || *r->p != *c)
			return unexpected(r, word);
	}
	return 0;
}

static int digits(struct reader *r)
{
	if (r->p == r->end || !is_within(*r->p, '0', '9'))
		return unexpected(r, "a digit");
	while (r->p < r->end && is_within(*r->p, '0', '9'))
		r->p++;
	return 0;
}

static int number(struct reader *r)
{
	int rc;
	r->p += r->p < r->end && *r->p == '-';
	if (r->end - r->p >= 2 && *r->p == '0' && is_within(r->p[1], '0', '9')) {
		r->p++;
		return flaw(r, -EBADMSG, "a number that begins with 0");
	}
	rc = digits(r);
	if (!rc && r->p < r->end && *r->p == '.') {
		r->p++;
		rc = digits(r);
	}
	if (!rc && r->p < r->end && (*r->p | 32) == 'e') {
		r->p++;
		r->p += r->p < r->end && (*r->p == '-' || *r->p == '+');
		rc = digits(r);
	}
	return rc;
}

const char *json_number_end(const char *p, const char *end)
{
	struct reader r = {.p = p, .end = end};
	return number(&r) ? NULL : r.p;
}

/* ---- arrays and objects ---- */

static struct level *top_of(struct reader *r)
{
	return &r->levels[r->depth - 1];
}

/* What is at the end of pointers. One that points to itself has none. */
static const weft_type *followed(const weft_type *t)
{
	for (int most = 100; t && t->kind == WEFT_KIND_POINTER; most--)
		t = most ? t->elem : NULL;
	return t;
}

/* Of the member that is being read. */
static const weft_type *member_type(const struct level *l)
{
	const struct json_plan *plan;
	size_t i;
	if (!l->type)
		return NULL;
	if (l->type->kind != WEFT_KIND_STRUCT)
		return followed(l->type->elem);
	plan = json_plan_of(l->type);
	i = plan ? json_plan_find(plan, 0, l->key, l->key_len) : SIZE_MAX;
	return i == SIZE_MAX ? NULL : followed(plan->fields[i].type);
}

static bool fits(const weft_type *t, char closing)
{
	if (closing == ']')
		return t->kind == WEFT_KIND_ARRAY || t->kind == WEFT_KIND_SLICE;
	return t->kind == WEFT_KIND_STRUCT || t->kind == WEFT_KIND_MAP;
}

static int open_level(struct reader *r, const weft_type *t, char closing)
{
	if (r->depth == r->of->max_depth)
		return flaw(r, -ELOOP, "deeper than %zu", r->of->max_depth);
	if (r->depth == r->room) {
		size_t room = 2 * r->room;
		struct level *levels = weft_realloc(r->levels == r->first ? NULL : r->levels, room * sizeof *levels);
		if (!levels)
			return flaw(r, -ENOMEM, "out of memory");
		if (r->levels == r->first)
			memcpy(levels, r->first, sizeof r->first);
		r->levels = levels;
		r->room = room;
	}
	r->levels[r->depth++] = (struct level){.type = t && fits(t, closing) ? t : NULL, .closing = closing};
	r->p++;
	return 0;
}

static void skip_space(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
		r->p++;
}

static int value(struct reader *r, const weft_type *t)
{
	skip_space(r);
	if (r->to && r->p >= r->to)
		return ARRIVED;
	switch (r->p == r->end ? 0 : *r->p) {
	case '"':
		return string(r);
	case '{':
		return open_level(r, t, '}');
	case '[':
		return open_level(r, t, ']');
	case 't':
		return literal(r, "true");
	case 'f':
		return literal(r, "false");
	case 'n':
		return literal(r, "null");
	default:
		if (r->p == r->end || (*r->p != '-' && !is_within(*r->p, '0', '9')))
			return unexpected(r, "a value");
		return number(r);
	}
}

static int member(struct reader *r, struct level *l)
{
	const char *quote = r->p;
	int rc;
	if (r->p == r->end || *r->p != '"')
		return unexpected(r, "a name in quotes");
	rc = string(r);
	if (rc)
		return rc;
	l->key = quote + 1;
	l->key_len = (size_t)(r->p - 1 - l->key);
	if (quote == r->to)
		return ARRIVED;
	skip_space(r);
	if (r->p == r->end || *r->p != ':')
		return unexpected(r, "':'");
	r->p++;
	return value(r, member_type(l));
}

/* One more member of the innermost level, or its end. */
static int step(struct reader *r)
{
	struct level *l = top_of(r);
	l->key = NULL;
	skip_space(r);
	if (r->p == r->end)
		return cut_off(r);
	if (*r->p == l->closing) {
		r->p++;
		r->depth--;
		return 0;
	}
	if (l->n++) {
		if (*r->p != ',')
			return unexpected(r, l->closing == ']' ? "',' or ']'" : "',' or '}'");
		r->p++;
		skip_space(r);
	}
	if (l->closing == '}')
		return member(r, l);
	l->key = r->p;
	return value(r, member_type(l));
}

static int document(struct reader *r)
{
	int rc = value(r, followed(r->of->type));
	while (!rc && r->depth)
		rc = step(r);
	if (rc)
		return rc;
	skip_space(r);
	return r->p == r->end ? 0 : unexpected(r, "the end of the text");
}

/* ---- the place ---- */

static void tell_place(const struct reader *r, const char *at, weft_json_error *e)
{
	e->offset = (size_t)(at - r->of->text);
	e->line = e->column = 1;
	for (const char *p = r->of->text; p < at; p++) {
		if (*p == '\n') {
			e->line++;
			e->column = 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			e->column++;
		}
	}
	e->path[0] = 0;
	for (const struct level *l = r->levels; l < r->levels + r->depth; l++) {
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

static int read_until(const struct json_source *of, const char *to, struct reader *r)
{
	*r = (struct reader){
	    .of = of, .p = of->text, .end = of->text + of->n, .to = to, .levels = r->first, .room = JSON_FIRST_LEVELS};
	return document(r);
}

static void reader_fini(struct reader *r)
{
	if (r->levels != r->first)
		weft_free(r->levels);
}

void json_place(const struct json_source *of, size_t offset, weft_json_error *e)
{
	struct reader r;
	read_until(of, of->text + offset, &r);
	tell_place(&r, of->text + offset, e);
	reader_fini(&r);
}

int json_flaw(const struct json_source *of, weft_json_error *e)
{
	struct reader r;
	int rc = read_until(of, NULL, &r);
	/* The library would be stricter than the grammar: it has refused the text. */
	if (!rc)
		rc = flaw(&r, -EBADMSG, "not JSON");
	if (e) {
		tell_place(&r, r.p, e);
		json_say(e, r.words);
	}
	reader_fini(&r);
	return rc;
}

void json_say(weft_json_error *e, const char *words)
{
	snprintf(e->message, sizeof e->message, "line %zu, column %zu: %s%s%s", e->line, e->column, e->path, *e->path ? ": " : "",
		 words);
}
