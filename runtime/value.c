#include "runtime/value.h"

#include "lockfree/assert.h"

#include <assert.h>
#include <string.h>

#include <weft/mem.h>

WEFT_SLICE_OF(int, some_slice);
static_assert(offsetof(struct any_slice, len) == offsetof(some_slice, len) && sizeof(struct any_slice) == sizeof(some_slice),
	      "slices look alike");

/* Of every map: the handle. */
struct any_map {
	weft_map *map;
};

/* A map's own key begins as a string and as bytes do. */
static_assert(offsetof(weft_map_own_, bytes) == 0 && offsetof(weft_map_own_, n) == offsetof(weft_bytes, n),
	      "the map's copy of a key can be looked at as the key");

bool value_has_parts(const weft_type *t)
{
	switch (t->kind) {
	case WEFT_KIND_POINTER:
	case WEFT_KIND_ARRAY:
	case WEFT_KIND_SLICE:
	case WEFT_KIND_MAP:
	case WEFT_KIND_STRUCT:
	case WEFT_KIND_ANY:
		return true;
	default:
		return false;
	}
}

static size_t count(struct value v)
{
	switch (v.type->kind) {
	case WEFT_KIND_ARRAY:
		return weft_type_len(v.type);
	case WEFT_KIND_SLICE:
		return ((const struct any_slice *)v.at)->len;
	case WEFT_KIND_POINTER:
		return *(void *const *)v.at != NULL;
	case WEFT_KIND_ANY:
		return ((const weft_any *)v.at)->methods_ && ((const weft_any *)v.at)->self;
	default:
		return 0;
	}
}

void parts_begin(struct parts *p, struct value of)
{
	p->of = of;
	p->next = 0;
	p->n = count(of);
	if (of.type->kind == WEFT_KIND_MAP) {
		p->entry = (weft_map_iter){0};
	} else if (of.type->kind == WEFT_KIND_STRUCT) {
		type_check_fields(of.type);
		p->fields = weft_type_fields(of.type);
		p->n = p->fields.n;
	}
}

static bool next_entry(struct parts *p, struct value *part)
{
	const weft_type *t = p->of.type;
	char *entry = weft_map_next_(((const struct any_map *)p->of.at)->map, t->map_type_, &p->entry);
	if (!entry)
		return false;
	p->key = (struct value){t->key, entry};
	*part = (struct value){t->elem, entry + t->map_type_->value_at};
	return true;
}

bool parts_next(struct parts *p, struct value *part)
{
	const struct value of = p->of;
	if (of.type->kind == WEFT_KIND_MAP)
		return next_entry(p, part);
	if (p->next == p->n)
		return false;
	size_t i = p->next++;
	switch (of.type->kind) {
	case WEFT_KIND_STRUCT:
		*part = (struct value){weft_field_type(&p->fields.fields[i]), (char *)of.at + p->fields.fields[i].offset};
		break;
	case WEFT_KIND_ARRAY:
		*part = (struct value){of.type->elem, (char *)of.at + i * of.type->elem->size};
		break;
	case WEFT_KIND_SLICE:
		*part = (struct value){of.type->elem, ((const struct any_slice *)of.at)->data + i * of.type->elem->size};
		break;
	case WEFT_KIND_POINTER:
		*part = (struct value){of.type->elem, *(void *const *)of.at};
		break;
	default:
		assert_always(of.type->kind == WEFT_KIND_ANY);
		*part = (struct value){((const weft_any *)of.at)->methods_->type, ((const weft_any *)of.at)->self};
	}
	return true;
}

void path_init(struct path *p)
{
	p->levels = p->near;
	p->depth = 0;
	p->room = PATH_NEAR;
}

static bool grow(struct path *p)
{
	size_t room = 2 * p->room;
	struct parts *near = p->levels == p->near ? p->near : NULL;
	struct parts *levels = weft_realloc(near ? NULL : p->levels, room * sizeof *levels);
	if (!levels)
		return false;
	if (near)
		memcpy(levels, near, sizeof p->near);
	p->levels = levels;
	p->room = room;
	return true;
}

struct parts *path_try_push(struct path *p, struct value v)
{
	if (p->depth == p->room && !grow(p))
		return NULL;
	struct parts *top = &p->levels[p->depth++];
	parts_begin(top, v);
	return top;
}

struct parts *path_push(struct path *p, struct value v)
{
	struct parts *top = path_try_push(p, v);
	if (!top)
		fatal("out of memory for a value %zu levels deep", p->depth);
	return top;
}

void path_fini(struct path *p)
{
	if (p->levels != p->near)
		weft_free(p->levels);
}
