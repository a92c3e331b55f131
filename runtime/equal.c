/* Deep equality: two values of a type walked side by side, each on a path of its own, until they differ.
 *
 * Values may be cyclic. Two cyclic values are equal if no difference is found, so that a pair of addresses that has been met need not be
 * walked again; but as few values are cyclic, pairs are only remembered once MANY have been followed: a cycle comes by again.
 */
#include "runtime/value.h"

#include "lockfree/assert.h"

#include <string.h>

enum { MANY = 1000 };

struct met {
	const void *a, *b;
	const weft_type *type;
	size_t n; /* of a slice's elements */
};

static uint64_t hash_met(weft_seed seed, const struct met *m)
{
	uint64_t h = weft_hash_u64(seed, (uint64_t)(uintptr_t)m->a);
	h = weft_hash_u64(seed, h ^ (uint64_t)(uintptr_t)m->b);
	h = weft_hash_u64(seed, h ^ (uint64_t)(uintptr_t)m->type);
	return weft_hash_u64(seed, h ^ m->n);
}

static bool same_met(const struct met *x, const struct met *y)
{
	return x->a == y->a && x->b == y->b && x->type == y->type && x->n == y->n;
}

WEFT_MAP_BY_LEAF(struct met, bool, met_map, hash_met, same_met);

struct walk {
	struct path a, b; /* of the same depth */
	size_t followed;
	met_map met;
};

enum verdict { SAME, DIFFERENT, BY_PARTS };

static bool is_met(struct walk *w, const void *a, const void *b, const weft_type *type, size_t n)
{
	if (++w->followed < MANY)
		return false;
	if (!w->met.map)
		w->met = met_map_make(0);
	size_t before = met_map_len(w->met);
	met_map_put(w->met, (struct met){a, b, type, n}, true);
	return met_map_len(w->met) == before;
}

/* What two pointers, slices' data, maps or interface values lead to. */
static enum verdict compare_targets(struct walk *w, const void *a, const void *b, const weft_type *type, size_t n)
{
	if (a == b)
		return SAME;
	if (!a || !b)
		return DIFFERENT;
	return is_met(w, a, b, type, n) ? SAME : BY_PARTS;
}

static bool equal_floats(const weft_type *t, const void *a, const void *b)
{
	return t->size == sizeof(float) ? *(const float *)a == *(const float *)b : *(const double *)a == *(const double *)b;
}

static bool equal_strings(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool equal_bytes(const weft_bytes *a, const weft_bytes *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->bytes, b->bytes, a->n) == 0);
}

static bool is_integer(const weft_type *t)
{
	return t->kind == WEFT_KIND_BOOL || t->kind == WEFT_KIND_INT || t->kind == WEFT_KIND_UINT;
}

static enum verdict compare_slices(struct walk *w, const weft_type *t, const struct any_slice *a, const struct any_slice *b)
{
	if (a->len != b->len)
		return DIFFERENT;
	if (a->len == 0)
		return SAME;
	if (is_integer(t->elem))
		return memcmp(a->data, b->data, a->len * t->elem->size) == 0 ? SAME : DIFFERENT;
	return compare_targets(w, a->data, b->data, t, a->len);
}

static enum verdict compare_maps(struct walk *w, const weft_type *t, const weft_map *a, const weft_map *b)
{
	uint64_t in_a = a ? a->len : 0, in_b = b ? b->len : 0;
	if (in_a != in_b)
		return DIFFERENT;
	return in_a == 0 ? SAME : compare_targets(w, a, b, t, 0);
}

static enum verdict compare_anys(struct walk *w, const weft_any *a, const weft_any *b)
{
	if (!a->methods_ || !b->methods_)
		return a->methods_ == b->methods_ ? SAME : DIFFERENT;
	if (!weft_type_same(a->methods_->type, b->methods_->type))
		return DIFFERENT;
	return compare_targets(w, a->self, b->self, a->methods_->type, 0);
}

static enum verdict compare(struct walk *w, const weft_type *t, const void *a, const void *b)
{
	bool same = false;
	switch (t->kind) {
	case WEFT_KIND_OPAQUE:
	case WEFT_KIND_BOOL:
	case WEFT_KIND_INT:
	case WEFT_KIND_UINT:
		same = memcmp(a, b, t->size) == 0;
		break;
	case WEFT_KIND_FLOAT:
		same = equal_floats(t, a, b);
		break;
	case WEFT_KIND_STRING:
		same = equal_strings(*(char *const *)a, *(char *const *)b);
		break;
	case WEFT_KIND_TEXT:
		same = strncmp(a, b, t->size) == 0;
		break;
	case WEFT_KIND_BYTES:
		same = equal_bytes(a, b);
		break;
	case WEFT_KIND_POINTER:
		return compare_targets(w, *(void *const *)a, *(void *const *)b, t, 0);
	case WEFT_KIND_SLICE:
		return compare_slices(w, t, a, b);
	case WEFT_KIND_MAP:
		return compare_maps(w, t, *(weft_map *const *)a, *(weft_map *const *)b);
	case WEFT_KIND_ANY:
		return compare_anys(w, a, b);
	case WEFT_KIND_ARRAY:
	case WEFT_KIND_STRUCT:
		return BY_PARTS;
	}
	return same ? SAME : DIFFERENT;
}

/* The part of b that belongs to the part of a given last; false: a map lacks the key. */
static bool counterpart(const struct parts *a, struct parts *b, struct value *part)
{
	if (a->of.type->kind != WEFT_KIND_MAP)
		return parts_next(b, part);
	const weft_type *t = a->of.type;
	char *entry = weft_map_find_(*(weft_map *const *)b->of.at, t->map_type_, a->key.at);
	if (entry)
		*part = (struct value){t->elem, entry + t->map_type_->value_at};
	return entry != NULL;
}

static enum verdict look(struct walk *w, const weft_type *t, void *a, void *b)
{
	enum verdict v = compare(w, t, a, b);
	if (v == BY_PARTS) {
		path_push(&w->a, (struct value){t, a});
		path_push(&w->b, (struct value){t, b});
	}
	return v;
}

static enum verdict step(struct walk *w)
{
	struct parts *a = path_top(&w->a), *b = path_top(&w->b);
	struct value of_a, of_b;
	if (!parts_next(a, &of_a)) {
		w->a.depth--;
		w->b.depth--;
		return SAME;
	}
	return counterpart(a, b, &of_b) ? look(w, of_a.type, of_a.at, of_b.at) : DIFFERENT;
}

bool weft_deep_equal(const weft_type *t, const void *a, const void *b)
{
	struct walk w = {.followed = 0};
	path_init(&w.a);
	path_init(&w.b);
	/* Parts are given to be written as well; nobody does here. */
	enum verdict v = look(&w, t, (void *)(uintptr_t)a, (void *)(uintptr_t)b);
	while (v != DIFFERENT && w.a.depth)
		v = step(&w);
	path_fini(&w.a);
	path_fini(&w.b);
	met_map_free(w.met);
	return v != DIFFERENT;
}
