/* Running goroutines.
 *
 * There is no trip through a scheduler thread between two goroutines: whoever parks, yields or ends picks the
 * next one and switches straight to it. One that has not run yet has no stack; if its predecessor has just
 * ended, it takes over that stack without any switch at all, which is why starting and finishing a goroutine
 * that never blocks costs no more than two queue operations. Only when nothing is at hand does the M go
 * back to its own context, m_loop, to look for work elsewhere or to sleep (idle.c). Which one is next: pick.h.
 */
#include "runtime/sched.h"
#include "alloc/os.h"
#include "lockfree/assert.h"
#include "lockfree/epoch.h"
#include "lockfree/fence.h"
#include "runtime/attach.h"
#include "runtime/call.h"
#include "runtime/collect.h"
#include "runtime/fiber.h"
#include "runtime/fork.h"
#include "runtime/options.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/pick.h"
#include "runtime/spare.h"

#include <weft/go.h>
#include <weft/mem.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum {
	G_BATCH = 64,        /* goroutine objects taken from the slab at once */
	G_CACHE_MAX = 4096,  /* free ones a P keeps */
	ID_BATCH = 1024,
};

struct sched sched;
_Thread_local struct m *m_current;
_Thread_local struct weft_mutator_ *weft_mutator_;

/* ---- switching ---- */

static COLD _Noreturn void no_stack(struct g *g)
{
	store_rlx(&crash_hook, NULL); /* a dump wants memory */
	char name[G_NAME];
	g_name(g, name);
	fatal("out of memory for the stack of goroutine %llu%s%s", (unsigned long long)load_rlx(&g->id),
	      name[0] ? " name=" : "", name);
}

/* A goroutine that has not run gets its stack. */
static void give_stack(struct p *p, struct g *g)
{
	struct stack *s = likely(!g->stack_want) ? stack_take_class(&p->stacks, STACK_COMMON)
						 : stack_take(&p->stacks, g->stack_want);
	if (unlikely(!s))
		no_stack(g);
	store_rel(&g->stack, s); /* overflow.c: R1 */
	context_make(&g->ctx, stack_top(s) - s->colour);
}

static inline void enter_stack_of_m(struct m *m)
{
	if (WEFT_ASAN)
		fiber_leave_stack(NULL, load_rlx(&m->stack_bottom), load_rlx(&m->stack_size));
}

/* Makes next the M's goroutine and returns the context to switch to. */
static inline struct context *prepare(struct m *m, struct g *next)
{
	if (unlikely(!next)) {
		store_rlx(&m->g, NULL);
		enter_stack_of_m(m);
		return &m->ctx;
	}
	context_wait_off_cpu(&next->ctx);
	fiber_observe(&next->ctx);
	gc_before_run(m, next);
	if (!load_rlx(&next->stack))
		give_stack(m_p(m), next);
	store_rlx(&next->ctx.xon_cpu, 1);
	g_set_state(next, G_RUNNING);
	stats_runs(m, next);
	store_rlx(&m->g, next);
	return &next->ctx;
}

/* A compiler keeps loads of atomics whose values nobody wants. */
static inline __attribute__((always_inline)) void enter_stack_of(void **fake, const struct g *next)
{
	const struct stack *s = WEFT_ASAN ? load_rlx(&next->stack) : NULL;
	if (s)
		fiber_leave_stack(fake, stack_base(s), stack_size(s));
}

/* Not instrumented, because it does not return: ThreadSanitizer would wait for that. */
static NOT_INSTRUMENTED _Noreturn void leave_for_good(struct m *m, struct g *next)
{
	struct context nobody;
	if (next && gc_before_run_elsewhere(m_p(m))) {
		m->held = next;
		next = NULL;
	}
	struct context *to = prepare(m, next);
	if (next)
		enter_stack_of(NULL, next);
	context_switch(&nobody, to);
	__builtin_unreachable();
}

/* ---- going from one to the next ---- */

/* From g to next (NULL: the M's own context), until g is picked again. A next that has not left its CPU yet is left
 * to the M's own context: if two Ms waited for each other's goroutine while standing on its stack, they would wait
 * for ever. The identity is the M's before and
 * whichever M's after. */
static inline __attribute__((always_inline)) void leave(struct m *m, struct g *g, struct g *next)
{
	if (next && unlikely(load_acq(&next->ctx.xon_cpu))) {
		m->held = next;
		next = NULL;
	}
	struct context *to = prepare(m, next);
	if (next)
		enter_stack_of(&g->fake_stack, next);
	fiber_publish(&g->ctx);
	context_switch(&g->ctx, to);
	fiber_enter_stack(g->fake_stack);
}

static COLD void ready_elsewhere(struct g *);

/* See queue_without_p. */
static COLD void queue_left(struct m *m)
{
	struct g *g = m->queue;
	m->queue = NULL;
	ready_elsewhere(g);
}

/* The M's own context: runs goroutines until the runtime stops, or the M is not wanted any more. */
void m_loop(struct m *m)
{
	for (;;) {
		if (m->queue)
			queue_left(m);
		if (!m_p(m)) {
			epoch_offline();
			if (!spare_wait(m))
				return;
		}
		struct g *g = m->held;
		m->held = NULL;
		if (!g)
			g = find_work(m);
		if (unlikely(sim_on))
			sim_found(m_p(m), g);
		if (!g)
			return;
		struct context *to = prepare(m, g);
		enter_stack_of(&m->fake_stack, g);
		context_switch(&m->ctx, to);
		fiber_enter_stack(m->fake_stack);
	}
}

/* ---- parking and readying ---- */

static _Thread_local struct g *thread_g;

static void drop_stand_in(void *g)
{
	store_rlx(&((struct g *)g)->is_thread, false);
	g_set_state(g, G_FREE);
	thread_g = NULL;
	slab_give(&sched.gs, g, g, 1);
}

static pthread_key_t stand_in_key;

static void make_stand_in_key(void)
{
	if (pthread_key_create(&stand_in_key, drop_stand_in))
		fatal("out of thread-specific keys");
}

/* A goroutine to stand for a thread outside the runtime; kept for the thread's life. */
COLD struct g *stand_in(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	fork_check();
	sim_refuse_outside();
	if (thread_g)
		return thread_g;
	if (!load_acq(&sched.running)) /* no panic: who is about to wait holds a lock */
		fatal("weft is not running: blocking calls belong inside weft_main");
	pthread_once(&once, make_stand_in_key);
	thread_g = slab_take_one(&sched.gs);
	if (!thread_g || pthread_setspecific(stand_in_key, thread_g))
		fatal("out of memory");
	store_rlx(&thread_g->is_thread, true);
	return thread_g;
}

COLD void stand_in_drop(void)
{
	if (!thread_g)
		return;
	pthread_setspecific(stand_in_key, NULL);
	drop_stand_in(thread_g);
}

COLD void panic_in_section(void)
{
	weft_panic("blocking call of weft's between weft_block_begin and weft_block_end");
}

struct g *wait_begin(enum wait_reason why)
{
	struct m *m = m_self();
	struct g *g = likely(m != NULL) && likely(m_g(m) != NULL) ? m_g(m) : stand_in();
	store_rlx(&g->xclaim, 0);
	store_rlx(&g->waiting, (uint8_t)why);
	if (likely(!load_rlx(&g->is_thread))) {
		assert_debug(load_rlx(&m->xinside) && m_p(m));
		store_rlx(&g->since, load_rlx(&m_p(m)->now));
	}
	g_set_state(g, G_WAITING);
	return g;
}

void wait_cancel(struct g *g)
{
	g_set_state(g, G_RUNNING);
}

static COLD void park_thread(struct g *g)
{
	epoch_offline();
	attached_parks();
	while (load_acq(&g->xfutex) == 0)
		os_futex_wait(&g->xfutex, 0, -1);
	epoch_online();
	store_rlx(&g->xfutex, 0);
	attached_is_back();
	fiber_observe(g);
}

static COLD void take_back_park(struct m *m, struct g *g)
{
	g_set_state(g, G_RUNNING);
	stats_runs(m, g);
}

void park(void)
{
	struct m *m = m_self();
	if (unlikely(!m || !m_g(m))) {
		park_thread(stand_in());
		return;
	}
	struct g *g = m_g(m);
	fiber_hear_signals();
	void *me = sched_enter(m);
	bool joins = load_rlx(&g->waiting) == WAIT_GROUP;
	if (joins)
		m_p(m)->joined = load_rlx(&g->id);
	struct g *next = pick(m_p(m), TREE);
	if (unlikely(next == g)) /* readied meanwhile, and at the head already */
		take_back_park(m, g);
	else
		leave(m, g, next);
	if (joins)
		m_p(m_self())->joined = 0;
	sched_leave(me);
	fiber_observe(g);
}

/* The caller is next, and in return its child goes now, if that was next or at the end of the ring. Nobody is told: who sleeps is not
 * wanted for a goroutine that has stepped aside. */
static inline struct g *change_places(struct p *p, struct g *g)
{
	struct g *child = load_rlx(&p->xrunnext);
	p->joined = load_rlx(&g->id);
	if (!child) {
		child = pop_joined(p);
		if (child)
			store_rel(&p->xrunnext, g); /* thieves only take */
		return child;
	}
	if (!is_child(child, p->joined) || !swap_runnext(p, child, g))
		return NULL;
	child->joined = true;
	return child;
}

bool yield_to_child(void)
{
	struct m *m = m_self();
	struct g *g = m ? m_g(m) : NULL;
	if (unlikely(!g) || unlikely(load_rlx(&g->pin)))
		return false;
	if (load_rlx(&m_p(m)->countdown) <= 1 && !(sim_on && sim_has_steps(m)))
		return false;
	void *me = sched_enter(m);
	struct p *p = m_p(m);
	store_rlx(&g->waiting, WAIT_GROUP);
	store_rlx(&g->since, load_rlx(&p->now));
	g_set_state(g, G_ASIDE);
	struct g *child = change_places(p, g);
	if (child) {
		step(p);
		leave(m, g, child);
		m_p(m_self())->joined = 0;
	} else {
		p->joined = 0;
		g_set_state(g, G_RUNNING);
	}
	sched_leave(me);
	return child;
}

static inline uint32_t waiting_here(struct p *p)
{
	return runq_len(&p->runq) + (load_rlx(&p->xrunnext) != NULL);
}

/* A wake for one more goroutine is worth its price only if somebody then finds it there: a pair that readies
 * each other would wake a P each time, for nothing. So small wakes are left out in growing numbers while they
 * prove useless (idle.c counts), and at once again when one was useful; but only under the watch (watch.h), whose second look
 * finds what a computing goroutine has left lying. What has become runnable is visible to who sleeps (idle.c): by put_runnext, or
 * fence_full. */
static inline void consider_waking(struct p *p)
{
	if (likely(!somebody_could_help()))
		return;
	if (waiting_here(p) <= 1) {
		if (p->looking) /* and will run it at once */
			return;
		if (p->small_wakes++ < load_rlx(&sched.xwake_skip) && load_rlx(&sched.xwatched))
			return;
	}
	p->small_wakes = 0;
	wake_one();
}

/* A goroutine that was not runnable before. */
static inline void run_queue_put_new(struct p *p, struct g *g)
{
	stats_ready(p, g);
	run_queue_put(p, g);
	if (p->solo)
		return;
	fence_full();
	consider_waking(p);
}

/* It goes next. */
static inline __attribute__((always_inline)) void put_next(struct p *p, struct g *g)
{
	struct g *old = put_runnext(p, g);
	if (old)
		queue_put(p, old);
	if (!p->solo)
		consider_waking(p);
}

static COLD void ready_elsewhere(struct g *g)
{
	if (load_rlx(&g->is_thread)) {
		store_rel(&g->xfutex, 1);
		os_futex_wake(&g->xfutex);
		return;
	}
	g_set_state(g, G_RUNNABLE);
	if (load_rlx(&g->pin)) {
		struct p *p = sched.ps[load_rlx(&g->pin) - 1];
		gqueue_push(&p->inbox, g);
		wake_p(p);
	} else {
		gqueue_push(&sched.global, g);
		if (somebody_could_help())
			wake_one();
	}
}

void ready_on(struct p *p, struct g *g)
{
	stats_ready(p, g);
	if (unlikely(load_rlx(&g->is_thread) || load_rlx(&g->pin))) {
		ready_elsewhere(g);
		return;
	}
	g_set_state(g, G_RUNNABLE);
	put_next(p, g);
}

void ready(struct g *g)
{
	struct m *m = m_self();
	fiber_publish(g);
	if (unlikely(!m || !m_p(m))) {
		ready_elsewhere(g);
		return;
	}
	void *me = sched_enter(m);
	ready_on(m_p(m), g);
	sched_leave(me);
}

/* The goroutine's P has gone to another M: it waits for one on the global queue, and the M among the spare
 * ones. It is queued only when its stack has been left (queue_left): this thread may stand far behind others in the
 * kernel's queue, and whoever picked the goroutine up would wait for it. */
void queue_without_p(struct m *m)
{
	struct g *g = m_g(m);
	fiber_publish(g);
	void *me = sched_enter(m);
	m->queue = g;
	leave(m, g, NULL);
	sched_leave(me);
	fiber_observe(g);
}

void weft_yield(void)
{
	struct m *m = m_self();
	if (unlikely(!m || !m_g(m)))
		return;
	bool outermost = !load_rlx(&m->xinside);
	if (outermost && unlikely(!m_begin(m))) {
		call_begin_blocking_slow(m);
		m = m_self();
	}
	struct g *g = m_g(m);
	void *me = sched_enter(m);
	struct g *next = pick(m_p(m), QUEUE);
	if (likely(next != NULL)) {
		g_set_state(g, G_RUNNABLE);
		if (unlikely(load_rlx(&g->pin)))
			gqueue_push(&m_p(m)->inbox, g);
		else
			run_queue_put(m_p(m), g);
		leave(m, g, next);
	} else {
		store_rlx(&g->stamp, STAMP_NONE);
	}
	sched_leave(me);
	if (!outermost)
		return;
	m = m_self();
	if (unlikely(load_rlx(&m->xnote) & NOTE_GC))
		gc_safe_point(m);
	store_rel(&m->xinside, false); /* whatever else was asked of us has been done */
}

/* The program has ended: the M goes home, and the goroutine that runs on it is abandoned. */
void end_here(void)
{
	struct m *m = m_self();
	sched_enter(m);
	leave_for_good(m, NULL);
}

/* ---- memory that others may still be looking at ---- */

enum { RETIRED_BETWEEN_QUIET_POINTS = 256 };

/* A goroutine that frees without ever parking would hold up all reclamation: the call itself is a quiet point, as long
 * as nothing else is looked at in it. */
void retire(struct epoch_entry *entry, void (*reclaim)(struct epoch_entry *))
{
	struct m *m = m_self();
	epoch_retire(entry, reclaim);
	struct p *p = m ? m_p(m) : NULL;
	if (!p)
		return;
	void *me = sched_enter(m);
	if (++p->retired % RETIRED_BETWEEN_QUIET_POINTS == 0)
		epoch_quiet();
	sched_leave(me);
}

/* ---- starting and ending ---- */

static COLD struct g *more_gs(struct p *p)
{
	struct slab_list list = slab_take(&sched.gs, G_BATCH);
	p->gfree = (struct g *)(void *)list.first;
	p->ngfree = (uint32_t)list.n;
	return p->gfree;
}

static COLD void more_ids(struct p *p)
{
	p->id_next = add_rlx(&sched.next_id, ID_BATCH);
	p->id_end = p->id_next + ID_BATCH;
}

static inline struct g *g_take(struct p *p)
{
	struct g *g = p->gfree;
	if (unlikely(!g) && !(g = more_gs(p)))
		return NULL;
	p->gfree = g->next;
	p->ngfree--;
	if (unlikely(p->id_next == p->id_end))
		more_ids(p);
	store_rlx(&g->id, p->id_next++);
	return g;
}

static COLD void return_gs(struct p *p)
{
	struct g *first = p->gfree, *last = first;
	for (uint32_t i = 1; i < G_CACHE_MAX / 2; i++)
		last = last->next;
	p->gfree = last->next;
	p->ngfree -= G_CACHE_MAX / 2;
	slab_give(&sched.gs, (struct slab_free *)(void *)first, (struct slab_free *)(void *)last,
		  G_CACHE_MAX / 2);
}

static COLD void drop_extras(struct p *p, struct g *g)
{
	fiber_observe(g); /* goroutines wrote them */
	options_drop(p, g);
	g->stack_want = 0;
	store_rlx(&g->pin, 0);
	g->extras = false;
}

static inline void g_recycle(struct p *p, struct g *g)
{
	if (unlikely(g->extras))
		drop_extras(p, g);
	g_set_state(g, G_FREE);
	g->next = p->gfree;
	p->gfree = g;
	if (unlikely(++p->ngfree > G_CACHE_MAX))
		return_gs(p);
	bump(&p->stats.ended, 1);
}

/* Where goroutines that have had the object before kept their deferred calls, under their own identity. */
static NO_TSAN void g_set_body(struct g *g, void (*fn)(void *), void *arg)
{
	g->fn = fn;
	g->arg = arg;
}

static inline void g_init(struct g *g, void (*fn)(void *), void *arg, uint64_t creator, void *pc)
{
	g_set_body(g, fn, arg);
	store_rlx(&g->creator, creator);
	store_rlx(&g->creator_pc, pc);
	g->joined = false;
	g_set_state(g, G_FRESH);
	if (WEFT_TSAN && !g->fiber)
		g->fiber = fiber_make();
}

/* On the P, in the scheduler's identity (a timer's goroutine has no creator). */
void start_goroutine(struct p *p, void (*fn)(void *), void *arg)
{
	struct g *g = g_take(p);
	if (!g)
		fatal("out of memory for a goroutine");
	bump(&p->stats.started, 1);
	fiber_publish(g);
	g_init(g, fn, arg, 0, NULL);
	gc_born(m_self(), g);
	run_queue_put_new(p, g);
}

static COLD struct g *take_from_outside(void)
{
	struct g *g = slab_take_one(&sched.gs);
	if (g) {
		store_rlx(&g->id, add_rlx(&sched.next_id, 1));
		add_rlx(&sched.foreign_started, 1);
	}
	return g;
}

static COLD void must_be_running(void)
{
	fork_check();
	sim_refuse_outside();
	if (!load_acq(&sched.running))
		weft_panic("weft is not running: goroutines start inside weft_main");
}

/* A goroutine object, by whatever way is open to the caller. */
static inline struct g *g_take_here(struct m *m)
{
	if (unlikely(!m))
		return take_from_outside();
	void *me = sched_enter(m);
	struct p *p = m_p(m);
	struct g *g = likely(p != NULL) ? g_take(p) : take_from_outside();
	if (likely(g != NULL) && likely(p != NULL))
		bump(&p->stats.started, 1);
	sched_leave(me);
	return g;
}

/* Makes a new goroutine runnable: the youngest of this P's, or anybody's. */
static inline __attribute__((always_inline)) void g_launch(struct m *m, struct g *g)
{
	if (unlikely(!m || !m_p(m) || load_rlx(&g->pin))) {
		ready_elsewhere(g);
		return;
	}
	stats_ready(m_p(m), g);
	put_next(m_p(m), g); /* who has started it may be about to wait for it */
}

static inline uint64_t my_id(struct m *m)
{
	return likely(m != NULL) && likely(m_g(m) != NULL) ? load_rlx(&m_g(m)->id) : 0;
}

void weft_go(void (*fn)(void *), void *arg)
{
	struct m *m = m_self();
	if (unlikely(!m))
		must_be_running();
	bool outermost = likely(m != NULL) && m_call_begin(m);
	struct g *g = g_take_here(m);
	if (unlikely(!g))
		fatal("out of memory for a goroutine");
	fiber_publish(g); /* what came before the go statement is ordered before the goroutine */
	void *me = sched_enter(m);
	g_init(g, fn, arg, my_id(m), __builtin_return_address(0));
	gc_born(m, g);
	g_launch(m, g);
	sched_leave(me);
	if (likely(m != NULL))
		m_call_end(m, outermost);
}

static int check_opts(const weft_go_opts *o)
{
	if (o->pin < 0 || o->pin > (int)sched.nprocs || o->stack_size > UINT32_MAX)
		return -EINVAL;
	return 0;
}

/* As struct g has it. */
static uint32_t stack_to_take(size_t want)
{
	unsigned class = stack_class(want);
	if (class == STACK_COMMON)
		return 0;
	return class == STACK_LARGE ? (uint32_t)want : (uint32_t)stack_class_size(class);
}

/* It never ran. */
static COLD void g_give_back(struct m *m, struct g *g)
{
	g->extras = true;
	if (m && m_p(m)) {
		g_recycle(m_p(m), g);
		return;
	}
	drop_extras(NULL, g);
	g_set_state(g, G_FREE);
	sub_rlx(&sched.foreign_started, 1);
	slab_give(&sched.gs, (struct slab_free *)(void *)g, (struct slab_free *)(void *)g, 1);
}

int weft_go_with(const weft_go_opts *opts, void (*fn)(void *), void *arg)
{
	static const weft_go_opts none;
	const weft_go_opts *o = opts ? opts : &none;
	struct m *m = m_self();
	if (unlikely(!m))
		must_be_running();
	int err = check_opts(o);
	if (err)
		return err;
	bool outermost = call_begin();
	struct g *g = g_take_here(m);
	if (!g) {
		call_end(outermost);
		return -ENOMEM;
	}
	uint16_t pin = (uint16_t)o->pin;
	uint32_t stack = stack_to_take(o->stack_size);
	bool wants = options_wanted(o), copies = o->arg_size != 0;
	void *mine = wants ? options_set(m, g, o, arg) : arg;
	bool failed = wants && (!load_rlx(&g->options) || (copies && !mine));
	fiber_publish(g);
	void *me = sched_enter(m); /* from here on nothing of the caller's is looked at */
	if (failed) {
		err = -ENOMEM;
		g_give_back(m, g);
	} else {
		g_init(g, fn, mine, my_id(m), __builtin_return_address(0));
		store_rlx(&g->pin, pin);
		g->stack_want = stack;
		g->extras = true;
		gc_born(m, g);
		g_launch(m, g);
	}
	sched_leave(me);
	call_end(outermost);
	return err;
}

/* The goroutine on stack s has ended: leaves the stack for the P's next one. Only this M takes from its P's
 * list, and not before it stands elsewhere; a large stack must be left before it can be unmapped. */
static inline void retire_stack(struct p *p, struct stack *s)
{
	if (likely(s->class == STACK_COMMON)) {
		stack_give_class(&p->stacks, s, STACK_COMMON);
	} else if (s->class != STACK_LARGE) {
		stack_give_class(&p->stacks, s, s->class);
	} else {
		s->next = p->dead_stacks;
		p->dead_stacks = s;
	}
}

static inline bool is_wanted(const struct stack *s, uint32_t bytes)
{
	return bytes ? stack_size(s) == bytes : likely(s->class == STACK_COMMON);
}

static inline struct g *pick_after_end(struct p *p)
{
	p->gc_not_here = WEFT_TSAN;
	struct g *next = pick(p, TREE);
	p->gc_not_here = false;
	return next;
}

/* The goroutine has ended; in the scheduler's identity. Its successor, if that has not run yet and wants a
 * stack like this one, is given it: true, and it goes on where we stand. Otherwise this stack is free, and
 * *next is to be switched to. */
static inline bool end_and_pick(struct m *m, struct g *g, struct g **next)
{
	struct p *p = m_p(m);
	struct stack *s = load_rlx(&g->stack);
	gc_ends(g);
	store_rlx(&g->stack, NULL);
	store_rlx(&g->ctx.xon_cpu, 0);
	p->joined = g->joined ? load_rlx(&g->creator) : 0;
	g_recycle(p, g);
	struct g *n = *next = pick_after_end(p);
	if (n && !load_rlx(&n->stack) && is_wanted(s, n->stack_want) && !gc_before_run_elsewhere(p)) {
		if (!WEFT_TSAN) /* it was asked just now */
			gc_before_run(m, n);
		store_rel(&n->stack, s); /* overflow.c: R1 */
		store_rlx(&n->ctx.xon_cpu, 1);
		g_set_state(n, G_RUNNING);
		stats_runs(m, n);
		store_rlx(&m->g, n);
		return true;
	}
	retire_stack(p, s);
	return false;
}

/* The program's own code, outside; ended, it needs a P like any call that may block. */
static NOT_INSTRUMENTED void run_body(struct g *g)
{
	void *arg = g->arg;
	g->deferred = NULL;
	store_rel(&m_self()->xinside, false);
	g->fn(arg);
	assert_debug(!g->deferred);
	fiber_hear_signals();
	call_begin_blocking();
}

/* What runs on a stack is ordered by it. */
static inline struct stack *stack_name(const struct g *g)
{
	return WEFT_TSAN ? load_rlx(&g->stack) : NULL;
}

/* Goroutines, one after the other, on one stack. */
NOT_INSTRUMENTED _Noreturn void goroutine_main(void)
{
	fiber_enter_stack(NULL);
	struct g *g = m_g(m_self());
	for (;;) {
		sched_leave(g->fiber);
		fiber_observe(g);
		fiber_observe(stack_name(g));
		run_body(g);
		fiber_publish(&collector); /* as if it had been looked at: gcstack.c */
		fiber_publish(g);
		fiber_publish(stack_name(g)); /* whoever runs on it next overwrites what we left */
		struct m *m = m_self();
		fiber_become(load_rlx(&m->fiber));
		struct g *next;
		if (!end_and_pick(m, g, &next))
			leave_for_good(m, next);
		g = next;
	}
}

/* From wherever it stands on its stack. */
void weft_exit_goroutine(void)
{
	struct m *m = m_self();
	if (!m || !m_g(m))
		weft_panic("weft_exit_goroutine outside a goroutine");
	struct g *g = m_g(m);
	if (load_rlx(&g->state) == G_SYSCALL)
		panic_in_section();
	deferred_run_all(g);
	call_begin_blocking();
	m = m_self();
	fiber_publish(g);
	fiber_publish(stack_name(g));
	sched_enter(m);
	fiber_forget(&g->fiber); /* with the calls that will not return on it */
	struct p *p = m_p(m);
	struct stack *s = load_rlx(&g->stack);
	gc_ends(g);
	store_rlx(&g->stack, NULL);
	store_rlx(&g->ctx.xon_cpu, 0);
	p->joined = g->joined ? load_rlx(&g->creator) : 0;
	g_recycle(p, g);
	if (WEFT_ASAN)
		fiber_unpoison(stack_base(s), stack_size(s));
	struct g *next = pick_after_end(p);
	retire_stack(p, s);
	leave_for_good(m, next);
}
