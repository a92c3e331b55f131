/* Which goroutine runs next on a P: what every park, yield and end asks. The hot half is here, inline; looks around, and what is
 * not at hand, are in pick.c.
 *
 * Where work is taken from, in this order: runnext (the goroutine readied last: what it needs is in the
 * cache, and whoever readied it is about to wait for it), the P's ring, and at every look around, which comes
 * after at most 61 steps, first the global queue, the inbox of pinned goroutines, timers and sockets, and the
 * head of the ring before runnext, so that two goroutines that ready each other cannot starve the rest.
 *
 * The number of steps between two looks follows their length: it shrinks until looks are about 20,000 cycles
 * apart, so that timers do not wait for 61 long goroutines.
 */
#ifndef RUNTIME_PICK_H
#define RUNTIME_PICK_H

#include "runtime/fiber.h"
#include "runtime/sched.h"

enum { STEPS_MAX = 61 };

/* TREE: after the tree that is gone through, if there is one. */
enum pick_order { QUEUE, TREE };

/* The ring is full: half of it goes to the global queue, in order, and this one behind it. */
COLD void run_queue_spill(struct p *, struct g *);

/* A step has come to a look around. NULL: whoever is at hand. */
COLD struct g *look(struct p *, enum pick_order);

/* ---- runnext and the ring ---- */

static inline __attribute__((always_inline)) void queue_put(struct p *p, struct g *g)
{
	if (unlikely(!runq_push(&p->runq, g)))
		run_queue_spill(p, g);
}

/* With a thousand goroutines in turn, each one's object and the top of its stack have left the first-level
 * cache: the ones that come next are fetched while this one runs. What is peeked at may have been stolen: it
 * is a goroutine all the same, or was one. */
static inline void fetch_next(struct p *p)
{
	if (WEFT_TSAN)
		return; /* it would see the peek as a race, and rightly */
	struct g *soon = runq_peek(&p->runq, 0), *later = runq_peek(&p->runq, 1);
	if (soon)
		__builtin_prefetch(context_peek(&soon->ctx));
	if (later)
		__builtin_prefetch(later);
}

static inline struct g *ring_pop(struct p *p)
{
	struct g *g = p->solo ? runq_pop_solo(&p->runq) : runq_pop(&p->runq);
	fetch_next(p);
	return g;
}

static inline struct g *take_runnext(struct p *p)
{
	struct g *g = load_rlx(&p->xrunnext);
	if (!g)
		return NULL;
	if (p->solo) {
		store_rlx(&p->xrunnext, NULL);
		return g;
	}
	return swap_acqrel(&p->xrunnext, NULL); /* released: what was displaced into the ring is there (idle.c) */
}

static inline struct g *put_runnext(struct p *p, struct g *g)
{
	if (!p->solo)
		return swap_seq(&p->xrunnext, g);
	struct g *old = load_rlx(&p->xrunnext);
	store_rlx(&p->xrunnext, g);
	return old;
}

/* False: a thief has taken `old`. */
static inline bool swap_runnext(struct p *p, struct g *old, struct g *g)
{
	if (!p->solo)
		return cas_acqrel(&p->xrunnext, &old, g);
	store_rlx(&p->xrunnext, g);
	return true;
}

/* ---- trees ---- */

/* A goroutine that waits in a wait group waits for those that it has started, and nobody else does: its youngest one, if that
 * has not begun, goes before the ring's head; when that one has ended, the next youngest, or who started them (yield_to_child).
 * So a tree of goroutines is gone through in depth, with as many stacks as it has levels and each of them hot, while
 * thieves take the largest subtrees, which are the oldest. p->joined is whose children are gone through; 0: nobody's. What
 * others make runnable meanwhile, the ring's last, runs at once, in between. */
static inline bool is_child(struct g *g, uint64_t creator)
{
	return load_rlx(&g->creator) == creator && load_rlx(&g->state) == G_FRESH;
}

/* Of the tree: p->joined itself, or a child of its that has not begun. */
static inline bool is_joined(struct p *p, struct g *g)
{
	return is_child(g, p->joined) || load_rlx(&g->id) == p->joined;
}

/* pick.c: the ring's last has run before, and is not of the tree: may it go now, so that the tree can go on? */
COLD bool tree_is_below(struct p *);

/* What was pushed last: a child of p->joined's, or, if nobody is next, that itself, or one that others have made runnable on top of
 * the tree. If there is none of it near the end, the tree is done with. */
static inline struct g *pop_joined(struct p *p)
{
	struct g *g = runq_peek_last(&p->runq, 0);
	bool fresh = g && load_rlx(&g->state) == G_FRESH;
	if (!g || (!is_joined(p, g) && (fresh || !tree_is_below(p)))) {
		p->joined = 0;
		return NULL;
	}
	if (!fresh && load_rlx(&p->xrunnext))
		return NULL;
	g = p->solo ? runq_pop_last_solo(&p->runq) : runq_pop_last(&p->runq); /* the same, if it is still there */
	if (g && fresh)
		g->joined = true;
	return g;
}

/* If p->joined is next already a child goes first: it would only come to wait for it. */
static inline struct g *take_joined(struct p *p)
{
	struct g *next = load_rlx(&p->xrunnext);
	if (!next || load_rlx(&next->id) == p->joined)
		return pop_joined(p);
	if (!is_child(next, p->joined) || !(next = take_runnext(p)))
		return NULL;
	next->joined = true;
	return next;
}

/* ---- a step ---- */

static inline int step(struct p *p)
{
	int left = load_rlx(&p->countdown) - 1;
	store_rlx(&p->countdown, left);
	return left;
}

/* What does not need a look around. */
static inline __attribute__((always_inline)) struct g *pick_at_hand(struct p *p, enum pick_order order)
{
	struct g *g;
	if (order == TREE && p->joined && (g = take_joined(p)))
		return g;
	g = take_runnext(p);
	if (!g)
		g = ring_pop(p);
	if (unlikely(!g) && (!gqueue_empty(&p->inbox) || !gqueue_empty(&sched.global)))
		g = run_queue_get(p);
	return g;
}

static inline __attribute__((always_inline)) struct g *pick(struct p *p, enum pick_order order)
{
	struct g *g;
	if (unlikely(step(p) <= 0) && (g = look(p, order)))
		return g;
	return pick_at_hand(p, order);
}

#endif
