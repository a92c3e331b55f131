/* Readiness (net/ready.c), the same source: a goroutine reads from a socket, a poller tells of edges, and a third
 * sets deadlines or closes.
 *
 * What must hold: nobody waits for ever for what has come, or on a connection that is closed; one ready answers each
 * park; a deadline leaves the connection usable; the descriptor is closed once, and not under a call.
 *
 * The socket is a count of bytes. The kernel's lock on it makes adding and taking them, and finding that there are
 * none, read-modify-writes: what the goroutine did before it found none, the poller has seen when it tells of more.
 */
#include "tests/model/goroutine.h"

#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define close model_close
static int model_close(int fd);
#include "net/ready.c"
#undef close

static struct ready conn;
static _Atomic uint32_t bytes;
static uint32_t got;
static int calls, closes, reclaims, waiting;

static const struct scenario {
	const char *script[3]; /* of each: e a byte comes, and its edge; r reads one byte; u reads one until a deadline,
				* and then without; d sets a deadline and takes it away, p sets one that has
				* passed, and x is told so; c closes; s reads until the connection is closed; w is a call
				* that does not wait */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"r", "e", ""}, 4, 2},
	{{"rr", "ee", ""}, 3, 1},
	{{"r", "e", "d"}, 2, 1},
	{{"x", "p", ""}, 3, 2},
	{{"ur", "ee", ""}, 2, 1},
	{{"s", "c", ""}, 4, 2},
	{{"s", "e", "c"}, 2, 1},
	{{"s", "d", "c"}, 2, 1},
	{{"s", "w", "c"}, 2, 1},
}, *scenario;

static bool has_deadline(void)
{
	return strchr(scenario->script[0], 'u');
}

static int threads(void)
{
	int n = 0;
	while (n < 3 && *scenario->script[n])
		n++;
	return n;
}

/* ---- what the source asks of others ---- */

static int model_close(int fd)
{
	(void)fd;
	explorer_check(++closes == 1, "the descriptor is closed once");
	explorer_check(calls == 0, "no call is under way when the descriptor is closed");
	return 0;
}

void retire(struct epoch_entry *entry, void (*reclaim)(struct epoch_entry *))
{
	reclaim(entry);
}

void epoch_looked(void)
{
}

int epoll_register(struct ready *r)
{
	(void)r;
	return 0;
}

void epoll_unregister(struct ready *r)
{
	explorer_check(r == &conn && closes == 0, "what is unregistered is still open");
}

void poller_waiting(int change)
{
	waiting += change;
}

COLD void spin_lock_slow(struct spin *s, int pauses)
{
	(void)pauses;
	while (!spin_try_lock(s))
		cpu_relax();
}

/* ---- the program ---- */

static void count_reclaim(struct epoch_entry *entry)
{
	(void)entry;
	reclaims++;
}

static void start(void)
{
	memset(&conn, 0, sizeof conn);
	ready_init(&conn, 3);
	conn.xregistered = true;
	bytes = 0;
	got = 0;
	calls = closes = reclaims = waiting = 0;
	goroutines_start();
}

/* As read_some (net/conn.c) does it, a byte at a time: a full buffer, so there may be more. */
static int take_one(bool *ask)
{
	int err = *ask ? 0 : ready_wait(&conn, &conn.in, WAIT_READ);
	if (err)
		return err;
	uint32_t there = add_acqrel(&bytes, 0);
	while (there)
		if (cas_acqrel(&bytes, &there, there - 1)) {
			ready_again(&conn.in);
			got++;
			return 1;
		}
	*ask = false;
	return 0;
}

static int read_one(void)
{
	int err = ready_enter(&conn);
	if (err)
		return err;
	calls++;
	bool ask = ready_use(&conn.in);
	while ((err = take_one(&ask)) == 0)
		;
	calls--;
	ready_leave(&conn, count_reclaim);
	return err;
}

static void read_until_deadline(void)
{
	ready_set_deadline(&conn.in, weft_at(AGES));
	int n = read_one();
	explorer_check(n == 1 || n == -ETIMEDOUT, "a byte, or too late");
	ready_set_deadline(&conn.in, WEFT_NEVER);
	if (n < 0)
		explorer_check(read_one() == 1, "a deadline leaves the connection usable");
}

static void call(void)
{
	if (ready_enter(&conn))
		return;
	calls++;
	ready_use(&conn.out);
	calls--;
	ready_leave(&conn, count_reclaim);
}

static void step(char what)
{
	int n;
	switch (what) {
	case 'e':
		add_acqrel(&bytes, 1);
		ready_notify(&conn, READY_IN | READY_OUT);
		break;
	case 'd':
		ready_set_deadline(&conn.in, weft_at(INT64_MAX - 1));
		ready_set_deadline(&conn.in, WEFT_NEVER);
		break;
	case 'p':
		ready_set_deadline(&conn.in, weft_at(1));
		break;
	case 'x':
		explorer_check(read_one() == -ETIMEDOUT, "too late");
		break;
	case 'w':
		call();
		break;
	case 'c':
		ready_close(&conn);
		ready_leave(&conn, count_reclaim);
		break;
	case 'u':
		read_until_deadline();
		break;
	case 'r':
		explorer_check(read_one() == 1, "a byte");
		break;
	default:
		while ((n = read_one()) > 0)
			;
		explorer_check(n == -ECANCELED, "a call on what is closed says so");
	}
}

static void thread(int which)
{
	if (which == threads()) {
		model_clock_runs();
		return;
	}
	for (const char *s = scenario->script[which]; *s; s++)
		step(*s);
	if (has_deadline() && which == 0)
		model_clock_stops();
}

static void end(void)
{
	bool is_closed = load_rlx(&conn.xclosed);
	explorer_check(closes == is_closed && reclaims == is_closed, "closed and reclaimed once, if at all");
	explorer_check(is_closed || load_rlx(&bytes) == 0, "all that came was read");
	explorer_check(waiting == 0, "nobody is counted as waiting");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {threads() + has_deadline(), start, thread, end, scenario->preemptions,
					     scenario->stale_reads, NULL, false};
		if (m && p.preemptions > 2)
			p.preemptions = 2;
		if (!m && test_is_slow())
			p.preemptions--;
		struct explorer_result r = explore(&p, m);
		if (!m)
			fprintf(stderr, "# %s %s %s: %lld executions\n", scenario->script[0], scenario->script[1],
				scenario->script[2], (long long)r.executions);
		if (r.broken)
			return r.broken;
	}
	return NULL;
}

TEST(no_edge_is_lost)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	static const struct explorer_mutation spoilt[] = {
		{"edge told without a comparison", "tell", VERB_CAS, "xword", SPLIT},
		{"wait without a comparison", "park_once", VERB_CAS, "xword", SPLIT},
		{"waiter taken without a comparison", "take", VERB_CAS, "xword", SPLIT},
		{"close relaxed", "ready_close", VERB_STORE, "xclosed", WEAKEN},
		{"deadline relaxed", "ready_set_deadline", VERB_STORE, "xdeadline", WEAKEN},
		{"look for a waiter relaxed", "nudge", VERB_LOAD, "xword", WEAKEN},
		{"look at close relaxed", "park_once", VERB_LOAD, "xclosed", WEAKEN},
		{"wait relaxed", "park_once", VERB_CAS, "xword", WEAKEN},
		{"call without a comparison", "ready_enter", VERB_CAS, "xusers", SPLIT},
		{"end of a call split", "ready_leave", VERB_ADD, "xusers", SPLIT},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
