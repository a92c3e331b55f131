#include "lockfree/assert.h"
#include "runtime/g.h"

#include <pthread.h>

enum { SEGMENTS_CHUNK = 1 << 20 };

static struct slab segments;

static void make_slab(void)
{
	slab_init(&segments, sizeof(struct segment), SEGMENTS_CHUNK);
}

static struct segment *new_segment_locked(struct gqueue *q)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct segment *s = q->spare;
	q->spare = NULL;
	if (!s) {
		pthread_once(&once, make_slab);
		s = slab_take_one(&segments);
	}
	if (!s)
		fatal("out of memory for the queue of runnable goroutines");
	s->next = NULL;
	s->head = s->tail = 0;
	return s;
}

static void free_segment_locked(struct gqueue *q, struct segment *s)
{
	struct slab_free *o = (struct slab_free *)(void *)s;
	if (!q->spare)
		q->spare = s;
	else
		slab_give(&segments, o, o, 1);
}

static struct segment *with_room_locked(struct gqueue *q)
{
	if (q->last && q->last->tail < SEGMENT_SLOTS)
		return q->last;
	struct segment *s = new_segment_locked(q);
	if (q->last)
		q->last->next = s;
	else
		q->first = s;
	q->last = s;
	return s;
}

void gqueue_push_many(struct gqueue *q, void *const *gs, uint32_t n)
{
	spin_lock(&q->lock);
	for (uint32_t i = 0; i < n;) {
		struct segment *s = with_room_locked(q);
		while (i < n && s->tail < SEGMENT_SLOTS)
			s->slot[s->tail++] = gs[i++];
	}
	(void)add_seq(&q->xcount, n);
	spin_unlock(&q->lock);
}

void gqueue_push(struct gqueue *q, struct g *g)
{
	spin_lock(&q->lock);
	struct segment *s = with_room_locked(q);
	s->slot[s->tail++] = g;
	(void)add_seq(&q->xcount, 1);
	spin_unlock(&q->lock);
}

uint32_t gqueue_pop(struct gqueue *q, void **to, uint32_t max)
{
	if (gqueue_empty(q))
		return 0;
	uint32_t n = 0;
	spin_lock(&q->lock);
	while (n < max && q->first) {
		struct segment *s = q->first;
		while (n < max && s->head < s->tail)
			to[n++] = s->slot[s->head++];
		if (s->head < s->tail)
			break;
		q->first = s->next;
		if (!q->first)
			q->last = NULL;
		free_segment_locked(q, s);
	}
	sub_rlx(&q->xcount, n);
	spin_unlock(&q->lock);
	return n;
}
