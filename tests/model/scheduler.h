/* The scheduler itself (runtime/sched.c, idle.c, gqueue.c, lockfree/spin.c) under the explorer, whose threads are its
 * Ms, or threads outside. Stood in for are the clocks, which go on with every look, the thread-local M, the switch, and
 * what the scheduler asks of timers, epochs and dumps. The switch only says who is on a CPU, and returns: the
 * thread goes on as the M that it is, for whichever goroutine. A model defines what futexes do. */
#ifndef TESTS_MODEL_SCHEDULER_H
#define TESTS_MODEL_SCHEDULER_H

#include "tests/model/atomic.h"
#include "tests/model/collect.h"
#include "tests/model/fence.h"

/* Nothing switches, so the sanitizers are told nothing: runtime/fiber.h, empty in every flavour. */
#define RUNTIME_FIBER_H
#define LOCKFREE_SANITIZE_H
#define WEFT_TSAN 0
#define WEFT_ASAN 0
#define NO_TSAN
#define NOT_INSTRUMENTED
#define fiber_make()                    NULL
#define fiber_hear_signals()            ((void)0)
#define fiber_current()                 NULL
#define fiber_become(fiber)             ((void)(fiber))
#define fiber_forget(fiber)             ((void)(fiber))
#define fiber_publish(address)          ((void)(address))
#define fiber_observe(address)          ((void)(address))
#define fiber_leave_stack(fake, b, n)   ((void)(fake), (void)(b), (void)(n))
#define fiber_enter_stack(fake)         ((void)(fake))
#define fiber_unpoison(bottom, size)    ((void)(bottom), (void)(size))

#define RUNQ_SLOTS     4u
#define cycles_now     cycles_of_the_machine
#define m_self         m_of_the_machine
#define context_switch switch_of_the_machine
#define os_futex_wait  model_futex_wait
#define os_futex_wake  model_futex_wake
#include "alloc/os.h"
#include "runtime/sched.h"
#undef cycles_now
#undef m_self
#undef context_switch

static struct m model_m[4];
static int64_t model_now;

/* Every look at the counter finds that much time has passed. */
static inline uint64_t cycles_now(void)
{
	static uint64_t cycles;
	return cycles += 100000;
}

static inline struct m *m_self(void)
{
	return &model_m[explorer_self()];
}

/* What a model does on leaving one stack and on coming to another. */
void model_leaves(struct context *);
void model_comes_to(struct context *);

static inline void context_switch(struct context *from, struct context *to)
{
	model_leaves(from);
	store_rel(&from->xon_cpu, 0);
	model_comes_to(to);
}

#include "lockfree/spin.c"
#include "runtime/gqueue.c"
#include "runtime/idle.c"
#include "runtime/pick.c"
#include "runtime/sched.c"

int64_t weft_now(void)
{
	return model_now += 1500;
}

int64_t clock_read(struct timespec *t)
{
	(void)t;
	return weft_now();
}

unsigned wheel_advance(struct wheel *w, int64_t t, wheel_go *go)
{
	(void)w, (void)t, (void)go;
	return 0;
}

void dump_deadlock(void)
{
	explorer_abandon("there is no deadlock");
}

void weft_panic(const char *fmt, ...)
{
	explorer_abandon(fmt);
}

void deferred_run_all(struct g *g)
{
	(void)g;
}

bool poller_is_waited_for(void)
{
	return true;
}

int foreign_threads(void)
{
	return 1;
}

bool spare_wait(struct m *m)
{
	(void)m;
	return false;
}

struct sysmon sysmon = {.xstate = SYSMON_AWAKE};

void sysmon_wake(void)
{
}

/* Time, waiting and waking are the model's: no simulation. */
bool sim_on;

uint64_t sim_cycles(void)
{
	return 0;
}

void sim_looked(struct p *p, struct g *g)
{
	(void)p, (void)g;
}

void sim_point(enum sim_event e)
{
	(void)e;
}

bool sim_has_steps(struct m *m)
{
	(void)m;
	return false;
}

void sim_found(struct p *p, struct g *g)
{
	(void)p, (void)g;
}

void sim_pause(const struct p *p, int64_t ns)
{
	(void)p, (void)ns;
}

void sim_sleep(struct p *p, int64_t timeout)
{
	(void)p, (void)timeout;
}

void sim_wake(struct p *p)
{
	(void)p;
}

void sim_trace(enum sim_event e, uint64_t what, uint64_t how)
{
	(void)e, (void)what, (void)how;
}

void sim_refuse_outside(void)
{
}

void call_begin_slow(struct m *m)
{
	(void)m;
}

void call_begin_blocking_slow(struct m *m)
{
	(void)m;
}

void call_end_slow(struct m *m)
{
	(void)m;
}

void call_end_blocking_slow(void)
{
}

void call_begin_outside(void)
{
}

void call_end_outside(void)
{
}

void epoch_quiet(void)
{
}

void epoch_online(void)
{
}

void epoch_offline(void)
{
}

void epoch_enter(void)
{
}

void epoch_leave(void)
{
}

void epoch_retire(struct epoch_entry *entry, void (*reclaim)(struct epoch_entry *))
{
	reclaim(entry);
}

#endif
