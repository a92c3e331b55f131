#include "tests/sim/machine.h"
#include "tests/sim/workload.h"

#include "runtime/sched.h"

#include <weft/weft.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what things cost ---- */

/* A word that many cores write: who has its line. */
struct line {
	unsigned writer;
	uint32_t version, value;
	uint32_t seen[CORES];
};

static struct line idle_line, global_line;
static uint32_t steps[CORES];               /* of each P: its queue's lines have changed as often */
static uint32_t seen_steps[CORES][CORES];
static int64_t taken_from[CORES];           /* who looked at a P has its lines; the P gets them back */
static uint64_t steals_seen[CORES][STEAL_RINGS];

NO_TSAN_BEGIN

static bool same_node(unsigned a, unsigned b)
{
	return a / CORES_PER_NODE == b / CORES_PER_NODE;
}

static int64_t transfer(unsigned from, unsigned to)
{
	return from == to ? 0 : same_node(from, to) ? LINE_NEAR_NS : LINE_FAR_NS;
}

/* p has run since the last event, and nobody else: if the value has changed, it was p. Otherwise p may have read it. */
static int64_t pay_for_line(struct line *l, uint32_t value, unsigned p, int lines)
{
	int64_t ns = 0;
	if (l->seen[p] != l->version || value != l->value)
		ns = lines * transfer(l->writer, p);
	if (value != l->value) {
		l->value = value;
		l->version++;
		l->writer = p;
	}
	l->seen[p] = l->version;
	return ns;
}

static int64_t look_at(unsigned p, unsigned other)
{
	if (seen_steps[p][other] == steps[other])
		return 1;
	int64_t ns = LINES_A_LOOK * transfer(other, p);
	seen_steps[p][other] = steps[other];
	if (ns > taken_from[other])
		taken_from[other] = ns;
	return ns;
}

static int64_t look_at_all(unsigned p, bool near_only)
{
	int64_t ns = 0;
	for (unsigned i = 0; i < sched.nprocs; i++)
		if (i != p && (!near_only || same_node(i, p)))
			ns += look_at(p, i);
	return ns;
}

/* The nearest ring is the node, if there are several of its cores. */
static int64_t pay_for_steal(const struct p *p)
{
	int64_t ns = 0;
	for (unsigned r = 0; r < STEAL_RINGS; r++) {
		uint64_t steals = load_rlx(&p->seen.steals_at[r]);
		bool near = r == 0 && same_node(p->victims[0], p->index);
		if (steals != steals_seen[p->index][r])
			ns += near ? LINES_A_STEAL * LINE_NEAR_NS
				   : LINES_A_STEAL * LINE_FAR_NS + look_at_all(p->index, true);
		steals_seen[p->index][r] = steals;
	}
	return ns;
}

static int64_t cost(enum sim_event e, struct p *p)
{
	int64_t ns = 0;
	if (e == SIM_WAKE)
		ns = WAKE_UP_NS;
	else
		ns = pay_for_line(&idle_line, load_rlx(&sched.xidle) * 1024 + load_rlx(&sched.xspinning), p->index, 1) +
		     pay_for_line(&global_line, load_rlx(&sched.global.xcount), p->index, LINES_OF_GLOBAL);
	switch (e) {
	case SIM_STEP:
	case SIM_CALL:
		steps[p->index]++;
		ns += (e == SIM_STEP ? SWITCH_NS : CALL_NS) + taken_from[p->index];
		taken_from[p->index] = 0;
		break;
	case SIM_FOUND:
		ns += p->solo ? 0 : pay_for_steal(p);
		break;
	case SIM_LOOK:
	case SIM_DROWSE:
		ns += look_at_all(p->index, false);
		break;
	case SIM_SLEEP:
	case SIM_POKE:
		ns += SYSTEM_CALL_NS;
		break;
	default:
		break;
	}
	return ns - ns / 4 + (ns ? (int64_t)(sim_random() % (uint64_t)(ns / 2 + 1)) : 0);
}

NO_TSAN_END

static const struct sim_machine machine = {NODES, CORES_PER_NODE, cost};

/* ---- what is run ---- */

static weft_waitgroup all;
static _Atomic int64_t busy_ns;
static int64_t late[1 << 16]; /* of each request, in ns */
static _Atomic uint32_t nlate;

static void work(int64_t ns)
{
	add_rlx(&busy_ns, ns);
	sim_work(ns);
}

/* Exponentially distributed. */
static int64_t about(int64_t mean)
{
	double u = ((double)(sim_random() >> 11) + 1) / 9007199254740993.0;
	return 1 + (int64_t)(-log(u) * (double)mean);
}

/* A tree of goroutines: each starts two, and waits for them; the leaves compute. */
enum { DEPTH = 14, LEAF_NS = 20000 };

struct branch {
	weft_waitgroup *done;
	int depth;
};

static void grow(void *arg)
{
	struct branch me = *(struct branch *)arg;
	if (me.depth == DEPTH) {
		work(about(LEAF_NS));
	} else {
		weft_waitgroup mine = {0};
		struct branch child = {&mine, me.depth + 1};
		weft_waitgroup_add(&mine, 2);
		weft_go(grow, &child);
		weft_go(grow, &child);
		weft_waitgroup_wait(&mine);
	}
	weft_waitgroup_done(me.done);
}

static int fork_join(void)
{
	struct branch root = {&all, 0};
	weft_waitgroup_add(&all, 1);
	weft_go(grow, &root);
	weft_waitgroup_wait(&all);
	return 0;
}

/* One goroutine starts all others, which need nobody: most are short, a few long. */
enum { PRODUCED = 20000, SHORT_NS = 20000, LONG_NS = 200000, ONE_IN = 16 };

static void compute(void *unused)
{
	(void)unused;
	work(about(sim_random() % ONE_IN ? SHORT_NS : LONG_NS));
	weft_waitgroup_done(&all);
}

static int produce(void)
{
	weft_waitgroup_add(&all, PRODUCED);
	for (int i = 0; i < PRODUCED; i++)
		weft_go(compute, NULL);
	weft_waitgroup_wait(&all);
	return 0;
}

/* Pairs, twice as many as cores, that hand a message to and fro for some time, with a little to compute at each end. */
enum { PAIRS_OF_ALL = 2 * CORES, PAIRS_RUN_NS = 8000000, ROUND_NS = 500 };

struct pair {
	weft_chan *ping, *pong;
	int64_t end;
};

static void answer(void *arg)
{
	struct pair *p = arg;
	while (weft_recv(p->ping, NULL)) {
		work(ROUND_NS);
		weft_send(p->pong, NULL);
	}
}

static void ask(void *arg)
{
	struct pair *p = arg;
	weft_go(answer, p);
	while (weft_now() < p->end) {
		work(ROUND_NS);
		weft_send(p->ping, NULL);
		weft_recv(p->pong, NULL);
	}
	weft_close(p->ping);
	weft_waitgroup_done(&all);
}

static int ping_pong(void)
{
	static struct pair pairs[PAIRS_OF_ALL];
	weft_waitgroup_add(&all, PAIRS_OF_ALL);
	for (int i = 0; i < PAIRS_OF_ALL; i++) {
		pairs[i] = (struct pair){weft_chan_make(0, 0), weft_chan_make(0, 0), weft_now() + PAIRS_RUN_NS};
		weft_go(ask, &pairs[i]);
	}
	weft_waitgroup_wait(&all);
	return 0;
}

/* Each P has its connections, whose requests come at their own times and in bursts, and keep half of the Ps busy. The
 * more Ps, the more connections. */
enum { CONNS_PER_P = 16, REQUESTS_OF_CONN = 60, REQUEST_NS = 10000, BURST_EVERY = 10 };

static void serve(void *unused)
{
	(void)unused;
	int64_t gap = 2 * CONNS_PER_P * REQUEST_NS, due = weft_now() + about(gap);
	for (int i = 0; i < REQUESTS_OF_CONN; i++) {
		weft_sleep(due - weft_now());
		uint32_t n = add_rlx(&nlate, 1);
		if (n < sizeof late / sizeof *late)
			late[n] = weft_now() - due;
		work(about(REQUEST_NS));
		due += about(gap);
		if (i % BURST_EVERY == 0) /* as others do: at the next full millisecond */
			due += WEFT_MS - due % WEFT_MS;
	}
	weft_waitgroup_done(&all);
}

static int serve_all(void)
{
	int n = CONNS_PER_P * weft_procs();
	weft_waitgroup_add(&all, n);
	for (int i = 0; i < n; i++) {
		weft_go_opts opts = {.pin = 0};
		CHECK_EQ(weft_go_with(&opts, serve, NULL), 0);
	}
	weft_waitgroup_wait(&all);
	return 0;
}

/* All Ps sleep, and as many goroutines as there are Ps come at once: how late the last one begins. */
enum { LONG_TASK_NS = 10000000 };

static void begin_late(void *began)
{
	uint32_t n = add_rlx(&nlate, 1);
	late[n] = weft_now() - (int64_t)(intptr_t)began;
	work(LONG_TASK_NS);
	weft_waitgroup_done(&all);
}

static int wake_all(void)
{
	int64_t began = weft_now();
	weft_waitgroup_add(&all, weft_procs());
	for (int i = 0; i < weft_procs(); i++)
		weft_go(begin_late, (void *)(intptr_t)began);
	weft_waitgroup_wait(&all);
	return 0;
}

const struct task tasks[TASKS] = {
	[FORK_JOIN] = {"fork-join", fork_join},
	[PRODUCER] = {"producer", produce},
	[PAIRS] = {"pairs", ping_pong},
	[REQUESTS] = {"requests", serve_all},
	[BURST] = {"burst", wake_all},
};

/* ---- a run ---- */

enum { ASLEEP_NS = 20000000 };

static const struct task *planned;

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* Of requests, how late they were served; of others, how long they were runnable. */
static void find_latency(struct run *r)
{
	weft_schedhist h;
	uint32_t n = load_rlx(&nlate);
	weft_sched_histograms(&h, sizeof h);
	r->p99_ns = h.other.p99;
	r->max_ns = h.other.max;
	if (n > sizeof late / sizeof *late)
		n = sizeof late / sizeof *late;
	if (n) {
		qsort(late, n, sizeof *late, by_size);
		r->p99_ns = late[n - n / 100 - 1];
		r->max_ns = late[n - 1];
	}
	for (int i = 0; i < 4; i++)
		r->steals += h.steals_at[i];
	r->far_steals = r->steals - h.steals_at[0]; /* P 0 has others on its node, if there are others */
}

static int measure(void)
{
	weft_schedstats s;
	weft_sleep(ASLEEP_NS); /* and with it all Ps */
	int64_t began = weft_now();
	int result = planned->app();
	struct run r = {.ns = weft_now() - began, .busy_ns = load_rlx(&busy_ns)};
	weft_sched_stats(&s);
	find_latency(&r);
	printf("%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
	       " %" PRIu64 " %" PRId64 "\n",
	       r.ns, r.busy_ns, r.p99_ns, r.max_ns, r.steals, r.far_steals, s.stolen, s.sleeps, s.wakes, s.started,
	       (int64_t)s.spin_ns);
	fflush(stdout);
	return result;
}

struct run run_on(unsigned procs, const struct task *task, uint64_t seed)
{
	static struct test_child child;
	struct run r = {0};
	char text[16];
	snprintf(text, sizeof text, "%u", procs);
	setenv("WEFT_PROCS", text, 1);
	planned = task;
	sim_machine = &machine;
	simulate(&child, seed, "", measure);
	if (child.status ||
	    sscanf(child.out,
		   "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64 " %" SCNu64 " %" SCNd64,
		   &r.ns, &r.busy_ns, &r.p99_ns, &r.max_ns, &r.steals, &r.far_steals, &r.stolen, &r.sleeps, &r.wakes,
		   &r.goroutines, &r.looking_ns) != 11)
		test_fail(__FILE__, __LINE__, "%s on %u Ps: status %d\n%s", task->name, procs, child.status, child.err);
	return r;
}
