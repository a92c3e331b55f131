/* Channels and select (runtime/chan.c, select.c, bias.h), the same sources: senders, receivers, selectors and a closer.
 *
 * What must hold: each value that is sent is received once; who waits is let go, by a partner, a close or its
 * deadline; a select takes one case, and is then on no queue; a close reaches everybody; a channel's queues and locks are left
 * as they were found.
 */
#include "tests/model/goroutine.h"
#include "tests/model/scenarios.h"

#include "tests/model/collect.h"
#include "tests/model/fence.h"
#include "tests/test.h"

#include <string.h>

/* Nothing switches: runtime/fiber.h, empty. */
#define RUNTIME_FIBER_H
#define fiber_publish(address) ((void)(address))
#define fiber_observe(address) ((void)(address))

#define RUNTIME_SIM_H
#define sim_on false
#define sim_trace(event, what, how) ((void)(what), (void)(how))

#include "alloc/os.h"
#define BIAS_HEAT_MOST 0 /* it only says how long to wait */
#define os_membarrier() explorer_membarrier(__func__)

#include "runtime/wheel.h"

#define finish finish_waiter
#include "runtime/chan.c"
#undef finish

#include "runtime/select.c"

#include "runtime/bias.c"

#include "lockfree/spin.c"

/* ---- what they call ---- */

/* Which of two ready ones: both are tried. */
uint64_t random_u64(void)
{
	return (uint64_t)explorer_choose(2) << 63;
}

void retire(struct epoch_entry *entry, void (*reclaim_it)(struct epoch_entry *))
{
	(void)entry, (void)reclaim_it;
}

void signal_forget(struct weft_chan *c)
{
	(void)c;
}

/* ---- the program ---- */

/* Each thread's script: s sends on the first channel and r receives; S and R on the second; x receives from whichever is ready of the two,
 * y sends on the first or receives from the second, z the other way round; c closes the first, C the second; d receives from the
 * first until a deadline that may come at any moment. */
static const struct scenario {
	const char *script[3];
	size_t cap;
	int preemptions, stale_reads;
} scenarios[] = {
	{{"ss", "rr", ""}, 0, 3, 1},
	{{"ss", "rr", ""}, 1, 3, 1},
	{{"s", "s", "rr"}, 0, 2, 1},
	{{"sc", "r", "r"}, 0, 2, 1},
	{{"sc", "r", "r"}, 1, 2, 0},
	{{"s", "d", ""}, 1, 2, 1},
	{{"x", "x", "sC"}, 0, 2, 0}, /* two channels, two selectors, one closer */
	{{"x", "x", "cC"}, 0, 2, 0},
	{{"y", "z", ""}, 0, 3, 1},
	{{"yy", "zz", ""}, 0, 2, 0},
	{{"xx", "s", "S"}, 0, 2, 0},
	{{"xx", "s", "S"}, 1, 2, 0},
}, *scenario;

enum { VALUES = 32 };

/* With room for one element behind each. */
static struct {
	struct weft_chan chan;
	int element;
} first, second;
static int sent[VALUES], received[VALUES];
static bool closes;

static void start_chan(struct weft_chan *c, int *buf)
{
	memset(c, 0, sizeof *c);
	c->elem_size = sizeof *buf;
	c->cap = scenario->cap;
	c->buf = (char *)buf;
	explorer_watch(c, sizeof *c);
}

static bool has_deadline(void)
{
	return strchr(scenario->script[1], 'd');
}

static void start(void)
{
	start_chan(&first.chan, &first.element);
	start_chan(&second.chan, &second.element);
	memset(sent, 0, sizeof sent);
	memset(received, 0, sizeof received);
	goroutines_start();
	closes = false;
	for (int i = 0; i < 3; i++)
		closes |= strpbrk(scenario->script[i], "cC") != NULL;
}

/* A value says whose it is and which of its values. */
static int next_value(int which, int nth)
{
	return which * 8 + nth + 1;
}

static void has_sent(int value)
{
	sent[value]++;
}

static void has_received(bool ok, int value)
{
	if (!ok) {
		explorer_check(closes, "only a close ends without a value");
		explorer_check(value == 0, "and zeroes the element");
		return;
	}
	explorer_check(value > 0 && value < VALUES, "what is received was sent");
	received[value]++;
}

static void select_one(weft_case *cases, int n, int value, int *got)
{
	int index = weft_select(cases, n);
	explorer_check(index >= 0 && index < n, "a select takes a case");
	if (cases[index].op == WEFT_SEND)
		has_sent(value);
	else
		has_received(cases[index].ok, *got);
}

static void step(char what, int value)
{
	int got = -1;
	weft_chan *a = &first.chan, *b = &second.chan;
	if (what == 's' || what == 'S') {
		weft_send(what == 's' ? a : b, &value);
		has_sent(value);
	} else if (what == 'r' || what == 'R') {
		bool ok = weft_recv(what == 'r' ? a : b, &got);
		has_received(ok, got);
	} else if (what == 'd') {
		int outcome = weft_recv_until(a, &got, weft_at(1));
		if (outcome != -ETIMEDOUT)
			has_received(outcome, got);
		model_clock_stops();
	} else if (what == 'c' || what == 'C') {
		weft_close(what == 'c' ? a : b);
	} else {
		weft_case both[] = {WEFT_CASE_RECV(a, &got), WEFT_CASE_RECV(b, &got)};
		weft_case there[] = {WEFT_CASE_SEND(a, &value), WEFT_CASE_RECV(b, &got)};
		weft_case back[] = {WEFT_CASE_RECV(a, &got), WEFT_CASE_SEND(b, &value)};
		select_one(what == 'x' ? both : what == 'y' ? there : back, 2, value, &got);
	}
}

static void thread(int which)
{
	if (which == scripts(scenario->script)) {
		model_clock_runs();
		return;
	}
	for (int i = 0; scenario->script[which][i]; i++)
		step(scenario->script[which][i], next_value(which, i));
}

static void check_left(const struct weft_chan *c)
{
	explorer_check(!load_rlx(&c->recvq.first) && !load_rlx(&c->sendq.first), "nobody is on a queue");
	explorer_check(load_rlx(&c->lock.spin.word) == 0 && !load_rlx(&c->lock.xheld), "no lock is held");
}

static void end(void)
{
	int in_rings = (int)(load_rlx(&first.chan.count) + load_rlx(&second.chan.count)), missing = 0;
	for (int v = 0; v < VALUES; v++) {
		explorer_check(received[v] <= sent[v], "nothing is received twice, or unsent");
		missing += sent[v] - received[v];
	}
	explorer_check(missing == in_rings, "nothing is lost");
	check_left(&first.chan);
	check_left(&second.chan);
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {scripts(scenario->script) + has_deadline(), start, thread, end,
					     scenario->preemptions, scenario->stale_reads, NULL, false};
		const char *broken = explore_scripts(scenario->script, p, m);
		if (broken)
			return broken;
	}
	return NULL;
}

TEST(every_value_goes_over_once_and_everybody_is_let_go)
{
	explorer_holds(first_failure);
}

TEST(what_is_spoilt_is_caught)
{
	static const struct explorer_mutation spoilt[] = {
		{"two may take the lock", "spin_lock_at_once", VERB_SWAP, "word", SPLIT},
		{"the lock gives nothing on", "spin_unlock", VERB_STORE, "word", WEAKEN},
		{"two may end a wait", "wait_claim", VERB_CAS, "xclaim", SPLIT},
		{"a close is not seen", "weft_close", VERB_STORE, "closed", OMIT},
		{"a ring that is not emptied", "ring_take", VERB_STORE, "count", OMIT},
		{"a waiter that stays on its queue", "waitq_remove", VERB_STORE, "first", OMIT},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
