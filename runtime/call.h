/* A call into weft. From call_begin to call_end the caller's M keeps its P, and what grace periods give back
 * (lockfree/epoch.h) stays; between calls, while the program's own code runs, sysmon may take the P away
 * (takeover.c).
 *
 *     the M                                  sysmon
 *     inside := true                         cas p: the P -> the same, marked
 *     (only the compiler is held back)       membarrier
 *     look at p                              look at inside
 *       the P: it stays until call_end         true: cas p: marked -> the P; note
 *       marked: cas back to the P              false: cas p: marked -> NULL, and the P is sysmon's
 *       NULL: it is gone
 *
 * Either the M sees the mark or sysmon sees that it is inside: membarrier is the fence of both. Who has seen the
 * other settles it by compare-and-swap on one word, so that they agree. The price of a call is a store, a
 * load and a branch on either side.
 *
 * A call may begin within another, and in the scheduler's own context, which is always inside: only the
 * outermost counts. A goroutine may end a call on another M than it began it on; every switch is made inside, so
 * that what is restored fits any M.
 *
 * There are two kinds. What never blocks never moves its goroutine to another thread, and works without a P as it
 * would on a thread outside. What may block first waits for a P, if the goroutine's has been taken, and yields at the
 * end if its time slice is over (xnote).
 *
 * A thread outside the runtime is a reader for the length of the call, and nothing else.
 *
 * R1 mark (takeover.c): cas_seq(p), membarrier  ->  A1 m_begin: load_acq(p)            the M sees the mark
 * R2 m_call_end: store_rel(xinside)             ->  A2 take_p: load_acq(xinside)       what the M did to its P
 */
#ifndef RUNTIME_CALL_H
#define RUNTIME_CALL_H

#include "lockfree/fence.h"
#include "runtime/sched.h"

/* xnote: what sysmon wants of the M at the end of a call; and, as a bit beside that, the collector, which says it again if sysmon has
 * overwritten it. */
enum note { NOTE_NONE, NOTE_YIELD, NOTE_GIVE_UP, NOTE_GC = 4 };

/* sysmon: asks the M on whose P `tick` was seen. */
void call_note(struct m *, uint32_t tick, enum note);

/* The M's P, or NULL: if it is being taken, that is settled. By the M, inside. */
struct p *call_settle(struct m *);

COLD void call_begin_slow(struct m *);
COLD void call_begin_blocking_slow(struct m *);
COLD void call_end_slow(struct m *);
COLD void call_end_blocking_slow(void);
COLD void call_begin_outside(void);
COLD void call_end_outside(void);

static inline bool p_is_marked(const struct p *p)
{
	return (uintptr_t)p & 1;
}

/* The M is inside from here on, and has its P or sees that it has not: true. */
static inline __attribute__((always_inline)) bool m_begin(struct m *m)
{
	store_rlx(&m->xinside, true);
	fence_compiler();
	struct p *p = load_acq(&m->p); /* A1 */
	return likely(p != NULL) && likely(!p_is_marked(p));
}

/* For who knows the M, and knows that the call does not move. */
static inline __attribute__((always_inline)) bool m_call_begin(struct m *m)
{
	if (load_rlx(&m->xinside))
		return false;
	if (unlikely(!m_begin(m)))
		call_begin_slow(m);
	return true;
}

static inline __attribute__((always_inline)) void m_call_end(struct m *m, bool outermost)
{
	if (!outermost)
		return;
	if (unlikely(load_rlx(&m->xnote) >= NOTE_GIVE_UP) || unlikely(!m_p(m)))
		call_end_slow(m);
	store_rel(&m->xinside, false); /* R2 */
}

/* Whether this is the outermost call: what call_end wants. */
static inline __attribute__((always_inline)) bool call_begin(void)
{
	struct m *m = m_self();
	if (likely(m != NULL))
		return m_call_begin(m);
	call_begin_outside();
	return true;
}

static inline __attribute__((always_inline)) void call_end(bool outermost)
{
	struct m *m = m_self();
	if (likely(m != NULL))
		m_call_end(m, outermost);
	else
		call_end_outside();
}

/* For what may block. A goroutine has a P from here on. */
static inline __attribute__((always_inline)) bool call_begin_blocking(void)
{
	struct m *m = m_self();
	if (unlikely(!m)) {
		call_begin_outside();
		return true;
	}
	if (load_rlx(&m->xinside))
		return false;
	if (unlikely(!m_begin(m)))
		call_begin_blocking_slow(m);
	return true;
}

static inline __attribute__((always_inline)) void call_end_blocking(bool outermost)
{
	struct m *m = m_self();
	if (unlikely(!m)) {
		call_end_outside();
		return;
	}
	if (!outermost)
		return;
	if (unlikely(load_rlx(&m->xnote))) {
		call_end_blocking_slow();
		m = m_self();
	}
	store_rel(&m->xinside, false); /* R2 */
}

#endif
