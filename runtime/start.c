/* Building the runtime and taking it down: weft_main. */
#include "alloc/os.h"
#include "lockfree/epoch.h"
#include "runtime/config.h"
#include "runtime/dump.h"
#include "runtime/fiber.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/placement.h"
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

/* An M and its thread, which placement.c may bind to another CPU. */
struct m_and_thread {
	struct m m;
	_Atomic int thread; /* the kernel's number; 0: there is none (any more) */
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

static _Atomic int *m_thread_of(struct m *m)
{
	return &((struct m_and_thread *)(void *)m)->thread;
}

struct see_m {
	void (*see)(struct p *, int, void *);
	void *arg;
};

static void see_m(void *m, void *arg)
{
	const struct see_m *s = arg;
	struct p *p = m_p(m);
	int thread = load_rlx(m_thread_of(m));
	if (p && thread)
		s->see(p, thread, s->arg);
}

void m_each_with_p(void (*see)(struct p *, int thread, void *arg), void *arg)
{
	slab_each(&ms, see_m, &(struct see_m){see, arg});
}

/* The calling thread becomes an M that holds the P, until the runtime stops. */
static void m_run(struct m *m, struct p *p)
{
	m_current = m;
	store_rlx(&m->p, p);
	store_rlx(&m->fiber, fiber_current());
	find_own_stack(m);
	if (sched.pin)
		os_pin(load_rlx(&p->cpu));
	store_rlx(m_thread_of(m), os_thread());
	os_exact_timers();
	epoch_register();
	epoch_online();
	m_loop(m);
	epoch_offline();
	epoch_unregister();
	store_rlx(m_thread_of(m), 0);
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

/* The P, and behind it what it knows of the others. */
static struct p *p_make(unsigned index)
{
	size_t others = sched.nprocs * sizeof(struct suspect);
	struct p *p = placement_alloc(index, sizeof *p + others + sched.nprocs * sizeof(unsigned));
	if (!p)
		fatal("out of memory for a P");
	p->index = index;
	p->suspects = (void *)(p + 1);
	p->victims = (void *)((char *)p->suspects + others);
	placement_of(p);
	p->solo = sched.nprocs == 1;
	p->quantum = QUANTUM_AT_FIRST;
	store_rlx(&p->countdown, QUANTUM_AT_FIRST);
	store_rlx(&p->now, weft_now());
	p->random = index * 2654435761u + 1;
	wheel_init(&p->wheel, load_rlx(&p->now));
	return p;
}
_Static_assert(sizeof(struct p) % _Alignof(struct suspect) == 0, "suspects stand right behind");

static void make_ps(const struct config *c)
{
	placement_find(c);
	sched.steal = c->steal;
	sched.ps = weft_calloc(sched.nprocs, sizeof *sched.ps);
	if (!sched.ps)
		fatal("out of memory for %u Ps", sched.nprocs);
	for (unsigned i = 0; i < sched.nprocs; i++)
		sched.ps[i] = p_make(i);
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
	slab_init(&ms, sizeof(struct m_and_thread), G_CHUNK / 4);
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
	int unwatched = placement_watch();
	if (unwatched)
		fatal("cannot start the thread that watches the CPUs: %s", strerror(-unwatched));
	for (unsigned i = 1; i < sched.nprocs; i++) {
		int err = m_start(sched.ps[i]);
		if (err)
			fatal("cannot start thread %u of %u: %s", i + 1, sched.nprocs, strerror(-err));
	}
	m_run(sched.m0, sched.ps[0]);
	placement_unwatch();
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
