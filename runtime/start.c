/* Building the runtime and taking it down: weft_main.
 *
 * The first thread is no M: it waits for the end of the main goroutine, and looks once a second whether the Ps are still
 * where they should be (placement.c). So all Ms are alike, none has to come home from a goroutine that has been
 * abandoned, and the thread that weft_main returns on is as it was.
 */
#include "alloc/manual.h"
#include "alloc/os.h"
#include "lockfree/epoch.h"
#include "runtime/bias.h"
#include "runtime/call.h"
#include "runtime/collect.h"
#include "runtime/config.h"
#include "runtime/dump.h"
#include "runtime/fiber.h"
#include "runtime/fork.h"
#include "runtime/gcverify.h"
#include "runtime/leaks.h"
#include "runtime/options.h"
#include "runtime/overflow.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/placement.h"
#include "runtime/pool.h"
#include "runtime/schedtrace.h"
#include "runtime/spare.h"
#include "runtime/sysmon.h"
#include "runtime/world.h"

#include <weft/go.h>
#include <weft/mem.h>
#include <weft/stats.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
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
	unsigned schedtrace_ms;
	sem_t ended; /* the first thread waits */
	int policy; /* how the first thread is scheduled */
	struct sched_param priority;
	sigset_t blocked; /* and which signals it blocks */
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
		os_pin(load_rlx(&p->cpu));
	stats_slice_cut(p);
	store_rlx(&p->xm, m);
	store_rlx(&m->p, p);
	world_enter(m); /* and: the collector sees that it has one, or it sees what the collector is at (gchost.c) */
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
		store_rlx(&m->stack_bottom, bottom);
		store_rlx(&m->stack_size, size);
	}
	pthread_attr_destroy(&attr);
}

struct see_m {
	void (*see)(struct p *, int, void *);
	void *arg;
};

static void see_m(void *object, void *arg)
{
	struct m *m = object;
	const struct see_m *s = arg;
	struct p *p = m_p(m);
	int thread = load_rlx(&m->tid);
	if (p && thread && !load_rlx(&m->lowered))
		s->see(p, thread, s->arg);
}

void m_each(void (*see)(void *m, void *arg), void *arg)
{
	if (sim_on)
		sim_each_m(see, arg);
	else
		slab_each(&ms, see, arg);
}

void m_each_with_p(void (*see)(struct p *, int thread, void *arg), void *arg)
{
	slab_each(&ms, see_m, &(struct see_m){see, arg});
}

/* The calling thread is an M, until the runtime stops or the M is one too many. */
static void m_run(struct m *m)
{
	struct overflow_part overflow;
	overflow_open(&overflow);
	gc_take_signal();
	m_current = m;
	weft_mutator_ = m_as_mutator(m);
	store_rlx(&m->xinside, true);
	store_rlx(&m->fiber, fiber_current());
	store_rlx(&m->tid, os_thread());
	find_own_stack(m);
	store_rlx(&m->frames_end, __builtin_frame_address(0));
	manual_heap_open(&m->heap);
	os_exact_timers();
	os_short_slice();
	epoch_register();
	m->reader = epoch_self();
	if (m->first_p)
		m_take_p(m, m->first_p);
	m_loop(m);
	epoch_offline();
	epoch_unregister();
	manual_heap_close(&m->heap);
	store_rlx(&m->tid, 0);
	m_current = NULL;
	weft_mutator_ = NULL;
	overflow_close(&overflow);
}

static void *m_thread(void *arg)
{
	m_run(arg);
	sub_seq(&sched.own_threads, 1);
	if (!load_seq(&sched.stopping))
		m_ended(arg);
	return NULL;
}

/* As the thread that has called weft_main is scheduled, and with the signals that it blocks, whoever starts it: sysmon
 * blocks them all. Only real-time policies need saying: a thread that has been lowered starts no M (takeover.c). */
static void start_as_program(pthread_attr_t *attr)
{
	pthread_attr_setsigmask_np(attr, &program.blocked);
	if (program.policy != SCHED_FIFO && program.policy != SCHED_RR)
		return;
	pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(attr, program.policy);
	pthread_attr_setschedparam(attr, &program.priority);
}

struct m *m_start(struct p *p)
{
	struct m *m = m_make();
	if (!m)
		return NULL;
	m->first_p = p;
	m->fresh = !p;
	add_seq(&sched.xthreads, 1);
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, M_STACK);
	start_as_program(&attr);
	pthread_t thread;
	int err = pthread_create(&thread, &attr, m_thread, m);
	pthread_attr_destroy(&attr);
	if (!err) {
		add_seq(&sched.own_threads, 1); /* not sooner: a thread of the user's would be taken for it */
		return m;
	}
	m_ended(m);
	return NULL;
}

void start_own_thread(void *(*run)(void *), const char *what)
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_attr_setsigmask_np(&attr, &all);
	int err = pthread_create(&thread, &attr, run, NULL);
	if (err)
		fatal("cannot start %s: error %d", what, err);
	pthread_attr_destroy(&attr);
	add_seq(&sched.own_threads, 1);
}

int foreign_threads(void)
{
	if (sim_on)
		return 0; /* whatever they do is nothing to it: sim_refuse_outside */
	int own = load_seq(&sched.own_threads), all = os_threads();
	if (load_seq(&sched.own_threads) != own)
		return 1; /* they come and go: there may be one */
	return all > 0 ? all - own : 0;
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
	gc_start_p(p);
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
	panic_let_end();
	gc_verify_let_end();
	call_begin_blocking();
	sim_report();
	store_seq(&sched.stopping, true);
	for (unsigned i = 0; i < sched.nprocs; i++)
		wake_p(sched.ps[i]);
	spare_wake_all();
	sem_post(&program.ended);
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
	if (config.simulate)
		sim_start(config.seed, config.delays);
	signal(SIGPIPE, SIG_IGN);
	epoch_init();
	/* ThreadSanitizer runs threads of its own, one more after each fork: there, whatever runs now counts as ours. */
	store_rlx(&sched.own_threads, WEFT_TSAN ? os_threads() : 1 + EPOCH_THREADS);
	store_rlx(&sched.next_id, 1);
	slab_init(&sched.gs, sizeof(struct g), G_CHUNK);
	options_init();
	slab_init(&ms, sizeof(struct m), M_CHUNK);
	sched.max_threads = config.max_threads;
	bool membarrier = !config.simulate && os_membarrier_init() == 0;
	sched.preempt = config.preempt && membarrier;
	if (config.bias && (membarrier || config.simulate))
		bias_allow();
	if (membarrier || config.simulate)
		pool_allow();
	make_ps(&config);
	gc_start(&config);
	if (sim_on)
		sim_make_ms();
	clock_start();
	stats_start();
	struct m *first = m_make(); /* goroutines look at Ms: the memory is there before the first one starts */
	if (!first)
		fatal("out of memory");
	m_free(first);
	dump_install();
	overflow_init();
	leaks_start();
	fork_init();
	program.schedtrace_ms = config.schedtrace_ms;
	store_seq(&sched.running, true);
}

/* Not on a futex: the kernel likes to deliver signals to the first thread, and ThreadSanitizer runs their handlers in calls
 * that it knows. */
static void await_end(void)
{
	struct timespec until;
	for (;;) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += PLACEMENT_EVERY_S;
		int err = sem_timedwait(&program.ended, &until) ? errno : 0;
		dump_if_asked();
		if (!err)
			return;
		if (err == ETIMEDOUT && !sim_on)
			placement_look_again();
	}
}

static void start_ms(void)
{
	for (unsigned i = 0; i < sched.nprocs; i++)
		if (!m_start(sched.ps[i]))
			fatal("cannot start thread %u of %u", i + 1, sched.nprocs);
	sysmon_start();
	gc_watch_start();
}

/* The thread that is all the Ms of a simulation. */
static void *simulation_thread(void *unused)
{
	struct overflow_part overflow;
	overflow_open(&overflow);
	epoch_register();
	sim_run();
	epoch_offline();
	epoch_unregister();
	overflow_close(&overflow);
	sub_seq(&sched.own_threads, 1);
	return unused;
}

static void start_simulation(void)
{
	pthread_t of_it;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, M_STACK);
	start_as_program(&attr);
	int err = pthread_create(&of_it, &attr, simulation_thread, NULL);
	if (err)
		fatal("cannot start the thread of the simulation: error %d", err);
	pthread_attr_destroy(&attr);
	add_seq(&sched.own_threads, 1);
}

int weft_main(int argc, char **argv, int (*app)(int argc, char **argv))
{
	static _Atomic int started;
	if (swap_seq(&started, 1))
		weft_panic("weft_main called twice");
	program.argc = argc;
	program.argv = argv;
	program.app = app;
	sem_init(&program.ended, 0, 0);
	pthread_getschedparam(pthread_self(), &program.policy, &program.priority);
	pthread_sigmask(SIG_SETMASK, NULL, &program.blocked);
	prepare();
	dump_on_sigquit(&program.ended);
	start_main_goroutine();
	if (sim_on)
		start_simulation();
	else
		start_ms();
	if (program.schedtrace_ms)
		schedtrace_start(program.schedtrace_ms);
	await_end();
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
