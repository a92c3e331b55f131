/* sysmon looks at each P and remembers what it saw.
 *
 * A P that is in the same blocking section as at the last look is handed on (block.c). The looks are 20 µs apart at
 * first. While sections are there and nothing comes of the looks, they become rarer, for a look costs some µs of somebody's
 * core: down to one in 0.64 ms while nothing waits for a P that is in a section, and handing it on helps nobody. While
 * something does wait they stay at 80 µs, and 20 µs behind one that has seen a section: one that has begun just behind a look is
 * seen after 80, and found to last 20 later. A timer of such a P that comes due in between is waited for no longer than that. Sections that are over
 * when sysmon looks count all the same: if it slept until the next one, that would have to wake it, each time.
 *
 * A P that has made no step for PATIENCE runs a goroutine that computes. It is taken away (takeover.c) as soon as
 * something waits for it: a goroutine, a timer that is due, a socket. First the goroutine is asked to yield at its next
 * blocking call, for GRACE. So nothing waits for a computing goroutine longer than
 *
 *     PATIENCE + COMPUTING_EVERY + a few times GRACE
 *
 * and the kernel's own delay in waking sysmon and the P's new M. It is taken as well for what another P leaves lying, if none
 * sleeps that could help (watch.h).
 *
 * When all Ps have been idle for IDLE_AFTER, sysmon sleeps too, until a P wakes up: a machine that has nothing to
 * do pays nothing for it, one that is busy 200 looks a second, and one with something to watch over 2,000.
 */
#include "runtime/sysmon.h"
#include "alloc/os.h"
#include "lockfree/assert.h"
#include "runtime/block.h"
#include "runtime/call.h"
#include "runtime/takeover.h"
#include "runtime/watch.h"
#include "runtime/world.h"

#include <time.h>

enum {
	BLOCKED_EVERY = 20000,
	BLOCKED_EVERY_WAITED = 80000,
	BLOCKED_EVERY_MOST = 640000,
	NO_SECTIONS_PATIENCE = 4, /* looks */
	BLOCKED_PATIENCE = 50, /* looks without a hand-over before they become rarer */
	COMPUTING_EVERY = 5000000,
	WATCH_SELDOM = 5000000,
	PATIENCE = 10000000,
	GRACE = 100000,
	IDLE_AFTER = 1000000000,
};

struct sysmon sysmon;

/* What was seen of a P. */
struct sight {
	uint32_t block_seq; /* the section that was on */
	uint32_t sections;  /* how many there had been */
	struct steps steps;
	bool asked;
	int64_t since; /* no step */
};

static struct sight sights[MAX_PS];

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- Ps that compute ---- */

/* The global queue is everybody's: it wants this P only if no other that works is idle. */
static bool somebody_waits_for(struct p *p, int64_t now)
{
	const struct poller *poller = load_acq(&sched.poller);
	return load_rlx(&p->xrunnext) || runq_len(&p->runq) || !gqueue_empty(&p->inbox) ||
	       (!gqueue_empty(&sched.global) && !somebody_is_worth_waking()) || load_rlx(&p->wheel.xnext) <= now ||
	       (poller && poller->has_something(p->index));
}

/* Some, and others not. */
static bool some_compute(int64_t now)
{
	unsigned computing = 0;
	for (unsigned i = 0; sched.preempt && i < sched.nprocs; i++)
		computing += now - sights[i].since >= PATIENCE;
	return computing && computing < sched.nprocs;
}

/* When to look again, in ns. *wanted: the watch has found nobody to help, one P is enough. */
static int64_t look_at_computing(struct p *p, struct sight *s, int64_t now, bool *wanted)
{
	struct m *m = load_acq(&p->xm);
	if (has_stepped(p, &s->steps) || !m || load_rlx(&m->p) != p || !load_rlx(&m->g)) {
		s->since = now;
		s->asked = false;
		return COMPUTING_EVERY;
	}
	if (now - s->since < PATIENCE)
		return sooner(COMPUTING_EVERY, PATIENCE - (now - s->since));
	if (!*wanted && !somebody_waits_for(p, now))
		return COMPUTING_EVERY;
	if (!s->asked) {
		s->asked = true;
		call_note(m, s->steps.tick, NOTE_YIELD);
		return GRACE;
	}
	enum take how = take_over(m, p);
	if (how == TAKEN)
		*wanted = false;
	return how == TAKE_INSIDE ? GRACE : COMPUTING_EVERY;
}

/* ---- the thread ---- */

static bool has_had_sections(const struct p *p, struct sight *s)
{
	uint32_t before = s->sections;
	s->sections = load_rlx(&p->xblock_seq);
	return s->sections != before || block_is_on(p);
}

/* *due: when the first timer of those that are in sections comes due. */
static enum blocked_look look_at_blocked(int64_t now, int64_t *due)
{
	enum blocked_look saw = LOOK_NO_SECTIONS;
	*due = INT64_MAX;
	bump(&sysmon.looks, 1);
	for (unsigned i = 0; i < sched.nprocs; i++) {
		struct p *p = sched.ps[i];
		bool taken = block_take_back(p, &sights[i].block_seq);
		if (!has_had_sections(p, &sights[i]) && !taken)
			continue;
		*due = sooner(*due, load_rlx(&p->wheel.xnext));
		saw = taken ? LOOK_HANDED_ON : saw ? saw : LOOK_NOTHING_WAITS;
		if (saw < LOOK_ONE_IS_ON && somebody_waits_for(p, now))
			saw = block_is_on(p) ? LOOK_ONE_IS_ON : LOOK_SOMETHING_WAITS;
	}
	return saw;
}

int64_t look_pace_next(struct look_pace *p, enum blocked_look saw)
{
	int64_t most = saw == LOOK_SOMETHING_WAITS || saw == LOOK_ONE_IS_ON ? BLOCKED_EVERY_WAITED : BLOCKED_EVERY_MOST;
	p->idle = saw == LOOK_NO_SECTIONS ? p->idle + 1 : 0;
	if (saw == LOOK_NO_SECTIONS && (p->every == 0 || p->idle > NO_SECTIONS_PATIENCE)) {
		*p = (struct look_pace){0};
		return 0;
	}
	if (saw == LOOK_HANDED_ON || p->every == 0)
		*p = (struct look_pace){.every = BLOCKED_EVERY};
	else if (p->useless < BLOCKED_PATIENCE)
		p->useless++;
	else
		p->every = sooner(2 * p->every, most);
	p->every = sooner(p->every, most);
	p->confirmed = saw == LOOK_ONE_IS_ON && !p->confirmed;
	return p->confirmed ? BLOCKED_EVERY : p->every;
}

static int64_t look_at_all(int64_t now, bool *wanted)
{
	int64_t next = COMPUTING_EVERY;
	for (unsigned i = 0; sched.preempt && i < sched.nprocs; i++)
		next = sooner(next, look_at_computing(sched.ps[i], &sights[i], now, wanted));
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
	int64_t now = weft_now(), busy_at = now, computing_at = now, watch_at = now, due;
	struct look_pace pace = {0};
	struct watch_look seen = {0};
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
		if (world_stops()) { /* who stands computes nothing */
			pause_while_blocked(BLOCKED_EVERY);
			continue;
		}
		enum blocked_look saw = look_at_blocked(now, &due);
		if (now >= watch_at) {
			seen = watch_look(now, some_compute(now));
			watch_at = now + sooner(seen.pause, WATCH_SELDOM);
			computing_at = seen.unhelped ? now : computing_at;
		}
		if (now >= computing_at)
			computing_at = now + look_at_all(now, &seen.unhelped);
		int64_t pause = sooner(computing_at, watch_at) - now;
		int64_t until_look = look_pace_next(&pace, saw);
		if (until_look == 0) {
			rest(SYSMON_NAPPING, pause);
			continue;
		}
		pause = sooner(pause, until_look);
		pause_while_blocked(due > now + BLOCKED_EVERY ? sooner(pause, due - now) : pause);
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
	store_seq(&sysmon.xstate, SYSMON_AWAKE);
	start_own_thread(sysmon_run, "sysmon");
}
