/* Blocking in the kernel without stopping the others: the P is handed on.
 *
 *     block_begin (the M)                      sysmon
 *     xstatus := P_BLOCKED                     sees P_BLOCKED with the same xblock_seq twice
 *     ... the call ...                         cas xstatus P_BLOCKED -> P_RUNNING: the P is sysmon's
 *     block_end: cas P_BLOCKED -> P_RUNNING    gives it to a spare M, or a new one
 *
 * One compare-and-swap decides who has the P. If it is the M, nothing has happened and block_end costs one
 * locked operation; if it is sysmon, the goroutine queues for a P like any other, and its M joins the spare
 * ones. A goroutine whose P has been taken while it computed (takeover.c) waits for one before its section begins, so
 * that what it does in there it does on an ordinary thread: a process that it starts inherits no low priority.
 *
 * R1 block_begin: store_rel(xstatus) ->  A1 block_take_back: cas_acqrel(xstatus)    the P's own data
 * R2 block_begin, come_back: store_rel(state)   ->  A2 scan_section (gchost.c): load_acq(state)  its registers
 */
#include "runtime/block.h"
#include "alloc/os.h"
#include "lockfree/epoch.h"
#include "runtime/call.h"
#include "runtime/collect.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/spare.h"
#include "runtime/sysmon.h"
#include "runtime/world.h"

#include <weft/go.h>

#include <sched.h>

/* ---- sysmon's side ---- */

bool block_take_back(struct p *p, uint32_t *seen)
{
	uint32_t blocked = P_BLOCKED, seq = load_rlx(&p->xblock_seq);
	if (!block_is_on(p))
		return false;
	if (*seen != seq) {
		*seen = seq;
		return false;
	}
	struct m *heir = spare_get();
	if (!heir)
		return false;
	if (!cas_acqrel(&p->xstatus, &blocked, P_RUNNING)) { /* A1 */
		spare_put(heir);
		return false;
	}
	sub_seq(&sysmon.xblocked_ps, 1);
	add_rlx(&sched.handed_on, 1);
	spare_hand(heir, p);
	return true;
}

/* ---- the goroutine's side ---- */

/* In a section the goroutine touches no collected pointer, but who called it may have some in registers that calls preserve. They stand in
 * this frame and in that of the caller, `frame` being its end, which goes: it is kept. */
NOT_INSTRUMENTED void section_publish(struct section *s, void *frame)
{
	__builtin_unwind_init();
	uintptr_t *from;
#if defined(__x86_64__)
	__asm__ volatile("movq %%rsp, %0" : "=r"(from));
#elif defined(__aarch64__)
	__asm__ volatile("mov %0, sp" : "=r"(from));
#endif
	uint32_t n = 0;
	for (; from < (uintptr_t *)frame && n < SECTION_WORDS; from++)
		s->word[n++] = *from;
	s->n = n;
	s->frame = s->frame_end = NULL;
	store_rlx(&s->sp, from);
}

NOT_INSTRUMENTED void section_clear(struct section *s)
{
	s->n = 0;
	s->frame = s->frame_end = NULL;
	store_rlx(&s->sp, NULL);
}

/* The P is left for sysmon to find. */
static void leave_p(struct m *m, struct p *p)
{
	bump(&p->xblock_seq, 1);
	store_rlx(&m->p, NULL);
	epoch_offline();
	store_rel(&p->xstatus, P_BLOCKED); /* R1 */
	sysmon_p_blocks();
}

void weft_block_begin(void)
{
	struct m *m = m_self();
	if (!m || !m_g(m))
		weft_panic("weft_block_begin outside a goroutine");
	if (load_rlx(&m_g(m)->state) == G_SYSCALL)
		weft_panic("weft_block_begin inside a blocking section");
	bool outermost = call_begin_blocking();
	m = m_self(); /* another one, perhaps */
	struct p *p = m_p(m);
	void *me = sched_enter(m); /* the P's data go over to whoever takes it */
	store_rlx(&m_g(m)->since, load_rlx(&p->now));
	section_publish(&m->section, __builtin_frame_address(0));
	store_rel(&m_g(m)->state, G_SYSCALL); /* R2 */
	add_seq(&sched.xblocked, 1);
	store_rlx(&m->blocked_p, p);
	leave_p(m, p);
	sched_leave(me);
	if (outermost)
		store_rel(&m->xinside, false);
}

/* The P, if it is still there for the M to take. */
static bool take_p_again(struct m *m)
{
	uint32_t blocked = P_BLOCKED;
	struct p *p = load_rlx(&m->blocked_p);
	while (!cas_acqrel(&p->xstatus, &blocked, P_RUNNING)) {
		if (blocked != P_HELD)
			return false;
		blocked = P_BLOCKED; /* once the collector has flushed its cache */
		sched_yield();
	}
	sub_seq(&sysmon.xblocked_ps, 1);
	store_rlx(&p->xm, m); /* it may have been somebody else's meanwhile */
	store_rlx(&m->p, p);
	epoch_online();
	return true;
}

/* While the world stands, what it has is what it had when the section began. */
static void come_back(struct g *g)
{
	for (;;) {
		g_set_state(g, G_RUNNING);
		fence_full(); /* either it sees that there is marking, or that the world stops, or who looks sees that it is back */
		if (!world_stops())
			return;
		store_rel(&g->state, G_SYSCALL); /* R2 */
		world_wait_published();
	}
}

void weft_block_end(void)
{
	struct m *m = m_self();
	if (!m || !m_g(m) || load_rlx(&m_g(m)->state) != G_SYSCALL)
		weft_panic("weft_block_end without weft_block_begin");
	if (unlikely(m_g(m)->deferred != NULL))
		deferred_leave_section(m_g(m));
	bool outermost = !load_rlx(&m->xinside), due = false;
	store_rlx(&m->xinside, true); /* there is no P to be taken */
	void *me = sched_enter(m);
	come_back(m_g(m));
	gc_back(m);
	if (take_p_again(m)) {
		gc_before_run(m, m_g(m));
		due = step_is_due(m_p(m));
		sched_leave(me);
	} else {
		sched_leave(me);
		queue_without_p(m);
	}
	sub_seq(&sched.xblocked, 1);
	if (due)
		weft_yield(); /* or calls in a row would keep the P for ever */
	call_end_blocking(outermost);
}
