/* Giving back what a value owns: its parts first, then what held them. */
#include "runtime/value.h"

#include <string.h>

#include <weft/mem.h>

/* A member that the collector traces is the collector's. */
static bool is_traced(const weft_type *t, size_t offset)
{
	for (size_t i = 0; i < t->npointers; i++) {
		const weft_pointers *p = &t->pointers[i];
		if (offset >= p->offset && offset < p->offset + p->n * sizeof(void *))
			return true;
	}
	return false;
}

static bool owns(const weft_type *t)
{
	return t->kind == WEFT_KIND_STRING || t->kind == WEFT_KIND_BYTES || (value_has_parts(t) && t->kind != WEFT_KIND_ANY);
}

/* Parts of which none can own anything are not looked at. */
static void enter(struct path *path, struct value v)
{
	struct parts *top = path_push(path, v);
	if ((v.type->kind == WEFT_KIND_SLICE || v.type->kind == WEFT_KIND_ARRAY) && !owns(v.type->elem))
		top->next = top->n;
}

static void part_fini(struct path *path, struct value part)
{
	if (part.type->kind == WEFT_KIND_STRING || part.type->kind == WEFT_KIND_BYTES)
		weft_free(*(void **)part.at); /* the bytes' address comes first in both */
	else if (owns(part.type))
		enter(path, part);
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
	struct path path = {0};
	struct value part = {type, value};
	part_fini(&path, part);
	while (path.depth) {
		struct parts *top = path_top(&path);
		if (!parts_next(top, &part)) {
			leave(top->of);
			path.depth--;
		} else if (top->of.type->kind != WEFT_KIND_STRUCT || !is_traced(top->of.type, parts_field(top)->offset)) {
			part_fini(&path, part);
		}
	}
	path_fini(&path);
	memset(value, 0, type->size);
}
