/* An M that has nothing at hand: look everywhere, spin for a while, sleep; and waking it again.
 *
 * No wake-up is lost, because of two mirrored lists:
 *
 *     making work visible (a P)                going to sleep
 *     swap into runnext, or                    set the bit in idle_mask, count up xidle
 *       push on the ring, fence_full           count down xspinning
 *     look at xidle and xspinning              fence_full
 *                                              look at every runnext and queue once more
 *
 * Either the sleeper sees the work or the other side sees the sleeper. Threads without a P push onto locked
 * lists whose counts are sequentially consistent, as are runnext, xidle and xspinning, and need no fence. What the
 * swap displaces from runnext goes to the ring without one: the sleeper looks at runnext first, and either finds the
 * successor there, or that its P has taken it, and then the ring shows what went there before that. (A thief that
 * takes it between swap and push would break this; it takes what has not moved for microseconds, and the watch,
 * watch.h, would find the rest.)
 *
 * A waker takes a P's bit out of the mask: that claims it, and only the claimer wakes it. It wakes nobody while
 * somebody is looking for work (xspinning), for that one will find it; and the last one that stops
 * looking because it has found something looks once more, and wakes the next if there is more; a haul of several goroutines wakes
 * as many, up to HELPERS_MOST. So a burst of work wakes the Ps a few at a time, never all at once for one goroutine. (One that
 * is about to sleep, and whose last look finds something, has been seen looking: it is counted again, or nobody would wake the
 * next.)
 *
 * How long to spin: the running mean of how long work lets itself be waited for decides. If work usually
 * comes soon, spinning three times as long catches nearly all of it and saves the 20 µs that waking a halted
 * core costs; if it does not, spinning is a waste and is left to SPIN_LEAST. A fractional CPU quota turns
 * spinning off: it would spend the quota.
 *
 * A looker touches the other Ps' cache lines, which slows them down, so it pauses between looks. It takes
 * another P's runnext only when that P has made no step for a while: otherwise it would tear apart two
 * goroutines that ready each other.
 */
#include "lockfree/epoch.h"
#include "lockfree/fence.h"
#include "alloc/os.h"
#include "runtime/call.h"
#include "runtime/collect.h"
#include "runtime/dump.h"
#include "runtime/park.h"
#include "runtime/sched.h"
#include "runtime/sysmon.h"

enum {
	STAND_BY_NS = 100000,
	THREADS_NS = 100000000,
	SPIN_LEAST = 2000,
	SPIN_MOST = 200000,
	GAP_CAP = 1000000,
	CYCLES_BETWEEN_LOOKS = 1500,
	NS_BETWEEN_LOOKS = 600, /* the same, to a simulation */
	CYCLES_WITHOUT_STEP = 20000,
	WAKE_SKIP_MOST = 65536,
	HELPERS_MOST = 4, /* woken at once for a haul */
};

/* ---- waking ---- */

static bool claim(unsigned index)
{
	uint64_t bit = 1ull << index % 64;
	if (!(and_seq(&sched.idle_mask[index / 64], ~bit) & bit))
		return false;
	sub_seq(&sched.xidle, 1);
	return true;
}

/* What a sleeper is woken for: work that somebody has seen, or a look whether there is more. Only in vain for the first
 * is a wake useless. */
enum wake { WAKE_NONE, WAKE_WORK, WAKE_LOOK };

/* Ends its sleep, and leaves it among the idle ones. */
static void nudge(struct p *p)
{
	if (unlikely(sim_on)) {
		sim_wake(p);
		return;
	}
	const struct poller *poller = load_seq(&p->xin_poller) ? load_acq(&sched.poller) : NULL;
	if (poller)
		poller->wake(p->index);
	else
		os_futex_wake(&p->xwake);
}

static void poke(struct p *p, enum wake why)
{
	bump(&p->stats.wakes, 1);
	store_seq(&p->xwake, why);
	nudge(p);
}

/* Those of a word of idle_mask that are worth waking. */
static uint64_t active_bits(unsigned word)
{
	uint32_t active = load_rlx(&sched.active), first = word * 64;
	return active >= first + 64 ? UINT64_MAX : active > first ? (1ull << (active - first)) - 1 : 0;
}

/* The first in the order of use: the cores nearest to the memory and the network. */
static struct p *claim_any(void)
{
	for (unsigned word = 0; word < IDLE_WORDS && word * 64 < sched.nprocs; word++) {
		uint64_t bits = load_rlx(&sched.idle_mask[word]) & active_bits(word);
		while (bits) {
			unsigned index = word * 64 + (unsigned)__builtin_ctzll(bits);
			if (claim(index))
				return sched.ps[index];
			bits &= bits - 1;
		}
	}
	return NULL;
}

bool somebody_is_worth_waking(void)
{
	if (load_rlx(&sched.active) == sched.nprocs)
		return load_seq(&sched.xidle);
	for (unsigned word = 0; word < IDLE_WORDS && word * 64 < sched.nprocs; word++)
		if (load_seq(&sched.idle_mask[word]) & active_bits(word))
			return true;
	return false;
}

static void wake_any(enum wake why)
{
	do {
		uint32_t none = 0;
		if (!cas_seq(&sched.xspinning, &none, 1)) /* on behalf of the one that is woken */
			return;
		struct p *p = claim_any();
		if (p) {
			poke(p, why);
			return;
		}
		sub_seq(&sched.xspinning, 1);
		cpu_relax(); /* its bit may be gone, and the count about to follow */
	} while (somebody_is_worth_waking()); /* gone to sleep meanwhile, while others saw us looking */
}

void wake_one(void)
{
	wake_any(WAKE_WORK);
}


/* False: it does not sleep. */
static bool wake_this(struct p *p, enum wake why)
{
	add_seq(&sched.xspinning, 1); /* on its behalf */
	if (claim(p->index)) {
		poke(p, why);
		return true;
	}
	sub_seq(&sched.xspinning, 1);
	return false;
}

void wake_p(struct p *p)
{
	fence_full(); /* what it is to be woken for is there to be seen */
	if (!is_asleep(p))
		return;
	wake_this(p, WAKE_WORK);
}

bool wake_for_a_look(struct p *p)
{
	return wake_this(p, WAKE_LOOK);
}

/* ---- stealing ---- */

static uint32_t next_random(struct p *p)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 17;
	p->random ^= p->random << 5;
	return p->random;
}


/* The goroutine in another P's runnext, if that P has made no step for a while. The first look only remembers what it
 * saw, unless the P has not looked at the clock for so long that it must have made none. */
static struct g *stuck_runnext(struct p *p, struct p *victim, int64_t now)
{
	struct suspect *s = &p->suspects[victim->index];
	struct g *g = load_acq(&victim->xrunnext);
	int step = load_rlx(&victim->countdown);
	if (!g || has_not_looked(victim, now))
		return g;
	if (s->g != g || s->step != step) {
		*s = (struct suspect){.g = g, .step = step, .since = cycles_now()};
		return NULL;
	}
	return cycles_now() - s->since < CYCLES_WITHOUT_STEP ? NULL : g;
}

static struct g *steal_runnext(struct p *p, struct p *victim, int64_t now)
{
	struct g *g = stuck_runnext(p, victim, now);
	return g && cas_acq(&victim->xrunnext, &g, NULL) ? g : NULL;
}

static struct g *steal_from(struct p *p, struct p *victim, int64_t now)
{
	void *got[RUNQ_SLOTS / 2];
	uint32_t n = runq_len(&victim->runq) ? runq_steal(&victim->runq, got, RUNQ_SLOTS / 2) : 0;
	if (!n)
		return steal_runnext(p, victim, now);
	for (uint32_t i = 1; i < n; i++)
		run_queue_put(p, got[i]);
	bump(&p->stats.steals, 1);
	bump(&p->stats.stolen, n);
	return got[0];
}

/* A P that computes neither fires its timers nor asks its poller: whoever is idle does it for it. */
static bool do_its_chores(struct p *p, struct p *victim, int64_t now)
{
	bool found = load_rlx(&victim->wheel.xnext) <= now && fire_timers(victim, now);
	const struct poller *poller = load_acq(&sched.poller);
	if (poller && now - load_rlx(&victim->polled) > POLLER_LATE_NS) {
		store_rlx(&victim->polled, now);
		found |= poller->wait(p->index, victim->index, 0) > 0;
	}
	return found;
}

/* Victims nearest first; within one distance from a random one on. */
static struct g *steal(struct p *p, int64_t now)
{
	unsigned begin = 0;
	for (unsigned ring = 0; ring < 4; ring++) {
		unsigned n = p->ring_end[ring] - begin;
		unsigned offset = n ? next_random(p) % n : 0;
		for (unsigned i = 0; i < n; i++) {
			struct p *victim = sched.ps[p->victims[begin + (offset + i) % n]];
			struct g *g = steal_from(p, victim, now);
			stats_stole(p, ring, g);
			if (g || (do_its_chores(p, victim, now) && (g = run_queue_get(p))))
				return g;
		}
		begin = p->ring_end[ring];
	}
	return NULL;
}

/* ---- looking ---- */

static void start_timer_goroutine(void (*fn)(void *), void *arg)
{
	start_goroutine(m_p(m_self()), fn, arg);
}

bool fire_timers(struct p *owner, int64_t now)
{
	if (load_rlx(&owner->wheel.xnext) > now)
		return false;
	struct p *p = m_p(m_self());
	stats_batch_begin(p);
	unsigned fired = wheel_advance(&owner->wheel, now, start_timer_goroutine);
	if (unlikely(sim_on))
		sim_trace(SIM_FIRE, owner->index, fired);
	stats_batch_end(p);
	return fired > 0;
}

void fire_late_timers_of_another(struct p *p, int64_t now)
{
	if (p->solo)
		return;
	struct p *victim = sched.ps[p->victims[p->helped++ % (sched.nprocs - 1)]];
	if (load_rlx(&victim->wheel.xnext) < now - (stands_by(victim) ? 0 : TIMER_LATE_NS))
		fire_timers(victim, now);
}

/* Everything that can be had without waiting, from others last. */
static struct g *look_everywhere(struct p *p, int64_t now)
{
	store_rlx(&p->now, now);
	fire_timers(p, now);
	struct g *g = run_queue_get(p);
	const struct poller *poller = load_acq(&sched.poller);
	if (!g && poller) {
		store_rlx(&p->polled, now);
		if (poller->wait(p->index, p->index, 0) > 0)
			g = run_queue_get(p);
	}
	return g || p->solo || !sched.steal || is_resting(p) ? g : steal(p, now);
}

static bool has_work(struct p *p)
{
	return load_acq(&p->xrunnext) || runq_len(&p->runq);
}

/* Is there anything that any P may take? After a full fence. */
static bool work_to_share(void)
{
	if (gqueue_len(&sched.global))
		return true;
	for (unsigned i = 0; sched.steal && i < sched.nprocs; i++)
		if (has_work(sched.ps[i]))
			return true;
	return false;
}

/* Is there anything at all that this P could run? Only looks; after a full fence. A P that rests takes nothing from
 * others: it says what it has seen, for who made that runnable may have relied on its looking. */
static bool work_anywhere(struct p *p)
{
	if (load_acq(&sched.stopping) || gqueue_len(&p->inbox))
		return true;
	if (!work_to_share())
		return false;
	if (!is_resting(p) || has_work(p))
		return true;
	wake_any(WAKE_LOOK);
	return false;
}

/* ---- spinning ---- */

static bool may_spin(struct p *p)
{
	enum spin_mode spin = load_rlx(&sched.spin);
	if (is_resting(p) || stands_by(p))
		return false;
	if (p->spinning || spin == SPIN_POLL)
		return true;
	uint32_t lookers = load_rlx(&sched.xspinning);
	uint32_t busy = sched.nprocs - load_rlx(&sched.xidle);
	if (lookers >= (busy > 3 ? busy / 2 : 1))
		return false;
	add_seq(&sched.xspinning, 1);
	p->spinning = true;
	return true;
}

static int64_t spin_bound(const struct p *p)
{
	enum spin_mode spin = load_rlx(&sched.spin);
	if (spin == SPIN_POLL)
		return INT64_MAX;
	if (spin == SPIN_OFF)
		return 0;
	if (p->idle_gap > SPIN_MOST)
		return SPIN_LEAST;
	int64_t bound = 3 * p->idle_gap;
	return bound < SPIN_LEAST ? SPIN_LEAST : bound < SPIN_MOST ? bound : SPIN_MOST;
}

static void learn_gap(struct p *p, int64_t gap)
{
	if (gap > GAP_CAP)
		gap = GAP_CAP;
	p->idle_gap += (gap - p->idle_gap) / 8;
}

/* One more, whoever looks already. False: nobody sleeps. */
static bool wake_another(void)
{
	add_seq(&sched.xspinning, 1);
	struct p *p = claim_any();
	if (p) {
		poke(p, WAKE_LOOK);
		return true;
	}
	sub_seq(&sched.xspinning, 1);
	if (somebody_is_worth_waking()) /* as in wake_any */
		wake_any(WAKE_LOOK);
	return false;
}

/* Stops looking, because it has found something. The last one to do so sees to what is left: those who made that runnable may have
 * relied on its looking; who comes after does not. And whoever has made a haul wakes some
 * for it: one after the other, 64 Ps would take 22 µs each to come up (docs/scheduler.md, burst). */
static void stop_spinning(struct p *p)
{
	if (!p->spinning)
		return;
	p->spinning = false;
	store_rlx(&sched.xwake_skip, 0);
	if (sub_seq(&sched.xspinning, 1) == 1 && load_seq(&sched.xidle)) {
		fence_full(); /* on AArch64 the subtraction is none, to the loads behind it */
		if (work_to_share())
			wake_any(WAKE_LOOK);
	}
	uint32_t waiting = runq_len(&p->runq), helpers = waiting < HELPERS_MOST ? waiting : HELPERS_MOST;
	while (helpers-- > 1 && load_seq(&sched.xidle) && wake_another())
		;
}

/* Its last look before it would have slept has found something. Who made that runnable may have seen it look, and
 * so have woken nobody: it is looking still. */
static void look_on(struct p *p)
{
	add_seq(&sched.xspinning, 1);
	p->spinning = true;
}

static void wake_was_useless(void)
{
	uint32_t skip = load_rlx(&sched.xwake_skip) * 8 + 64;
	store_rlx(&sched.xwake_skip, skip < WAKE_SKIP_MOST ? skip : WAKE_SKIP_MOST);
}

/* ---- sleeping ---- */

static bool somebody_else_works(void)
{
	for (unsigned i = 0; i < sched.nprocs; i++)
		if (!stands_by(sched.ps[i]) && !is_asleep(sched.ps[i]))
			return true;
	return false;
}

/* A P that stands by leaves its timers to those that do not, for a while: its goroutines go over to them. Who goes to sleep here
 * either sees that another works still, or is seen to sleep by that one, which then sleeps no longer than until these timers. */
static int64_t next_timer(const struct p *p)
{
	int64_t next = load_rlx(&p->wheel.xnext);
	if (likely(!load_rlx(&sched.xdetached)))
		return next;
	if (stands_by(p))
		return next < INT64_MAX && somebody_else_works() ? next + STAND_BY_NS : next;
	for (unsigned i = 0; i < sched.nprocs; i++)
		if (stands_by(sched.ps[i]) && load_rlx(&sched.ps[i]->wheel.xnext) < next)
			next = load_rlx(&sched.ps[i]->wheel.xnext);
	return next;
}

/* A timer, or stacks to give back. After a full fence. */
static int64_t time_to_next_chore(struct p *p)
{
	int64_t next = next_timer(p), trim = stack_trim_due(&p->stacks);
	if (trim < next)
		next = trim;
	if (next == INT64_MAX)
		return -1;
	int64_t left = next - weft_now();
	return left > 0 ? left : 0;
}

static bool nothing_can_happen(void)
{
	if (load_seq(&sched.xidle) != sched.nprocs || load_seq(&sched.xblocked) ||
	    load_seq(&sched.xdetached) || load_seq(&sched.xoutside) || poller_is_waited_for() ||
	    !load_seq(&sched.main_started))
		return false;
	for (unsigned i = 0; i < sched.nprocs; i++)
		if (load_rlx(&sched.ps[i]->wheel.pending) || gqueue_len(&sched.ps[i]->inbox))
			return false;
	return !gqueue_len(&sched.global) && !load_seq(&sched.stopping);
}

/* The last one awake asks: can anything ever happen again? A thread that weft did not make might do something,
 * so while there is one, the answer is yes. An attached one, and a subscription to a signal, are known (xoutside), and
 * tell when they go; of the others there is only the number of threads. */
static void check_deadlock(void)
{
	/* The second look is for what a thread outside did as the last thing of its life. */
	if (nothing_can_happen() && foreign_threads() <= 0 && nothing_can_happen())
		dump_deadlock();
}

static void sleep_for(struct p *p, const struct poller *poller, int64_t timeout)
{
	if (unlikely(sim_on)) {
		sim_sleep(p, timeout);
	} else if (poller) {
		poller->wait(p->index, p->index, timeout); /* off-line around its own system call */
	} else {
		epoch_offline();
		os_futex_wait(&p->xwake, 0, timeout);
		epoch_online();
	}
}

/* Something outside may still happen when nothing else can: a thread may end, and leave a deadlock behind. */
static int64_t until_threads_have_ended(int64_t timeout)
{
	return nothing_can_happen() && (timeout < 0 || timeout > THREADS_NS) ? THREADS_NS : timeout;
}

/* Returns when there may be something to do. */
static void sleep_until_woken(struct p *p)
{
	const struct poller *poller = load_acq(&sched.poller);
	if (unlikely(sim_on))
		sim_point(SIM_DROWSE);
	store_seq(&p->xwake, WAKE_NONE);
	store_seq(&p->xin_poller, poller != NULL);
	bump(&p->stats.sleeps, 1);
	or_seq(&sched.idle_mask[p->index / 64], 1ull << p->index % 64);
	add_rlx(&sched.xidle, 1);
	if (p->spinning) {
		p->spinning = false;
		sub_seq(&sched.xspinning, 1);
	}
	fence_full();
	if (unlikely(sim_on))
		sim_point(SIM_DROWSE);
	if (!work_anywhere(p) && load_seq(&sched.poller) == poller) {
		check_deadlock();
		gc_p_sleeps(p);
		sleep_for(p, poller, until_threads_have_ended(time_to_next_chore(p)));
		gc_p_wakes(p);
	}
	/* Claimed by a waker: it has counted us among those who look. Otherwise we count ourselves out. */
	p->spinning = !claim(p->index);
}

/* ---- finding ---- */

/* Asking the poller is a pause in itself, and a P without others disturbs nobody. What is meant for this P alone is seen at once: its
 * own line stays with it until somebody writes there. */
static void pause_between_looks(struct p *p)
{
	if (unlikely(sim_on)) {
		sim_pause(p, NS_BETWEEN_LOOKS);
		return;
	}
	cpu_relax();
	if (p->solo || load_rlx(&sched.poller))
		return;
	for (uint64_t began = cycles_now(); gqueue_empty(&p->inbox) && cycles_now() - began < CYCLES_BETWEEN_LOOKS;)
		cpu_relax();
}

struct g *find_work(struct m *m)
{
	struct p *p = m_p(m);
	int64_t began = weft_now(), now = began, spinning_since = began;
	bool woken = p->spinning;
	struct g *g;
	free_dead_stacks(p);
	p->looking = true;
	for (;;) {
		if (load_acq(&sched.stopping))
			return NULL;
		epoch_quiet();
		if (unlikely(load_rlx(&m->xnote) & NOTE_GC))
			gc_safe_point(m);
		g = look_everywhere(p, now);
		if (g)
			break;
		if (unlikely(gc_is_on(&collector)) && gc_spare_time(m)) {
			now = spinning_since = weft_now();
			continue;
		}
		if (now - spinning_since < spin_bound(p) && may_spin(p)) {
			pause_between_looks(p);
			now = weft_now();
			continue;
		}
		bump(&p->stats.spin_ns, now - spinning_since);
		if (woken && p->spinning)
			wake_was_useless();
		stack_trim(&p->stacks, now);
		bool looked = p->spinning;
		stats_spun(looked ? &p->seen.spin_vain : NULL, now - spinning_since);
		sleep_until_woken(p);
		woken = p->spinning && load_rlx(&p->xwake) == WAKE_WORK;
		if (looked && !p->spinning)
			look_on(p);
		now = spinning_since = weft_now();
	}
	if (now > began) {
		bump(&p->stats.spin_ns, now - spinning_since);
		learn_gap(p, now - began);
	}
	stats_spun(now > spinning_since ? &p->seen.spin_found : NULL, now - spinning_since);
	stats_slice_none(p);
	p->looking = false;
	stop_spinning(p);
	sysmon_p_is_up();
	store_rlx(&p->countdown, p->quantum);
	bump(&p->tick, 1); /* a step, to who compares: the countdown may be where it was the last time */
	return g;
}
