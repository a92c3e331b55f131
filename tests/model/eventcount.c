/* The event count (lockfree/eventcount.h and eventcount.c), the same source, over a futex of the explorer's: consumers take
 * from a count, and wait while it is zero; producers add to it, and notify.
 *
 * What must hold: nobody waits for ever while there is something to take; who has waited without a timeout comes after
 * a notification; in the end nobody is counted as a waiter. The count is relaxed: only the event count orders anything.
 *
 * Whom the kernel wakes, of those who sleep, is any of them.
 */
#include "tests/model/atomic.h"
#include "tests/model/fence.h"

#include "tests/test.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long model_syscall(long number, ...);
static int model_clock(clockid_t clock, struct timespec *t);

#define syscall       model_syscall
#define clock_gettime model_clock
#include "lockfree/eventcount.h"

#include "lockfree/eventcount.c"
#undef syscall

#include MODEL_EDGES

enum { THREADS = 4, NOTIFICATIONS = 8 };

static struct eventcount e;
static _Atomic uint32_t items;
static int pushed, taken, gave_up;
static struct {
	int thread;
	uint32_t step;
} notified[NOTIFICATIONS];
static int notifications;

/* ---- the kernel ---- */

static bool sleeps[THREADS];
static _Atomic uint32_t woken[THREADS];
static bool interrupted[THREADS];
static enum { WAKES, WAKES_NOBODY, INTERRUPTS } kernel;

static long fails(int err)
{
	errno = err;
	return -1;
}

/* It looks at the word, and puts the thread to sleep, in one step: it has a lock. The same lock orders who wakes before
 * who is woken; who is not put to sleep has been ordered by nothing. */
static long futex_wait(_Atomic uint32_t *word, uint32_t expected, const struct timespec *until)
{
	int me = explorer_self();
	if (kernel == INTERRUPTS && !interrupted[me] && explorer_choose(2)) {
		interrupted[me] = true;
		return fails(EINTR);
	}
	store_rlx(&woken[me], 0);
	if ((uint32_t)add_rlx(word, 0) != expected)
		return fails(EAGAIN);
	sleeps[me] = true;
	if (!until)
		(void)await_acq(&woken[me], 0);
	if (!sleeps[me]) /* with a timeout, others may have come in between */
		return 0;
	sleeps[me] = false;
	return fails(ETIMEDOUT);
}

static void futex_wake(int n)
{
	for (; n > 0 && kernel != WAKES_NOBODY; n--) {
		int sleeper[THREADS], sleepers = 0;
		for (int i = 0; i < THREADS; i++)
			if (sleeps[i])
				sleeper[sleepers++] = i;
		if (!sleepers)
			return;
		int which = sleeper[explorer_choose(sleepers)];
		sleeps[which] = false;
		store_rel(&woken[which], 1);
	}
}

static long model_syscall(long number, ...)
{
	va_list args;
	va_start(args, number);
	_Atomic uint32_t *word = va_arg(args, _Atomic uint32_t *);
	int operation = va_arg(args, int);
	uint32_t value = va_arg(args, uint32_t);
	const struct timespec *until = va_arg(args, const struct timespec *);
	va_end(args);
	explorer_check(number == SYS_futex && word == &e.xepoch, "it is this futex");
	if (operation == FUTEX_WAIT_BITSET_PRIVATE)
		return futex_wait(word, value, until);
	explorer_check(operation == FUTEX_WAKE_PRIVATE, "it waits or wakes");
	futex_wake((int)value);
	return 0;
}

static int model_clock(clockid_t clock, struct timespec *t)
{
	(void)clock;
	*t = (struct timespec){.tv_sec = 1};
	return 0;
}

/* ---- the program ---- */

static const struct scenario {
	const char *script[THREADS]; /* of each thread: c takes one item, t takes one unless its time is up before, n makes one
				      * and notifies one, a makes as many as there are consumers and notifies all */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"c", "n"}, 5, 3},
	{{"cc", "nn"}, 4, 2},
	{{"cc", "n", "n"}, 2, 1},
	{{"c", "c", "nn"}, 3, 1},
	{{"c", "c", "a"}, 3, 1},
	{{"t", "n"}, 4, 2},
	{{"t", "c", "nn"}, 2, 1},
	{{"c", "c", "n", "n"}, 1, 1},
}, *scenario;

static int threads(void)
{
	int n = 0;
	while (n < THREADS && scenario->script[n])
		n++;
	return n;
}

static void start(void)
{
	memset(&e, 0, sizeof e);
	store_rlx(&items, 0);
	pushed = taken = gave_up = notifications = 0;
	memset(sleeps, 0, sizeof sleeps);
	memset(interrupted, 0, sizeof interrupted);
	memset(notified, 0, sizeof notified);
}

static bool try_take(void)
{
	uint32_t there = load_rlx(&items);
	while (there)
		if (cas_rlx(&items, &there, there - 1))
			return true;
	return false;
}

static void check_woken(void)
{
	bool after_one = false;
	for (int i = 0; i < notifications; i++)
		after_one |= explorer_has_seen(notified[i].thread, notified[i].step);
	explorer_check(after_one, "who has waited comes after a notification");
}

static void take(char how)
{
	while (!try_take()) {
		uint32_t key = eventcount_prepare_wait(&e);
		if (try_take()) {
			eventcount_cancel_wait(&e);
			break;
		}
		if (eventcount_commit_wait(&e, key, how == 't' ? 1 : EVENTCOUNT_NEVER)) {
			explorer_check(how == 't', "who has no timeout is not told of one");
			gave_up++;
			return;
		}
		check_woken();
	}
	taken++;
}

static void make(int which, char how)
{
	uint32_t n = 1;
	if (how == 'a')
		n = (uint32_t)threads() - 1;
	notified[notifications].thread = which;
	notified[notifications++].step = explorer_step() + 1;
	pushed += (int)n;
	(void)add_rlx(&items, n);
	if (how == 'a')
		eventcount_notify_all(&e);
	else
		eventcount_notify_one(&e);
}

static void thread(int which)
{
	for (const char *s = scenario->script[which]; *s; s++) {
		if (*s == 'c' || *s == 't')
			take(*s);
		else
			make(which, *s);
	}
}

static void end(void)
{
	explorer_check(load_rlx(&e.xwaiters) == 0, "nobody is counted as a waiter in the end");
	explorer_check((int)load_rlx(&items) == pushed - taken, "an item is taken once");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {threads(), start, thread, end, scenario->preemptions, scenario->stale_reads,
					     NULL, false};
		if ((m || kernel != WAKES || test_is_slow()) && p.preemptions > 2)
			p.preemptions = 2;
		struct explorer_result r = explore(&p, m);
		if (!m)
			fprintf(stderr, "# %zu: %lld executions\n", (size_t)(scenario - scenarios), (long long)r.executions);
		if (r.broken)
			return r.broken;
	}
	return NULL;
}

TEST(no_notification_is_lost)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}

TEST(waiters_are_counted_one_by_one)
{
	static const struct explorer_mutation spoilt[] = {
		{"prepare split", "eventcount_prepare_wait", VERB_ADD, "xwaiters", SPLIT},
		{"cancel split", "eventcount_cancel_wait", VERB_ADD, "xwaiters", SPLIT},
		{"commit split", "eventcount_commit_wait", VERB_ADD, "xwaiters", SPLIT},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}

TEST(a_wake_that_is_left_out_is_caught)
{
	kernel = WAKES_NOBODY;
	CHECK_STR(first_failure(NULL), "no thread waits for ever");
}

TEST(signals_lose_nothing)
{
	kernel = INTERRUPTS;
	explorer_holds(first_failure);
}
