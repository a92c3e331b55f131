#include "tests/sim/workload.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS_PER_SEED = 50 };

/* ThreadSanitizer would let each of a thousand programs sleep for a second before it ends. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "atexit_sleep_ms=0";
}

/* ---- a program under a seed ---- */

static struct {
	uint64_t seed;
	const char *more;
	int (*app)(void);
} planned;

static int run_app(int argc, char **argv)
{
	(void)argc, (void)argv;
	return planned.app();
}

static void run_planned(void)
{
	char debug[64];
	snprintf(debug, sizeof debug, "seed=%" PRIu64 "%s", planned.seed, planned.more);
	setenv("WEFT_DEBUG", debug, 1);
	alarm(SECONDS_PER_SEED);
	_exit(weft_main(0, NULL, run_app));
}

void simulate(struct test_child *child, uint64_t seed, const char *more, int (*app)(void))
{
	planned.seed = seed;
	planned.more = more;
	planned.app = app;
	test_in_child(child, run_planned);
}

bool sim_trace_of(const struct test_child *child, struct sim_trace *t)
{
	static const char begin[] = "weft: seed ";
	const char *line = strstr(child->err, begin);
	return line && !strstr(line + 1, begin) &&
	       sscanf(line, "weft: seed %" SCNu64 ", %" SCNu64 " events, trace %" SCNx64 "\n", &t->seed, &t->events,
		      &t->hash) == 3;
}

/* ---- the program ---- */

static _Atomic uint64_t choices;
static weft_waitgroup all;

static uint64_t choose(uint64_t n)
{
	uint64_t mine = atomic_fetch_add(&choices, 0x9e3779b97f4a7c15u);
	return draw_below(&mine, n);
}

static void go(void (*fn)(void *), void *arg)
{
	weft_waitgroup_add(&all, 1);
	weft_go(fn, arg);
}

static void stir(void)
{
	if (choose(3) == 0)
		weft_yield();
	else if (choose(8) == 0)
		weft_sleep((int64_t)choose(20 * WEFT_US));
}

/* Numbers through a channel arrive once each, those of one sender in order. */
enum { PIPES = 3, SENDERS = 3, SENT = 20 };

struct pipe {
	weft_chan *ch;
	int64_t last[SENDERS];
	_Atomic int got;
	weft_waitgroup sending;
};

struct sender {
	struct pipe *pipe;
	int index;
};

static void send_numbers(void *arg)
{
	struct sender s = *(struct sender *)arg;
	for (int64_t i = 1; i <= SENT; i++) {
		int64_t v = i * SENDERS + s.index;
		if (choose(2))
			weft_send(s.pipe->ch, &v);
		else
			while (weft_send_until(s.pipe->ch, &v, weft_in((int64_t)choose(10 * WEFT_US))))
				;
		stir();
	}
	weft_waitgroup_done(&s.pipe->sending);
	weft_waitgroup_done(&all);
}

static void receive_numbers(void *arg)
{
	struct pipe *p = arg;
	int64_t v;
	while (weft_recv(p->ch, &v)) {
		int64_t from = v % SENDERS, n = v / SENDERS;
		CHECK_EQ(n, p->last[from] + 1);
		p->last[from] = n;
		atomic_fetch_add(&p->got, 1);
		stir();
	}
	CHECK_EQ(atomic_load(&p->got), SENDERS * SENT);
	weft_waitgroup_done(&all);
}

static void close_when_sent(void *arg)
{
	struct pipe *p = arg;
	weft_waitgroup_wait(&p->sending);
	weft_close(p->ch);
	weft_waitgroup_done(&all);
}

static void start_pipes(void)
{
	static struct pipe pipes[PIPES];
	static struct sender senders[PIPES][SENDERS];
	for (int i = 0; i < PIPES; i++) {
		struct pipe *p = &pipes[i];
		p->ch = weft_chan_make(sizeof(int64_t), choose(4));
		weft_waitgroup_add(&p->sending, SENDERS);
		for (int k = 0; k < SENDERS; k++) {
			senders[i][k] = (struct sender){p, k};
			go(send_numbers, &senders[i][k]);
		}
		go(receive_numbers, p);
		go(close_when_sent, p);
	}
}

/* Of tokens that are passed on by select, none is lost and none comes twice. */
enum { RING = 5, TOKENS = 3, HOPS = 60 };

static weft_chan *ring[RING];
static weft_chan *ring_ends;
static _Atomic int hops, tokens_out;

static void pass_on(void *arg)
{
	int me = (int)(intptr_t)arg;
	int64_t token = 0, got;
	for (;;) {
		weft_case cases[] = {{.op = WEFT_RECV, .ch = token ? NULL : ring[me], .elem = &got},
				     {.op = WEFT_SEND, .ch = token ? ring[(me + 1) % RING] : NULL, .elem = &token},
				     {.op = WEFT_RECV, .ch = ring_ends}};
		int i = choose(4) ? weft_select(cases, 3) : weft_select_until(cases, 3, weft_in((int64_t)choose(5 * WEFT_US)));
		if (i == 2)
			break;
		if (i == 0)
			token = got;
		if (i == 1) {
			token = 0;
			if (atomic_fetch_add(&hops, 1) + 1 == HOPS)
				weft_close(ring_ends);
		}
	}
	atomic_fetch_add(&tokens_out, token != 0);
	weft_waitgroup_done(&all);
}

static void start_ring(void)
{
	ring_ends = weft_chan_make(0, 0);
	for (int i = 0; i < RING; i++)
		ring[i] = weft_chan_make(sizeof(int64_t), 1);
	for (int64_t i = 1; i <= TOKENS; i++)
		weft_send(ring[i], &i);
	for (int i = 0; i < RING; i++)
		go(pass_on, (void *)(intptr_t)i);
}

static void check_ring(void)
{
	for (int i = 0; i < RING; i++)
		atomic_fetch_add(&tokens_out, (int)weft_chan_len(ring[i]));
	CHECK_EQ(atomic_load(&tokens_out), TOKENS);
}

/* One at a time within a mutex, whatever happens there. */
enum { LOCKERS = 6, LOCKS = 12 };

static weft_mutex mutex;
static int within, locked;

static void lock_and_stir(void *unused)
{
	(void)unused;
	for (int i = 0; i < LOCKS; i++) {
		if (choose(2))
			weft_mutex_lock(&mutex);
		else
			while (weft_mutex_lock_until(&mutex, weft_in((int64_t)choose(5 * WEFT_US))))
				;
		CHECK_EQ(within++, 0);
		stir();
		locked++;
		CHECK_EQ(within--, 1);
		weft_mutex_unlock(&mutex);
		stir();
	}
	weft_waitgroup_done(&all);
}

/* A timer fires once, not before its time, and not after it has been stopped. */
enum { TIMERS = 12, LONG_NS = 100000000 };

struct alarm {
	weft_timer timer;
	int64_t due;
	_Atomic int fired;
};

static void ring_alarm(void *arg)
{
	struct alarm *a = arg;
	CHECK(weft_now() >= a->due);
	atomic_fetch_add(&a->fired, 1);
}

static void use_timer(void *unused)
{
	(void)unused;
	struct alarm *a = weft_calloc(1, sizeof *a);
	int64_t ns = (int64_t)choose(50 * WEFT_US);
	a->due = weft_now() + ns;
	weft_timer_start(&a->timer, ns, ring_alarm, a);
	weft_sleep((int64_t)choose(60 * WEFT_US));
	if (choose(2)) {
		bool stopped = weft_timer_stop(&a->timer);
		weft_sleep(LONG_NS);
		CHECK_EQ(atomic_load(&a->fired), !stopped);
	} else {
		bool pending = weft_timer_reset(&a->timer, ns);
		weft_sleep(LONG_NS);
		CHECK_EQ(atomic_load(&a->fired), 1 + !pending);
	}
	weft_free(a);
	weft_waitgroup_done(&all);
}

/* Ticks come at their times, each once, and the later ones wait for nobody. */
static void count_ticks(void *unused)
{
	(void)unused;
	int64_t period = 1 + (int64_t)choose(30 * WEFT_US), tick, last = 0, began = weft_now();
	weft_ticker *t = weft_ticker_make(period);
	for (int i = 0; i < 6; i++) {
		CHECK(weft_recv(weft_ticker_chan(t), &tick));
		CHECK(tick > last && tick <= weft_now() && (tick - began) % period == 0);
		last = tick;
		stir();
	}
	weft_ticker_free(t);
	weft_waitgroup_done(&all);
}

/* A tree of goroutines, each of which waits for its own. */
enum { DEPTH = 5 };

struct branch {
	weft_waitgroup *done;
	int depth;
};

static _Atomic int leaves;

static void grow(void *arg)
{
	struct branch me = *(struct branch *)arg;
	if (me.depth == DEPTH) {
		atomic_fetch_add(&leaves, 1);
	} else {
		weft_waitgroup mine = {0};
		weft_waitgroup_add(&mine, 2);
		struct branch child = {&mine, me.depth + 1};
		weft_go(grow, &child);
		stir();
		weft_go(grow, &child);
		weft_waitgroup_wait(&mine);
	}
	weft_waitgroup_done(me.done);
}

static void grow_tree(void *unused)
{
	(void)unused;
	weft_waitgroup done = {0};
	struct branch root = {&done, 0};
	weft_waitgroup_add(&done, 1);
	grow(&root);
	CHECK_EQ(atomic_load(&leaves), 1 << DEPTH);
	weft_waitgroup_done(&all);
}

/* Goroutines that run on one P each, which must be woken for them: a request goes round, and comes back. */
enum { ROUNDS = 20, MOST_PINNED = 8 };

static struct stage {
	weft_chan *in, *out;
} stages[MOST_PINNED];

static void hand_on(void *arg)
{
	struct stage *s = arg;
	int64_t v;
	while (weft_recv(s->in, &v)) {
		v++;
		weft_send(s->out, &v);
	}
	weft_close(s->out);
	weft_waitgroup_done(&all);
}

static void go_round(void *unused)
{
	(void)unused;
	int n = weft_procs() < MOST_PINNED ? weft_procs() : MOST_PINNED;
	weft_chan *first = weft_chan_make(sizeof(int64_t), choose(2)), *in = first;
	for (int i = 0; i < n; i++) {
		weft_go_opts opts = {.pin = i + 1};
		stages[i] = (struct stage){in, weft_chan_make(sizeof(int64_t), choose(2))};
		in = stages[i].out;
		weft_waitgroup_add(&all, 1);
		CHECK_EQ(weft_go_with(&opts, hand_on, &stages[i]), 0);
	}
	for (int64_t i = 0; i < ROUNDS; i++) {
		int64_t v = i;
		weft_send(first, &v);
		stir();
		CHECK(weft_recv(in, &v));
		CHECK_EQ(v, i + n);
	}
	weft_close(first);
	weft_waitgroup_done(&all);
}

/* A deadline ends a wait, and not before its time. */
static void sleep_and_time_out(void *unused)
{
	(void)unused;
	weft_chan *never = weft_chan_make(0, 0), *soon = weft_after((int64_t)choose(20 * WEFT_US));
	int64_t at, until = weft_now() + (int64_t)choose(30 * WEFT_US);
	CHECK(weft_recv_until(never, NULL, weft_at(until)) < 0);
	CHECK(weft_now() >= until);
	CHECK(weft_recv(soon, &at) && at <= weft_now());
	weft_chan_free(soon);
	weft_chan_free(never);
	weft_waitgroup_done(&all);
}

int workload(void)
{
	choices = planned.seed;
	start_pipes();
	start_ring();
	for (int i = 0; i < LOCKERS; i++)
		go(lock_and_stir, NULL);
	for (int i = 0; i < TIMERS; i++)
		go(use_timer, NULL);
	for (int i = 0; i < 3; i++)
		go(count_ticks, NULL);
	for (int i = 0; i < 4; i++)
		go(sleep_and_time_out, NULL);
	go(grow_tree, NULL);
	go(go_round, NULL);
	weft_waitgroup_wait(&all);
	CHECK_EQ(locked, LOCKERS * LOCKS);
	check_ring();
	return 0;
}
