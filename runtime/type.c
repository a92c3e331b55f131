/* Type descriptors: those of the numbers and strings, when two are the same type, a field by its name, a tag by its key. */
#include <weft/reflect.h>

#include <string.h>

#define BUILT_IN(noun, c, is)                                                 \
	const weft_type weft_type_##noun##_ = {.version_ = sizeof(weft_type), \
					       .kind = (is),                  \
					       .align = _Alignof(c),          \
					       .size = sizeof(c),             \
					       .name = #noun,                 \
					       .c_name = #c,                  \
					       .where = "weft"};              \
	const struct weft_methods_ weft_any_##noun##_ = {&weft_type_##noun##_}

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

/* The file's name without its folders: the same header may be found by several paths. */
static const char *declared_at(const weft_type *t)
{
	const char *slash = strrchr(t->where, '/');
	return slash ? slash + 1 : t->where;
}

/* A pointer or an array in a field has no declaration of its own. */
static bool same_parts(const weft_type *a, const weft_type *b)
{
	return a->kind == b->kind && a->size == b->size && a->elem && b->elem && weft_type_same(a->elem, b->elem);
}

bool weft_type_same(const weft_type *a, const weft_type *b)
{
	if (a == b || !a || !b)
		return a == b;
	if (!a->name || !b->name)
		return !a->name && !b->name && same_parts(a, b);
	return a->size == b->size && a->kind == b->kind && strcmp(a->name, b->name) == 0 && strcmp(a->c_name, b->c_name) == 0 &&
	       strcmp(declared_at(a), declared_at(b)) == 0;
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
