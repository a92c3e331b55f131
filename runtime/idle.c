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
 * takes it between swap and push would break this; it takes what has not moved for microseconds, and the watch
 * would find the rest.)
 *
 * A waker takes a P's bit out of the mask: that claims it, and only the claimer wakes it. It wakes nobody while
 * somebody is looking for work (xspinning), for that one will find it; and the last one that stops
 * looking because it has found something wakes the next, which looks whether there is more; a haul of several goroutines wakes
 * as many, up to HELPERS_MOST. So a burst of work wakes the Ps a few at a time, never all at once for one goroutine. (One that
 * is about to sleep, and whose last look finds something, has been seen looking: it is counted again, or nobody would wake the
 * next.)
 *
 * A P that computes says nothing: it fires no timer, asks no poller, and what it has readied may have been left
 * without a wake (sched.c). So while there are such, one of the sleepers keeps watch (wait_for_wake).
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
#include "runtime/dump.h"
#include "runtime/park.h"
#include "runtime/sched.h"
#include "runtime/sysmon.h"

enum {
	LATE_NS = 1000000,
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

static bool is_asleep(const struct p *p)
{
	return load_seq(&sched.idle_mask[p->index / 64]) >> p->index % 64 & 1;
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

void wake_p(struct p *p)
{
	fence_full(); /* what it is to be woken for is there to be seen */
	if (!is_asleep(p))
		return;
	add_seq(&sched.xspinning, 1);
	if (claim(p->index))
		poke(p, WAKE_WORK);
	else
		sub_seq(&sched.xspinning, 1);
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
 * saw. */
static struct g *stuck_runnext(struct p *p, struct p *victim)
{
	struct suspect *s = &p->suspects[victim->index];
	struct g *g = load_acq(&victim->xrunnext);
	int step = load_rlx(&victim->countdown);
	if (!g)
		return NULL;
	if (s->g != g || s->step != step) {
		*s = (struct suspect){.g = g, .step = step, .since = cycles_now()};
		return NULL;
	}
	return cycles_now() - s->since < CYCLES_WITHOUT_STEP ? NULL : g;
}

static struct g *steal_runnext(struct p *p, struct p *victim)
{
	struct g *g = stuck_runnext(p, victim);
	return g && cas_acq(&victim->xrunnext, &g, NULL) ? g : NULL;
}

static struct g *steal_from(struct p *p, struct p *victim)
{
	void *got[RUNQ_SLOTS / 2];
	uint32_t n = runq_len(&victim->runq) ? runq_steal(&victim->runq, got, RUNQ_SLOTS / 2) : 0;
	if (!n)
		return steal_runnext(p, victim);
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
	if (poller && now - load_rlx(&victim->polled) > LATE_NS) {
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
			struct g *g = steal_from(p, victim);
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
	if (load_rlx(&victim->wheel.xnext) < now - LATE_NS)
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

/* Is there anything at all that this P could run? Only looks; after a full fence. A P that rests takes nothing from
 * others: it says what it has seen, for who made that runnable may have relied on its looking. */
static bool work_anywhere(const struct p *p)
{
	if (load_acq(&sched.stopping) || gqueue_len(&p->inbox))
		return true;
	if (gqueue_len(&sched.global)) {
		if (!is_resting(p))
			return true;
		wake_any(WAKE_LOOK);
	}
	for (unsigned i = 0; sched.steal && i < sched.nprocs; i++)
		if (load_acq(&sched.ps[i]->xrunnext) || runq_len(&sched.ps[i]->runq)) {
			if (sched.ps[i] == p || !is_resting(p))
				return true;
			wake_any(WAKE_LOOK);
			return false;
		}
	return false;
}

/* ---- spinning ---- */

static bool may_spin(struct p *p)
{
	enum spin_mode spin = load_rlx(&sched.spin);
	if (is_resting(p))
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

/* Stops looking, because it has found something. The last one to do so sees to what is left; and whoever has made a haul wakes some
 * for it: one after the other, 64 Ps would take 22 µs each to come up (docs/scheduler.md, burst). */
static void stop_spinning(struct p *p)
{
	if (!p->spinning)
		return;
	p->spinning = false;
	store_rlx(&sched.xwake_skip, 0);
	if (sub_seq(&sched.xspinning, 1) == 1 && load_seq(&sched.xidle))
		wake_any(WAKE_LOOK);
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

/* A timer, or stacks to give back. */
static int64_t time_to_next_chore(struct p *p)
{
	int64_t next = load_rlx(&p->wheel.xnext), trim = stack_trim_due(&p->stacks);
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

/* Only looks; what it sees is then taken in the usual way (steal). */
static bool needs_help(struct p *p, struct p *victim, int64_t now)
{
	if (sched.steal && (runq_len(&victim->runq) || stuck_runnext(p, victim)))
		return true;
	if (load_rlx(&victim->wheel.xnext) <= now)
		return true;
	return load_rlx(&sched.poller) && now - load_rlx(&victim->polled) > LATE_NS && !is_asleep(victim);
}

static bool somebody_needs_help(struct p *p, int64_t now)
{
	bool needed = false; /* everybody is looked at: stuck_runnext remembers */
	for (unsigned i = 0; i + 1 < sched.nprocs; i++)
		needed |= needs_help(p, sched.ps[p->victims[i]], now);
	return needed || gqueue_len(&sched.global);
}

/* True: sockets had something. */
static bool sleep_for(struct p *p, const struct poller *poller, int64_t timeout)
{
	if (unlikely(sim_on)) {
		sim_sleep(p, timeout);
		return false;
	}
	if (poller)
		return poller->wait(p->index, p->index, timeout) > 0; /* off-line around its own system call */
	epoch_offline();
	os_futex_wait(&p->xwake, 0, timeout);
	epoch_online();
	return false;
}

/* Something outside may still happen when nothing else can: a thread may end, and leave a deadlock behind. */
static int64_t until_threads_have_ended(int64_t timeout)
{
	return nothing_can_happen() && (timeout < 0 || timeout > THREADS_NS) ? THREADS_NS : timeout;
}

/* Every round is a look at a few words: the watcher stays announced as a sleeper between them, because going off
 * and on again it would take the lines of the idle words, and everybody's last look, from the busy ones. While nobody is
 * busy it only sleeps, and nobody relies on it (sched.c): sysmon wakes it. */
static void watch(struct p *p, const struct poller *poller)
{
	while (load_seq(&sched.xidle) < sched.nprocs) {
		int64_t timeout = time_to_next_chore(p);
		bool until_chore = timeout >= 0 && timeout <= LATE_NS;
		store_seq(&sched.xwatching, WATCH_BUSY);
		if (sleep_for(p, poller, until_chore ? timeout : LATE_NS) || until_chore)
			return;
		if (load_seq(&p->xwake) || somebody_needs_help(p, weft_now()))
			return;
	}
	store_seq(&sched.xwatching, WATCH_IDLE);
	sleep_for(p, poller, until_threads_have_ended(time_to_next_chore(p)));
}

void appoint_watch(void)
{
	uint32_t idle = load_seq(&sched.xidle), watching = load_seq(&sched.xwatching);
	if (idle == 0 || idle == sched.nprocs || watching == WATCH_BUSY)
		return;
	if (watching == WATCH_IDLE)
		nudge(sched.ps[load_rlx(&sched.watcher)]);
	else
		wake_any(WAKE_LOOK);
}

/* One of the sleeping Ps keeps watch while others are busy: every millisecond it looks whether somebody computes and
 * leaves goroutines, timers or sockets lying. A watcher that finds work leaves, and sysmon appoints another. False: there are
 * no others. */
static bool wait_for_wake(struct p *p, const struct poller *poller)
{
	uint32_t nobody = WATCH_NOBODY;
	if (p->solo) {
		sleep_for(p, poller, until_threads_have_ended(time_to_next_chore(p)));
		return false;
	}
	if (!is_resting(p) && cas_seq(&sched.xwatching, &nobody, WATCH_IDLE)) {
		store_rlx(&sched.watcher, p->index);
		watch(p, poller);
		store_seq(&sched.xwatching, WATCH_NOBODY);
	} else {
		sleep_for(p, poller, until_threads_have_ended(time_to_next_chore(p)));
	}
	return true;
}

/* Returns when there may be something to do; true: when there may be nothing but the end of a watch. */
static bool sleep_until_woken(struct p *p)
{
	bool watched = false;
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
		watched = wait_for_wake(p, poller);
	}
	/* Claimed by a waker: it has counted us among those who look. Otherwise we count ourselves out. */
	p->spinning = !claim(p->index);
	return watched && !p->spinning;
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
	bool woken = p->spinning, watched = false;
	struct g *g;
	free_dead_stacks(p);
	p->looking = true;
	for (;;) {
		if (load_acq(&sched.stopping))
			return NULL;
		epoch_quiet();
		g = look_everywhere(p, now);
		if (g)
			break;
		if (!watched && now - spinning_since < spin_bound(p) && may_spin(p)) {
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
		watched = sleep_until_woken(p);
		woken = p->spinning && load_rlx(&p->xwake) == WAKE_WORK;
		if (looked && !p->spinning && !watched)
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
	return g;
}
