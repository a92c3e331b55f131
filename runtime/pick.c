#include "runtime/pick.h"
#include "lockfree/epoch.h"
#include "lockfree/fence.h"
#include "runtime/collect.h"
#include "runtime/sim.h"

enum {
	LOOK_CYCLES = 20000,
	SLICE_EVERY = 4, /* looks, while steps are short */
	POLL_EVERY_NS = 200000,
	HEAD_PATIENCE_NS = 10000000,
	TREE_DEPTH_OF_LOOK = 8,
	HELP_EVERY = 8, /* looks at the clock */
};

/* ---- what is shared ---- */

void run_queue_spill(struct p *p, struct g *g)
{
	uint32_t n = runq_steal(&p->runq, p->scratch, RUNQ_SLOTS / 2);
	p->scratch[n] = g;
	gqueue_push_many(&sched.global, p->scratch, n + 1);
}

void run_queue_put(struct p *p, struct g *g)
{
	queue_put(p, g);
}

/* One to run, and up to `more` others into the ring. */
static struct g *take_global(struct p *p, uint32_t more)
{
	if (gqueue_empty(&sched.global) || is_resting(p))
		return NULL;
	uint32_t n = gqueue_pop(&sched.global, p->scratch, 1 + more);
	for (uint32_t i = 1; i < n; i++)
		runq_push(&p->runq, p->scratch[i]);
	return n ? p->scratch[0] : NULL;
}

/* What a P with an empty ring may take of the global queue, besides the first, without leaving the others less. */
static uint32_t fair_share(void)
{
	uint32_t share = gqueue_len(&sched.global) / sched.nprocs;
	return share < RUNQ_SLOTS / 2 ? share : RUNQ_SLOTS / 2 - 1;
}

static struct g *take_inbox(struct p *p)
{
	return gqueue_pop(&p->inbox, p->scratch, 1) ? p->scratch[0] : NULL;
}

/* The two take turns at going first. */
static struct g *take_shared(struct p *p, uint32_t more)
{
	bool inbox_first = p->shared_turn++ & 1;
	struct g *g = inbox_first ? take_inbox(p) : take_global(p, more);
	if (!g)
		g = inbox_first ? take_global(p, more) : take_inbox(p);
	return g;
}

/* Everything at hand, in the order of pick, without a look around. */
struct g *run_queue_get(struct p *p)
{
	struct g *g = take_runnext(p);
	if (!g)
		g = ring_pop(p);
	return g ? g : take_shared(p, fair_share());
}

/* ---- trees ---- */

bool tree_is_below(struct p *p)
{
	struct g *g;
	for (uint32_t skip = 1; skip < TREE_DEPTH_OF_LOOK && (g = runq_peek_last(&p->runq, skip)); skip++)
		if (is_joined(p, g))
			return true;
	return false;
}

/* ---- looking around ---- */

void free_dead_stacks(struct p *p)
{
	while (p->dead_stacks) {
		struct stack *s = p->dead_stacks;
		p->dead_stacks = s->next;
		stack_give(&p->stacks, s);
	}
	stack_trim(&p->stacks, load_rlx(&p->now));
}

/* The oldest in its ring, if it has run before: what has not begun may be the largest part of a tree. */
static struct g *steal_oldest(struct p *p, struct p *victim)
{
	struct g *g = runq_peek(&victim->runq, 0);
	if (!g || load_rlx(&g->state) == G_FRESH)
		return NULL;
	return runq_steal(&victim->runq, p->scratch, 1) ? p->scratch[0] : NULL;
}

/* What waits on another P that has not looked around for a while is not left to idle Ps alone: there may be none, and who waits
 * in a wait group has perhaps only stepped aside for a goroutine that computes (yield_to_child), and is on no list of those whom
 * the last done() wakes. One goroutine at a time comes here. */
static void help_another(struct p *p, int64_t now)
{
	if (p->solo || !sched.steal || is_resting(p))
		return;
	struct p *victim = sched.ps[p->victims[p->helped / HELP_EVERY % (sched.nprocs - 1)]];
	if (!has_not_looked(victim, now))
		return;
	struct g *g = load_acq(&victim->xrunnext);
	if (!g || !cas_acq(&victim->xrunnext, &g, NULL))
		g = steal_oldest(p, victim);
	if (!g)
		return;
	run_queue_put(p, g);
	fence_full();
	if (somebody_could_help())
		wake_one();
}

static COLD void look_at_clock(struct p *p)
{
	int64_t now = clock_read(&p->kernel_time);
	if (unlikely(load_acq(&sched.stopping)))
		end_here(); /* abandons whoever runs */
	store_rlx(&p->now, now);
	epoch_quiet();
	free_dead_stacks(p);
	gc_share(p, now);
	fire_timers(p, now);
	fire_late_timers_of_another(p, now);
	if (p->helped % HELP_EVERY == 0)
		help_another(p, now);
	const struct poller *poller = load_acq(&sched.poller);
	if (poller && now - load_rlx(&p->polled) > POLL_EVERY_NS) {
		store_rlx(&p->polled, now);
		poller->wait(p->index, p->index, 0);
	}
}

/* While a tree is gone through (take_joined), a goroutine that has not begun, or that has stepped aside for its children, may well
 * be of that tree: its turn will come, and to let it run sooner costs a stack for each level of what it starts. */
static bool head_may_wait(struct p *p)
{
	struct g *head = runq_peek(&p->runq, 0);
	int state = head ? load_rlx(&head->state) : G_FREE;
	return (state == G_FRESH || state == G_ASIDE) && load_rlx(&p->now) - p->head_turn < HEAD_PATIENCE_NS;
}

/* Turns: the global queue, the inbox and the ring's head each get theirs, before runnext. */
static COLD struct g *look_around(struct p *p)
{
	if (stats_slice_ends(p))
		return NULL;
	uint64_t cycles = cycles_now(), spent = cycles - p->looked;
	bump(&p->tick, 1);
	if (spent >= LOOK_CYCLES) {
		uint64_t fewer = (uint64_t)p->quantum * LOOK_CYCLES / spent;
		p->quantum = fewer ? (int)fewer : 1;
		p->looked = cycles;
		look_at_clock(p);
		cycles = cycles_now();
	} else if (p->quantum < STEPS_MAX) {
		p->quantum++;
	}
	store_rlx(&p->countdown, p->quantum);
	stats_looked(p, m_g(m_self()), cycles);
	if (spent >= LOOK_CYCLES || load_rlx(&p->tick) % SLICE_EVERY == 0)
		stats_slice_begin(p, cycles);
	/* When every step is a look, the others have every other one, and runnext goes to the end of the ring: it would never
	 * have its turn. */
	bool always = p->quantum == 1;
	struct g *g = always && load_rlx(&p->tick) % 2 ? NULL : take_shared(p, 0);
	/* After one from elsewhere the ring's head has the next step: runnext goes behind the ring. */
	struct g *next = g || always ? take_runnext(p) : NULL;
	if (next)
		run_queue_put(p, next);
	if (g || (p->joined && head_may_wait(p)))
		return g;
	p->head_turn = load_rlx(&p->now);
	return ring_pop(p);
}

/* A call into the kernel takes as long as many steps. */
bool step_is_due(struct p *p)
{
	enum { STEPS_A_CALL = 8 };
	store_rlx(&p->countdown, load_rlx(&p->countdown) - STEPS_A_CALL);
	return load_rlx(&p->countdown) + p->seen.rest <= 0;
}

/* In a simulation every step comes to a look. Others go on before it; and what is at hand is taken here. */
struct g *look(struct p *p, enum pick_order order)
{
	if (likely(!sim_on))
		return look_around(p);
	sim_point(SIM_STEP);
	struct g *g = look_around(p);
	if (!g)
		g = pick_at_hand(p, order);
	sim_looked(p, g);
	return g;
}
