/* Taking the P of a goroutine that computes.
 *
 * A goroutine that computes for long without a call that would let others run is not stopped: that could be
 * anywhere, in libc with a lock held, or with the address of a thread-local in a register. Its P is taken away and handed
 * to another M, and it runs on as a plain thread, below the Ps in the kernel's eyes, until it makes a call that may
 * block, where it queues for a P like any other. Its thread has no P ever again: when the goroutine has
 * left it, it ends.
 *
 * How the P is taken while the M may be about to use it is the protocol of call.h. sysmon asks politely first
 * (NOTE_YIELD: a blocking call yields when it ends), and takes the P a moment later. If it finds the M inside a
 * call, it asks that the P be given up at the end of it (NOTE_GIVE_UP), so that a goroutine which is inside nearly all
 * the time, by calls that do not block, cannot keep its P by chance.
 *
 * An M is a reader of grace periods while it has a P (lockfree/epoch.h). The one whose P is taken says nothing for as
 * long as it computes, so it is taken off-line on its behalf before anything else happens; `xdetached` tells
 * it that this is over, for it may enter a call meanwhile and go on-line again.
 *
 * The thread is lowered to SCHED_BATCH, a lower weight and a long slice, and may run on any core: an M that wakes up on its
 * core runs at once (docs/decisions/011).
 *
 * R1 detach: store_rel(xdetached)  ->  A1 await_detached: load_acq(xdetached)   it is off-line
 */
#include "alloc/os.h"
#include "lockfree/epoch.h"
#include "runtime/attach.h"
#include "runtime/call.h"
#include "runtime/collect.h"
#include "runtime/fork.h"
#include "runtime/panic.h"
#include "runtime/spare.h"
#include "runtime/takeover.h"

#include <weft/go.h>

#include <sched.h>

/* ---- sysmon's side ---- */

void call_note(struct m *m, uint32_t tick, enum note note)
{
	store_rlx(&m->note_tick, tick);
	store_rel(&m->xnote, note);
}

static struct p *marked(struct p *p)
{
	return (struct p *)((uintptr_t)p | 1);
}

static bool mark(struct m *m, struct p *p)
{
	struct p *was = p;
	return cas_seq(&m->p, &was, marked(p)); /* call.h, R1 */
}

static void unmark(struct m *m, struct p *p)
{
	struct p *was = marked(p);
	cas_acqrel(&m->p, &was, p);
}

static bool take_marked(struct m *m, struct p *p)
{
	struct p *was = marked(p);
	return cas_acqrel(&m->p, &was, NULL);
}

/* TAKEN: the P is the caller's. */
static enum take take_p(struct m *m, struct p *p)
{
	if (!mark(m, p))
		return TAKE_TOO_LATE;
	os_membarrier();
	if (load_acq(&m->xinside)) { /* call.h, A2 */
		unmark(m, p);
		return TAKE_INSIDE;
	}
	return take_marked(m, p) ? TAKEN : TAKE_TOO_LATE;
}

/* The M's P has just been taken by the caller, which is another thread. */
static void detach(struct m *m, struct p *p)
{
	fiber_observe(&m->fiber);
	epoch_offline_for(m->reader);
	os_lower(load_rlx(&m->tid));
	store_rlx(&m->lowered, true);
	add_seq(&sched.xdetached, 1);
	store_rel(&m->xdetached, true); /* R1 */
	store_rlx(&p->xm, NULL);
}

enum take take_over(struct m *m, struct p *p)
{
	struct m *heir = spare_get();
	if (!heir)
		return TAKE_REFUSED;
	enum take how = take_p(m, p);
	if (how != TAKEN) {
		spare_put(heir);
		if (how == TAKE_INSIDE)
			call_note(m, load_rlx(&p->tick), NOTE_GIVE_UP);
		return how;
	}
	detach(m, p);
	add_rlx(&sched.taken, 1);
	spare_hand(heir, p);
	return TAKEN;
}

/* ---- the M's side ---- */

/* Its P, or NULL: who has seen the other's move settles it. */
struct p *call_settle(struct m *m)
{
	struct p *p = load_acq(&m->p);
	while (p_is_marked(p)) {
		struct p *whole = (struct p *)((uintptr_t)p & ~(uintptr_t)1);
		if (cas_acqrel(&m->p, &p, whole))
			return whole;
	}
	return p;
}

static bool in_section(struct m *m)
{
	return load_rlx(&m_g(m)->state) == G_SYSCALL;
}

/* The P is gone; from here on what sysmon has changed of the M is the M's own again. */
static void await_detached(struct m *m)
{
	for (unsigned spins = 0; !load_acq(&m->xdetached); spins++) { /* A1 */
		if (spins % 64 == 63)
			sched_yield();
		cpu_relax();
	}
}

/* Without a P, what may vanish is looked at as by a thread outside. */
void call_begin_slow(struct m *m)
{
	if (call_settle(m))
		return;
	if (!in_section(m))
		await_detached(m);
	epoch_online();
}

void call_begin_blocking_slow(struct m *m)
{
	if (call_settle(m))
		return;
	if (in_section(m))
		panic_in_section();
	await_detached(m);
	queue_without_p(m);
	sub_seq(&sched.xdetached, 1); /* by the goroutine, on its new P: whoever parks next and sees a deadlock is right */
}

/* Hands its own P on, and stays without. */
static void give_up_p(struct m *m)
{
	struct p *p = m_p(m);
	struct m *heir = spare_get();
	if (!heir)
		return;
	store_rlx(&m->p, NULL);
	epoch_offline();
	store_rlx(&m->lowered, true);
	add_seq(&sched.xdetached, 1);
	store_rel(&m->xdetached, true);
	sched_leave(sched_enter(m));
	fiber_observe(&m->fiber); /* what it has done to the P, as the scheduler, goes on with the P */
	add_rlx(&sched.given_up, 1);
	spare_hand(heir, p);
	os_lower(load_rlx(&m->tid)); /* last: the P waits for nobody who stands behind others */
}

/* Takes the note away; whether it is still about what runs now. */
static bool note_holds(struct m *m)
{
	bool same = load_acq(&m->xnote) && m_p(m) && load_rlx(&m->note_tick) == load_rlx(&m_p(m)->tick);
	store_rlx(&m->xnote, NOTE_NONE);
	return same;
}

void call_end_slow(struct m *m)
{
	if (load_rlx(&m->xnote) & NOTE_GC)
		gc_safe_point(m);
	if (!m_p(m))
		epoch_offline();
	else if (unlikely(sim_on))
		sim_call_ends(m);
	else if (load_rlx(&m->xnote) == NOTE_GIVE_UP && note_holds(m))
		give_up_p(m);
}

void call_end_blocking_slow(void)
{
	struct m *m = m_self();
	if (load_rlx(&m->xnote) & NOTE_GC)
		gc_safe_point(m);
	if (unlikely(sim_on)) {
		sim_blocking_call_ends();
		return;
	}
	if (!note_holds(m))
		return;
	add_rlx(&sched.asked, 1);
	weft_yield();
}

/* ---- threads outside ---- */

void call_begin_outside(void)
{
	fork_check();
	sim_refuse_outside();
	attached_call_begin();
	epoch_enter();
}

void call_end_outside(void)
{
	epoch_leave();
	attached_call_end();
}
