/* Time for goroutines: sleeping, timers, tickers, and deadlines on waits. The wheel (wheel.h) keeps
 * the timers; which P's wheel one is set in is decided here: the setter's own, so that setting one takes no
 * line from another core.
 */
#include "lockfree/assert.h"
#include "runtime/area.h"
#include "runtime/call.h"
#include "runtime/chan.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/sched.h"

#include <weft/mem.h>
#include <weft/time.h>

static int64_t later(int64_t now, int64_t ns)
{
	int64_t when;
	if (__builtin_add_overflow(now, ns, &when))
		return ns < 0 ? 0 : INT64_MAX;
	return when;
}

weft_deadline weft_in(int64_t ns)
{
	return weft_at(later(weft_now(), ns));
}

/* The P in whose wheel the caller's timers are set: its own, or, for who has none, the first. */
static struct p *setters_p(void)
{
	struct m *m = m_self();
	struct p *p = m ? m_p(m) : NULL;
	if (likely(p != NULL))
		return p;
	if (!load_acq(&sched.running))
		weft_panic("weft is not running: timers belong inside weft_main");
	return sched.ps[0];
}

/* The P's clock is its holder's. */
static int64_t soon(struct p *p, int64_t ns)
{
	struct m *m = m_self();
	return later(likely(m != NULL) && likely(m_p(m) == p) ? clock_near(&p->clock) : weft_now(), ns);
}

/* A P that runs looks at its wheel before it sleeps; one that sleeps must be told when a timer has come nearer
 * than what it sleeps for. True: the timer was pending. */
static bool arm_on(struct p *p, struct timer *t, int64_t when)
{
	struct m *m = m_self();
	struct wheel_change change = wheel_set(&p->wheel, t, when);
	if (unlikely(change.nearer) && unlikely(!m || m_p(m) != p))
		wake_p(p);
	return change.was_pending;
}

static void arm_inside(struct timer *t, int64_t when)
{
	arm_on(setters_p(), t, when);
}

static void arm(struct timer *t, int64_t when)
{
	bool outermost = call_begin();
	arm_inside(t, when);
	call_end(outermost);
}

/* ---- waits with a deadline ---- */

static int64_t wait_expired(void *arg, int64_t now)
{
	struct g *g = arg;
	(void)now;
	if (wait_claim(g)) {
		store_rlx(&g->timed_out, true);
		ready(g);
	}
	return 0;
}

void park_with(weft_deadline deadline, int64_t (*expired)(void *, int64_t), void *arg)
{
	if (deadline.ns == INT64_MAX) {
		park();
		return;
	}
	struct timer t = {.kind = TIMER_CALL, .call = expired, .arg = arg};
	arm_inside(&t, deadline.ns);
	park();
	timer_cancel(&t);
}

bool park_until(struct g *g, weft_deadline deadline)
{
	store_rlx(&g->timed_out, false);
	park_with(deadline, wait_expired, g);
	return load_rlx(&g->timed_out);
}

void weft_sleep(int64_t ns)
{
	if (ns <= 0)
		return;
	bool outermost = call_begin_blocking();
	park_until(wait_begin(WAIT_SLEEP), weft_in(ns));
	call_end_blocking(outermost);
}

/* ---- timers ---- */

static struct timer *inside(weft_timer *t)
{
	return (struct timer *)(void *)t;
}

void weft_timer_start(weft_timer *timer, int64_t ns, void (*fn)(void *), void *arg)
{
	struct timer *t = inside(timer);
	if (!fn)
		weft_panic("timer without a function");
	bool outermost = call_begin();
	timer_cancel(t);
	t->kind = TIMER_GO;
	t->go = fn;
	t->arg = arg;
	if (gc_shades())
		gc_shade_word(&t->arg);
	struct p *p = setters_p();
	arm_on(p, t, soon(p, ns));
	call_end(outermost);
}

bool weft_timer_stop(weft_timer *timer)
{
	bool outermost = call_begin();
	bool pending = timer_cancel(inside(timer));
	call_end(outermost);
	return pending;
}

bool weft_timer_reset(weft_timer *timer, int64_t ns)
{
	struct timer *t = inside(timer);
	if (t->kind == TIMER_NEW)
		weft_panic("reset of a timer that was never started");
	bool outermost = call_begin();
	if (gc_shades())
		gc_shade_word(&t->arg); /* it leaves a slot that nobody may have looked at, for one that somebody has */
	struct p *p = setters_p();
	bool pending = arm_on(p, t, soon(p, ns));
	call_end(outermost);
	return pending;
}

/* ---- what allocates ---- */

struct once {
	struct timer timer;
	void (*fn)(void *);
	struct area_word arg;
};

static void run_once(void *arg)
{
	struct once *o = arg;
	void (*fn)(void *) = o->fn;
	void *its = load_rlx(&o->arg.word);
	area_word_drop(&o->arg);
	weft_free(o);
	fn(its);
}

static void *must_alloc(size_t size)
{
	void *p = weft_calloc(1, size);
	if (!p)
		fatal("out of memory for a timer");
	return p;
}

void weft_after_func(int64_t ns, void (*fn)(void *), void *arg)
{
	if (!fn)
		weft_panic("timer without a function");
	struct once *o = must_alloc(sizeof *o);
	o->fn = fn;
	area_word_add(&o->arg, arg);
	o->timer.kind = TIMER_GO;
	o->timer.go = run_once;
	o->timer.arg = o;
	arm(&o->timer, later(weft_now(), ns));
}

struct after {
	struct chan_source source;
	struct timer timer;
	weft_chan *ch;
};

static int64_t send_time(void *arg, int64_t now)
{
	struct after *a = arg;
	weft_try_send(a->ch, &now);
	return 0;
}

static void after_gone(struct chan_source *source)
{
	struct after *a = (struct after *)(void *)source;
	timer_cancel(&a->timer);
	weft_free(a);
}
_Static_assert(offsetof(struct after, source) == 0, "one is found by the other");

/* The timer is the channel's, and goes with it. */
weft_chan *weft_after(int64_t ns)
{
	struct after *a = must_alloc(sizeof *a);
	a->ch = weft_chan_make_leaf(sizeof(int64_t), 1);
	a->source.gone = after_gone;
	a->timer = (struct timer){.kind = TIMER_CALL, .call = send_time, .arg = a};
	chan_set_source(a->ch, &a->source);
	weft_chan *ch = a->ch;
	arm(&a->timer, later(weft_now(), ns));
	return ch;
}

struct weft_ticker {
	struct timer timer;
	weft_chan *ch;
	int64_t period;
	int64_t next;
};

/* The next tick is counted from this one's due time, so that lateness does not add up; ticks that have been
 * missed altogether are left out. */
static int64_t tick(void *arg, int64_t now)
{
	weft_ticker *t = arg;
	weft_try_send(t->ch, &t->next);
	t->next = later(t->next, t->period);
	if (t->next <= now)
		t->next += (now - t->next) / t->period * t->period + t->period;
	return t->next;
}

weft_ticker *weft_ticker_make(int64_t ns)
{
	if (ns <= 0)
		weft_panic("non-positive interval for a ticker");
	weft_ticker *t = must_alloc(sizeof *t);
	t->ch = weft_chan_make_leaf(sizeof(int64_t), 1);
	t->period = ns;
	t->next = later(weft_now(), ns);
	t->timer = (struct timer){.kind = TIMER_CALL, .call = tick, .arg = t};
	arm(&t->timer, t->next);
	return t;
}

weft_chan *weft_ticker_chan(weft_ticker *t)
{
	return t->ch;
}

void weft_ticker_free(weft_ticker *t)
{
	if (!t)
		return;
	timer_cancel(&t->timer);
	weft_chan_free(t->ch);
	weft_free(t);
}
