#include "tests/unit/go.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ENOUGH_LINES = 5, PROCS = 2 };

/* The fields of a line, in their order. */
struct line {
	long long ms;
	unsigned procs, idle, spinning, threads;
	long goroutines;
	unsigned blocked, global, runq[PROCS], looks[PROCS];
	unsigned long long steals, stolen, sleeps, wakes, taken, handed_on;
};

static struct line parsed(const char *words)
{
	struct line l;
	int end = 0;
	int n = sscanf(words,
		       "sched %lldms: procs=%u idle=%u spinning=%u threads=%u goroutines=%ld blocked=%u global=%u runq=[%u %u] "
		       "looks=[%u %u] steals=%llu stolen=%llu sleeps=%llu wakes=%llu taken=%llu handed_on=%llu%n",
		       &l.ms, &l.procs, &l.idle, &l.spinning, &l.threads, &l.goroutines, &l.blocked, &l.global, &l.runq[0],
		       &l.runq[1], &l.looks[0], &l.looks[1], &l.steals, &l.stolen, &l.sleeps, &l.wakes, &l.taken, &l.handed_on,
		       &end);
	if (n != 18 || words[end])
		test_fail(__FILE__, __LINE__, "'%s' is no line of schedtrace", words);
	return l;
}

/* The lines of a program; of them the one with most Ps asleep and most goroutines waiting, as it also prints while it ends. */
static struct line telling_line(char *words, int *lines)
{
	struct line last = {.ms = -1}, telling = {.ms = -1};
	*lines = 0;
	for (char *rest = words, *word; (word = strsep(&rest, "\n")) && *word; ++*lines) {
		struct line l = parsed(word);
		CHECK(l.ms > last.ms);
		CHECK_EQ(l.procs, PROCS);
		last = l;
		if (l.idle + l.runq[0] >= telling.idle + telling.runq[0])
			telling = l;
	}
	return telling;
}

static int (*app)(void);
static const char *debug = "schedtrace=10";

static void run_traced(void)
{
	setenv("WEFT_DEBUG", debug, 1);
	_exit(run_weft(PROCS, app));
}

static struct line of(int (*body)(void), int *lines)
{
	static struct test_child child;
	app = body;
	test_in_child(&child, run_traced);
	CHECK_EQ(child.status, 0);
	return telling_line(child.err, lines);
}

static void park(void *c)
{
	weft_recv(c, NULL);
}

static int idle(void)
{
	weft_chan *c = weft_chan_make(0, 0);
	for (int i = 0; i < 3; i++)
		weft_go(park, c);
	weft_sleep(200 * WEFT_MS);
	return 0;
}

TEST(lines_come_while_all_is_idle)
{
	int lines;
	struct line l = of(idle, &lines);
	CHECK(lines >= ENOUGH_LINES);
	CHECK_EQ(l.goroutines, 4);
	CHECK_EQ(l.idle, PROCS);
	CHECK_EQ(l.runq[0] + l.runq[1] + l.global + l.blocked, 0);
	CHECK(l.sleeps > 0);
}

static void compute(void *until)
{
	while (weft_now() < *(int64_t *)until)
		;
}

static int busy(void)
{
	static int64_t until;
	until = weft_now() + 200 * WEFT_MS;
	for (int i = 0; i < PROCS; i++)
		weft_go(compute, &until);
	compute(&until);
	return 0;
}

TEST(lines_come_while_all_compute)
{
	int lines;
	of(busy, &lines);
	CHECK(lines >= ENOUGH_LINES);
}

/* What waits for a P is seen where it waits. */
static int queued(void)
{
	static int64_t until;
	static const weft_go_opts pinned = {.pin = 1};
	until = weft_now() + 200 * WEFT_MS;
	for (int i = 0; i < 7; i++)
		CHECK_EQ(weft_go_with(&pinned, compute, &until), 0);
	weft_sleep(100 * WEFT_MS);
	return 0;
}

TEST(what_waits_is_counted)
{
	int lines;
	debug = "nopreempt,schedtrace=10";
	struct line l = of(queued, &lines);
	CHECK_EQ(l.goroutines, 8);
	CHECK(l.runq[0] >= 5);
	CHECK_EQ(l.runq[1], 0);
}

static int blocks(void)
{
	weft_recv(weft_chan_make(0, 0), NULL);
	return 0;
}

static void dies_traced(void)
{
	app = blocks;
	run_traced();
}

TEST(it_hides_no_deadlock)
{
	static struct test_child child;
	test_in_child(&child, dies_traced);
	CHECK_EQ(child.status, 2);
	CHECK(strstr(child.err, "fatal: all goroutines are asleep - deadlock!\n"));
}
