/* Building the runtime and taking it down: weft_main. */
#include "alloc/os.h"
#include "alloc/topo.h"
#include "lockfree/epoch.h"
#include "runtime/config.h"
#include "runtime/dump.h"
#include "runtime/fiber.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/sched.h"

#include <weft/go.h>
#include <weft/mem.h>
#include <weft/stats.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	G_CHUNK = 1 << 20,
	MAIN_STACK = 8 << 20,
	M_STACK = 256 * 1024,
	QUANTUM_AT_FIRST = 61,
	LAST_CALL_MS = 100, /* how long the first thread has to come home when the program has ended */
};

static struct slab ms;

static struct {
	int argc;
	char **argv;
	int (*app)(int, char **);
	int result;
	_Atomic uint32_t xfirst_thread_home;
} program;

/* ---- Ms ---- */

static struct m *m_make(void)
{
	return slab_take_one(&ms); /* zeroed: an M is never given back */
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

/* The calling thread becomes an M that holds the P, until the runtime stops. */
static void m_run(struct m *m, struct p *p)
{
	m_current = m;
	store_rlx(&m->p, p);
	store_rlx(&m->fiber, fiber_current());
	find_own_stack(m);
	if (sched.pin)
		os_pin(p->cpu);
	os_exact_timers();
	epoch_register();
	epoch_online();
	m_loop(m);
	epoch_offline();
	epoch_unregister();
	m_current = NULL;
}

static void *m_thread(void *arg)
{
	struct m *m = arg;
	struct p *p = m->handed;
	m->handed = NULL;
	m_run(m, p);
	return NULL;
}

int m_start(struct p *p)
{
	struct m *m = m_make();
	if (!m)
		return -ENOMEM;
	m->handed = p;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, M_STACK);
	int err = pthread_create(&m->thread, &attr, m_thread, m);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	add_seq(&sched.own_threads, 1);
	return 0;
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
	store_seq(&sched.stopping, true);
	for (unsigned i = 0; i < sched.nprocs; i++)
		wake_p(sched.ps[i]);
	spare_wake_all();
	if (m_self() == sched.m0)
		end_here();
	/* The first thread computes, or blocks, in a goroutine that has been abandoned: it gets a moment. */
	for (int waited = 0; waited < LAST_CALL_MS && !load_acq(&program.xfirst_thread_home); waited++)
		os_futex_wait(&program.xfirst_thread_home, 0, WEFT_MS);
	if (!load_acq(&program.xfirst_thread_home))
		exit(program.result);
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
	slab_init(&ms, sizeof(struct m), G_CHUNK / 4);
	make_ps(&config);
	sched.m0 = m_make();
	if (!sched.m0)
		fatal("out of memory");
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
	for (unsigned i = 1; i < sched.nprocs; i++) {
		int err = m_start(sched.ps[i]);
		if (err)
			fatal("cannot start thread %u of %u: %s", i + 1, sched.nprocs, strerror(-err));
	}
	m_run(sched.m0, sched.ps[0]);
	if (sched.pin)
		os_unpin();
	store_seq(&program.xfirst_thread_home, 1);
	os_futex_wake(&program.xfirst_thread_home);
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
