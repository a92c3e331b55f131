/* sysmon looks at each P and remembers what it saw.
 *
 * A P that is in the same blocking section as at the last look is handed on (block.c). The looks are 20 µs apart at
 * first; while sections are there and nothing comes of the looks, they become rarer, down to one in 0.64 ms.
 *
 * A P that has made no step for PATIENCE runs a goroutine that computes. It is taken away (takeover.c) as soon as
 * something waits for it: a goroutine, a timer that is due, a socket. First the goroutine is asked to yield at its next
 * blocking call, for GRACE. So nothing waits for a computing goroutine longer than
 *
 *     PATIENCE + COMPUTING_EVERY + a few times GRACE
 *
 * and the kernel's own delay in waking sysmon and the P's new M.
 *
 * When all Ps have been idle for IDLE_AFTER, sysmon sleeps too, until a P wakes up: a machine that has nothing to
 * do pays nothing for it, and one that is busy 200 looks a second.
 */
#include "runtime/sysmon.h"
#include "alloc/os.h"
#include "lockfree/assert.h"
#include "runtime/block.h"
#include "runtime/call.h"
#include "runtime/takeover.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

enum {
	BLOCKED_EVERY = 20000,
	BLOCKED_EVERY_MOST = 640000,
	BLOCKED_PATIENCE = 50, /* looks without a hand-over before they become rarer */
	COMPUTING_EVERY = 5000000,
	PATIENCE = 10000000,
	GRACE = 100000,
	IDLE_AFTER = 1000000000,
};

struct sysmon sysmon;

/* What was seen of a P. */
struct sight {
	uint32_t block_seq;
	uint32_t tick;
	int countdown;
	bool asked;
	int64_t since; /* no step */
};

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- Ps that compute ---- */

static bool has_stepped(struct p *p, struct sight *s)
{
	uint32_t tick = load_rlx(&p->tick);
	int countdown = load_rlx(&p->countdown);
	bool stepped = tick != s->tick || countdown != s->countdown;
	s->tick = tick;
	s->countdown = countdown;
	return stepped;
}

/* The global queue is everybody's: it wants this P only if no other that works is idle. */
static bool somebody_waits_for(struct p *p, int64_t now)
{
	const struct poller *poller = load_acq(&sched.poller);
	return load_rlx(&p->xrunnext) || runq_len(&p->runq) || !gqueue_empty(&p->inbox) ||
	       (!gqueue_empty(&sched.global) && !somebody_is_worth_waking()) || load_rlx(&p->wheel.xnext) <= now ||
	       (poller && poller->has_something(p->index));
}

/* When to look again, in ns. */
static int64_t look_at_computing(struct p *p, struct sight *s, int64_t now)
{
	struct m *m = load_acq(&p->xm);
	if (has_stepped(p, s) || !m || load_rlx(&m->p) != p || !load_rlx(&m->g)) {
		s->since = now;
		s->asked = false;
		return COMPUTING_EVERY;
	}
	if (now - s->since < PATIENCE)
		return sooner(COMPUTING_EVERY, PATIENCE - (now - s->since));
	if (!somebody_waits_for(p, now))
		return COMPUTING_EVERY;
	if (!s->asked) {
		s->asked = true;
		call_note(m, s->tick, NOTE_YIELD);
		return GRACE;
	}
	enum take how = take_over(m, p);
	return how == TAKE_INSIDE ? GRACE : COMPUTING_EVERY;
}

/* ---- the thread ---- */

static struct sight sights[MAX_PS];

static bool look_at_blocked(void)
{
	bool taken = false;
	for (unsigned i = 0; i < sched.nprocs && load_seq(&sysmon.xblocked_ps); i++)
		taken |= block_take_back(sched.ps[i], &sights[i].block_seq);
	return taken;
}

static int64_t look_at_all(int64_t now)
{
	int64_t next = COMPUTING_EVERY;
	appoint_watch();
	for (unsigned i = 0; sched.preempt && i < sched.nprocs; i++)
		next = sooner(next, look_at_computing(sched.ps[i], &sights[i], now));
	return next;
}

static bool all_is_idle(void)
{
	return load_seq(&sched.xidle) == sched.nprocs && !load_seq(&sysmon.xblocked_ps);
}

/* Either we see the P that has come, or it sees what we do. */
static void rest(uint32_t how, int64_t ns)
{
	store_seq(&sysmon.xstate, how);
	if (how == SYSMON_ASLEEP ? all_is_idle() : !load_seq(&sysmon.xblocked_ps))
		os_futex_wait(&sysmon.xstate, how, ns);
	store_seq(&sysmon.xstate, SYSMON_AWAKE);
}

static void pause_while_blocked(int64_t ns)
{
	struct timespec t = {.tv_nsec = ns};
	nanosleep(&t, NULL);
}

static void *sysmon_run(void *unused)
{
	(void)unused;
	int64_t now = weft_now(), busy_at = now, computing_at = now, blocked_every = BLOCKED_EVERY;
	int looks = 0;
	os_exact_timers();
	os_short_slice();
	os_go_before_equals();
	for (;; now = weft_now()) {
		if (!all_is_idle())
			busy_at = now;
		if (now - busy_at > IDLE_AFTER) {
			rest(SYSMON_ASLEEP, -1);
			busy_at = weft_now();
			continue;
		}
		bool taken = look_at_blocked();
		if (now >= computing_at)
			computing_at = now + look_at_all(now);
		int64_t pause = computing_at - now;
		if (!load_seq(&sysmon.xblocked_ps)) {
			rest(SYSMON_NAPPING, pause);
			looks = 0;
			blocked_every = BLOCKED_EVERY;
			continue;
		}
		looks = taken ? 0 : looks + 1;
		if (taken)
			blocked_every = BLOCKED_EVERY;
		else if (looks > BLOCKED_PATIENCE && blocked_every < BLOCKED_EVERY_MOST)
			blocked_every *= 2;
		pause_while_blocked(sooner(pause, blocked_every));
	}
	return NULL;
}

void sysmon_wake(void)
{
	if (swap_seq(&sysmon.xstate, SYSMON_AWAKE) != SYSMON_AWAKE)
		os_futex_wake(&sysmon.xstate);
}

void sysmon_start(void)
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_attr_setsigmask_np(&attr, &all); /* the program's signals are for others */
	store_seq(&sysmon.xstate, SYSMON_AWAKE);
	int err = pthread_create(&thread, &attr, sysmon_run, NULL);
	if (err)
		fatal("cannot start sysmon: error %d", err);
	pthread_attr_destroy(&attr);
	add_seq(&sched.own_threads, 1);
}
