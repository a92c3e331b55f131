/* Stopping everything. A round begins when world_round becomes odd, and the world goes on when it becomes even. Each M is known to stand when
 *
 *     it has said so              at the end of a call, in the scheduler, or in a signal's handler (section.xstands is the round)
 *     its goroutine is in a blocking section; it has neither a goroutine nor a P; its P sleeps
 *                                 each passes by world_enter on the way back
 *
 * as is an attached thread that says so, or waits in a call.
 *
 *     who stops                            who comes back
 *     round := odd                         says that it is back
 *     (membarrier)                         (fence)
 *     is it away? then it stands           odd? then wait
 *
 * Either the first sees it back, and pushes it until it says that it stands, or it sees the round. One that woke up late says an older round, and
 * is not taken to stand.
 *
 * R1 stand: store_seq(xstands)  ->  A1 world_holds: load_acq(xstands)   where its stack and registers are
 */
#include "runtime/world.h"
#include "alloc/os.h"
#include "lockfree/fence.h"
#include "runtime/attach.h"
#include "runtime/block.h"
#include "runtime/call.h"
#include "runtime/collect.h"
#include "runtime/gcstack.h"
#include "runtime/gcwatch.h"

#include <weft/go.h>

#include <errno.h>
#include <signal.h>
#include <time.h>

enum { LOOK_NS = 20000, SIGNAL_EVERY_NS = 100000 };
static const int64_t IN_TIME_NS = 5 * WEFT_S;

_Atomic uint32_t world_round;

struct request {
	struct request *next;
	void (*fn)(void *);
	void *arg;
	int err;
	_Atomic uint32_t xdone; /* futex */
};

static struct {
	struct spin lock;
	struct request *first;
	_Atomic uint32_t xasked;
} requests;

static _Atomic int watch, late; /* threads' numbers: goroutines of many identities read them (fiber.h) */

/* ---- who stands ---- */

static void stand(struct section *s, uint32_t round)
{
	store_seq(&s->xstands, round); /* R1 */
	while (load_acq(&world_round) == round)
		os_futex_wait(&world_round, round, -1);
}

void world_wait(struct m *m)
{
	uint32_t round = load_acq(&world_round);
	if (!(round & 1))
		return;
	section_publish(&m->section, __builtin_frame_address(0));
	stand(&m->section, round);
}

void world_wait_published(void)
{
	/* ThreadSanitizer may have a signal that came on the way here: bystanders_stop waits for it. */
	int64_t at_most = WEFT_TSAN ? WEFT_MS : -1;
	uint32_t round = load_acq(&world_round);
	while (round & 1 && load_acq(&world_round) == round)
		os_futex_wait(&world_round, round, at_most);
}

void world_wait_outside(struct attached *a)
{
	uint32_t round = load_acq(&world_round);
	if (!(round & 1))
		return;
	section_publish(&a->section, __builtin_frame_address(0));
	stand(&a->section, round);
}

NOT_INSTRUMENTED void world_wait_interrupted(struct section *s, const ucontext_t *context, const void *stack_end, size_t stack_size)
{
	uint32_t round = load_acq(&world_round);
	if (round & 1 && section_of_interrupt(s, context, stack_end, stack_size))
		stand(s, round);
}

/* ---- who stops them ---- */

bool world_holds(const struct section *s)
{
	return load_acq(&s->xstands) == load_rlx(&world_round); /* A1 */
}

static bool m_stands(struct m *m)
{
	if (!load_acq(&m->tid) || world_holds(&m->section))
		return true;
	struct g *g = m_g(m);
	struct p *p = m_p(m);
	if (g)
		return load_acq(&g->state) == G_SYSCALL;
	return !p || load_acq(&p->xgc) != P_GC_AWAKE;
}

struct look {
	int64_t now;
	int late; /* one that does not stand; 0: all do */
};

static void push_m(void *object, void *arg)
{
	struct m *m = object;
	struct look *l = arg;
	if (m_stands(m))
		return;
	l->late = load_rlx(&m->tid);
	(void)or_rlx(&m->xnote, NOTE_GC);
	if (load_acq(&m->xinside) || l->now - load_rlx(&m->gc_signalled) < SIGNAL_EVERY_NS)
		return;
	store_rlx(&m->gc_signalled, l->now);
	os_signal(load_rlx(&m->tid), SIGURG);
}

static void push_attached(void *object, void *arg)
{
	struct attached *a = object;
	struct look *l = arg;
	if (!load_acq(&a->tid) || load_acq(&a->parked) || world_holds(&a->section)) /* attach.c: A1 */
		return;
	l->late = load_rlx(&a->tid);
	if (l->now - load_rlx(&a->signalled) < SIGNAL_EVERY_NS)
		return;
	store_rlx(&a->signalled, l->now);
	os_signal(load_rlx(&a->tid), SIGURG);
}

static bool all_stand(int64_t now)
{
	struct look l = {now, 0};
	m_each(push_m, &l);
	attached_each(push_attached, &l);
	if (l.late)
		store_rlx(&late, l.late);
	return !l.late;
}

static int stop(void)
{
	int64_t began = weft_now();
	store_seq(&world_round, load_rlx(&world_round) + 1);
	os_membarrier();
	for (int64_t now = began; !all_stand(now); now = weft_now()) {
		struct timespec pause = {.tv_nsec = LOOK_NS};
		if (now - began > IN_TIME_NS)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static void go_on(void)
{
	store_seq(&world_round, load_rlx(&world_round) + 1);
	os_futex_wake_all(&world_round);
}

/* ---- what they have ---- */

struct ranges {
	void (*see)(void *, struct g *, const void *, const void *);
	void *arg;
	struct g *of;
	struct m *holder;
};

static void see_range(void *ranges, const void *from, const void *to)
{
	struct ranges *r = ranges;
	r->see(r->arg, r->of, from, to);
}

static void find_holder(void *object, void *arg)
{
	struct m *m = object;
	struct ranges *r = arg;
	if (load_acq(&m->tid) && m_g(m) == r->of)
		r->holder = m;
}

/* In a simulation, an M that is somewhere in a step. */
static bool see_simulated(struct g *g, struct ranges *r)
{
	const struct stack *s = load_acq(&g->stack);
	const void *sp = s ? sim_stands_within(stack_base(s), stack_top(s)) : NULL;
	if (sp)
		gc_ranges_of_section(g, &(struct section){.sp = (void *)(uintptr_t)sp}, stack_top(s), see_range, r);
	return sp;
}

static void see_g(void *object, void *arg)
{
	struct ranges *r = arg;
	struct g *g = r->of = object;
	if (load_rlx(&g->is_thread) || load_rlx(&g->state) == G_FREE || (sim_on && see_simulated(g, r)))
		return;
	r->holder = NULL;
	if (load_acq(&g->ctx.xon_cpu))
		m_each(find_holder, r);
	if (r->holder) {
		gc_ranges_of_section(g, &r->holder->section, stack_top(load_acq(&g->stack)), see_range, r);
		return;
	}
	while (load_acq(&g->ctx.xon_cpu)) /* its M is leaving it, and has no P */
		cpu_relax();
	gc_ranges_of_parked(g, see_range, r);
}

static void see_attached(void *object, void *arg)
{
	struct attached *a = object;
	struct ranges *r = arg;
	if (!load_acq(&a->tid))
		return;
	r->of = load_rlx(&a->g);
	gc_ranges_of_section(r->of, &a->section, load_rlx(&a->stack_top), see_range, r);
}

void world_each_range(void (*see)(void *, struct g *, const void *, const void *), void *arg)
{
	struct ranges r = {.see = see, .arg = arg};
	slab_each(&sched.gs, see_g, &r);
	attached_each(see_attached, &r);
}

/* ---- asking for it ---- */

void world_watch(void)
{
	store_rlx(&watch, os_thread());
}

bool world_is_asked(void)
{
	return load_seq(&requests.xasked) != 0;
}

static struct request *take_requests(void)
{
	spin_lock(&requests.lock);
	struct request *first = requests.first;
	requests.first = NULL;
	store_seq(&requests.xasked, 0);
	spin_unlock(&requests.lock);
	return first;
}

static int stopped(void (*fn)(void *), void *arg)
{
	int err = stop();
	if (!err)
		fn(arg);
	go_on();
	return err;
}

void world_serve(void)
{
	for (struct request *r = take_requests(), *next; r; r = next) {
		next = r->next;
		r->err = stopped(r->fn, r->arg);
		store_seq(&r->xdone, 1); /* r may be gone: a futex's address is all that is needed of it */
		os_futex_wake(&r->xdone);
	}
}

static void ask_and_wait(struct request *r)
{
	spin_lock(&requests.lock);
	r->next = requests.first;
	requests.first = r;
	store_seq(&requests.xasked, 1);
	spin_unlock(&requests.lock);
	gc_watch_wake();
	while (!load_acq(&r->xdone))
		os_futex_wait(&r->xdone, 0, -1);
}

int world_stand_still(void (*fn)(void *), void *arg)
{
	if (sim_on) { /* all its Ms are one thread */
		section_publish(&m_self()->section, __builtin_frame_address(0)); /* of the calling one */
		fn(arg);
		return 0;
	}
	if (load_rlx(&watch) == os_thread())
		return stopped(fn, arg);
	struct request r = {.fn = fn, .arg = arg};
	struct m *m = m_self();
	if (m && m_g(m)) {
		weft_block_begin();
		ask_and_wait(&r);
		weft_block_end();
	} else {
		attached_parks();
		ask_and_wait(&r);
		attached_is_back();
	}
	return r.err;
}

int world_late(void)
{
	return load_rlx(&late);
}
