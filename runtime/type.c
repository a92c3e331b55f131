/* Type descriptors: those of the numbers and strings, when two are the same type, a field by its name, a tag by its key. */
#include "runtime/value.h"

#include <string.h>

#include <weft/panic.h>

#define BUILT_IN(noun, c, is)                                                 \
	static struct weft_worked_out_ noun##_lazy;                           \
	const weft_type weft_type_##noun##_ = {.version_ = sizeof(weft_type), \
					       .kind = (is),                  \
					       .align = _Alignof(c),          \
					       .size = sizeof(c),             \
					       .name = #noun,                 \
					       .c_name = #c,                  \
					       .where = "weft",               \
					       .lazy_ = &noun##_lazy};        \
	const struct weft_methods_ weft_methods_of_##noun##_ = {&weft_type_##noun##_}

BUILT_IN(bool, bool, WEFT_KIND_BOOL);
BUILT_IN(int8_t, int8_t, WEFT_KIND_INT);
BUILT_IN(int16_t, int16_t, WEFT_KIND_INT);
BUILT_IN(int32_t, int32_t, WEFT_KIND_INT);
BUILT_IN(int64_t, int64_t, WEFT_KIND_INT);
BUILT_IN(uint8_t, uint8_t, WEFT_KIND_UINT);
BUILT_IN(uint16_t, uint16_t, WEFT_KIND_UINT);
BUILT_IN(uint32_t, uint32_t, WEFT_KIND_UINT);
BUILT_IN(uint64_t, uint64_t, WEFT_KIND_UINT);
BUILT_IN(float, float, WEFT_KIND_FLOAT);
BUILT_IN(double, double, WEFT_KIND_FLOAT);
BUILT_IN(string, char *, WEFT_KIND_STRING);
BUILT_IN(bytes, weft_bytes, WEFT_KIND_BYTES);
BUILT_IN(any, weft_any, WEFT_KIND_ANY);

/* The length of the file's name without its folders, which begins at *name: the same header may be found by several paths. Where in it a
 * declaration of several lines stands, compilers do not agree. */
static size_t file_of(const weft_type *t, const char **name)
{
	const char *slash = strrchr(t->where, '/'), *colon = strrchr(t->where, ':');
	*name = slash ? slash + 1 : t->where;
	return colon ? (size_t)(colon - *name) : strlen(*name);
}

static bool same_file(const weft_type *a, const weft_type *b)
{
	const char *in_a, *in_b;
	size_t n = file_of(a, &in_a);
	return file_of(b, &in_b) == n && strncmp(in_a, in_b, n) == 0;
}

/* A pointer or an array in a field has no declaration of its own. */
static bool same_parts(const weft_type *a, const weft_type *b)
{
	return a->kind == b->kind && a->size == b->size && a->elem && b->elem && weft_type_same(a->elem, b->elem);
}

static bool same_fields(const weft_type *a, const weft_type *b)
{
	weft_fields of_a = weft_type_fields(a), of_b = weft_type_fields(b);
	if (of_a.n != of_b.n)
		return false;
	for (size_t i = 0; i < of_a.n; i++) {
		const weft_field *x = &of_a.fields[i], *y = &of_b.fields[i];
		const weft_type *is = weft_field_type(x), *other = weft_field_type(y);
		if (strcmp(x->name, y->name) != 0 || x->offset != y->offset || is->kind != other->kind || is->size != other->size)
			return false;
	}
	return true;
}

static bool same_declaration(const weft_type *a, const weft_type *b)
{
	return a->size == b->size && a->align == b->align && a->kind == b->kind && a->flags_ == b->flags_ && a->map == b->map &&
	       strcmp(a->name, b->name) == 0 && strcmp(a->c_name, b->c_name) == 0 && same_file(a, b) && same_fields(a, b);
}

bool weft_type_same(const weft_type *a, const weft_type *b)
{
	if (a == b || !a || !b)
		return a == b;
	if (!a->name || !b->name)
		return !a->name && !b->name && same_parts(a, b);
	return same_declaration(a, b);
}

static void check_apart(const weft_type *t, const weft_field *x, const weft_field *y)
{
	if (x->offset < y->offset + weft_field_type(y)->size && y->offset < x->offset + weft_field_type(x)->size)
		weft_panic("WEFT_STRUCT(%s): the fields %s and %s overlap", t->name, x->name, y->name);
}

void type_check_fields(const weft_type *t)
{
	if (!t->lazy_ || __atomic_load_n(&t->lazy_->checked, __ATOMIC_RELAXED))
		return;
	weft_fields all = weft_type_fields(t);
	for (size_t i = 0; i < all.n; i++)
		for (size_t j = 0; j < i; j++)
			check_apart(t, &all.fields[j], &all.fields[i]);
	__atomic_store_n(&t->lazy_->checked, true, __ATOMIC_RELAXED);
}

const weft_field *weft_type_field(const weft_type *t, const char *name)
{
	weft_fields all = weft_type_fields(t);
	for (size_t i = 0; i < all.n; i++) {
		if (strcmp(all.fields[i].name, name) == 0)
			return &all.fields[i];
	}
	return NULL;
}

bool weft_field_tag(const weft_field *f, const char *key, weft_bytes *text)
{
	size_t n = strlen(key);
	for (const char *at = f->tag; *(at += strspn(at, " "));) {
		size_t word = strcspn(at, " ");
		if (word > n && strncmp(at, key, n) == 0 && at[n] == ':') {
			*text = (weft_bytes){at + n + 1, word - n - 1};
			return true;
		}
		at += word;
	}
	return false;
}
