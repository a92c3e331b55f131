#include "runtime/gccache.h"
#include "runtime/attach.h"
#include "runtime/fiber.h"
#include "runtime/gcwatch.h"
#include "runtime/placement.h"
#include "runtime/world.h"

#include <sched.h>

enum { SPINS = 256 /* between two yields to the kernel */ };

/* ---- identities (fiber.h) ---- */

static NO_TSAN void *identity_of(const struct g *g)
{
	return WEFT_TSAN && g ? g->fiber : NULL;
}

void *gc_enter(struct m *m)
{
	void *was = fiber_current(), *its = identity_of(m ? m_g(m) : NULL);
	if (its)
		fiber_become(its);
	if (m && m_p(m))
		fiber_observe(m_p(m)->marker);
	return was;
}

void gc_leave(struct m *m, void *was)
{
	if (m && m_p(m))
		fiber_publish(m_p(m)->marker);
	fiber_become(was);
}

/* ---- a P's cache ---- */

void gc_blacken(struct p *p)
{
	if (p && p->cache->colour != HEAP_BLACK)
		heap_recolour(p->cache, HEAP_BLACK);
}

void gc_flush(struct p *p)
{
	uint32_t state = load_acq(&collector.xstate);
	if (state & 1 || load_rlx(&p->gc_seen) == state)
		return;
	heap_flush(p->cache);
	p->cache->colour = HEAP_WHITE;
	store_rel(&p->gc_seen, state);
}

bool gc_flush_if_idle(struct p *p)
{
	uint32_t asleep = P_GC_ASLEEP, blocked = P_BLOCKED;
	fiber_observe(p->marker);
	if (cas_acqrel(&p->xgc, &asleep, P_GC_HELD)) {
		gc_flush(p);
		fiber_publish(p->marker);
		store_rel(&p->xgc, P_GC_ASLEEP);
		return true;
	}
	if (cas_acqrel(&p->xstatus, &blocked, P_HELD)) {
		gc_flush(p);
		fiber_publish(p->marker);
		store_rel(&p->xstatus, P_BLOCKED);
		return true;
	}
	return false;
}

void gc_p_sleeps(struct p *p)
{
	fiber_observe(p->marker);
	gc_flush(p);
	fiber_publish(p->marker);
	store_seq(&p->xgc, P_GC_ASLEEP);
}

void gc_p_wakes(struct p *p)
{
	uint32_t asleep = P_GC_ASLEEP;
	for (unsigned spins = 1; !cas_acqrel(&p->xgc, &asleep, P_GC_AWAKE); spins++) {
		asleep = P_GC_ASLEEP;
		cpu_relax();
		if (spins % SPINS == 0)
			sched_yield(); /* who holds it may stand behind us */
	}
	world_enter(m_self());
}

/* ---- who has no P ---- */

/* For threads whose P was taken. */
static struct {
	struct spin lock;
	struct heap_cache cache;
	_Atomic uint32_t seen; /* as p->gc_seen */
} shared;

/* Under its lock. */
static void flush_shared_for(uint32_t state)
{
	if (state & 1 || load_rlx(&shared.seen) == state)
		return;
	heap_flush(&shared.cache);
	shared.cache.colour = HEAP_WHITE;
	store_rlx(&shared.seen, state);
}

struct g *gc_self(void)
{
	struct m *m = m_self();
	if (m)
		return m_g(m);
	return attached_self() ? attached_self()->g : NULL;
}

struct heap_cache *gc_take_shared(void)
{
	const struct g *g = gc_self();
	spin_lock(&shared.lock);
	/* Looked at once: marking may end at any moment, and flushed, the cache has to stay white. */
	uint32_t state = load_acq(&collector.xstate);
	flush_shared_for(state);
	enum heap_colour colour = state & 1 && load_rlx(&g->scan) == gc_code() ? HEAP_BLACK : HEAP_WHITE;
	if (shared.cache.colour != colour)
		heap_recolour(&shared.cache, colour);
	return &shared.cache;
}

void gc_give_shared(uint64_t bytes)
{
	spin_unlock(&shared.lock);
	(void)gc_allocated(&collector, bytes);
	/* Who has no P has no marker either, and cannot pay: the Ps mark, and it is the slower for that it allocates beyond the goal. */
	if (unlikely(gc_is_due(&collector)))
		gc_watch_wake();
	if (unlikely(load_rlx(&collector.xheap) > load_rlx(&collector.goal)))
		sched_yield();
}

/* ---- all of them ---- */

uint64_t gc_objects_allocated(void)
{
	uint64_t n = heap_cache_objects(&shared.cache);
	for (unsigned i = 0; i < sched.nprocs; i++)
		n += heap_cache_objects(sched.ps[i]->cache);
	return n;
}

void gc_flush_shared(void)
{
	spin_lock(&shared.lock);
	flush_shared_for(load_acq(&collector.xstate));
	spin_unlock(&shared.lock);
}

void gc_settle_caches(void)
{
	for (unsigned i = 0; i < sched.nprocs; i++)
		heap_recolour(sched.ps[i]->cache, sched.ps[i]->cache->colour);
	spin_lock(&shared.lock);
	heap_recolour(&shared.cache, shared.cache.colour);
	spin_unlock(&shared.lock);
}

void gc_caches_start(bool one_by_one)
{
	for (unsigned i = 0; i < sched.nprocs; i++) {
		heap_cache_init(sched.ps[i]->cache, &collector.heap, placement_node(i));
		sched.ps[i]->cache->one_by_one = one_by_one;
	}
	heap_cache_init(&shared.cache, &collector.heap, -1);
	shared.cache.one_by_one = one_by_one;
}
