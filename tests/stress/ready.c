/* Calls against close: a call that has been let in has the descriptor until it leaves, the descriptor is
 * closed once, and the memory is reclaimed once. Edges, deadlines and close against waits: none is lost. */
#include "net/ready.h"
#include "runtime/call.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include "lockfree/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* liburcu is not instrumented: what it allocates on one thread and frees on another looks like a race. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:liburcu-qsbr.so\n";
}

/* What a socket's functions do between beginning and end of a call. */
#define IN_CALL(what)                                                                              \
	do {                                                                                       \
		bool outermost_ = call_begin();                                                    \
		what;                                                                              \
		call_end(outermost_);                                                              \
	} while (0)

static int in_call_wait(struct ready *r, struct ready_half *h)
{
	bool outermost = call_begin_blocking();
	int err = ready_wait(r, h, WAIT_READ);
	call_end_blocking(outermost);
	return err;
}

static struct object {
	struct ready ready;
	_Atomic int reclaimed;
} *objects;

static weft_waitgroup join;
static int64_t rounds;
static ON_OWN_LINE _Atomic int64_t at[2];

static void reclaim(struct epoch_entry *entry)
{
	struct object *o = (struct object *)(void *)((char *)entry - offsetof(struct object, ready.retired));
	(void)add_seq(&o->reclaimed, 1);
}

static void meet(int me, int64_t round)
{
	store_seq(&at[me], round);
	for (int spins = 0; load_acq(&at[!me]) < round; spins++) {
		if (spins % 256 == 255)
			weft_yield();
		cpu_relax();
	}
}

static void stagger(uint64_t *random)
{
	for (uint64_t n = draw_below(random, 20); n > 0; n--)
		cpu_relax();
}

static void call(void *arg)
{
	uint64_t random = 1;
	(void)arg;
	for (int64_t i = 0; i < rounds; i++) {
		struct object *o = &objects[i];
		meet(1, i + 1);
		stagger(&random);
		int err = ready_enter(&o->ready);
		if (err) {
			CHECK_EQ(err, -ECANCELED);
			continue;
		}
		CHECK(fcntl(o->ready.fd, F_GETFD) >= 0);
		IN_CALL(ready_leave(&o->ready, reclaim));
	}
	weft_waitgroup_done(&join);
}

static int calls_against_close(void)
{
	uint64_t random = 2;
	rounds = test_rounds(200000);
	objects = weft_calloc((size_t)rounds, sizeof *objects);
	weft_waitgroup_add(&join, 1);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 2}, call, NULL), 0);
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int64_t i = 0; i < rounds; i++) {
		struct object *o = &objects[i];
		ready_init(&o->ready, dup(fd));
		meet(0, i + 1);
		stagger(&random);
		IN_CALL(ready_close(&o->ready));
		IN_CALL(ready_leave(&o->ready, reclaim));
	}
	weft_waitgroup_wait(&join);
	epoch_drain();
	for (int64_t i = 0; i < rounds; i++)
		CHECK_EQ(objects[i].reclaimed, 1);
	return 0;
}

TEST(a_call_that_was_let_in_keeps_the_descriptor)
{
	CHECK_EQ(run_weft(2, calls_against_close), 0);
}

/* ---- edges against waits ---- */

static struct ready fed;
static ON_OWN_LINE _Atomic int64_t bytes; /* in the "socket" */
static int64_t edges;
static bool deadlines;

/* As a kernel does: first the data, then the edge. The next one comes when this one has been used up, so a lost
 * edge is never made good by another. */
static void feed(void *arg)
{
	uint64_t random = 3;
	(void)arg;
	for (int64_t i = 0; i < edges; i++) {
		stagger(&random);
		if (deadlines && draw_below(&random, 8) == 0)
			weft_sleep(1 + (int64_t)draw_below(&random, 20000));
		(void)add_seq(&bytes, 1);
		IN_CALL(ready_notify(&fed, draw_below(&random, 2) ? READY_IN : READY_IN | READY_OUT));
		for (int spins = 1; load_acq(&bytes); spins++) {
			if (spins % 256 == 0)
				weft_yield();
			cpu_relax();
		}
	}
	weft_waitgroup_done(&join);
}

/* Deadlines come and go; they wake the reader, and must not cost it an edge. */
static void hurry(void *arg)
{
	uint64_t random = 4;
	(void)arg;
	while (load_acq(&at[0]) == 0) {
		IN_CALL(ready_set_deadline(&fed.in, weft_in((int64_t)draw_below(&random, 20000))));
		weft_sleep(1 + (int64_t)draw_below(&random, 20000));
		IN_CALL(ready_set_deadline(&fed.in, WEFT_NEVER));
		weft_yield();
	}
	weft_waitgroup_done(&join);
}

static int edges_against_waits(bool with_deadlines)
{
	uint64_t random = 6;
	int64_t too_late = 0;
	deadlines = with_deadlines;
	edges = test_rounds(with_deadlines ? 20000 : 100000);
	ready_init(&fed, -1);
	store_rlx(&fed.xregistered, true); /* the edges are ours, not a poller's */
	store_rlx(&bytes, 0);
	store_rlx(&at[0], 0);
	weft_waitgroup_add(&join, 1 + with_deadlines);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 2}, feed, NULL), 0);
	if (with_deadlines)
		CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 3}, hurry, NULL), 0);
	for (int64_t got = 0; got < edges;) {
		int64_t n = ready_use(&fed.in) ? swap_seq(&bytes, 0) : 0;
		got += n;
		if (n)
			continue;
		stagger(&random);
		int err = in_call_wait(&fed, &fed.in); /* a lost edge: for ever */
		CHECK(err == 0 || (with_deadlines && err == -ETIMEDOUT));
		if (err)
			too_late++; /* and only an edge may make good for it */
		else
			got += swap_seq(&bytes, 0);
	}
	CHECK(!with_deadlines || too_late > 0);
	store_rel(&at[0], 1);
	weft_waitgroup_wait(&join);
	return 0;
}

static int only_edges(void)
{
	return edges_against_waits(false);
}

static int edges_and_deadlines(void)
{
	return edges_against_waits(true);
}

TEST(no_edge_is_lost_on_one_that_waits)
{
	CHECK_EQ(run_weft(2, only_edges), 0);
}

TEST(no_edge_is_lost_to_a_deadline)
{
	CHECK_EQ(run_weft(3, edges_and_deadlines), 0);
}

/* ---- close against waits ---- */

static struct ready shut;

static void wait_until_closed(void *arg)
{
	struct ready_half *h = arg;
	int err;
	do
		err = in_call_wait(&shut, h);
	while (err == 0 || err == -ETIMEDOUT);
	CHECK_EQ(err, -ECANCELED);
	weft_waitgroup_done(&join);
}

static int close_against_waits(void)
{
	uint64_t random = 5;
	for (int64_t i = test_rounds(20000); i > 0; i--) {
		ready_init(&shut, -1);
		store_rlx(&shut.xregistered, true);
		weft_waitgroup_add(&join, 2);
		weft_go(wait_until_closed, &shut.in);
		weft_go(wait_until_closed, &shut.out);
		if (draw_below(&random, 2))
			weft_yield();
		stagger(&random);
		IN_CALL(ready_notify(&shut, READY_IN | READY_OUT));
		IN_CALL(ready_set_deadline(&shut.in, weft_in((int64_t)draw_below(&random, 2000))));
		IN_CALL(ready_close(&shut));
		weft_waitgroup_wait(&join);
	}
	return 0;
}

TEST(close_ends_every_wait)
{
	CHECK_EQ(run_weft(3, close_against_waits), 0);
}
