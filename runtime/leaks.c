/* weft_leaks: the world and its bystanders stand while everything is looked at, once. What counts as a beginning:
 *
 *     goroutines that run or will          that are running, runnable, in a blocking section, asleep, waiting for a descriptor: their stacks
 *     timers that are pending              deadlines of waits among them: what they point to
 *     cleanups                             their arguments
 *     all memory in which there is no object (reach.h): globals, thread-locals, stacks of other threads, what is mapped or allocated
 *                                          elsewhere
 *
 * Everybody else waits for a goroutine, and has leaked unless there is a way from there to the place where it waits. Nothing is said twice: a goroutine
 * that waits for what another one has which has leaked has leaked too, without its being asked.
 *
 * A receive from a NULL channel, and a select without cases, end never, whoever knows the goroutine.
 *
 * The heap of a thread that a signal has met in the allocator cannot be looked through. Then its blocks are no objects, and all of them count. */
#include "runtime/leaks.h"
#include "alloc/manual.h"
#include "alloc/os.h"
#include "runtime/bystander.h"
#include "runtime/cleanup.h"
#include "runtime/collect.h"
#include "runtime/dump.h"
#include "runtime/gcstack.h"
#include "runtime/reach.h"
#include "runtime/sched.h"
#include "runtime/world.h"

#include <weft/go.h>

#include <errno.h>

enum { OWN_FRAMES = 64 * 1024 };

static struct {
	uintptr_t from, to;
} allocator; /* its code */

struct inquiry {
	const struct m *caller; /* which is not in the allocator; NULL: none of weft's */
	int thread;		/* the caller's */
	int result;
};

void leaks_start(void)
{
	manual_find_code(&allocator.from, &allocator.to);
}

/* ---- who waits for another ---- */

static bool waits_for_nothing(enum wait_reason why)
{
	return why == WAIT_SEND_NIL || why == WAIT_RECV_NIL || why == WAIT_SELECT_NONE;
}

static bool waits_for_the_world(enum wait_reason why)
{
	return why == WAIT_SLEEP || why == WAIT_READ || why == WAIT_WRITE || why == WAIT_ACCEPT || why == WAIT_CONNECT;
}

static enum wait_reason reason(const struct g *g)
{
	return (enum wait_reason)(load_rlx(&g->waiting) & ~(unsigned)WAIT_LEAKED);
}

static bool is_sleeper(const struct g *g)
{
	return load_rlx(&g->state) == G_WAITING && !load_rlx(&g->is_thread) && !load_acq(&g->ctx.xon_cpu) && load_acq(&g->stack) &&
	       !waits_for_the_world(reason(g));
}

/* One that has been found leaked stays so: what a dump of it has left somewhere keeps it no more. */
static void add_sleeper(void *object, void *arg)
{
	struct g *g = object;
	int *leaked = arg;
	if (is_leaked(g))
		++*leaked;
	else if (is_sleeper(g))
		reach_add_sleeper(g);
}

/* ---- heaps ---- */

struct search {
	const struct m *m;
	bool found, stands;
};

static NOT_INSTRUMENTED void look_for_code(void *arg, const void *from, const void *to)
{
	struct search *s = arg;
	for (const volatile uintptr_t *at = from; at + 1 <= (const volatile uintptr_t *)to; at++)
		s->found |= *at - allocator.from < allocator.to - allocator.from;
}

static void look_at_bystander(void *arg, const struct bystander *b)
{
	struct search *s = arg;
	if (b->m != s->m)
		return;
	s->stands = true;
	look_for_code(s, (const void *)b->sp, stack_top(load_acq(&m_g(b->m)->stack)));
	look_for_code(s, b->frame, b->frame_end);
}

/* Its thread has been met anywhere, and may be in the allocator. */
static bool may_allocate(struct m *m)
{
	struct search s = {.m = m};
	struct g *g = m_g(m);
	if (!g)
		return false;
	if (load_acq(&g->state) == G_SYSCALL) {
		bystanders_each(look_at_bystander, &s);
		return s.found || !s.stands;
	}
	if (m->section.frame)
		gc_ranges_of_section(g, &m->section, stack_top(load_acq(&g->stack)), look_for_code, &s);
	return s.found;
}

static void add_m(void *object, void *arg)
{
	struct m *m = object;
	const struct inquiry *q = arg;
	void *heap = load_rlx(&m->heap);
	if (load_acq(&m->tid))
		reach_add_hole(load_rlx(&m->stack_bottom), load_rlx(&m->frames_end));
	if (heap && (m == q->caller || !may_allocate(m)))
		reach_add_heap(heap);
}

/* ---- beginnings ---- */

static void look_at_goroutine(void *arg, struct g *g, const void *from, const void *to)
{
	(void)arg;
	if (is_sleeper(g))
		return;
	if (sim_on) /* its Ms stand anywhere in weft */
		reach_place_of_waker(from, to);
	else
		reach_place(from, to, REACH_STACK);
}

/* The part of a thread's stack that is in use; where it ends is not known of all, and what is behind it does no harm. */
static void look_at_stack(void *arg, const struct bystander *b)
{
	(void)arg;
	const struct g *g = b->m ? m_g(b->m) : NULL;
	const struct stack *s = g ? load_acq(&g->stack) : NULL;
	if (s) {
		reach_place((const void *)b->sp, stack_top(s), REACH_STACK);
		reach_place(b->frame, b->frame_end, REACH_STACK);
		return;
	}
	reach_place_of_waker(b->frame, b->frame_end);
	reach_stack_of_waker(b->sp, b->own);
}

static void look_at_word(void *arg, const void *word)
{
	(void)arg;
	reach_place(&word, &word + 1, REACH_WORDS);
}

static void look_at_beginnings(void)
{
	world_each_range(look_at_goroutine, NULL);
	bystanders_each(look_at_stack, NULL);
	for (unsigned i = 0; i < sched.nprocs; i++)
		reach_place(&sched.ps[i]->wheel, &sched.ps[i]->wheel + 1, REACH_WORDS);
	cleanups_each(look_at_word, NULL);
}

/* ---- the verdict ---- */

static void condemn(void *arg, struct g *g)
{
	int *n = arg;
	if (is_leaked(g))
		return;
	store_rlx(&g->waiting, (uint8_t)(load_rlx(&g->waiting) | WAIT_LEAKED));
	++*n;
}

static void condemn_who_waits_for_nothing(void *object, void *arg)
{
	struct g *g = object;
	if (is_sleeper(g) && waits_for_nothing(reason(g)))
		condemn(arg, g);
}

static int look_at_all(struct inquiry *q)
{
	int leaked = 0, err = reach_list_memory();
	if (err)
		return err;
	slab_each(&sched.gs, add_sleeper, &leaked);
	m_each(add_m, q);
	reach_add_hole(&collector, &collector + 1);
	reach_add_hole((char *)__builtin_frame_address(0) - OWN_FRAMES, __builtin_frame_address(0));
	if ((err = reach_settle()))
		return err;
	look_at_beginnings();
	reach_memory();
	if (reach_failed())
		return -ENOMEM;
	reach_each_lost(condemn, &leaked);
	slab_each(&sched.gs, condemn_who_waits_for_nothing, &leaked);
	return leaked;
}

static void inquire(void *arg)
{
	struct inquiry *q = arg;
	q->result = reach_begin();
	if (!q->result)
		q->result = bystanders_stop(q->thread);
	if (!q->result) {
		manual_heaps_hold();
		q->result = look_at_all(q);
		manual_heaps_let_go();
		bystanders_go_on();
	}
	reach_end();
}

int weft_leaks(int fd)
{
	__builtin_unwind_init(); /* what is in the caller's registers is in this frame */
	struct inquiry q = {.caller = m_self(), .thread = os_thread()};
	if (!load_acq(&sched.running))
		return -EINVAL;
	int err = world_stand_still(inquire, &q);
	if (err)
		return err;
	if (q.result > 0)
		dump_leaked(fd, q.result);
	return q.result;
}
