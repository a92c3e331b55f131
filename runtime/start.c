/* Building the runtime and taking it down: weft_main.
 *
 * The first thread is no M: it waits for the end of the main goroutine. So all Ms are alike, none has to come home from a
 * goroutine that has been abandoned, and the thread that weft_main returns on is as it was.
 */
#include "alloc/os.h"
#include "alloc/topo.h"
#include "lockfree/epoch.h"
#include "runtime/call.h"
#include "runtime/config.h"
#include "runtime/dump.h"
#include "runtime/fiber.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/spare.h"
#include "runtime/sysmon.h"

#include <weft/go.h>
#include <weft/mem.h>
#include <weft/stats.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	G_CHUNK = 1 << 20,
	M_CHUNK = 1 << 20,
	MAIN_STACK = 8 << 20,
	M_STACK = 256 * 1024,
	QUANTUM_AT_FIRST = 61,
};

static struct slab ms;
static struct {
	struct spin lock;
	struct m *first;
} ended; /* Ms, to be used again: sysmon may be looking at them still, so they stay Ms */

static struct {
	int argc;
	char **argv;
	int (*app)(int, char **);
	int result;
	_Atomic uint32_t xended; /* futex: the first thread waits */
} program;

/* ---- Ms ---- */

static struct m *m_make(void)
{
	spin_lock(&ended.lock);
	struct m *m = ended.first;
	if (m)
		ended.first = m->next;
	spin_unlock(&ended.lock);
	return m ? m : slab_take_one(&ms);
}

static void m_free(struct m *m)
{
	spin_lock(&ended.lock);
	m->next = ended.first;
	ended.first = m;
	spin_unlock(&ended.lock);
}

/* Its thread has ended, or could not be started. */
static void m_ended(struct m *m)
{
	store_rlx(&m->xnote, NOTE_NONE);
	store_rlx(&m->xtold, 0);
	store_rlx(&m->lowered, false);
	store_rlx(&m->xdetached, false);
	m->handed = NULL;
	sub_seq(&sched.xthreads, 1);
	m_free(m);
}

void m_take_p(struct m *m, struct p *p)
{
	if (sched.pin)
		os_pin(p->cpu);
	store_rlx(&p->xm, m);
	store_rlx(&m->p, p);
	epoch_online();
}

static void find_own_stack(struct m *m)
{
	pthread_attr_t attr;
	void *bottom;
	size_t size;
	if (pthread_getattr_np(pthread_self(), &attr))
		return;
	if (pthread_attr_getstack(&attr, &bottom, &size) == 0) {
		m->stack_bottom = bottom;
		m->stack_size = size;
	}
	pthread_attr_destroy(&attr);
}

/* The calling thread is an M, until the runtime stops or the M is one too many. */
static void m_run(struct m *m)
{
	m_current = m;
	store_rlx(&m->xinside, true);
	store_rlx(&m->fiber, fiber_current());
	store_rlx(&m->tid, os_tid());
	find_own_stack(m);
	os_exact_timers();
	os_short_slice();
	epoch_register();
	m->reader = epoch_self();
	if (m->first_p)
		m_take_p(m, m->first_p);
	m_loop(m);
	epoch_offline();
	epoch_unregister();
	m_current = NULL;
}

static void *m_thread(void *arg)
{
	m_run(arg);
	sub_seq(&sched.own_threads, 1);
	if (!load_seq(&sched.stopping))
		m_ended(arg);
	return NULL;
}

struct m *m_start(struct p *p)
{
	struct m *m = m_make();
	if (!m)
		return NULL;
	m->first_p = p;
	m->fresh = true;
	add_seq(&sched.xthreads, 1);
	add_seq(&sched.own_threads, 1);
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, M_STACK);
	pthread_t thread;
	int err = pthread_create(&thread, &attr, m_thread, m);
	pthread_attr_destroy(&attr);
	if (!err)
		return m;
	sub_seq(&sched.own_threads, 1);
	m_ended(m);
	return NULL;
}

int foreign_threads(void)
{
	int all = os_threads();
	return all > 0 ? all - load_seq(&sched.own_threads) : 0;
}

/* ---- Ps ---- */

static struct p *p_make(unsigned index, int cpu)
{
	struct p *p = weft_aligned_alloc(CACHE_LINE, sizeof *p);
	if (!p)
		fatal("out of memory for a P");
	memset(p, 0, sizeof *p);
	p->index = index;
	p->cpu = cpu;
	p->solo = sched.nprocs == 1;
	p->quantum = QUANTUM_AT_FIRST;
	store_rlx(&p->countdown, QUANTUM_AT_FIRST);
	store_rlx(&p->now, weft_now());
	p->random = index * 2654435761u + 1;
	wheel_init(&p->wheel, load_rlx(&p->now));
	return p;
}

/* The other Ps, nearest first. */
static void order_victims(struct p *p, const struct topo *topo)
{
	unsigned n = 0;
	p->victims = weft_calloc(sched.nprocs, sizeof *p->victims);
	p->suspects = weft_calloc(sched.nprocs, sizeof *p->suspects);
	if (!p->victims || !p->suspects)
		fatal("out of memory for a P");
	for (int distance = 0; distance < 4; distance++) {
		for (unsigned i = 0; i < sched.nprocs; i++)
			if (i != p->index && topo_distance(topo, (int)p->index % topo->ncpus,
							   (int)i % topo->ncpus) == distance)
				p->victims[n++] = i;
		p->ring_end[distance] = n;
	}
}

static unsigned usable_cores(const struct topo *topo, int quota)
{
	unsigned cores = (unsigned)topo->ncpus;
	if (quota > 0 && (unsigned)(quota + 999) / 1000 < cores)
		cores = (unsigned)(quota + 999) / 1000;
	return cores;
}

static void make_ps(const struct config *c)
{
	struct topo *topo = weft_calloc(1, sizeof *topo);
	int err = topo ? topo_find(topo) : -ENOMEM;
	if (err)
		fatal("cannot find out which CPUs there are: %s", strerror(-err));
	int quota = os_cpu_quota();
	unsigned cores = usable_cores(topo, quota);
	sched.nprocs = c->procs ? c->procs : cores;
	sched.pin = c->pin == PIN_ON || (c->pin == PIN_AUTO && sched.nprocs == (unsigned)topo->ncpus);
	sched.spin = quota % 1000 && c->spin == SPIN_AUTO ? SPIN_OFF : c->spin;
	sched.steal = c->steal;
	sched.ps = weft_calloc(sched.nprocs, sizeof *sched.ps);
	if (!sched.ps)
		fatal("out of memory for %u Ps", sched.nprocs);
	for (unsigned i = 0; i < sched.nprocs; i++)
		sched.ps[i] = p_make(i, topo->cpu[i % (unsigned)topo->ncpus].os);
	for (unsigned i = 0; i < sched.nprocs; i++)
		order_victims(sched.ps[i], topo);
	weft_free(topo);
}

/* ---- the program ---- */

static void main_goroutine(void *unused)
{
	(void)unused;
	program.result = program.app(program.argc, program.argv);
	call_begin_blocking();
	store_seq(&sched.stopping, true);
	for (unsigned i = 0; i < sched.nprocs; i++)
		wake_p(sched.ps[i]);
	spare_wake_all();
	store_rel(&program.xended, 1);
	os_futex_wake(&program.xended);
	end_here();
}

static void start_main_goroutine(void)
{
	static const weft_go_opts opts = {.stack_size = MAIN_STACK};
	int err = weft_go_with(&opts, main_goroutine, NULL);
	if (err)
		fatal("cannot start the main goroutine: error %d", -err);
	store_seq(&sched.main_started, true);
}

static void prepare(void)
{
	struct config config;
	config_read(&config);
	signal(SIGPIPE, SIG_IGN);
	epoch_init();
	/* ThreadSanitizer runs threads of its own, one more after each fork: there, whatever runs now counts as ours. */
	store_rlx(&sched.own_threads, WEFT_TSAN ? os_threads() : 1 + EPOCH_THREADS);
	store_rlx(&sched.next_id, 1);
	slab_init(&sched.gs, sizeof(struct g), G_CHUNK);
	slab_init(&ms, sizeof(struct m), M_CHUNK);
	sched.max_threads = config.max_threads;
	sched.preempt = config.preempt && os_membarrier_init() == 0;
	make_ps(&config);
	struct m *first = m_make(); /* goroutines look at Ms: the memory is there before the first one starts */
	if (!first)
		fatal("out of memory");
	m_free(first);
	dump_install();
	store_seq(&sched.running, true);
}

int weft_main(int argc, char **argv, int (*app)(int argc, char **argv))
{
	static _Atomic int started;
	if (swap_seq(&started, 1))
		weft_panic("weft_main called twice");
	program.argc = argc;
	program.argv = argv;
	program.app = app;
	prepare();
	start_main_goroutine();
	for (unsigned i = 0; i < sched.nprocs; i++)
		if (!m_start(sched.ps[i]))
			fatal("cannot start thread %u of %u", i + 1, sched.nprocs);
	sysmon_start();
	while (!load_acq(&program.xended))
		os_futex_wait(&program.xended, 0, -1);
	return program.result;
}

/* ---- looking at it ---- */

int weft_procs(void)
{
	return (int)sched.nprocs;
}

long weft_num_goroutine(void)
{
	int64_t n = load_rlx(&sched.foreign_started);
	for (unsigned i = 0; i < sched.nprocs; i++)
		n += (int64_t)(load_rlx(&sched.ps[i]->stats.started) - load_rlx(&sched.ps[i]->stats.ended));
	return (long)n;
}

void weft_sched_stats(weft_schedstats *out)
{
	memset(out, 0, sizeof *out);
	out->started = (uint64_t)load_rlx(&sched.foreign_started);
	for (unsigned i = 0; i < sched.nprocs; i++) {
		struct p_stats *s = &sched.ps[i]->stats;
		out->started += load_rlx(&s->started);
		out->ended += load_rlx(&s->ended);
		out->steals += load_rlx(&s->steals);
		out->stolen += load_rlx(&s->stolen);
		out->sleeps += load_rlx(&s->sleeps);
		out->wakes += load_rlx(&s->wakes);
		out->spin_ns += (uint64_t)load_rlx(&s->spin_ns);
	}
	out->asked = load_rlx(&sched.asked);
	out->taken = load_rlx(&sched.taken);
	out->given_up = load_rlx(&sched.given_up);
	out->handed_on = load_rlx(&sched.handed_on);
	out->refused = load_rlx(&sched.refused);
	out->threads = load_rlx(&sched.xthreads);
}

uint64_t weft_goroutine_id(void)
{
	struct m *m = m_self();
	return m && m_g(m) ? load_rlx(&m_g(m)->id) : 0;
}

/* ---- the poller ---- */

void poller_install(const struct poller *poller)
{
	store_seq(&sched.poller, poller);
	for (unsigned i = 0; i < sched.nprocs; i++)
		wake_p(sched.ps[i]); /* from the futex to the poller */
}

/* Counted by whoever parks and whoever comes back, each on its own P: only the sum means anything. */
void poller_waiting(int change)
{
	struct m *m = m_self();
	struct p *p = m ? m_p(m) : NULL;
	if (p)
		bump(&p->pollwait, change);
	else
		add_seq(&sched.xpollwait, change);
}

bool poller_is_waited_for(void)
{
	int64_t n = load_seq(&sched.xpollwait);
	for (unsigned i = 0; i < sched.nprocs; i++)
		n += load_seq(&sched.ps[i]->pollwait);
	return n > 0;
}
