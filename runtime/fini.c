/* Giving back what a value owns: its parts first, then what held them. */
#include "runtime/value.h"

#include <string.h>

#include <weft/mem.h>

static bool traces(const weft_type *t, size_t offset)
{
	for (size_t i = 0; i < t->npointers; i++) {
		const weft_pointers *p = &t->pointers[i];
		if (offset >= p->offset && offset < p->offset + p->n * sizeof(void *))
			return true;
	}
	return false;
}

/* A pointer that the collector traces is the collector's. The struct that says so may be any of those around it. */
static bool is_traced(const struct path *path, const void *at)
{
	for (size_t i = path->depth; i-- > 0;) {
		const struct value of = path->levels[i].of;
		size_t offset = (size_t)((uintptr_t)at - (uintptr_t)of.at);
		if (offset >= of.type->size)
			return false;
		if (traces(of.type, offset))
			return true;
	}
	return false;
}

static bool is_leaf(const weft_type *t)
{
	return t->kind == WEFT_KIND_STRING || t->kind == WEFT_KIND_BYTES;
}

static bool owns(const weft_type *t)
{
	return is_leaf(t) || (value_has_parts(t) && t->kind != WEFT_KIND_ANY);
}

/* Its ownership begins with a pointer, at its own address. */
static bool begins_with_pointer(const weft_type *t)
{
	return t->kind != WEFT_KIND_STRUCT && t->kind != WEFT_KIND_ARRAY;
}

/* Parts of which none can own anything are not looked at. */
static void enter(struct path *path, struct value v)
{
	struct parts *top = path_try_push(path, v);
	if (top && (v.type->kind == WEFT_KIND_SLICE || v.type->kind == WEFT_KIND_ARRAY) && !owns(v.type->elem))
		top->next = top->n;
}

static void part_fini(struct path *path, struct value part)
{
	if (!owns(part.type) || (begins_with_pointer(part.type) && is_traced(path, part.at)))
		return;
	if (is_leaf(part.type))
		weft_free(*(void **)part.at); /* the bytes' address comes first in both */
	else
		enter(path, part);
}

/* Of strings and bytes the map has copies of its own. */
static void key_fini(struct path *path, struct value key)
{
	if (!is_leaf(key.type))
		part_fini(path, key);
}

static void leave(struct value v)
{
	if (v.type->kind == WEFT_KIND_POINTER)
		weft_free(*(void **)v.at);
	else if (v.type->kind == WEFT_KIND_SLICE)
		weft_slice_free(*(void **)v.at); /* data comes first */
	else if (v.type->kind == WEFT_KIND_MAP)
		weft_map_free_(*(weft_map **)v.at, v.type->map_type_);
}

void weft_value_fini(const weft_type *type, void *value)
{
	struct path path;
	struct value part = {type, value};
	path_init(&path);
	part_fini(&path, part);
	while (path.depth) {
		struct parts *top = path_top(&path);
		if (!parts_next(top, &part)) {
			leave(top->of);
			path.depth--;
			continue;
		}
		bool entry = top->of.type->kind == WEFT_KIND_MAP;
		struct value key = top->key;
		part_fini(&path, part);
		if (entry)
			key_fini(&path, key);
	}
	path_fini(&path);
	memset(value, 0, type->size);
}
