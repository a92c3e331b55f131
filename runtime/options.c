#include "runtime/options.h"
#include "runtime/fiber.h"
#include "runtime/sched.h"

#include <weft/mem.h>

#include <string.h>

enum { CHUNK = 1 << 20, BATCH = 32, CACHE_MOST = 256 };

static struct slab all;

void options_init(void)
{
	slab_init(&all, sizeof(struct g_options), CHUNK);
}

/* On the P, in the scheduler's identity. */
static struct g_options *take_on(struct p *p)
{
	struct g_options *o = p->options;
	if (!o) {
		struct slab_list list = slab_take(&all, BATCH);
		o = (struct g_options *)(void *)list.first;
		p->noptions = (uint32_t)list.n;
	}
	if (o) {
		p->options = o->next;
		p->noptions--;
	}
	return o;
}

static struct g_options *take(struct m *m)
{
	void *me = sched_enter(m);
	struct p *p = m ? m_p(m) : NULL;
	struct g_options *o = p ? take_on(p) : slab_take_one(&all);
	if (o)
		fiber_publish(o); /* the slab's memory may be new, and the M's */
	sched_leave(me);
	return o;
}

static void give(struct p *p, struct g_options *o)
{
	struct slab_free *free = (struct slab_free *)(void *)o;
	if (!p || p->noptions >= CACHE_MOST) {
		slab_give(&all, free, free, 1);
		return;
	}
	o->next = p->options;
	p->options = o;
	p->noptions++;
}

static void copy_name(struct g_options *o, const char *name)
{
	size_t n = 0;
	for (; name && n < G_NAME - 1 && name[n]; n++)
		store_rlx(&o->name[n], name[n]);
	store_rlx(&o->name[n], 0);
}

void *options_set(struct m *m, struct g *g, const weft_go_opts *wanted, void *arg)
{
	struct g_options *o = take(m);
	if (!o)
		return NULL;
	fiber_observe(o);
	copy_name(o, wanted->name);
	o->arg_copy = NULL;
	o->arg_size = 0;
	store_rel(&g->options, o);
	if (!wanted->arg_size)
		return arg;
	void *copy = o->inline_arg;
	if (wanted->arg_size > G_INLINE_ARG)
		copy = o->arg_copy = weft_malloc(wanted->arg_size);
	if (copy) {
		memcpy(copy, arg, wanted->arg_size);
		o->arg_size = wanted->arg_size;
	}
	return copy;
}

void options_drop(struct p *p, struct g *g)
{
	struct g_options *o = load_rlx(&g->options);
	if (!o)
		return;
	weft_free(o->arg_copy);
	store_rlx(&g->options, NULL);
	fiber_publish(o);
	give(p, o);
}
