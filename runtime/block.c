/* Blocking in the kernel without stopping the others: the P is handed on.
 *
 *     block_begin (the M)                      sysmon
 *     xstatus := P_BLOCKED                     sees P_BLOCKED with the same xblock_seq twice
 *     ... the call ...                         cas xstatus P_BLOCKED -> P_RUNNING: the P is sysmon's
 *     block_end: cas P_BLOCKED -> P_RUNNING    gives it to a spare M, or a new one
 *
 * One compare-and-swap decides who has the P. If it is the M, nothing has happened and block_end costs one
 * locked operation; if it is sysmon, the goroutine queues for a P like any other, and its M joins the spare
 * ones. sysmon looks every 20 µs while something new is blocked, then less and less often, and sleeps when no
 * P is: a machine whose goroutines do not block pays nothing for it.
 *
 * R1 block_begin: store_rel(xstatus) ->  A1 sysmon: cas_acqrel(xstatus)    the P's own data
 * R2 hand_over:   store_rel(xnote)   ->  A2 spare_wait: load_acq(xnote)    the P that is handed over
 */
#include "alloc/os.h"
#include "lockfree/epoch.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/sched.h"

#include <weft/go.h>

#include <pthread.h>
#include <time.h>

enum {
	SYSMON_SHORTEST = 20000,
	SYSMON_LONGEST = 10000000,
	SYSMON_PATIENCE = 50, /* looks without a hand-over before the pauses grow */
};

static struct {
	_Atomic uint32_t xawake; /* futex */
	_Atomic uint32_t xblocked_ps;
	pthread_once_t once;
} sysmon = {.once = PTHREAD_ONCE_INIT};

/* ---- spare Ms ---- */

void spare_wait(struct m *m)
{
	epoch_offline();
	spin_lock(&sched.spare_lock);
	m->next = sched.spare;
	sched.spare = m;
	spin_unlock(&sched.spare_lock);
	while (!load_acq(&m->xnote) && !load_acq(&sched.stopping)) /* A2 */
		os_futex_wait(&m->xnote, 0, -1);
	store_rlx(&m->xnote, 0);
	epoch_online();
	store_rlx(&m->p, m->handed);
	if (m->handed && sched.pin)
		os_pin(m->handed->cpu);
	m->handed = NULL;
}

void hand_over(struct p *p)
{
	spin_lock(&sched.spare_lock);
	struct m *m = sched.spare;
	if (m)
		sched.spare = m->next;
	spin_unlock(&sched.spare_lock);
	if (!m) {
		int err = m_start(p);
		if (err)
			fatal("cannot start a thread: error %d", -err);
		return;
	}
	m->handed = p;
	store_rel(&m->xnote, 1); /* R2 */
	os_futex_wake(&m->xnote);
}

void spare_wake_all(void)
{
	spin_lock(&sched.spare_lock);
	for (struct m *m = sched.spare; m; m = m->next) {
		store_rel(&m->xnote, 1);
		os_futex_wake(&m->xnote);
	}
	spin_unlock(&sched.spare_lock);
}

/* ---- sysmon ---- */

static bool take_back(struct p *p, uint32_t *seen)
{
	uint32_t blocked = P_BLOCKED, seq = load_rlx(&p->xblock_seq);
	if (load_rlx(&p->xstatus) != P_BLOCKED)
		return false;
	if (*seen != seq) {
		*seen = seq;
		return false;
	}
	if (!cas_acqrel(&p->xstatus, &blocked, P_RUNNING)) /* A1 */
		return false;
	sub_seq(&sysmon.xblocked_ps, 1);
	hand_over(p);
	return true;
}

static void sysmon_sleep(int64_t ns)
{
	struct timespec t = {.tv_nsec = ns};
	nanosleep(&t, NULL);
}

static void *sysmon_run(void *unused)
{
	(void)unused;
	static uint32_t seen[MAX_PS];
	int64_t pause_ns = SYSMON_SHORTEST;
	int looks = 0;
	os_exact_timers();
	for (;;) {
		store_seq(&sysmon.xawake, 0);
		while (!load_seq(&sysmon.xblocked_ps)) {
			os_futex_wait(&sysmon.xawake, 0, -1);
			store_seq(&sysmon.xawake, 0);
			pause_ns = SYSMON_SHORTEST;
			looks = 0;
		}
		store_seq(&sysmon.xawake, 1);
		sysmon_sleep(pause_ns);
		bool taken = false;
		for (unsigned i = 0; i < sched.nprocs; i++)
			taken |= take_back(sched.ps[i], &seen[i]);
		looks = taken ? 0 : looks + 1;
		if (taken)
			pause_ns = SYSMON_SHORTEST;
		else if (looks > SYSMON_PATIENCE && pause_ns < SYSMON_LONGEST)
			pause_ns *= 2;
	}
	return NULL;
}

static void sysmon_start(void)
{
	pthread_t thread;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int err = pthread_create(&thread, &attr, sysmon_run, NULL);
	if (err)
		fatal("cannot start sysmon: error %d", err);
	pthread_attr_destroy(&attr);
	add_seq(&sched.own_threads, 1);
}

/* ---- the goroutine's side ---- */

void weft_block_begin(void)
{
	struct m *m = m_self();
	if (!m || !m_g(m))
		weft_panic("weft_block_begin outside a goroutine");
	if (!m_p(m))
		weft_panic("weft_block_begin inside a blocking section");
	pthread_once(&sysmon.once, sysmon_start);
	void *me = sched_enter(m); /* the P's data go over to whoever takes it */
	struct p *p = m_p(m);
	g_set_state(m_g(m), G_SYSCALL);
	store_rlx(&m_g(m)->since, load_rlx(&p->now));
	epoch_offline();
	add_seq(&sched.xblocked, 1);
	bump(&p->xblock_seq, 1);
	store_rlx(&m->blocked_p, p);
	store_rlx(&m->p, NULL);
	store_rel(&p->xstatus, P_BLOCKED); /* R1 */
	add_seq(&sysmon.xblocked_ps, 1);
	if (!load_seq(&sysmon.xawake) && !swap_seq(&sysmon.xawake, 1))
		os_futex_wake(&sysmon.xawake);
	sched_leave(me);
}

void weft_block_end(void)
{
	struct m *m = m_self();
	if (!m || !m_g(m) || m_p(m))
		weft_panic("weft_block_end without weft_block_begin");
	void *me = sched_enter(m);
	uint32_t blocked = P_BLOCKED;
	struct p *p = load_rlx(&m->blocked_p);
	if (cas_acqrel(&p->xstatus, &blocked, P_RUNNING)) {
		sub_seq(&sysmon.xblocked_ps, 1);
		store_rlx(&m->p, p);
		epoch_online();
		sub_seq(&sched.xblocked, 1);
		g_set_state(m_g(m), G_RUNNING);
		bool due = step_is_due(p);
		sched_leave(me);
		if (due)
			weft_yield(); /* or calls in a row would keep the P for ever */
		return;
	}
	sched_leave(me);
	queue_without_p(m);
	sub_seq(&sched.xblocked, 1);
}
