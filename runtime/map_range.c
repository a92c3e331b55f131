/* Going through all entries of a map that others use meanwhile. It stands between hashes: what has been given out lies below, and entries do not move. A call of
 * the user's is made outside of looks, on a copy, and may do whatever it likes, to the map as well.
 */
#include "runtime/map_sync.h"
#include "runtime/panic.h"

#include <weft/mem.h>

enum { COPY_NEAR = 320 };

/* Where it stands, told in hashes: entries with equal ones are copied in one call, and visited outside of it. */
struct range {
	struct map_sync *map;
	const struct weft_map_type *type;
	weft_seed seed;	     /* another one: the map has been cleared since */
	uint64_t from;	     /* hashes below are done */
	struct copy *copies; /* the newest first */
	bool near_taken;
	_Alignas(struct node) char near[COPY_NEAR]; /* for one of them */
};

struct copy {
	struct copy *next;
	struct area area; /* of one that is not on the stack, if its type is traced */
	const struct weft_map_type *type;
	uint64_t value; /* if it is a word */
	_Alignas(struct node) struct node node;
};

static bool look_at_copy(struct area *a, size_t *at, struct gc_filling *f)
{
	struct copy *c = (struct copy *)(void *)((char *)a - offsetof(struct copy, area));
	(void)at;
	gc_note_words(f, &c->value, c->node.entry + entry_size(c->type));
	return false;
}

/* Whoever has got the value may have been looked at before. */
static void copy_free(struct range *r, struct copy *c)
{
	if ((void *)c == r->near) {
		r->near_taken = false;
		return;
	}
	bool outermost = call_begin();
	if (shades(r->type))
		map_sync_shade(r->type, &c->node);
	area_drop(&c->area);
	call_end(outermost);
	weft_free(c);
}

static void copies_drop(void *range)
{
	struct range *r = range;
	struct copy *c;
	while ((c = r->copies)) {
		r->copies = c->next;
		copy_free(r, c);
	}
}

static struct copy *copy_make(struct range *r, size_t size)
{
	if (!r->near_taken && size <= COPY_NEAR) {
		r->near_taken = true;
		return (struct copy *)(void *)r->near;
	}
	struct copy *c = weft_malloc(size);
	if (!c)
		fatal("out of memory for a copy of a map's entry of %zu bytes", size);
	return c;
}

static void copy_entry(struct range *r, struct node *n)
{
	const void *key = key_in(n, r->type);
	for (struct copy *c = r->copies; c; c = c->next)
		if (has_key(&c->node, r->type, key))
			return; /* deleted meanwhile, and back again behind those with the same hash */
	struct copy *c = copy_make(r, offsetof(struct copy, node) + node_size(r->type, key));
	c->value = 0;
	c->type = r->type;
	c->area = (struct area){0};
	if (word_value(r->type))
		value_of(n, r->type, &c->value);
	node_fill(&c->node, r->type, key, n->hash, word_value(r->type) ? (const void *)&c->value : n->entry + r->type->value_at);
	if (is_traced(r->type) && (void *)c != r->near)
		area_add(&c->area, look_at_copy);
	c->next = r->copies;
	r->copies = c;
}

static bool same_seed(weft_seed a, weft_seed b)
{
	return a.a == b.a && a.b == b.b;
}

/* Copies what is next, if that is not far; false: that was all. */
static bool range_step(struct range *r)
{
	bool outermost = call_begin();
	struct table *t = table_of(r->map);
	struct node *n = NULL;
	unsigned passed;
	if (t && r->from == 0)
		r->seed = t->seed;
	if (t && same_seed(t->seed, r->seed))
		n = first_from(t, &r->from, &passed);
	else
		r->from = END;
	if (n) {
		uint64_t hash = n->hash, link;
		do {
			copy_entry(r, n);
			link = follow(&n->link);
		} while (!is_mark(link) && (n = node_at(link))->hash == hash);
		r->from = hash + 1;
	}
	look_end(outermost);
	return r->from != END;
}

void weft_map_sync_range_(weft_map_sync *map, const struct weft_map_type *type,
			  bool (*each)(const void *key, const void *value, void *arg), void *arg)
{
	struct range r = {.map = inside(map), .type = type};
	bool more = true;
	WEFT_DEFER(copies_drop, &r);
	while (more && range_step(&r)) {
		for (struct copy *c; more && (c = r.copies);) {
			const void *value = word_value(type) ? (const void *)&c->value : c->node.entry + type->value_at;
			more = each(key_in(&c->node, type), value, arg);
			r.copies = c->next;
			copy_free(&r, c);
		}
	}
}
