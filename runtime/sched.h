/* The scheduler's shared state and the verbs its files have for one another.
 *
 * sched.c runs goroutines (go, park, ready, yield, end); idle.c finds work when there is none at hand, and
 * sleeps and wakes; block.c hands a P on whose M blocks; start.c builds all of it and takes it down.
 */
#ifndef RUNTIME_SCHED_H
#define RUNTIME_SCHED_H

#include "runtime/fiber.h"
#include "runtime/g.h"
#include "runtime/poller.h"
#include "runtime/sim.h"

enum { MAX_PS = 1024, IDLE_WORDS = MAX_PS / 64 };

enum spin_mode { SPIN_OFF, SPIN_AUTO, SPIN_POLL };

struct sched {
	/* Written before the Ps start. */
	unsigned nprocs;
	struct p **ps;
	bool pin;
	bool steal;
	bool preempt;         /* take Ps from goroutines that compute */
	unsigned max_threads; /* without a P */
	struct slab gs;

	/* placement.c writes, seldom. */
	_Atomic uint32_t active; /* Ps that are worth waking; those from here on rest */
	_Atomic enum spin_mode spin;

	struct gqueue global;
	ON_OWN_LINE _Atomic uint32_t xspinning; /* Ms that look for work */
	_Atomic uint32_t xidle;                 /* Ps whose M sleeps */
	_Atomic uint32_t xwake_skip;            /* how many small wakes to leave out (sched.c) */
	_Atomic uint32_t xwatched;              /* sysmon looks for what is left lying (watch.h) */
	_Atomic uint64_t idle_mask[IDLE_WORDS];
	ON_OWN_LINE _Atomic uint32_t xblocked;  /* Ms between block_begin and block_end */
	_Atomic uint32_t xdetached;             /* Ms that compute without a P (takeover.c) */
	_Atomic uint32_t xoutside;              /* attached threads, and subscriptions to signals (attach.h) */
	_Atomic int64_t xpollwait;              /* threads outside that wait for sockets; the rest: struct p */
	_Atomic(const struct poller *) poller;
	_Atomic uint64_t next_id;
	_Atomic int64_t foreign_started; /* goroutines started by threads outside */
	_Atomic bool stopping;
	_Atomic bool running;
	_Atomic bool main_started;
	_Atomic int own_threads; /* that are not the user's: Ms, sysmon, liburcu's */
	_Atomic uint32_t xthreads; /* Ms */
	/* Counters: Ps taken from computing goroutines, given up by them, and handed on from blocking sections; goroutines
	 * asked to yield; and times that nothing was taken for want of an M. */
	_Atomic uint64_t taken, given_up, handed_on, asked, refused;
};

extern struct sched sched;

/* The scheduler's identity (fiber.h), and back to the caller's; m may be NULL. */
static inline __attribute__((always_inline)) void *sched_enter(struct m *m)
{
	void *was = fiber_current();
	if (WEFT_TSAN && m)
		fiber_become(load_rlx(&m->fiber));
	return was;
}

/* What was done to the P is published as the M's, for whoever takes it (takeover.c). */
static inline __attribute__((always_inline)) void sched_leave(void *was)
{
	struct m *m = WEFT_TSAN ? m_self() : NULL;
	if (m)
		fiber_publish(&m->fiber);
	fiber_become(was);
}

/* start.c: does anybody wait for a socket? Sure only while nobody runs. */
bool poller_is_waited_for(void);

/* sched.c: a scheduling step that does not switch: true every so often, when it is time for a yield. */
bool step_is_due(struct p *);

/* sched.c: what a scheduler context (identity of the M) may do. */
void ready_on(struct p *, struct g *);
void run_queue_put(struct p *, struct g *);
struct g *run_queue_get(struct p *);
void m_loop(struct m *);
void start_goroutine(struct p *, void (*fn)(void *), void *arg);
void free_dead_stacks(struct p *);

/* idle.c: blocks until there is something to run on this M's P. NULL: the runtime is stopping. */
struct g *find_work(struct m *);

/* Timers that are due, and sockets if `sockets`; true: something was made runnable. */
bool fire_timers(struct p *, int64_t now);

/* The same for one other P, a different one each time, if it is so late with its timers that it must be computing;
 * an idle P does it for all (idle.c), but there may be none. */
void fire_late_timers_of_another(struct p *, int64_t now);

/* Does a P sleep that may be woken for work? */
bool somebody_is_worth_waking(void);

/* Wakes one sleeping P, if there is one and nobody is looking for work already. */
void wake_one(void);

/* Wakes this one, whoever looks already, to see what others have left lying. False: it does not sleep. */
bool wake_for_a_look(struct p *);

/* Wakes this P if it sleeps. */
void wake_p(struct p *);

_Noreturn void end_here(void);

/* sched.c: the goroutine that runs on this M, whose P is gone, queues for one. */
void queue_without_p(struct m *);
_Noreturn void panic_in_section(void);

/* sched.c: the goroutine that stands for the calling thread, which is outside; made when there is none. And gives it back,
 * if there is one. */
struct g *stand_in(void);
void stand_in_drop(void);

/* start.c: a thread of weft's own that is no M, and takes none of the program's signals; or the end of the program. */
void start_own_thread(void *(*run)(void *), const char *what);

/* start.c: every struct m that there ever was, on a thread (tid) or not. */
void m_each(void (*see)(void *m, void *arg), void *arg);

/* start.c: how many threads there are that weft did not make. */
int foreign_threads(void);

/* start.c: an M on a thread of its own that runs the P, or (NULL) waits for one. NULL: there is no thread to be had. */
struct m *m_start(struct p *);

/* start.c: on the M's own thread: the P is its from here on. */
void m_take_p(struct m *, struct p *);

/* One in flight per idle transition: see idle.c's essay for why this is enough. */
static inline bool somebody_could_help(void)
{
	return load_seq(&sched.xidle) != 0 && load_seq(&sched.xspinning) == 0;
}

static inline bool is_asleep(const struct p *p)
{
	return load_seq(&sched.idle_mask[p->index / 64]) >> p->index % 64 & 1;
}

/* A P that is so late with its timers, or has not asked its poller for so long, is helped (idle.c, watch.c). */
enum { TIMER_LATE_NS = 50000, POLLER_LATE_NS = 1000000 };

/* How far a P had come when somebody looked who does not run on it. */
struct steps {
	uint32_t tick;
	int countdown;
};

/* Since the last time that this was asked with the same memory. */
static inline bool has_stepped(const struct p *p, struct steps *seen)
{
	struct steps now = {.tick = load_rlx(&p->tick), .countdown = load_rlx(&p->countdown)};
	bool stepped = now.tick != seen->tick || now.countdown != seen->countdown;
	*seen = now;
	return stepped;
}

/* Its goroutine has run for that long, or its thread has not. */
static inline bool has_not_looked(const struct p *p, int64_t now)
{
	enum { STUCK_NS = 50000 };
	return now - load_rlx(&p->now) > STUCK_NS;
}

/* There are fewer cores than at the start (placement.c): it does what is its own, and nothing else. */
static inline bool is_resting(const struct p *p)
{
	return p->index >= load_rlx(&sched.active);
}

/* Threads that compute without a P need cores too: as many Ps, the last ones, stand by. They do not look for work, and do what
 * their own sockets bring and what the others do not come to. */
static inline bool stands_by(const struct p *p)
{
	return p->index != 0 && p->index + load_rlx(&sched.xdetached) >= sched.nprocs;
}

/* May it help the goroutine that runs on p to wait for another by spinning? Not while others wait for p, nor when nobody
 * else runs, as in a simulation meanwhile. */
static inline bool spinning_may_help(struct p *p)
{
	return !sim_on && !p->solo && !runq_len(&p->runq) && load_rlx(&sched.xidle) + 1 < sched.nprocs;
}

#endif
