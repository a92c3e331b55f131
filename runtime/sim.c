/* A simulation of the machine under the scheduler: one thread, a virtual clock, and a seed that decides what is otherwise
 * decided by cores, kernels and chance.
 *
 * The scheduler's own source runs: its queues, stealing, waking, spinning, timers. What is put in its place is what it stands
 * on. Each M is a coroutine, with a scheduler's context on a stack of its own, and m_current is changed as the
 * simulation goes from one to the other. It may do so at these points, and only there:
 *
 *     every step of a P              the look around (sched.c), which comes after each: the countdown to it is put by
 *     the end of every call          xnote says that there is something to do (call.h)
 *     a pause, a sleep               in place of the instruction, of the futex
 *     before a sleep is announced, and between that and the last look around
 *     a wait for a context           in place of spinning
 *
 * They are all quiet points (lockfree/epoch.h): a point is never within somebody's lock, nor where a reader holds something. Between
 * two of them an M is alone, so the order of single accesses is not what is tried here (tests/model does that), but the order of
 * steps: who runs next to whom, who is found by whom, what times out first. A goroutine may be readied, found and picked before
 * it has left its stack: parking is a step, and others go on in the midst of it.
 *
 * Time. There is one clock. An M goes on at its own time (`at`): now if it is ready, later if it pauses or its machine makes it pay
 * for what it did, at its timeout or when it is woken if it sleeps. The one whose time is next goes on, and the clock with it; among
 * several the seed decides. On the seed's own machine nothing takes time, so that the clock stands while anybody has something
 * to do, and a timer fires in its own nanosecond; an M that pauses is as good as a ready one while there are others. A program that
 * waits for the clock without waiting (`while (weft_now() < t) weft_yield()`) would wait for ever: after STEPS_AN_INSTANT steps
 * the clock goes on.
 *
 * The seed's machine is not a kind one. By the seed an M is delayed now and then for up to a millisecond, as by a kernel that has
 * something else to do; woken ones come up late; goroutines yield at the end of calls that may block. How often, and how
 * long one M runs on while others could, is drawn once for each seed: seeds that are unlike find more than many that are alike
 * (Groce et al., "Swarm Testing", 2012). `nodelay` leaves the delays out, and with them all lateness of timers.
 *
 * The trace is a hash over all of it: what happened, on which P, to which goroutine, when. No address goes into it, no number
 * of a thread, no time of the machine.
 *
 * Invariant: when the clock goes on because all Ps sleep, nothing is runnable and nobody counts as looking. A lost wake-up is told where
 * it happens, and not only when the program hangs for it.
 *
 * Another machine (struct sim_machine) may make each event cost its P something; then nobody is delayed, nothing is free, and the
 * order of events follows from the costs alone: tests/sim/machine.c has 64 cores in 8 nodes.
 *
 * Left out: sysmon, whose one duty here, the watch, is done at the points; taking Ps from who computes or
 * blocks. A program under a seed computes in no time, and what a test makes compute (sim_work) keeps its P. A blocking section keeps its
 * P too, and all others wait.
 *
 * Rejected: a clock for each P. Goroutines that move between Ps would see time go backwards, unless those that are ahead wait: which
 * is this. Rejected: delays alone, without a choice among the ready. They try the same orders, but everything would be late by
 * them, and a test of deadlines would have to know how late.
 */
#include "runtime/sim.h"
#include "alloc/os.h"
#include "alloc/place.h"
#include "lockfree/epoch.h"
#include "runtime/call.h"
#include "runtime/fiber.h"
#include "runtime/panic.h"
#include "runtime/sysmon.h"
#include "runtime/watch.h"

#include <weft/go.h>
#include <weft/mem.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	BEGIN_NS = 1000000000,
	STEPS_AN_INSTANT = 4096,
	CLOCK_READINGS = 4096, /* in a row, by who does nothing else */
	IMPATIENT_NS = 100,
	LATE_BITS = 20, /* a delay is shorter than so many bits of ns */
	UP_BITS = 16,   /* and a wake-up */
	OFF_CPU_NS = 1000,
	WATCH_SELDOM_NS = 5000000,
};

enum sim_state { SIM_READY, SIM_PAUSED, SIM_ASLEEP };

/* An M, and where it stands. The first one is the thread's, and is no M. */
struct sim_m {
	struct context ctx;
	enum sim_state state;
	int64_t at;   /* when it goes on; INT64_MAX: when it is woken */
	int64_t debt; /* what it has to pay for at its next point */
	struct m m;
	struct g first; /* its context begins as a goroutine's does, and this is the goroutine */
	struct stack *stack;
	void *fiber, *fake_stack;
	const void *bottom; /* of the stack that it stands on */
	size_t size;
};

/* Of 1024 times. */
struct temper {
	unsigned delay, yield, stay;
};

bool sim_on;
const struct sim_machine *sim_machine;

static struct {
	uint64_t seed, state;
	_Atomic int64_t now;
	struct temper temper;
	enum sim_delays delays;
	uint64_t events, hash;
	unsigned nms;
	struct sim_m *ms;
	struct sim_m *running, *left;
	unsigned steps, readings; /* at this instant, and since the last step */
	int64_t watch_at;
	bool reported;
} sim;

static struct sim_m thread; /* the simulation's own, before and after the Ms */

NO_TSAN_BEGIN

/* ---- the seed ---- */

/* splitmix64 */
uint64_t sim_random(void)
{
	uint64_t z = sim.state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
	return (unsigned)(sim_random() % n);
}

static bool chance(unsigned of_1024)
{
	return of_1024 && below(1024) < of_1024;
}

/* As likely within any power of two as within the next. */
static int64_t some_time(unsigned bits)
{
	uint64_t mask = (1ull << below(bits + 1)) - 1; /* first: in one expression either may be first */
	return (int64_t)(sim_random() & mask);
}

static bool may_delay(void)
{
	return !sim_machine && sim.delays == SIM_DELAYS;
}

void sim_start(uint64_t seed, enum sim_delays delays)
{
	static const unsigned delay[] = {0, 2, 16, 128}, yield[] = {0, 64, 512}, stay[] = {0, 512, 960};
	sim.seed = sim.state = seed;
	sim.delays = delays;
	sim.temper.delay = delay[below(ARRAY_LEN(delay))]; /* one after the other: an initializer has no order */
	sim.temper.yield = yield[below(ARRAY_LEN(yield))];
	sim.temper.stay = stay[below(ARRAY_LEN(stay))];
	store_rlx(&sim.now, BEGIN_NS);
	sim.watch_at = BEGIN_NS;
	sim.hash = seed;
	sim_on = true;
	atexit(sim_report);
}

/* ---- the trace ---- */

static void mix(uint64_t word)
{
	sim.hash = (sim.hash ^ word) * 0x9fb21c651e98df25u;
	sim.hash ^= sim.hash >> 32;
}

void sim_trace(enum sim_event e, uint64_t what, uint64_t how)
{
	if (e == SIM_FIRE)
		sim.steps = 0; /* time goes on by itself */
	sim.events++;
	mix((uint64_t)e + 1);
	mix(what);
	mix(how);
	mix((uint64_t)load_rlx(&sim.now));
}

static void trace_m(enum sim_event e, struct sim_m *s)
{
	struct g *g = m_g(&s->m);
	sim_trace(e, (uint64_t)(s - sim.ms), g ? load_rlx(&g->id) : 0);
}

void sim_report(void)
{
	if (!sim_on || sim.reported)
		return;
	sim.reported = true;
	dprintf(STDERR_FILENO, "weft: seed %llu, %llu events, trace %016llx\n", (unsigned long long)sim.seed,
		(unsigned long long)sim.events, (unsigned long long)sim.hash);
}

/* ---- time ---- */

int64_t sim_now(void)
{
	if (m_self() && ++sim.readings > CLOCK_READINGS)
		store_rlx(&sim.now, load_rlx(&sim.now) + IMPATIENT_NS);
	return load_rlx(&sim.now);
}

/* At 2.5 GHz. */
uint64_t sim_cycles(void)
{
	return (uint64_t)load_rlx(&sim.now) * 5 / 2;
}

static int64_t cost_of(enum sim_event e, const struct sim_m *s)
{
	return sim_machine ? sim_machine->cost(e, sched.ps[s - sim.ms]) : 0;
}

/* The running M goes on when what it has done has been paid for. */
static void pay(struct sim_m *s, int64_t ns)
{
	ns += s->debt;
	s->debt = 0;
	if (++sim.steps > STEPS_AN_INSTANT && !sim_machine)
		ns += IMPATIENT_NS;
	if (may_delay() && chance(sim.temper.delay))
		ns += some_time(LATE_BITS);
	s->at = load_rlx(&sim.now) + ns;
}

/* ---- who goes on ---- */

/* Ready now, or waiting for nothing but its pause while others are ready. */
static bool is_candidate(const struct sim_m *s, int64_t now, bool pauses_count)
{
	return s->at <= now || (pauses_count && s->state == SIM_PAUSED);
}

static struct sim_m *one_of(int64_t now, bool pauses_count)
{
	unsigned n = 0;
	for (unsigned i = 0; i < sim.nms; i++)
		n += is_candidate(&sim.ms[i], now, pauses_count);
	unsigned skip = n > 1 ? below(n) : 0;
	for (struct sim_m *s = sim.ms;; s++)
		if (is_candidate(s, now, pauses_count) && skip-- == 0)
			return s;
}

static bool all_sleep(void)
{
	for (unsigned i = 0; i < sim.nms; i++)
		if (sim.ms[i].state != SIM_ASLEEP)
			return false;
	return true;
}

/* No wake-up is lost: when the clock goes on because all Ps sleep, nothing is left that could run, and nobody counts as
 * looking, who would keep others from being woken. */
static void check_nothing_waits(void)
{
	bool waits = !gqueue_empty(&sched.global);
	if (!all_sleep())
		return;
	for (unsigned i = 0; i < sim.nms; i++) {
		struct p *p = sched.ps[i];
		waits |= load_rlx(&p->xrunnext) || runq_len(&p->runq) || !gqueue_empty(&p->inbox);
	}
	if (waits)
		fatal("all Ps sleep, and a goroutine is runnable");
	if (load_rlx(&sched.xspinning) || load_rlx(&sched.xidle) != sim.nms)
		fatal("all %u Ps sleep, but %u count as idle and %u as looking", sim.nms, load_rlx(&sched.xidle),
		      load_rlx(&sched.xspinning));
}

static int64_t soonest_m(void)
{
	int64_t soonest = INT64_MAX;
	for (unsigned i = 0; i < sim.nms; i++)
		if (sim.ms[i].at < soonest)
			soonest = sim.ms[i].at;
	return soonest;
}

/* What sysmon would do, at no cost to the M that runs. */
static void keep_watch(void)
{
	int64_t now = load_rlx(&sim.now), debt = sim.running->debt;
	if (now < sim.watch_at)
		return;
	fiber_observe(&sim.watch_at); /* sysmon is one thread elsewhere, and here whichever M comes by */
	int64_t pause = watch_look(now, false).pause;
	fiber_publish(&sim.watch_at);
	sim.watch_at = now + (pause < WATCH_SELDOM_NS ? pause : WATCH_SELDOM_NS);
	sim.running->debt = debt;
}

/* Who works for so long that the watch comes first is seen at it. */
static int64_t watch_until(int64_t soonest)
{
	while (sim.watch_at < soonest && (load_rlx(&sched.xwatched) || !all_sleep())) {
		if (load_rlx(&sim.now) < sim.watch_at)
			store_rlx(&sim.now, sim.watch_at);
		keep_watch();
		soonest = soonest_m();
	}
	return soonest;
}

static struct sim_m *next_m(void)
{
	int64_t soonest = watch_until(soonest_m()), now = load_rlx(&sim.now);
	bool ready = false;
	for (unsigned i = 0; i < sim.nms; i++)
		ready |= sim.ms[i].state == SIM_READY && sim.ms[i].at <= now;
	if (soonest > now)
		check_nothing_waits();
	if (soonest == INT64_MAX)
		fatal("all Ps sleep, and nothing is to wake one");
	if (sim_machine)
		now = soonest > now ? soonest : now;
	else if (!ready && soonest > now)
		now = soonest;
	store_rlx(&sim.now, now);
	struct sim_m *s = one_of(sim_machine ? soonest : now, !sim_machine && ready);
	if (s->state == SIM_ASLEEP)
		sim.steps = 0;
	return s;
}

/* From one M's stack to another's, in the identity of the Ms, each time. */
static void go_to(struct sim_m *to)
{
	struct sim_m *from = sim.running;
	if (to == from)
		return;
	sim.running = to;
	sim.left = from;
	m_current = to == &thread ? NULL : &to->m;
	weft_mutator_ = m_current ? m_as_mutator(m_current) : NULL;
	fiber_leave_stack(&from->fake_stack, to->bottom, to->size);
	context_switch(&from->ctx, &to->ctx);
	fiber_enter_stack_from(from->fake_stack, &sim.left->bottom, &sim.left->size);
	fiber_become(from->fiber);
}

const void *sim_stands_within(const char *base, const char *top)
{
	for (unsigned i = 0; i < sim.nms; i++) {
		const char *sp = sim.ms[i].ctx.sp;
		if (&sim.ms[i] != sim.running && sp >= base && sp < top)
			return sp;
	}
	return NULL;
}

static void give_way(void)
{
	struct sim_m *self = sim.running;
	sim.readings = 0;
	if (self->state == SIM_READY)
		keep_watch();
	if (self->state == SIM_READY && self->at <= load_rlx(&sim.now) && !sim_machine && chance(sim.temper.stay))
		return;
	go_to(next_m());
	self->state = SIM_READY;
}

/* ---- points ---- */

void sim_point(enum sim_event e)
{
	struct sim_m *s = sim.running;
	trace_m(e, s);
	pay(s, cost_of(e, s));
	give_way();
}

/* The next step comes to the look, too: as for a slice (stats.h), what is left is put by. */
static void put_by_steps(struct p *p)
{
	p->seen.rest += load_rlx(&p->countdown) - 1;
	store_rlx(&p->countdown, 1);
}

/* In place of spinning in prepare (sched.c). */
static void wait_off_cpu(struct p *p, struct context *c)
{
	while (load_acq(&c->xon_cpu)) /* switch.h, A1 */
		sim_pause(p, OFF_CPU_NS);
}

/* Who parks or yields leaves one that is still on its stack to m_loop: others may be waiting for the stack that it
 * stands on itself. Who has ended goes to it directly. */
void sim_looked(struct p *p, struct g *g)
{
	put_by_steps(p);
	if (g && load_rlx(&m_g(m_self())->state) == G_FREE)
		wait_off_cpu(p, &g->ctx);
}

void sim_found(struct p *p, struct g *g)
{
	struct sim_m *s = sim.running;
	sim_trace(SIM_FOUND, p->index, g ? load_rlx(&g->id) : 0);
	sim_trace(SIM_FOUND, load_rlx(&p->stats.steals), load_rlx(&p->stats.stolen));
	s->debt += cost_of(SIM_FOUND, s);
	put_by_steps(p);
	if (g)
		wait_off_cpu(p, &g->ctx);
}

void sim_pause(const struct p *p, int64_t ns)
{
	struct sim_m *s = sim.running;
	int64_t now = load_rlx(&sim.now), timer = load_rlx(&p->wheel.xnext);
	trace_m(SIM_LOOK, s);
	pay(s, ns + cost_of(SIM_LOOK, s));
	s->state = SIM_PAUSED;
	if (timer > now && timer < s->at)
		s->at = timer;
	give_way();
}

/* As a futex: not when it has been woken already. */
void sim_sleep(struct p *p, int64_t timeout)
{
	struct sim_m *s = sim.running;
	if (load_seq(&p->xwake))
		return;
	trace_m(SIM_SLEEP, s);
	s->debt += cost_of(SIM_SLEEP, s);
	s->state = SIM_ASLEEP;
	s->at = timeout < 0 ? INT64_MAX : load_rlx(&sim.now) + timeout;
	give_way();
}

void sim_wake(struct p *p)
{
	struct sim_m *s = &sim.ms[p->index];
	sim_trace(SIM_WAKE, p->index, load_rlx(&p->xwake));
	if (s->state != SIM_ASLEEP)
		return;
	int64_t late = cost_of(SIM_WAKE, s);
	sim.running->debt += cost_of(SIM_POKE, sim.running);
	if (may_delay() && chance(512))
		late += some_time(UP_BITS);
	s->state = SIM_READY;
	s->at = load_rlx(&sim.now) + late;
}

static void point_of_goroutine(struct m *m, enum sim_event e)
{
	void *me = sched_enter(m);
	sim_point(e);
	sched_leave(me);
}

bool sim_has_steps(struct m *m)
{
	struct p *p = m_p(m);
	if (load_rlx(&p->countdown) + p->seen.rest <= 1)
		return false;
	point_of_goroutine(m, SIM_STEP);
	return true;
}

void sim_call_ends(struct m *m)
{
	point_of_goroutine(m, SIM_CALL);
}

void sim_blocking_call_ends(void)
{
	if (!sim_machine && chance(sim.temper.yield))
		weft_yield();
	else
		point_of_goroutine(m_self(), SIM_CALL);
}

void sim_work(int64_t ns)
{
	struct m *m = m_self();
	if (!sim_on || !m || !m_g(m))
		weft_panic("sim_work outside a simulated goroutine");
	sim.running->debt += ns;
	point_of_goroutine(m, SIM_WORK);
}

void sim_refuse_outside(void)
{
	if (sim_on && load_seq(&sched.main_started) && !load_seq(&sched.stopping))
		weft_panic("call from a thread that weft did not make: not in a simulation (WEFT_DEBUG=seed)");
}

/* ---- from the beginning to the end ---- */

void sim_topo(struct topo *topo, unsigned procs)
{
	unsigned per_node = sim_machine ? sim_machine->cores_per_node : 2;
	unsigned nodes = sim_machine ? sim_machine->nodes : 2;
	topo->simulated = true;
	topo->ncpus = (int)(procs < nodes * per_node ? nodes * per_node : procs);
	topo->nnodes = (int)nodes;
	for (int i = 0; i < topo->nnodes; i++)
		topo->node[i] = (struct topo_node){.os = i, .package = i};
	for (int i = 0; i < topo->ncpus; i++) {
		int node = i / (int)per_node < topo->nnodes ? i / (int)per_node : topo->nnodes - 1;
		topo->cpu[i] = (struct topo_cpu){.os = i, .core = i, .l2 = i, .l3 = node, .node = node, .package = node};
	}
}

static void bounds_of_thread(void)
{
	pthread_attr_t attr;
	void *bottom;
	if (pthread_getattr_np(pthread_self(), &attr))
		return;
	if (pthread_attr_getstack(&attr, &bottom, &thread.size) == 0)
		thread.bottom = bottom;
	pthread_attr_destroy(&attr);
}

/* The whole life of an M, which began as a goroutine. */
static void m_main(void *arg)
{
	struct sim_m *s = arg;
	struct p *p = sched.ps[s - sim.ms];
	store_rlx(&s->m.xinside, true);
	store_rlx(&s->m.g, NULL);
	m_take_p(&s->m, p);
	p->random = (uint32_t)sim_random() | 1;
	go_to(&thread);
	m_loop(&s->m);
	go_to(&thread); /* the program has ended, and with it the others */
}

static void m_make(struct sim_m *s, struct p *p)
{
	s->stack = stack_take_class(&p->stacks, STACK_COMMON);
	if (!s->stack)
		fatal("out of memory for the stack of a simulated M");
	s->fiber = fiber_make();
	s->bottom = s->stack->base;
	s->size = stack_size(s->stack);
	store_rlx(&s->m.stack_bottom, s->bottom);
	store_rlx(&s->m.stack_size, s->size);
	s->first = (struct g){.fn = m_main, .arg = s, .stack = s->stack, .fiber = s->fiber};
	store_rlx(&s->m.fiber, s->fiber);
	store_rlx(&s->m.g, &s->first);
	store_rlx(&s->m.xnote, NOTE_GIVE_UP);
	store_rel(&s->m.tid, os_thread());
	s->m.reader = epoch_self();
	context_make(&s->ctx, s->stack->top - s->stack->colour);
}

void sim_make_ms(void)
{
	sim.nms = sched.nprocs;
	sim.ms = weft_calloc(sim.nms, sizeof *sim.ms);
	if (!sim.ms)
		fatal("out of memory for %u simulated Ms", sim.nms);
}

void sim_each_m(void (*see)(void *m, void *arg), void *arg)
{
	for (unsigned i = 0; i < sim.nms; i++)
		see(&sim.ms[i].m, arg);
}

void sim_run(void)
{
	bounds_of_thread();
	thread.fiber = fiber_current();
	sim.running = &thread;
	for (unsigned i = 0; i < sim.nms; i++) {
		m_make(&sim.ms[i], sched.ps[i]);
		sim.ms[i].at = load_rlx(&sim.now);
		go_to(&sim.ms[i]);
	}
	store_rlx(&sched.xthreads, sim.nms);
	go_to(next_m());
}

NO_TSAN_END
