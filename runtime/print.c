/* Printing any value: as a person would write it, whole in one write to the stream, so that goroutines' lines do not mix. */
#include "runtime/value.h"

#include "lockfree/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64 };

static void print_escaped(FILE *f, const char *s, size_t n)
{
	static const char named[] = "\a\b\t\n\v\f\r";
	putc('"', f);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		const char *at = c ? strchr(named, c) : NULL;
		if (at)
			fprintf(f, "\\%c", "abtnvfr"[at - named]);
		else if (c < ' ' || c == 0x7f)
			fprintf(f, "\\x%02x", c);
		else
			fprintf(f, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	putc('"', f);
}

/* As few digits as read back the same. */
static void print_float(FILE *f, const weft_type *t, const void *at)
{
	bool single = t->size == sizeof(float);
	double d = single ? (double)*(const float *)at : *(const double *)at;
	char text[32];
	for (int digits = single ? 6 : 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (single ? (double)strtof(text, NULL) == d : strtod(text, NULL) == d)
			break;
	}
	fputs(text, f);
}

static void print_leaf(FILE *f, struct value v)
{
	const char *s;
	const weft_bytes *b;
	switch (v.type->kind) {
	case WEFT_KIND_BOOL:
		fputs(*(const bool *)v.at ? "true" : "false", f);
		break;
	case WEFT_KIND_INT:
		fprintf(f, "%" PRId64, value_int(v));
		break;
	case WEFT_KIND_UINT:
		fprintf(f, "%" PRIu64, value_uint(v));
		break;
	case WEFT_KIND_FLOAT:
		print_float(f, v.type, v.at);
		break;
	case WEFT_KIND_STRING:
		s = *(char *const *)v.at;
		if (s)
			print_escaped(f, s, strlen(s));
		else
			fputs("nil", f);
		break;
	case WEFT_KIND_TEXT:
		print_escaped(f, v.at, strnlen(v.at, v.type->size));
		break;
	case WEFT_KIND_BYTES:
		b = v.at;
		putc('b', f);
		print_escaped(f, b->bytes, b->n);
		break;
	default:
		fprintf(f, "%s{...}", v.type->name);
	}
}

static bool is_nil(struct value v)
{
	return (v.type->kind == WEFT_KIND_POINTER && !*(void *const *)v.at) ||
	       (v.type->kind == WEFT_KIND_ANY && (!((const weft_any *)v.at)->methods_ || !((const weft_any *)v.at)->self));
}

/* What stands before the parts and behind them. */
static void print_begin(FILE *f, const weft_type *t)
{
	if (t->kind == WEFT_KIND_STRUCT || t->kind == WEFT_KIND_MAP)
		fprintf(f, "%s{", t->name);
	else if (t->kind == WEFT_KIND_ARRAY || t->kind == WEFT_KIND_SLICE)
		putc('[', f);
	else if (t->kind == WEFT_KIND_POINTER)
		putc('&', f);
}

static void print_end(FILE *f, const weft_type *t)
{
	if (t->kind == WEFT_KIND_STRUCT || t->kind == WEFT_KIND_MAP)
		putc('}', f);
	else if (t->kind == WEFT_KIND_ARRAY || t->kind == WEFT_KIND_SLICE)
		putc(']', f);
}

/* The value, or its beginning if it has parts. */
static void enter(FILE *f, struct path *path, struct value v)
{
	if (is_nil(v)) {
		fputs("nil", f);
	} else if (!value_has_parts(v.type)) {
		print_leaf(f, v);
	} else if (v.type->kind == WEFT_KIND_POINTER && path->depth > 0) {
		fprintf(f, "%p", *(void *const *)v.at);
	} else if (path->depth == DEEPEST) {
		fputs("...", f);
	} else {
		print_begin(f, v.type);
		path_push(path, v);
	}
}

static void print_name(FILE *f, const struct parts *p, bool first)
{
	if (!first)
		fputs(", ", f);
	if (p->of.type->kind == WEFT_KIND_STRUCT) {
		fprintf(f, "%s: ", parts_field(p)->name);
	} else if (p->of.type->kind == WEFT_KIND_MAP) {
		if (value_has_parts(p->key.type))
			fprintf(f, "%s{...}", p->key.type->name ? p->key.type->name : "");
		else
			print_leaf(f, p->key);
		fputs(": ", f);
	}
}

static void print(FILE *f, struct value v)
{
	struct path path;
	bool first = true; /* of its level's parts */
	path_init(&path);
	enter(f, &path, v);
	while (path.depth) {
		struct parts *top = path_top(&path);
		if (!parts_next(top, &v)) {
			print_end(f, top->of.type);
			path.depth--;
			first = false;
			continue;
		}
		size_t depth = path.depth;
		print_name(f, top, first);
		enter(f, &path, v);
		first = path.depth > depth;
	}
	path_fini(&path);
}

/* In memory of free(3)'s. */
static char *printed(const weft_type *t, const void *value, size_t *n)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, n);
	if (!f)
		fatal("out of memory for printing a %s", t->name ? t->name : "value");
	print(f, (struct value){t, (void *)(uintptr_t)value});
	if (fclose(f))
		fatal("out of memory for printing a %s", t->name ? t->name : "value");
	return text;
}

int weft_print_value(FILE *f, const weft_type *t, const void *value)
{
	size_t n;
	char *text = printed(t, value, &n);
	bool written = fwrite(text, 1, n, f) == n;
	int error = errno;
	free(text);
	return written ? (int)n : -(error ? error : EIO);
}

int weft_format_value(char *buf, size_t n, const weft_type *t, const void *value)
{
	size_t len;
	char *text = printed(t, value, &len);
	if (n) {
		size_t fits = len < n ? len : n - 1;
		memcpy(buf, text, fits);
		buf[fits] = 0;
	}
	free(text);
	return (int)len;
}
