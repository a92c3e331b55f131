#include "runtime/gcroots.h"
#include "runtime/area.h"
#include "runtime/attach.h"
#include "runtime/call.h"
#include "runtime/gckept.h"
#include "runtime/gcstack.h"
#include "runtime/pool.h"
#include "runtime/sched.h"

#include <limits.h>

enum {
	GOROUTINE_BYTES = 512, /* as long as one takes, its stack apart */
	ROOT_BYTES = 64,       /* its words apart */
	POINTER_BYTES = 128,   /* one that is not in the cache, as a timer's argument */
	PENDING_MOST = 4096,
	LAST_SLOT = WHEEL_LEVELS * WHEEL_SLOTS - 1,
};

/* How far the look has come. */
static struct {
	struct slab_chunk *chunk; /* of goroutines: the next to look at */
	size_t at;
	/* Were running when they came to be looked at. */
	struct g *pending[PENDING_MOST];
	unsigned npending;
	bool again; /* there were more */
	bool roots_begun;
	struct weft_root_ *root; /* the next to look at, from so many bytes on; under the lock of roots */
	size_t root_at;
	unsigned wheel, slot; /* of timers: the P's and the slot to look at next */
	struct timer mark; /* and where in it */
	struct pool_look pools;
} look;

/* ---- roots ---- */

static struct {
	struct spin lock;
	struct weft_root_ *first;
} roots;

/* A library comes and goes on any thread, and before and after weft does. Whoever is to stand while the world does, does not stand with the lock. */
static bool roots_lock(void)
{
	struct m *m = m_self();
	bool outermost = m && m_call_begin(m);
	if (!m)
		attached_call_begin();
	spin_lock(&roots.lock);
	return outermost;
}

static void roots_unlock(bool outermost)
{
	struct m *m = m_self();
	spin_unlock(&roots.lock);
	if (m)
		m_call_end(m, outermost);
	else
		attached_call_end();
}

void weft_root_add_(struct weft_root_ *r)
{
	bool outermost = roots_lock();
	r->next = roots.first;
	r->link = &roots.first;
	if (r->next)
		r->next->link = &r->next;
	roots.first = r;
	roots_unlock(outermost);
}

void weft_root_drop_(struct weft_root_ *r)
{
	bool outermost = roots_lock();
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	if (look.root == r) {
		look.root = r->next;
		look.root_at = 0;
	}
	roots_unlock(outermost);
}

/* What comes in meanwhile has nothing in it that is not shaded. */
static void begin_roots(void)
{
	spin_lock(&roots.lock);
	look.root = roots.first;
	look.root_at = 0;
	spin_unlock(&roots.lock);
	look.roots_begun = true;
}

static uint64_t note_root(struct gc_filling *f, const struct weft_root_ *r, uint64_t most)
{
	uint64_t left = r->bytes - look.root_at, n = left < most ? left : most;
	const char *from = (const char *)r->at + look.root_at;
	gc_note_words(f, from, from + n);
	look.root_at += n;
	if (look.root_at == r->bytes) {
		look.root = r->next;
		look.root_at = 0;
	}
	return n;
}

/* The next ones; false: there are none. */
static bool note_roots(uint64_t budget)
{
	struct gc_filling f = gc_filling(GC_EXACT);
	if (!look.roots_begun)
		begin_roots();
	spin_lock(&roots.lock);
	bool any = look.root;
	for (uint64_t n = 0; look.root && n < budget; n += ROOT_BYTES)
		n += note_root(&f, look.root, budget - n);
	spin_unlock(&roots.lock);
	gc_fill_end(&f);
	return any;
}

/* ---- goroutines ---- */

static void scan_goroutine(struct g *g)
{
	if (load_rlx(&g->is_thread))
		return;
	if (gc_try_claim(g) != GC_CLAIM_MINE)
		return; /* whoever has the claim will have looked */
	if (!load_acq(&g->ctx.xon_cpu)) {
		gc_look_at_parked(g);
		return;
	}
	gc_unclaim(g);
	if (look.npending == PENDING_MOST)
		look.again = true;
	else
		look.pending[look.npending++] = g;
}

static uint64_t bytes_of_stacks(void)
{
	return load_rlx(&collector.xstacks) - gc_kept_spared();
}

/* The next ones; false: there are none. */
static bool scan_goroutines(uint64_t budget)
{
	struct slab_chunk *c = look.chunk;
	if (!c)
		return false;
	size_t used = load_acq(&c->used), size = sched.gs.object_size;
	uint64_t before = bytes_of_stacks();
	for (uint64_t n = 0; n + bytes_of_stacks() - before < budget && look.at < used; n += GOROUTINE_BYTES, look.at += size)
		scan_goroutine((struct g *)(void *)(c->objects + look.at));
	if (look.at >= used) {
		look.chunk = c->older;
		look.at = 0;
	}
	return true;
}

/* ---- timers and pools ---- */

static void note_timer(void *f, void *arg)
{
	gc_note_word(f, arg);
}

static void note_pooled(void *f, uintptr_t word)
{
	gc_note_word(f, (const void *)word);
}

/* Of pending timers the arguments. From the highest level down: a timer that falls meanwhile falls to where nobody has looked; what is set anew is
 * shaded. */
static bool scan_timers(struct gc_filling *f, unsigned most)
{
	if (look.wheel == sched.nprocs)
		return false;
	switch (wheel_look(&sched.ps[look.wheel]->wheel, &look.mark, look.slot, most, note_timer, f)) {
	case WHEEL_SLOT_GOES_ON:
		return true;
	case WHEEL_SLOT_ENDS:
		if (look.slot-- > 0)
			return true;
		break;
	case WHEEL_EMPTY:
		break;
	}
	look.wheel++;
	look.slot = LAST_SLOT;
	return true;
}

/* ---- all of it ---- */

void gc_roots_begin(void)
{
	look.chunk = load_acq(&sched.gs.newest);
	look.at = 0;
	look.npending = 0;
	look.again = false;
	look.roots_begun = false;
	look.wheel = 0;
	look.slot = LAST_SLOT;
	look.pools = (struct pool_look){0};
	areas_begin();
}

bool gc_roots_look(uint64_t budget)
{
	if (scan_goroutines(budget))
		return true;
	if (look.again) {
		look.again = false;
		look.chunk = load_acq(&sched.gs.newest);
		return true;
	}
	if (note_roots(budget))
		return true;
	unsigned few = budget / POINTER_BYTES < INT_MAX ? 1 + (unsigned)(budget / POINTER_BYTES) : INT_MAX;
	struct gc_filling f = gc_filling(GC_EXACT);
	bool more = scan_timers(&f, few) || areas_look(&f) || pool_look(&look.pools, few, note_pooled, &f);
	gc_fill_end(&f);
	return more;
}

void gc_roots_each(void (*see)(const struct weft_root_ *, void *arg), void *arg)
{
	spin_lock(&roots.lock);
	for (struct weft_root_ *r = roots.first; r; r = r->next)
		see(r, arg);
	spin_unlock(&roots.lock);
}

/* The cycle's own count is of what it has looked at. */
void gc_roots_note_held(enum gc_held what, struct gc_filling *f)
{
	uint64_t of_cycle = load_rlx(&collector.xroots);
	switch (what) {
	case GC_HELD_TIMERS:
		look.wheel = 0;
		look.slot = LAST_SLOT;
		while (scan_timers(f, UINT_MAX))
			;
		break;
	case GC_HELD_AREAS:
		areas_begin();
		while (areas_look(f))
			;
		break;
	case GC_HELD_POOLS:
		pool_each_word(note_pooled, f);
	}
	store_rlx(&collector.xroots, of_cycle);
}

bool gc_roots_settle(bool (*settled)(struct g *, int64_t now), int64_t now)
{
	for (unsigned i = 0; i < look.npending;) {
		if (settled(look.pending[i], now))
			look.pending[i] = look.pending[--look.npending];
		else
			i++;
	}
	return look.npending == 0;
}
