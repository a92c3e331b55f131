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
#include "runtime/area.h"
#include "runtime/attach.h"
#include "runtime/call.h"
#include "runtime/collect.h"
#include "runtime/config.h"
#include "runtime/panic.h"
#include "runtime/placement.h"
#include "runtime/pool.h"

#include <weft/go.h>
#include <weft/mem.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	STEP_BYTES = 4 * 1024,	 /* to look at in a step: a few microseconds */
	PAY_NS = 10000,		 /* an allocation's marking */
	SCAN_GOROUTINES = 64,	 /* in a step */
	FENCE_AFTER_NS = 50000,
	SIGNAL_AFTER_NS = 50000, /* in which Ms may pass by themselves */
	SIGNAL_EVERY_NS = 500000,
	SPINS = 256, /* between two yields to the kernel */
	DEBT_MOST = 1 << 20,
	RED_ZONE = 128,
	HEAP_LEAST = 1 << 30,
	CLAIMED = 128, /* beside a code */
	PENDING_MOST = 4096,
	WATCH_NS = 200000,
	RELEASE_EVERY_NS = 2000000,
	RELEASE_AFTER_NS = 1000000000,
	RELEASE_BYTES = 1 << 20,
	KEPT_PART = 10,
};

/* A P that has others to run gives a quarter of its time. */
enum { SHARE_PART = 4 };

struct gc collector;
_Static_assert((int)GC_CODES < (int)CLAIMED, "a code leaves the claim's bit alone");

static struct {
	_Atomic uint32_t round;
	enum gc_ask what;
	int64_t asked_at;
	bool fenced; /* a membarrier was passed since */
	struct slab_chunk *chunk; /* of goroutines: the next to look at */
	size_t at;
	bool roots_noted;
	unsigned wheel, slot; /* of timers: the P's and the slot to look at next */
	/* Were running when they came to be looked at. */
	struct g *pending[PENDING_MOST];
	unsigned npending;
	bool again; /* there were more */
	int64_t release_at, too_many_since;
	unsigned stress;
	_Atomic uint64_t allocations;
	bool trace;
	int64_t started;
	_Atomic uint32_t xwatching; /* futex: 0 while the watch sleeps */
	_Atomic bool xleft; /* a cycle has ended: see gc_tidy_up */
	_Atomic int64_t cycle_hold; /* the longest in this cycle */
	_Atomic int64_t hold_max, hold_total, spent[GC_WHOSE];
} host;

/* ---- holds ---- */

static void raise_to(_Atomic int64_t *most, int64_t ns)
{
	int64_t was = load_rlx(most);
	while (ns > was && !cas_rlx(most, &was, ns))
		;
}

static void held(int64_t ns)
{
	(void)add_rlx(&host.hold_total, ns);
	raise_to(&host.hold_max, ns);
	raise_to(&host.cycle_hold, ns);
}

/* ---- identities (fiber.h) ---- */

/* What is a P's and the collector's is touched by goroutines in their own identity, one after the other; the scheduler, which may stand on a
 * goroutine's stack, takes that one's for as long. */
static NO_TSAN void *identity_of(const struct g *g)
{
	return WEFT_TSAN && g ? g->fiber : NULL;
}

static void *enter(struct m *m)
{
	void *was = fiber_current(), *its = identity_of(m ? m_g(m) : NULL);
	if (its)
		fiber_become(its);
	if (m && m_p(m))
		fiber_observe(m_p(m)->marker);
	return was;
}

static void leave(struct m *m, void *was)
{
	if (m && m_p(m))
		fiber_publish(m_p(m)->marker);
	fiber_become(was);
}

/* ---- claims ---- */

enum claim { CLAIM_MINE, CLAIM_DONE, CLAIM_OTHERS };

static enum claim try_claim(struct g *g)
{
	uint8_t done = gc_code(), was = load_acq(&g->scan); /* A1 */
	if (was == done)
		return CLAIM_DONE;
	if (was & CLAIMED || !cas_acq(&g->scan, &was, (uint8_t)(done | CLAIMED))) /* A1 */
		return CLAIM_OTHERS;
	return CLAIM_MINE;
}

/* True: the caller looks at it. */
static bool gc_claim(struct g *g)
{
	enum claim c;
	for (unsigned spins = 1; (c = try_claim(g)) == CLAIM_OTHERS; spins++) {
		cpu_relax();
		if (spins % SPINS == 0)
			sched_yield();
	}
	return c == CLAIM_MINE;
}

static void gc_looked_at(struct g *g)
{
	store_rel(&g->scan, gc_code()); /* R1 */
}

static void unclaim(struct g *g)
{
	store_rel(&g->scan, 0);
}

/* ---- stacks ---- */

static struct gc_filling filling(enum gc_source from)
{
	return (struct gc_filling){.words = &collector.words, .from = from};
}

/* Words that point into the heap; the rest is of no interest. */
NOT_INSTRUMENTED void gc_note_words(struct gc_filling *f, const void *from, const void *to)
{
	const struct pages *pages = &collector.heap.pages;
	uintptr_t base = (uintptr_t)pages->base, size = pages->npages << PAGE_SHIFT;
	const volatile uintptr_t *at = (const uintptr_t *)((uintptr_t)from & ~(sizeof(uintptr_t) - 1));
	for (; at < (const volatile uintptr_t *)to; at++) {
		uintptr_t word = *at;
		if (word - base < size)
			gc_fill(f, word);
	}
	(void)add_rlx(f->from == GC_STACK ? &collector.xstacks : &collector.xroots, (uint64_t)((const char *)to - (const char *)from));
}

void gc_note_word(struct gc_filling *f, const void *word)
{
	if (pages_has(&collector.heap.pages, (uintptr_t)word))
		gc_fill(f, (uintptr_t)word);
}

static void note_copied_argument(struct gc_filling *f, const struct g *g)
{
	const struct g_options *o = load_acq(&g->options);
	if (!o || !o->arg_size)
		return;
	const char *copy = o->arg_copy ? (const char *)o->arg_copy : o->inline_arg;
	gc_note_words(f, copy, copy + o->arg_size);
}

/* A claimed goroutine that is on no CPU. */
static void note_parked(struct gc_filling *f, struct g *g)
{
	struct stack *s = load_acq(&g->stack);
	fiber_observe(&g->ctx);
	note_copied_argument(f, g);
	if (s)
		gc_note_words(f, g->ctx.sp, stack_top(s));
	else if (load_rlx(&g->state) != G_FREE)
		gc_note_words(f, &g->arg, &g->arg + 1);
}

/* The calling goroutine, claimed: from the caller's frame on, and what it has in registers. */
static NOT_INSTRUMENTED __attribute__((noinline)) void note_self(struct gc_filling *f, struct g *g)
{
	__builtin_unwind_init();
	note_copied_argument(f, g);
	const char *sp;
#if defined(__x86_64__)
	__asm__ volatile("movq %%rsp, %0" : "=r"(sp));
#elif defined(__aarch64__)
	__asm__ volatile("mov %0, sp" : "=r"(sp));
#endif
	gc_note_words(f, sp, stack_top(load_rlx(&g->stack)));
}

static void look_at_parked(struct g *g)
{
	struct gc_filling f = filling(GC_STACK);
	note_parked(&f, g);
	gc_fill_end(&f);
	fiber_publish(&collector); /* what it did to objects is before whatever becomes of their memory */
	gc_looked_at(g);
}

static void look_at_self(struct g *g)
{
	struct gc_filling f = filling(GC_STACK);
	note_self(&f, g);
	gc_fill_end(&f);
	fiber_publish(&collector);
	gc_looked_at(g);
}

/* ---- a P's cache ---- */

static void blacken(struct p *p)
{
	if (p && p->cache->colour != HEAP_BLACK)
		heap_recolour(p->cache, HEAP_BLACK);
}

static void flush(struct p *p)
{
	uint32_t state = load_acq(&collector.xstate);
	if (state & 1 || load_rlx(&p->gc_seen) == state)
		return;
	heap_flush(p->cache);
	p->cache->colour = HEAP_WHITE;
	store_rel(&p->gc_seen, state);
}

void gc_before_run_slow(struct m *m, struct g *next)
{
	void *me = enter(m);
	struct p *p = m_p(m);
	if (gc_is_marking(&collector)) {
		int64_t began = weft_now();
		if (gc_claim(next)) {
			if (next == m_g(m)) /* it runs already, and has got a P */
				look_at_self(next);
			else
				look_at_parked(next);
		}
		held(weft_now() - began);
		blacken(p);
	} else {
		flush(p);
	}
	leave(m, me);
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

static void wake_watch(void);

/* For threads whose P was taken. */
static struct {
	struct spin lock;
	struct heap_cache cache;
	_Atomic uint32_t seen; /* as p->gc_seen */
} shared;

/* Under its lock. */
static void flush_shared(uint32_t state)
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
	flush_shared(state);
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
		wake_watch();
	if (unlikely(load_rlx(&collector.xheap) > load_rlx(&collector.goal)))
		sched_yield();
}

/* ---- an M's own part ---- */

static void do_what_is_asked(struct m *m)
{
	struct g *g = m_g(m);
	struct p *p = m_p(m);
	if (gc_is_marking(&collector)) {
		if (g && gc_claim(g))
			look_at_self(g);
		if (g)
			blacken(p);
	} else if (p) {
		flush(p);
	}
	store_rel(&m->gc_passed, load_acq(&host.round));
}

void gc_safe_point(struct m *m)
{
	void *me = enter(m);
	int64_t began = weft_now();
	(void)and_rlx(&m->xnote, (uint8_t)~NOTE_GC);
	do_what_is_asked(m);
	held(weft_now() - began);
	leave(m, me);
}

void gc_back_slow(struct m *m)
{
	struct g *g = m_g(m);
	if (gc_claim(g))
		look_at_self(g);
}

/* ---- the signal ---- */

static uintptr_t interrupted_at(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (uintptr_t)context->uc_mcontext.gregs[REG_RSP] - RED_ZONE;
#else
	return (uintptr_t)context->uc_mcontext.sp;
#endif
}

/* A claimed stack, from where the signal has interrupted it. The frame that the kernel has made for the handler, which may be on a stack of its
 * own, has all registers. */
static NOT_INSTRUMENTED void look_from_handler(struct g *g, const ucontext_t *context, const void *frame_end, const void *stack_end)
{
	struct gc_filling f = filling(GC_STACK);
	note_copied_argument(&f, g);
	gc_note_words(&f, (const void *)interrupted_at(context), stack_end);
	gc_note_words(&f, context, frame_end);
	gc_fill_end(&f);
	fiber_publish(&collector);
	gc_looked_at(g);
}

/* Does the goroutine stand on its own stack? A handler of the program's may have another for the moment. */
static bool is_on_own_stack(struct g *g, const ucontext_t *context)
{
	struct stack *s = load_acq(&g->stack);
	return s && interrupted_at(context) - (uintptr_t)stack_base(s) < stack_size(s);
}

static const void *end_of_signal_stack(const void *here)
{
	stack_t stack;
	if (sigaltstack(NULL, &stack) || !(stack.ss_flags & SS_ONSTACK))
		return (const char *)here + sizeof(ucontext_t);
	return (char *)stack.ss_sp + stack.ss_size;
}

/* Outside, the M's P may be taken while we look: then it has none. */
static struct p *p_for_handler(struct m *m)
{
	struct p *p = load_acq(&m->p);
	while (p_is_marked(p)) {
		struct p *whole = (struct p *)((uintptr_t)p & ~(uintptr_t)1);
		if (cas_acqrel(&m->p, &p, whole))
			return whole;
	}
	return p;
}

static NOT_INSTRUMENTED void look_at_attached(struct attached *a, const ucontext_t *context)
{
	uintptr_t below = (uintptr_t)a->stack_top - interrupted_at(context);
	if (__atomic_load_n(&a->mutator.inside, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&a->mutator.inside, true, __ATOMIC_RELAXED);
	fence_compiler();
	if (gc_is_marking(&collector) && below <= a->stack_size && try_claim(a->g) == CLAIM_MINE)
		look_from_handler(a->g, context, end_of_signal_stack(context), a->stack_top);
	__atomic_store_n(&a->mutator.inside, false, __ATOMIC_RELEASE);
}

static NO_TSAN void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)info;
	int error = errno;
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
		struct p *p = p_for_handler(m);
		if (gc_is_marking(&collector)) {
			if (is_on_own_stack(g, context) && try_claim(g) == CLAIM_MINE)
				look_from_handler(g, context, end_of_signal_stack(context), stack_top(load_acq(&g->stack)));
			if (load_rlx(&g->scan) == gc_code())
				blacken(p);
		} else if (p) {
			flush(p);
		}
		held(weft_now() - began);
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

/* ---- handshakes ---- */

static void ask(struct gc *gc, enum gc_ask what)
{
	(void)gc;
	if (load_rlx(&host.xwatching) == 0)
		wake_watch();
	host.what = what;
	host.asked_at = weft_now();
	host.fenced = sim_on; /* all its Ms are one thread */
	store_seq(&host.round, load_rlx(&host.round) + 1);
	if (what == GC_ASK_SCAN) {
		host.chunk = load_acq(&sched.gs.newest);
		host.at = 0;
		host.npending = 0;
		host.again = false;
		host.roots_noted = false;
		host.wheel = 0;
		host.slot = WHEEL_LEVELS * WHEEL_SLOTS - 1;
		areas_begin();
	}
}

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

static void look_whose(void *object, void *arg)
{
	struct m *m = object;
	struct look *l = arg;
	if (load_acq(&m->tid) && m_g(m) == l->of)
		l->m = m;
}

/* ---- sections ---- */

static void note_section(struct gc_filling *f, const struct section *s, const void *stack_end)
{
	gc_note_words(f, s->word, s->word + s->n);
	gc_note_words(f, load_rlx(&s->sp), stack_end);
}

/* By its registers as they were when the section began. */
static bool scan_section(struct g *g, struct m *m)
{
	if (load_acq(&g->state) != G_SYSCALL || m_g(m) != g) /* block.c: A2 */
		return false;
	struct gc_filling f = filling(GC_STACK);
	note_copied_argument(&f, g);
	note_section(&f, &m->section, stack_top(load_acq(&g->stack)));
	gc_fill_end(&f);
	gc_looked_at(g);
	return true;
}

/* Looked at by itself, or now. */
static bool is_scanned(struct g *g, int64_t now)
{
	switch (try_claim(g)) {
	case CLAIM_DONE:
		return true;
	case CLAIM_OTHERS:
		return false;
	case CLAIM_MINE:
		break;
	}
	if (!load_acq(&g->ctx.xon_cpu)) {
		look_at_parked(g);
		return true;
	}
	struct look l = {.of = g};
	m_each(look_whose, &l);
	if (l.m && scan_section(g, l.m))
		return true;
	unclaim(g);
	if (l.m)
		push_by_signal(l.m, now);
	return false;
}

/* ---- attached threads ---- */

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

static void scan_attached(void *object, void *arg)
{
	struct attached *a = object;
	struct look *l = arg;
	if (!load_acq(&a->tid))
		return;
	enum claim c = try_claim(a->g);
	if (c == CLAIM_DONE)
		return;
	if (c == CLAIM_MINE && is_parked(a)) {
		struct gc_filling f = filling(GC_STACK);
		note_section(&f, &a->section, a->stack_top);
		gc_fill_end(&f);
		gc_looked_at(a->g);
		return;
	}
	if (c == CLAIM_MINE)
		unclaim(a->g);
	l->all = false;
	if (l->now - load_rlx(&a->signalled) >= SIGNAL_EVERY_NS) {
		store_rlx(&a->signalled, l->now);
		os_signal(load_rlx(&a->tid), SIGURG);
	}
}

static void drain_attached(void *object, void *arg)
{
	(void)arg;
	gc_mutator_drain(&((struct attached *)object)->shaded, &collector.words);
}

/* All stacks may have been looked at already. On this one there is nothing yet: it is as if it had been. Either it sees that there is marking, or
 * the collector sees it among the attached. */
void gc_comes_outside(struct attached *a)
{
	fence_full();
	if (gc_is_marking(&collector) && gc_claim(a->g))
		gc_looked_at(a->g);
}

void gc_leaves_outside(struct attached *a)
{
	gc_mutator_drain(&a->shaded, &collector.words);
}

/* From the caller's frame on, and what the thread has in registers. */
static NOT_INSTRUMENTED __attribute__((noinline)) void note_attached_self(struct gc_filling *f, struct attached *a)
{
	__builtin_unwind_init();
	gc_note_words(f, __builtin_frame_address(0), a->stack_top);
}

void gc_safe_point_outside(struct attached *a)
{
	if (unlikely(gc_is_marking(&collector)) && gc_claim(a->g)) {
		struct gc_filling f = filling(GC_STACK);
		note_attached_self(&f, a);
		gc_fill_end(&f);
		fiber_publish(&collector);
		gc_looked_at(a->g);
	}
	store_rel(&a->gc_passed, load_acq(&host.round));
}

static bool all_scanned(int64_t now)
{
	struct look l = {.now = now, .all = true};
	attached_each(scan_attached, &l);
	if (!l.all)
		return false;
	for (unsigned i = 0; i < host.npending;) {
		if (is_scanned(host.pending[i], now))
			host.pending[i] = host.pending[--host.npending];
		else
			i++;
	}
	return host.npending == 0;
}

/* A P that nobody runs on can be flushed by anybody who holds it. */
static bool flush_if_idle(struct p *p)
{
	uint32_t asleep = P_GC_ASLEEP, blocked = P_BLOCKED;
	fiber_observe(p->marker);
	if (cas_acqrel(&p->xgc, &asleep, P_GC_HELD)) {
		flush(p);
		store_rel(&p->xgc, P_GC_ASLEEP);
		return true;
	}
	if (cas_acqrel(&p->xstatus, &blocked, P_HELD)) {
		flush(p);
		store_rel(&p->xstatus, P_BLOCKED);
		return true;
	}
	return false;
}

static bool all_flushed(int64_t now)
{
	bool all = true;
	spin_lock(&shared.lock);
	flush_shared(load_acq(&collector.xstate));
	spin_unlock(&shared.lock);
	for (unsigned i = 0; i < sched.nprocs; i++) {
		struct p *p = sched.ps[i];
		if (load_acq(&p->gc_seen) == load_rlx(&collector.xstate) || flush_if_idle(p))
			continue;
		struct m *m = load_acq(&p->xm);
		if (m && load_acq(&m->tid))
			push_by_signal(m, now);
		all = false;
	}
	return all;
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

static bool answered(struct gc *gc)
{
	int64_t now = weft_now();
	(void)gc;
	switch (host.what) {
	case GC_ASK_PASS:
		if (all_passed(now))
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

/* ---- roots ---- */

static struct {
	struct spin lock;
	struct weft_root_ *first;
} roots;

void weft_root_add_(struct weft_root_ *r)
{
	spin_lock(&roots.lock);
	r->next = roots.first;
	r->link = &roots.first;
	if (r->next)
		r->next->link = &r->next;
	roots.first = r;
	spin_unlock(&roots.lock);
}

void weft_root_drop_(struct weft_root_ *r)
{
	spin_lock(&roots.lock);
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	spin_unlock(&roots.lock);
}

static void note_roots(void)
{
	struct gc_filling f = filling(GC_EXACT);
	spin_lock(&roots.lock);
	for (struct weft_root_ *r = roots.first; r; r = r->next)
		gc_note_words(&f, r->at, (const char *)r->at + r->bytes);
	spin_unlock(&roots.lock);
	gc_fill_end(&f);
}

/* ---- looking through goroutines ---- */

static void scan_goroutine(struct g *g)
{
	if (load_rlx(&g->is_thread))
		return;
	if (try_claim(g) != CLAIM_MINE)
		return; /* whoever has the claim will have looked */
	if (!load_acq(&g->ctx.xon_cpu)) {
		look_at_parked(g);
		return;
	}
	unclaim(g);
	if (host.npending == PENDING_MOST)
		host.again = true;
	else
		host.pending[host.npending++] = g;
}

static void note_timer(void *f, void *arg)
{
	gc_note_word(f, arg);
}

static void note_pooled(void *f, uintptr_t word)
{
	gc_note_word(f, (const void *)word);
}

/* The next ones; false: there are none. */
static bool scan_goroutines(void)
{
	struct slab_chunk *c = host.chunk;
	if (!c)
		return false;
	size_t used = load_acq(&c->used), size = sched.gs.object_size;
	for (unsigned n = 0; n < SCAN_GOROUTINES && host.at < used; n++, host.at += size)
		scan_goroutine((struct g *)(void *)(c->objects + host.at));
	if (host.at >= used) {
		host.chunk = c->older;
		host.at = 0;
	}
	return true;
}

/* Of pending timers the arguments. From the highest level down: a timer that falls meanwhile falls to where nobody has looked; what is set anew is
 * shaded. */
static bool scan_timers(struct gc_filling *f)
{
	if (host.wheel == sched.nprocs)
		return false;
	if (wheel_look(&sched.ps[host.wheel]->wheel, host.slot, note_timer, f) && host.slot > 0) {
		host.slot--;
		return true;
	}
	host.wheel++;
	host.slot = WHEEL_LEVELS * WHEEL_SLOTS - 1;
	return true;
}

static bool scan(struct gc *gc, struct gc_marker *m, uint64_t budget)
{
	(void)gc, (void)m, (void)budget;
	if (scan_goroutines())
		return true;
	if (host.again) {
		host.again = false;
		host.chunk = load_acq(&sched.gs.newest);
		return true;
	}
	if (!host.roots_noted) {
		note_roots();
		host.roots_noted = true;
		return true;
	}
	struct gc_filling f = filling(GC_EXACT);
	bool more = scan_timers(&f) || areas_look(&f);
	if (!more)
		pool_each_word(note_pooled, &f);
	gc_fill_end(&f);
	return more;
}

/* ---- shading ---- */

/* For threads without an M. */
static struct {
	struct spin lock;
	struct gc_mutator shaded;
} outside;

static void shade(uintptr_t word)
{
	if (!pages_has(&collector.heap.pages, word))
		return;
	struct m *m = m_self();
	struct attached *a = m ? NULL : attached_self();
	if (m || a) {
		gc_shade(m ? &m->shaded : &a->shaded, &collector.words, word);
		return;
	}
	spin_lock(&outside.lock);
	gc_shade(&outside.shaded, &collector.words, word);
	spin_unlock(&outside.lock);
}

NOT_INSTRUMENTED void gc_shade_word(const void *word)
{
	shade(load_rlx((const _Atomic uintptr_t *)word));
}

NOT_INSTRUMENTED void gc_shade_words(const void *at, size_t bytes)
{
	uintptr_t from = ((uintptr_t)at + sizeof from - 1) & ~(sizeof from - 1), to = (uintptr_t)at + bytes;
	for (; from + sizeof from <= to; from += sizeof from)
		shade(load_rlx((const _Atomic uintptr_t *)from));
}

static void drain_m(void *object, void *arg)
{
	struct m *m = object;
	(void)arg;
	gc_mutator_drain(&m->shaded, &collector.words);
}

static void drain(struct gc *gc)
{
	(void)gc;
	m_each(drain_m, NULL);
	attached_each(drain_attached, NULL);
	gc_mutator_drain(&outside.shaded, &collector.words);
}

/* ---- who gives it time ---- */

bool gc_spare_time(struct m *m)
{
	struct p *p = m_p(m);
	if (load_rlx(&m->xnote) & NOTE_GC)
		gc_safe_point(m);
	void *me = enter(m);
	flush(p);
	bool did = !is_resting(p) && gc_step(&collector, p->marker, 4 * STEP_BYTES, GC_SPARE);
	leave(m, me);
	return did;
}

void gc_p_sleeps(struct p *p)
{
	fiber_observe(p->marker);
	flush(p);
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
}

static void spent(struct p *p, int64_t ns, enum gc_whose whose)
{
	p->gc_ns += ns;
	(void)add_rlx(&host.spent[whose], ns);
	held(ns);
}

static void step_of(struct p *p, uint64_t budget, enum gc_whose whose)
{
	int64_t began = weft_now();
	gc_step(&collector, p->marker, budget, whose);
	spent(p, weft_now() - began, whose);
}

static void begin_share(struct p *p)
{
	uint32_t cycle = load_rlx(&collector.xcycle);
	if (p->gc_cycle != cycle) {
		p->gc_cycle = cycle;
		p->gc_ns = 0;
		p->gc_debt = 0;
	}
}

static void share(struct p *p, int64_t now)
{
	begin_share(p);
	if (p->gc_ns * SHARE_PART <= now - load_rlx(&collector.xbegan))
		step_of(p, STEP_BYTES, GC_SHARE);
}

void gc_share_slow(struct p *p, int64_t now)
{
	struct m *m = m_self();
	void *me = enter(m);
	share(p, now);
	leave(m, me);
}

/* A step for what was allocated; false: there was nothing to do. */
static bool pay_some(struct p *p)
{
	uint64_t before = p->marker->work, budget = p->gc_debt < STEP_BYTES ? p->gc_debt : STEP_BYTES;
	bool did = gc_step(&collector, p->marker, budget, GC_ASSIST);
	uint64_t paid = p->marker->work - before;
	p->gc_debt -= paid < p->gc_debt ? paid : p->gc_debt;
	return did;
}

/* Whoever allocates pays for it at once, as far as that takes no more than PAY_NS; the rest is for its next time. */
static COLD void pay(struct p *p, uint64_t owed)
{
	int64_t began = weft_now(), now = began;
	begin_share(p);
	p->gc_debt += owed;
	if (p->gc_debt > DEBT_MOST)
		p->gc_debt = DEBT_MOST;
	if (gc_phase(&collector) != GC_MARKING) {
		p->gc_debt = 0;
		gc_step(&collector, p->marker, STEP_BYTES, GC_ASSIST);
	} else if (p->gc_debt == 0) {
		share(p, now);
		return;
	} else {
		while (pay_some(p) && p->gc_debt && (now = weft_now()) - began < PAY_NS)
			;
	}
	spent(p, weft_now() - began, GC_ASSIST);
}

static COLD void stress(void)
{
	if (add_rlx(&host.allocations, 1) % host.stress == 0 && !gc_is_on(&collector))
		gc_ask(&collector, GC_WHY_STRESS);
}

void gc_note_allocated(struct p *p, uint64_t bytes)
{
	if (unlikely(host.stress))
		stress();
	uint64_t owed = gc_allocated(&collector, bytes);
	if (unlikely(gc_is_on(&collector)) || unlikely(gc_is_due(&collector)))
		pay(p, owed);
}

struct gc_times gc_times(void)
{
	struct gc_times t = {load_rlx(&host.hold_max), load_rlx(&host.hold_total), {0}};
	for (unsigned i = 0; i < GC_WHOSE; i++)
		t.spent[i] = load_rlx(&host.spent[i]);
	return t;
}

uint64_t gc_objects_allocated(void)
{
	uint64_t n = heap_cache_objects(&shared.cache);
	for (unsigned i = 0; i < sched.nprocs; i++)
		n += heap_cache_objects(sched.ps[i]->cache);
	return n;
}

static void work(struct gc *gc)
{
	(void)gc;
	for (unsigned i = 0; i < sched.nprocs; i++)
		if (!is_resting(sched.ps[i]) && is_asleep(sched.ps[i]))
			wake_for_a_look(sched.ps[i]);
}

/* ---- memory that is not used ---- */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* A goroutine is a page of stack at least. */
static uint64_t beside(struct gc *gc)
{
	struct pages_use use = pages_use(&gc->heap.pages);
	uint64_t goroutines = (uint64_t)weft_num_goroutine();
	return less(use.taken, load_rlx(&gc->xheap)) + load_rlx(&gc->xstacks) + goroutines * (OS_PAGE + sizeof(struct g));
}

/* Free pages that the heap will grow into before its next cycle ends are kept, and a tenth more. */
static uint64_t too_many(void)
{
	struct pages_use use = pages_use(&collector.heap.pages);
	uint64_t goal = load_rlx(&collector.goal), want = goal < UINT64_MAX / 2 ? goal + goal / KEPT_PART : use.taken;
	uint64_t keep = less(want, use.taken);
	return less(use.free, keep > use.taken / KEPT_PART ? keep : use.taken / KEPT_PART);
}

/* Only what was too much for a whole second goes back to the system, and a little at a time: programs come in waves. */
static bool release_some(int64_t now)
{
	if (now < host.release_at)
		return host.too_many_since != 0;
	host.release_at = now + RELEASE_EVERY_NS;
	uint64_t much = too_many();
	if (much < RELEASE_BYTES) {
		host.too_many_since = 0;
		return false;
	}
	if (!host.too_many_since)
		host.too_many_since = now;
	if (now - host.too_many_since >= RELEASE_AFTER_NS)
		pages_release(&collector.heap.pages, RELEASE_BYTES);
	return true;
}

/* What a cycle leaves to do, by who can spare the time: it makes goroutines, and passes membarriers. */
void gc_tidy_up(void)
{
	if (!load_rlx(&host.xleft) || !swap_seq(&host.xleft, false))
		return;
	gc_start_cleanups();
	pool_collect();
}

/* ---- the watch ---- */

/* A thread that moves the collector on when nobody else does, passes membarriers, does what a cycle leaves, and gives memory back. It sleeps while
 * there is nothing of that. Not sysmon, which may stand above Ms in the kernel's eyes: here locks are taken that Ms hold. */
static bool watch(int64_t now)
{
	gc_tidy_up();
	bool releases = release_some(now);
	gc_step(&collector, NULL, 0, GC_SPARE);
	return releases || gc_is_on(&collector);
}

static void *watch_run(void *unused)
{
	os_exact_timers();
	for (;;) {
		store_seq(&host.xwatching, 1);
		while (watch(weft_now())) {
			struct timespec pause = {.tv_nsec = gc_is_on(&collector) ? WATCH_NS : RELEASE_EVERY_NS};
			nanosleep(&pause, NULL);
		}
		store_seq(&host.xwatching, 0);
		if (!gc_is_on(&collector) && !gc_is_due(&collector) && !load_seq(&host.xleft))
			os_futex_wait(&host.xwatching, 0, -1);
	}
	return unused;
}

static void wake_watch(void)
{
	if (swap_seq(&host.xwatching, 1) == 0)
		os_futex_wake(&host.xwatching);
}

void gc_watch_start(void)
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_attr_setsigmask_np(&attr, &all); /* signals are for others */
	int err = pthread_create(&thread, &attr, watch_run, NULL);
	if (err)
		fatal("cannot start the collector's watch: error %d", err);
	pthread_attr_destroy(&attr);
	add_seq(&sched.own_threads, 1);
}

/* ---- beginning and end of a cycle ---- */

/* One line; docs/gc.md has its fields. */
static void gctrace(const struct gc_report *r)
{
	static const char *const why[] = {"heap", "asked", "stress"};
	struct pages_use use = pages_use(&collector.heap.pages);
	char line[512];
	int n = snprintf(line, sizeof line,
			 "gctrace: cycle=%u at_ms=%lld why=%s from=%llu to=%llu live=%llu goal=%llu sys=%zu mark_us=%lld sweep_us=%lld "
			 "cpu_us=%lld assist_us=%lld idle_us=%lld hold_us=%lld stacks=%llu roots=%llu\n",
			 r->cycle, (long long)((r->began - host.started) / 1000000), why[r->why], (unsigned long long)r->from,
			 (unsigned long long)r->to, (unsigned long long)r->live, (unsigned long long)r->goal, use.taken + use.free,
			 (long long)((r->marked - r->began) / 1000), (long long)((r->ended - r->marked) / 1000),
			 (long long)((r->ns[GC_SHARE] + r->ns[GC_ASSIST] + r->ns[GC_SPARE]) / 1000),
			 (long long)(r->ns[GC_ASSIST] / 1000), (long long)(r->ns[GC_SPARE] / 1000),
			 (long long)(swap_acqrel(&host.cycle_hold, 0) / 1000), (unsigned long long)r->stacks,
			 (unsigned long long)r->roots);
	ssize_t written = write(STDERR_FILENO, line, (size_t)n);
	(void)written;
}


static void ended(struct gc *gc, const struct gc_report *r)
{
	(void)gc;
	if (host.trace)
		gctrace(r);
	store_seq(&host.xleft, true);
	if (sim_on) /* there is no watch */
		gc_tidy_up();
	else
		wake_watch();
}

static const struct gc_host the_host = {
    .ask = ask, .answered = answered, .scan = scan, .drain = drain, .work = work, .ended = ended, .beside = beside, .now = weft_now};

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
	for (unsigned i = 0; i < sched.nprocs; i++)
		heap_cache_init(sched.ps[i]->cache, &collector.heap, placement_node(i));
	heap_cache_init(&shared.cache, &collector.heap, -1);
	gc_settings_start(&config->pace);
	host.trace = config->gctrace;
	host.stress = config->gcstress;
	for (unsigned i = 0; i < sched.nprocs; i++)
		sched.ps[i]->cache->one_by_one = host.stress;
	host.started = weft_now();
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART | SA_SIGINFO};
	sigemptyset(&action.sa_mask);
	sigaction(SIGURG, &action, NULL);
}
