#include "alloc/slab.h"
#include "alloc/os.h"

enum { LINE = 64 };

void slab_init(struct slab *s, size_t object_size, size_t chunk_size)
{
	*s = (struct slab){.object_size = (object_size + LINE - 1) / LINE * LINE,
			   .chunk_size = chunk_size};
	assert_always(s->object_size * 2 <= chunk_size);
}

/* The chunk's header is its first object's worth of memory. */
static struct slab_chunk *new_chunk(struct slab *s)
{
	char *base = os_reserve(s->chunk_size);
	if (!base)
		return NULL;
	struct slab_chunk *c = (struct slab_chunk *)(void *)base;
	_Static_assert(sizeof *c <= LINE, "the header fits into the smallest object");
	c->older = load_rlx(&s->newest);
	c->objects = base + s->object_size;
	store_rel(&s->newest, c);
	return c;
}

static size_t room_in(const struct slab *s, struct slab_chunk *c)
{
	return (s->chunk_size - s->object_size - load_rlx(&c->used)) / s->object_size;
}

static struct slab_list cut(struct slab *s, size_t want)
{
	struct slab_chunk *c = load_rlx(&s->newest);
	if (!c || room_in(s, c) == 0)
		c = new_chunk(s);
	if (!c)
		return (struct slab_list){NULL, 0};
	size_t n = room_in(s, c) < want ? room_in(s, c) : want;
	char *base = c->objects + load_rlx(&c->used);
	for (size_t i = 0; i < n; i++) {
		struct slab_free *o = (struct slab_free *)(void *)(base + i * s->object_size);
		o->next = i + 1 < n ? (struct slab_free *)(void *)((char *)o + s->object_size) : NULL;
	}
	store_rel(&c->used, load_rlx(&c->used) + n * s->object_size);
	return (struct slab_list){(struct slab_free *)(void *)base, n};
}

struct slab_list slab_take(struct slab *s, size_t want)
{
	spin_lock(&s->lock);
	struct slab_list list = {s->free, 0};
	if (list.first) {
		struct slab_free *last = list.first;
		size_t n = 1;
		for (; n < want && last->next; n++)
			last = last->next;
		s->free = last->next;
		last->next = NULL;
		s->nfree -= n;
		list.n = n;
	} else {
		list = cut(s, want);
	}
	spin_unlock(&s->lock);
	return list;
}

void slab_give(struct slab *s, struct slab_free *first, struct slab_free *last, size_t n)
{
	spin_lock(&s->lock);
	last->next = s->free;
	s->free = first;
	s->nfree += n;
	spin_unlock(&s->lock);
}

void slab_each(struct slab *s, void (*see)(void *object, void *arg), void *arg)
{
	for (struct slab_chunk *c = load_acq(&s->newest); c; c = c->older) {
		size_t used = load_acq(&c->used);
		for (size_t at = 0; at < used; at += s->object_size)
			see(c->objects + at, arg);
	}
}
