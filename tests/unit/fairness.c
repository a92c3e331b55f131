/* The bounds of docs/scheduler.md for a P that has more than enough to run: each counted in scheduling steps, or read off what
 * the looks around leave behind, so that it holds however slow the machine is. */
#include "runtime/call.h"
#include "runtime/park.h"
#include "tests/unit/go.h"

#include <string.h>

/* What the bounds are made of (sched.c), and one step on either side of what is measured. */
enum { STEPS = 61, LOOK_CYCLES = 20000, POLL_EVERY_NS = 200000, ENDS = 2, TIMES = 300 };

static weft_waitgroup join;
static _Atomic int64_t steps; /* that others have made */
static _Atomic bool stop;
static _Atomic(struct p *) p;

static void begin(void)
{
	p = sched.ps[0];
}

static void go(void (*fn)(void *), void *arg, int pin)
{
	weft_waitgroup_add(&join, 1);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = pin}, fn, arg), 0);
}

/* No P is taken from a thread that the kernel has stopped: its next M would look at the clock without asking the poller. */
static int run(int (*app)(void))
{
	setenv("WEFT_DEBUG", "nopreempt", 1);
	return run_weft(1, app);
}

static int end(void)
{
	stop = true;
	weft_waitgroup_wait(&join);
	return 0;
}

/* ---- who keeps the P busy ---- */

static void yield_on(void *arg)
{
	(void)arg;
	while (!stop) {
		steps++;
		weft_yield();
	}
	weft_waitgroup_done(&join);
}

static weft_chan *there, *back;

static void bounce(void *arg)
{
	(void)arg;
	while (weft_recv(there, NULL)) {
		weft_send(back, NULL);
		steps++;
	}
	weft_waitgroup_done(&join);
}

static void serve(void *arg)
{
	(void)arg;
	while (!stop) {
		weft_send(there, NULL);
		steps++;
		weft_recv(back, NULL);
	}
	weft_close(there);
	weft_waitgroup_done(&join);
}

/* They ready each other, through runnext. */
static void go_pair(void)
{
	there = weft_chan_make(0, 0);
	back = weft_chan_make(0, 0);
	go(bounce, NULL, 0);
	go(serve, NULL, 0);
}

/* ---- who waits ---- */

/* Once through a queue that only looks around take from. */
static void go_through(struct gqueue *q)
{
	bool outermost = call_begin_blocking();
	struct g *g = wait_begin(WAIT_SLEEP);
	g_set_state(g, G_RUNNABLE);
	gqueue_push(q, g);
	park();
	call_end_blocking(outermost);
}

static void through_global(void)
{
	go_through(&sched.global);
}

static void through_inbox(void)
{
	go_through(&p->inbox);
}

static void go_through_global(void *arg)
{
	(void)arg;
	while (!stop)
		through_global();
	weft_waitgroup_done(&join);
}

/* The most steps of others between `wait` and what follows it. */
static int64_t longest(void (*wait)(void))
{
	int64_t most = 0;
	for (int i = 0; i < TIMES; i++) {
		int64_t before = steps;
		wait();
		if (steps - before > most)
			most = steps - before;
	}
	return most;
}

static void at_most(int64_t bound, void (*wait)(void))
{
	int64_t most = longest(wait);
	if (most > bound + ENDS)
		test_fail(__FILE__, __LINE__, "%lld steps, and %lld are allowed", (long long)most, (long long)bound);
	CHECK(most > 0);
}

/* ---- the queues ---- */

static int beside_a_full_ring(void)
{
	begin();
	for (int i = 0; i < 10; i++)
		go(yield_on, NULL, 0);
	at_most(STEPS, through_global);
	at_most(STEPS, through_inbox);
	return end();
}

TEST(the_global_queue_and_the_inbox_wait_for_61_steps_beside_a_full_ring)
{
	CHECK_EQ(run(beside_a_full_ring), 0);
}

static int beside_a_busy_inbox(void)
{
	begin();
	go(yield_on, NULL, 0);
	go(yield_on, NULL, 1);
	at_most(2 * STEPS, through_global);
	return end();
}

static int beside_a_busy_global_queue(void)
{
	begin();
	go(yield_on, NULL, 0);
	go(go_through_global, NULL, 0);
	at_most(2 * STEPS, through_inbox);
	return end();
}

TEST(the_global_queue_has_its_turn_beside_a_busy_inbox)
{
	CHECK_EQ(run(beside_a_busy_inbox), 0);
}

TEST(the_inbox_has_its_turn_beside_a_busy_global_queue)
{
	CHECK_EQ(run(beside_a_busy_global_queue), 0);
}

static int beside_a_pair(void)
{
	begin();
	go_pair();
	at_most(STEPS, weft_yield);
	at_most(STEPS, through_global);
	at_most(STEPS, through_inbox);
	return end();
}

TEST(a_pair_that_readies_each_other_holds_nobody_up_for_more_than_61_steps)
{
	CHECK_EQ(run(beside_a_pair), 0);
}

/* Each look finds somebody in the inbox, and the pair has all other steps. */
static int beside_a_pair_and_a_busy_inbox(void)
{
	begin();
	go_pair();
	go(yield_on, NULL, 1);
	at_most(STEPS, weft_yield);
	return end();
}

TEST(the_ring_has_its_turn_beside_a_pair_and_a_busy_inbox)
{
	CHECK_EQ(run(beside_a_pair_and_a_busy_inbox), 0);
}

static void compute_and_yield(void *arg)
{
	(void)arg;
	while (!stop) {
		for (uint64_t from = cycles_now(); cycles_now() - from < 4 * LOOK_CYCLES;)
			;
		steps++;
		weft_yield();
	}
	weft_waitgroup_done(&join);
}

static void answer(void *arg)
{
	(void)arg;
	while (weft_recv(there, NULL))
		weft_send(back, NULL);
	weft_waitgroup_done(&join);
}

static void ask(void)
{
	weft_send(there, NULL);
	weft_recv(back, NULL);
}

/* Each step is a look; whoever is readied runs at the next one, or behind the ring. */
static int runnext_beside_long_steps(void)
{
	enum { LONG = 3 };
	begin();
	there = weft_chan_make(0, 0);
	back = weft_chan_make(0, 0);
	go(answer, NULL, 0);
	for (int i = 0; i < LONG; i++)
		go(compute_and_yield, NULL, 0);
	at_most(2 * LONG, ask);
	weft_close(there);
	return end();
}

TEST(who_is_readied_beside_long_steps_waits_for_the_ring_at_most)
{
	CHECK_EQ(run(runnext_beside_long_steps), 0);
}

/* ---- the clock, timers and sockets ---- */

static _Atomic int64_t polled_at; /* the P's clock when the poller was asked */
static _Atomic uint64_t polls;
static const struct poller *real;

static int count_polls(unsigned of_p, unsigned of, int64_t timeout_ns)
{
	polls++;
	polled_at = load_rlx(&p->now);
	return real->wait(of_p, of, timeout_ns);
}

/* What holds after each step. The P's clock is that of its last look at the real one: whatever has come due since,
 * no look has missed it. */
struct late {
	int steps_without_look; /* since there should have been one */
	int64_t timer, poll;    /* ns between the P's clock and what it has not done yet */
};

static uint64_t looked_at(void)
{
	void *me = sched_enter(m_self()); /* it is the scheduler's own */
	uint64_t cycles = p->looked;
	sched_leave(me);
	return cycles;
}

static void look_for_lateness(struct late *most)
{
	static int overdue;
	overdue = cycles_now() - looked_at() > LOOK_CYCLES ? overdue + 1 : 0;
	if (overdue > most->steps_without_look)
		most->steps_without_look = overdue;
	int64_t now = load_rlx(&p->now), timer = now - load_rlx(&p->wheel.xnext);
	if (timer > most->timer)
		most->timer = timer;
	if (polls && now - polled_at > most->poll)
		most->poll = now - polled_at;
}

static void nothing(void *arg)
{
	(void)arg;
}

static int watch_a_busy_p(void)
{
	static struct poller counting;
	static weft_timer timer;
	weft_listener *l;
	struct late most = {.timer = INT64_MIN};
	begin();
	CHECK_EQ(weft_listen(&l, "tcp://127.0.0.1:0", NULL), 0); /* now there is a poller */
	real = load_seq(&sched.poller);
	counting = *real;
	counting.wait = count_polls;
	store_seq(&sched.poller, &counting);
	for (int i = 0; i < 10; i++)
		go(yield_on, NULL, 0);
	uint64_t fired = 0;
	for (int timers = 0; polls < 50; timers++) {
		if (timers % 100 == 0)
			weft_timer_start(&timer, 30 * WEFT_US, nothing, NULL);
		weft_yield();
		look_for_lateness(&most);
		fired += load_rlx(&p->wheel.xnext) == INT64_MAX;
	}
	CHECK(fired > 0);
	CHECK(most.steps_without_look <= STEPS + ENDS);
	CHECK(most.timer <= 0);
	CHECK(most.poll <= POLL_EVERY_NS);
	weft_listener_close(l);
	return end();
}

TEST(the_clock_timers_and_sockets_are_looked_at_in_time_beside_a_full_ring)
{
	CHECK_EQ(run(watch_a_busy_p), 0);
}
