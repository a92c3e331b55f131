/* A P whose thread gets no CPU, because somebody else's has it: what another P, asleep or computing, does about it. A thread
 * takes the CPU of goroutines that tick until they have made their progress: in what the kernel leaves to others of that
 * CPU, or on another. The kernel may keep sysmon's thread from its CPU by the same, so there are several attempts. */
#include "tests/unit/go.h"

#include <pthread.h>
#include <sched.h>

enum { TICKERS = 20, TICKS = 200, ATTEMPTS = 10 };

static _Atomic bool done, held, may_not_hold;
static _Atomic int ticks, elsewhere, cpu, held_cpu;
static weft_waitgroup join;

static void compute_until_done(void *arg)
{
	(void)arg;
	while (!done)
		;
	weft_waitgroup_done(&join);
}

static void tick_until_done(void *arg)
{
	(void)arg;
	while (!done) {
		weft_sleep(WEFT_MS);
		cpu = sched_getcpu();
		if (held) {
			ticks++;
			elsewhere += cpu != held_cpu;
		}
	}
	weft_waitgroup_done(&join);
}

static void *hold_cpu(void *arg)
{
	(void)arg;
	struct sched_param first = {.sched_priority = 1};
	cpu_set_t only;
	CPU_ZERO(&only);
	CPU_SET(held_cpu, &only);
	may_not_hold = sched_setaffinity(0, sizeof only, &only) || sched_setscheduler(0, SCHED_FIFO, &first);
	held = true;
	while (!may_not_hold && ticks < TICKS)
		;
	done = true;
	return NULL;
}

static void start(int n, void (*fn)(void *))
{
	weft_waitgroup_add(&join, n);
	for (int i = 0; i < n; i++)
		weft_go(fn, NULL);
}

/* Holds the CPU on which a goroutine ticks, after a while. True: most have ticked on another meanwhile. */
static bool holds_nobody_up(int computing)
{
	pthread_t thread;
	done = held = false;
	ticks = elsewhere = 0;
	cpu = -1;
	start(computing, compute_until_done);
	start(TICKERS, tick_until_done);
	while (cpu < 0)
		weft_sleep(WEFT_MS);
	held_cpu = cpu;
	CHECK_EQ(pthread_create(&thread, NULL, hold_cpu, NULL), 0);
	while (!done)
		weft_sleep(WEFT_MS);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	weft_waitgroup_wait(&join);
	if (may_not_hold)
		test_skip("no right to SCHED_FIFO");
	return elsewhere >= TICKS / 2;
}

static int attempt(int computing)
{
	for (int i = 0; i < ATTEMPTS; i++)
		if (holds_nobody_up(computing))
			return 0;
	return 1;
}

static int beside_one_that_sleeps(void)
{
	return attempt(0);
}

static int beside_one_that_computes(void)
{
	return attempt(1);
}

TEST(a_p_without_a_cpu_holds_nobody_up_while_another_sleeps)
{
	setenv("WEFT_PIN", "on", 1); /* the kernel cannot help */
	CHECK_EQ(run_weft(2, beside_one_that_sleeps), 0);
}

TEST(a_p_without_a_cpu_holds_nobody_up_while_another_computes)
{
	setenv("WEFT_PIN", "on", 1);
	CHECK_EQ(run_weft(2, beside_one_that_computes), 0);
}
