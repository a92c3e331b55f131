/* The runtime as the collector's host: handshakes with Ms, stacks of goroutines, and who gives the collector time.
 *
 * A handshake is a round. Each M is known to have passed when
 *
 *     it has said so             at the end of a call, or in the scheduler (gc_safe_point)
 *     it has neither a goroutine nor a P; its goroutine is in a blocking section; its P sleeps
 *                                each has a fence on the way back
 *     it is outside calls        after a membarrier of this round: its next call reads what was written before (call.h has the argument)
 *
 * Those that are in a call find a note, and pass at its end. Only when somebody has not passed for a while there is a membarrier, which can take
 * tens of microseconds: it is made by the watch or by a P that has nothing else to do, and holds no goroutine up. Nobody is interrupted.
 *
 * Signals (SIGURG) are for what an M alone can do, and its goroutine makes no call: to have its registers and its stack looked at, and to
 * flush its P's cache. The handler is a call: it sets xinside, and does nothing if that was set, for then a note is enough. What it
 * interrupts holds none of weft's locks.
 */
#include "alloc/manual.h"
#include "alloc/os.h"
#include "gc/host.h"
#include "lockfree/fence.h"
#include "runtime/attach.h"
#include "runtime/bystander.h"
#include "runtime/call.h"
#include "runtime/config.h"
#include "runtime/gccache.h"
#include "runtime/gckept.h"
#include "runtime/gcpay.h"
#include "runtime/gcroots.h"
#include "runtime/gcshade.h"
#include "runtime/gcstack.h"
#include "runtime/gcstand.h"
#include "runtime/gcwatch.h"
#include "runtime/placement.h"
#include "runtime/world.h"

#include <weft/go.h>
#include <weft/mem.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum {
	FENCE_AFTER_NS = 50000,	 /* in which Ms may pass by themselves */
	SIGNAL_AFTER_NS = 50000,
	SIGNAL_EVERY_NS = 500000,
	HEAP_LEAST = 1 << 30,
};

struct gc collector;

static struct {
	_Atomic uint32_t round;
	enum gc_ask what;
	int64_t asked_at;
	bool fenced; /* a membarrier was passed since */
	bool trace;
	int64_t started;
} host;

/* ---- goroutines that go on, begin and end ---- */

void gc_before_run_slow(struct m *m, struct g *next)
{
	void *me = gc_enter(m);
	struct p *p = m_p(m);
	if (gc_is_marking(&collector)) {
		int64_t began = weft_now();
		if (gc_claim(next)) {
			if (next == m_g(m)) /* it runs already, and has got a P */
				gc_look_at_self(next, stack_top(load_acq(&next->stack)));
			else
				gc_look_at_parked(next);
		}
		gc_held(weft_now() - began);
		gc_blacken(p);
	} else {
		gc_flush(p);
	}
	gc_leave(m, me);
}

/* It is as if its stack were looked at, and there is nothing on it but what its creator has given. */
void gc_born_slow(struct m *m, struct g *g)
{
	(void)m;
	if (!gc_is_marking(&collector))
		return; /* it will be looked at */
	const struct g_options *o = load_rlx(&g->options);
	gc_shade_word(&g->arg);
	if (o && o->arg_size)
		gc_shade_words(o->arg_copy ? o->arg_copy : o->inline_arg, o->arg_size);
	if (gc_claim(g))
		gc_looked_at(g);
}

void gc_ends_slow(struct g *g)
{
	if (gc_is_marking(&collector) && gc_claim(g))
		gc_looked_at(g);
}

/* ---- safe points ---- */

static void do_what_is_asked(struct m *m)
{
	struct g *g = m_g(m);
	struct p *p = m_p(m);
	if (gc_is_marking(&collector)) {
		if (g && gc_claim(g))
			gc_look_at_self(g, stack_top(load_acq(&g->stack)));
		if (g)
			gc_blacken(p);
	} else if (p) {
		gc_flush(p);
	}
	store_rel(&m->gc_passed, load_acq(&host.round));
}

void gc_safe_point(struct m *m)
{
	void *me = gc_enter(m);
	int64_t began = weft_now();
	(void)and_rlx(&m->xnote, (uint8_t)~NOTE_GC);
	do_what_is_asked(m);
	gc_held(weft_now() - began);
	gc_leave(m, me);
	if (world_stops())
		world_wait(m);
}

void gc_back_slow(struct m *m)
{
	struct g *g = m_g(m);
	void *me = gc_enter(m);
	if (gc_claim(g))
		gc_look_at_self(g, stack_top(load_acq(&g->stack)));
	gc_leave(m, me);
}

void gc_safe_point_outside(struct attached *a)
{
	if (unlikely(gc_is_marking(&collector)) && gc_claim(load_rlx(&a->g)))
		gc_look_at_self(load_rlx(&a->g), load_rlx(&a->stack_top));
	store_rel(&a->gc_passed, load_acq(&host.round));
	if (world_stops())
		world_wait_outside(a);
}

/* ---- the signal ---- */

static NOT_INSTRUMENTED void look_at_attached(struct attached *a, const ucontext_t *context)
{
	if (__atomic_load_n(&a->mutator.inside, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&a->mutator.inside, true, __ATOMIC_RELAXED);
	fence_compiler();
	if (gc_is_marking(&collector))
		gc_look_at_interrupted(load_rlx(&a->g), context, load_rlx(&a->stack_top), load_rlx(&a->stack_size));
	if (world_stops())
		world_wait_interrupted(&a->section, context, load_rlx(&a->stack_top), load_rlx(&a->stack_size));
	__atomic_store_n(&a->mutator.inside, false, __ATOMIC_RELEASE);
}

static NO_TSAN void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)info;
	int error = errno;
	if (bystander_waits(context)) {
		errno = error;
		return;
	}
	struct m *m = m_self();
	if (!m && attached_self())
		look_at_attached(attached_self(), context);
	errno = error;
	if (!m || load_rlx(&m->xinside))
		return;
	store_rlx(&m->xinside, true);
	fence_compiler();
	struct g *g = m_g(m);
	if (g && load_rlx(&g->state) == G_RUNNING) {
		int64_t began = weft_now();
		struct p *p = call_settle(m); /* it may be taken while we look: then it has none */
		if (p)
			fiber_observe(p->marker);
		if (gc_is_marking(&collector)) {
			struct stack *s = load_acq(&g->stack);
			gc_look_at_interrupted(g, context, stack_top(s), stack_size(s));
			if (load_rlx(&g->scan) == gc_code())
				gc_blacken(p);
		} else if (p) {
			gc_flush(p);
		}
		if (p)
			fiber_publish(p->marker);
		gc_held(weft_now() - began);
		if (world_stops())
			world_wait_interrupted(&m->section, context, stack_top(load_acq(&g->stack)), stack_size(load_acq(&g->stack)));
	}
	store_rel(&m->xinside, false);
	errno = error;
}

void gc_take_signal(void)
{
	sigset_t urgent;
	sigemptyset(&urgent);
	sigaddset(&urgent, SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
}

static void push(struct m *m)
{
	if (!(load_rlx(&m->xnote) & NOTE_GC))
		(void)or_rlx(&m->xnote, NOTE_GC);
}

/* It may be in a goroutine that makes no call. */
static void push_by_signal(struct m *m, int64_t now)
{
	push(m);
	if (sim_on || now - host.asked_at < SIGNAL_AFTER_NS || now - load_rlx(&m->gc_signalled) < SIGNAL_EVERY_NS ||
	    load_acq(&m->xinside))
		return;
	store_rlx(&m->gc_signalled, now);
	os_signal(load_rlx(&m->tid), SIGURG);
}

/* ---- has everybody passed? ---- */

static bool is_asleep_for_gc(const struct p *p)
{
	return load_acq(&p->xgc) != P_GC_AWAKE;
}

static bool has_passed(struct m *m)
{
	if (load_acq(&m->gc_passed) == load_rlx(&host.round) || (host.fenced && !load_acq(&m->xinside)))
		return true;
	struct g *g = m_g(m);
	struct p *p = m_p(m);
	if (g)
		return load_acq(&g->state) == G_SYSCALL;
	return !p || is_asleep_for_gc(p);
}

struct look {
	int64_t now;
	bool all;
	struct g *of; /* whose M is looked for */
	struct m *m;
};

static void look_whether_passed(void *object, void *arg)
{
	struct m *m = object;
	struct look *l = arg;
	if (!load_acq(&m->tid) || has_passed(m))
		return;
	l->all = false;
	push(m);
}

static bool is_parked(struct attached *a)
{
	return load_acq(&a->parked); /* attach.c: A1 */
}

static void look_whether_attached_passed(void *object, void *arg)
{
	struct attached *a = object;
	struct look *l = arg;
	bool outside = host.fenced && !__atomic_load_n(&a->mutator.inside, __ATOMIC_ACQUIRE);
	if (load_acq(&a->tid) && load_acq(&a->gc_passed) != load_rlx(&host.round) && !outside && !is_parked(a))
		l->all = false;
}

static bool all_passed(int64_t now)
{
	struct look l = {.now = now, .all = true};
	m_each(look_whether_passed, &l);
	attached_each(look_whether_attached_passed, &l);
	return l.all;
}

/* A goroutine that allocates does not wait for a membarrier. */
static bool may_fence(int64_t now)
{
	struct m *m = m_self();
	return !host.fenced && now - host.asked_at >= FENCE_AFTER_NS && (!m || !m_g(m));
}

/* ---- has everybody been looked at? ---- */

static void look_whose(void *object, void *arg)
{
	struct m *m = object;
	struct look *l = arg;
	if (load_acq(&m->tid) && m_g(m) == l->of)
		l->m = m;
}

/* By its registers as they were when the section began. */
static bool scan_section(struct g *g, struct m *m)
{
	if (load_acq(&g->state) != G_SYSCALL || m_g(m) != g) /* block.c: A2 */
		return false;
	gc_look_at_section(g, &m->section);
	return true;
}

/* Looked at by itself, or now. */
static bool is_scanned(struct g *g, int64_t now)
{
	switch (gc_try_claim(g)) {
	case GC_CLAIM_DONE:
		return true;
	case GC_CLAIM_OTHERS:
		return false;
	case GC_CLAIM_MINE:
		break;
	}
	if (gc_stands()) {
		gc_looked_at(g);
		return true;
	}
	if (!load_acq(&g->ctx.xon_cpu)) {
		gc_look_at_parked(g);
		return true;
	}
	struct look l = {.of = g};
	m_each(look_whose, &l);
	if (l.m && scan_section(g, l.m))
		return true;
	gc_unclaim(g);
	if (l.m)
		push_by_signal(l.m, now);
	return false;
}

static void scan_attached(void *object, void *arg)
{
	struct attached *a = object;
	struct look *l = arg;
	if (!load_acq(&a->tid))
		return;
	struct g *g = load_rlx(&a->g); /* once: it may detach, and another attach */
	enum gc_claim_result c = gc_try_claim(g);
	if (c == GC_CLAIM_DONE)
		return;
	if (c == GC_CLAIM_MINE && gc_stands()) {
		gc_looked_at(g);
		return;
	}
	if (c == GC_CLAIM_MINE && is_parked(a)) {
		gc_look_at_attached(g, &a->section, load_rlx(&a->stack_top));
		return;
	}
	if (c == GC_CLAIM_MINE)
		gc_unclaim(g);
	l->all = false;
	if (l->now - load_rlx(&a->signalled) >= SIGNAL_EVERY_NS) {
		store_rlx(&a->signalled, l->now);
		os_signal(load_rlx(&a->tid), SIGURG);
	}
}

static bool all_scanned(int64_t now)
{
	struct look l = {.now = now, .all = true};
	attached_each(scan_attached, &l);
	if (!l.all)
		return false;
	return gc_roots_settle(is_scanned, now);
}

/* ---- has everybody flushed? ---- */

static bool all_flushed(int64_t now)
{
	bool all = true;
	gc_flush_shared();
	for (unsigned i = 0; i < sched.nprocs; i++) {
		struct p *p = sched.ps[i];
		if (load_acq(&p->gc_seen) == load_rlx(&collector.xstate) || gc_flush_if_idle(p))
			continue;
		struct m *m = load_acq(&p->xm);
		if (m && load_acq(&m->tid))
			push_by_signal(m, now);
		all = false;
	}
	return all;
}

/* ---- the host ---- */

static void note_range(void *f, struct g *g, const void *from, const void *to)
{
	(void)g;
	gc_note_words(f, from, to);
}

/* And what Ps allocate from when the world goes on, to when they flush, is black. */
static void note_all_stacks(void)
{
	struct gc_filling f = gc_filling(GC_STACK);
	world_each_range(note_range, &f);
	gc_fill_end(&f);
	for (unsigned i = 0; i < sched.nprocs; i++)
		gc_blacken(sched.ps[i]);
}

static void ask(struct gc *gc, enum gc_ask what)
{
	gc_watch_wake();
	host.what = what;
	host.asked_at = weft_now();
	host.fenced = sim_on; /* all its Ms are one thread */
	store_seq(&host.round, load_rlx(&host.round) + 1);
	fence_full(); /* who comes back from a section or from sleep sees the state, or is seen to be back */
	if (gc_phase(gc) == GC_ARMING)
		gc_kept_begin();
	if (what == GC_ASK_SCAN)
		gc_roots_begin();
	if (what == GC_ASK_SCAN && gc_stands())
		note_all_stacks();
}

static bool answered(struct gc *gc)
{
	int64_t now = weft_now();
	(void)gc;
	switch (host.what) {
	case GC_ASK_PASS:
		if (gc_stands() || all_passed(now))
			return true;
		if (!may_fence(now))
			return false;
		os_membarrier();
		host.fenced = true;
		return all_passed(now);
	case GC_ASK_SCAN:
		return all_scanned(now);
	case GC_ASK_FLUSH:
		return all_flushed(now);
	}
	return false;
}

static bool scan(struct gc *gc, struct gc_marker *m, uint64_t budget)
{
	(void)gc, (void)m;
	return gc_roots_look(budget);
}

static void drain(struct gc *gc)
{
	(void)gc;
	gc_drain_all();
}

static void work(struct gc *gc)
{
	(void)gc;
	for (unsigned i = 0; i < sched.nprocs && !gc_stands(); i++)
		if (!is_resting(sched.ps[i]) && is_asleep(sched.ps[i]))
			wake_for_a_look(sched.ps[i]);
}

/* A goroutine is a page of stack at least. */
static uint64_t beside(struct gc *gc)
{
	struct pages_use use = pages_use(&gc->heap.pages);
	uint64_t goroutines = (uint64_t)weft_num_goroutine();
	uint64_t heap = load_rlx(&gc->xheap);
	return (use.taken > heap ? use.taken - heap : 0) + load_rlx(&gc->xstacks) + goroutines * (OS_PAGE + sizeof(struct g));
}

/* One line; docs/gc.md has its fields. */
static void gctrace(const struct gc_report *r)
{
	static const char *const why[] = {"heap", "asked", "stress"};
	struct pages_use use = pages_use(&collector.heap.pages);
	char line[512];
	int n = snprintf(line, sizeof line,
			 "gctrace: cycle=%u at_ms=%lld why=%s from=%llu to=%llu live=%llu goal=%llu sys=%zu mark_us=%lld sweep_us=%lld "
			 "cpu_us=%lld assist_us=%lld idle_us=%lld hold_us=%lld stacks=%llu roots=%llu kept=%llu\n",
			 r->cycle, (long long)((r->began - host.started) / 1000000), why[r->why], (unsigned long long)r->from,
			 (unsigned long long)r->to, (unsigned long long)r->live, (unsigned long long)r->goal, use.taken + use.free,
			 (long long)((r->marked - r->began) / 1000), (long long)((r->ended - r->marked) / 1000),
			 (long long)((r->ns[GC_SHARE] + r->ns[GC_ASSIST] + r->ns[GC_SPARE]) / 1000),
			 (long long)(r->ns[GC_ASSIST] / 1000), (long long)(r->ns[GC_SPARE] / 1000),
			 (long long)(gc_cycle_hold() / 1000), (unsigned long long)r->stacks,
			 (unsigned long long)r->roots, (unsigned long long)gc_kept_bytes());
	ssize_t written = write(STDERR_FILENO, line, (size_t)n);
	(void)written;
}

static void ended(struct gc *gc, const struct gc_report *r)
{
	(void)gc;
	if (host.trace)
		gctrace(r);
	gc_watch_tidies();
}

static const struct gc_host the_host = {
    .ask = ask, .answered = answered, .scan = scan, .drain = drain, .may_begin = gc_stand_may_begin, .work = work, .ended = ended, .beside = beside, .now = weft_now};

/* ---- start ---- */

static void *must(void *memory, const char *what)
{
	if (!memory)
		fatal("out of memory for %s", what);
	return memory;
}

void gc_start_p(struct p *p)
{
	p->cache = must(placement_alloc(p->index, sizeof *p->cache), "a P's cache");
	p->marker = must(placement_alloc(p->index, sizeof *p->marker), "a P's marker");
	p->runs = p->cache->runs;
}

static size_t heap_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	size_t bytes = pages > 0 && size > 0 ? 2 * (size_t)pages * (size_t)size : 0;
	return bytes > HEAP_LEAST ? bytes : HEAP_LEAST;
}

void gc_start(const struct config *config)
{
	static struct gc_marker *markers[MAX_PS + 1];
	markers[0] = must(weft_calloc(1, sizeof *markers[0]), "the collector");
	for (unsigned i = 0; i < sched.nprocs; i++)
		markers[1 + i] = sched.ps[i]->marker;
	if (gc_init(&collector, &the_host, heap_bytes(), markers, 1 + sched.nprocs, &config->pace))
		fatal("no address space for a collected heap");
	manual_refuse(collector.heap.pages.base, collector.heap.pages.npages << PAGE_SHIFT);
	gc_kept_start();
	gc_caches_start(config->gcstress || config->gcverify);
	gc_stand_start(config);
	gc_stress(config->gcstress);
	gc_settings_start(&config->pace);
	host.trace = config->gctrace;
	host.started = weft_now();
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART | SA_SIGINFO};
	sigemptyset(&action.sa_mask);
	sigaction(SIGURG, &action, NULL);
}
