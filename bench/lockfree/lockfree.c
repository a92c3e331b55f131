/* What the lock-free structures cost, and the collected heap, one line a row, `name ns`:
 *
 *     weft-lockfree [--seconds S] [ROW ...]
 *
 * Named -own, one core does it all; -other, a second core has had the cache lines just before; -contended, both
 * want them all the time; -packed, the same without padding. The figure is the median of ROUNDS means.
 * A row of two cores is left out on one. */
#include "bench/lockfree/rows.h"
#include "lockfree/assert.h"
#include "lockfree/counter.h"
#include "lockfree/epoch.h"
#include "lockfree/eventcount.h"
#include "lockfree/fence.h"
#include "lockfree/histogram.h"
#include "lockfree/runq.h"
#include "lockfree/seqlock.h"
#include "lockfree/spin.h"
#include "lockfree/tsc.h"
#include "tuning/command.h"

#include <weft/sync.h>

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 9, BATCH = 1000, FILL = RUNQ_SLOTS / 2 };

static struct runq queue;
static struct spin lock;
static struct eventcount eventcount;
static struct counter_shard shard;
static struct counter counter = {&shard, 1};
static struct {
	ON_OWN_LINE struct seqlock lock;
	seqlock_word word[4];
} cell;
static weft_waitgroup group;
static struct histogram histogram;
static ON_OWN_LINE _Atomic uint32_t turn; /* 1: the other core's */
static ON_OWN_LINE _Atomic bool stop;
static uint64_t reading; /* ticks between two readings of the clock */

/* ---- one core ---- */

static void runq_own(void)
{
	runq_push(&queue, &queue);
	runq_pop(&queue);
}

static void runq_own_last(void)
{
	runq_push(&queue, &queue);
	runq_pop_last(&queue);
}

static void runq_own_solo(void)
{
	runq_push(&queue, &queue);
	runq_pop_solo(&queue);
}

static void spin_own(void)
{
	spin_lock(&lock);
	spin_unlock(&lock);
}

static void waitgroup_own(void)
{
	weft_waitgroup_add(&group, 1);
	weft_waitgroup_done(&group);
}

static void eventcount_notify(void)
{
	eventcount_notify_one(&eventcount);
}

static void eventcount_look_twice(void)
{
	(void)eventcount_prepare_wait(&eventcount);
	eventcount_cancel_wait(&eventcount);
}

static void seqlock_read_it(void)
{
	uint64_t words[ARRAY_LEN(cell.word)];
	seqlock_read(&cell.lock, cell.word, words, sizeof words);
	__asm__ volatile("" : : "r"(words) : "memory");
}

static void seqlock_write_it(void)
{
	static uint64_t words[ARRAY_LEN(cell.word)];
	words[0]++;
	seqlock_write(&cell.lock, cell.word, words, sizeof words);
}

/* A write now and then. */
static void seqlock_write_rarely(void)
{
	seqlock_write_it();
	for (int i = 0; i < 100; i++)
		cpu_relax();
}

static void counter_add_own(void)
{
	counter_add(&counter, 0, 1);
}

static void counter_bump_own(void)
{
	counter_bump(&counter, 0, 1);
}

static void fence_own(void)
{
	fence_full();
}

static void epoch_quiet_own(void)
{
	epoch_quiet();
}

static void epoch_on_and_off_line(void)
{
	epoch_offline();
	epoch_online();
}

static void histogram_own(void)
{
	histogram_record(&histogram, 4711);
}

static void tsc_own(void)
{
	uint64_t now = tsc_now();
	__asm__ volatile("" : : "r"(now));
}

/* ---- two cores in turn ---- */

/* Lets the other core do its part, and waits for it. */
static void others_turn(void)
{
	store_rel(&turn, 1);
	while (load_acq(&turn))
		cpu_relax();
}

static void fill_queue(void)
{
	while (runq_pop(&queue))
		;
	for (int i = 0; i < FILL; i++)
		runq_push(&queue, &queue);
}

static void steal_half(void)
{
	void *to[FILL];
	runq_steal(&queue, to, FILL);
}

static const struct row own_rows[] = {
	{"runq-push-pop-own", runq_own, NULL, AT_ONCE, NULL},
	{"runq-push-pop-last-own", runq_own_last, NULL, AT_ONCE, NULL},
	{"runq-push-pop-solo", runq_own_solo, NULL, AT_ONCE, NULL},
	{"runq-steal-half-other", steal_half, fill_queue, IN_TURN, NULL},
	{"spin-own", spin_own, NULL, AT_ONCE, NULL},
	{"spin-other", spin_own, spin_own, IN_TURN, NULL},
	{"spin-contended", spin_own, spin_own, AT_ONCE, NULL},
	{"waitgroup-own", waitgroup_own, NULL, AT_ONCE, NULL},
	{"waitgroup-other", waitgroup_own, waitgroup_own, IN_TURN, NULL},
	{"waitgroup-contended", waitgroup_own, waitgroup_own, AT_ONCE, NULL},
	{"eventcount-notify-own", eventcount_notify, NULL, AT_ONCE, NULL},
	{"eventcount-notify-other", eventcount_notify, eventcount_look_twice, IN_TURN, NULL},
	{"eventcount-prepare-cancel-own", eventcount_look_twice, NULL, AT_ONCE, NULL},
	{"eventcount-prepare-cancel-contended", eventcount_look_twice, eventcount_notify, AT_ONCE, NULL},
	{"seqlock-read-own", seqlock_read_it, NULL, AT_ONCE, NULL},
	{"seqlock-write-own", seqlock_write_it, NULL, AT_ONCE, NULL},
	{"seqlock-read-other", seqlock_read_it, seqlock_write_it, IN_TURN, NULL},
	{"seqlock-read-contended", seqlock_read_it, seqlock_write_rarely, AT_ONCE, NULL},
	{"counter-add-own", counter_add_own, NULL, AT_ONCE, NULL},
	{"counter-bump-own", counter_bump_own, NULL, AT_ONCE, NULL},
	{"fence", fence_own, NULL, AT_ONCE, NULL},
	{"epoch-quiet", epoch_quiet_own, NULL, AT_ONCE, NULL},
	{"epoch-offline-online", epoch_on_and_off_line, NULL, AT_ONCE, NULL},
	{"histogram-record", histogram_own, NULL, AT_ONCE, NULL},
	{"tsc-now", tsc_own, NULL, AT_ONCE, NULL},
	{0},
};

static const struct row *const tables[] = {own_rows, queue_rows, layout_rows, packed_rows, heap_rows};

/* ---- measuring ---- */

static int cpu[2], cpus;

static void find_cpus(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set))
		fatal("cannot read the affinity mask");
	for (int i = 0; i < CPU_SETSIZE && cpus < 2; i++)
		if (CPU_ISSET(i, &set))
			cpu[cpus++] = i;
}

static void stay_on(int which)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu[which], &set);
	if (sched_setaffinity(0, sizeof set, &set))
		fatal("cannot stay on CPU %d", cpu[which]);
}

static void *second_core(void *arg)
{
	const struct row *r = arg;
	stay_on(1);
	while (!load_rlx(&stop)) {
		if (r->how == IN_TURN && !load_acq(&turn)) {
			cpu_relax();
			continue;
		}
		r->other();
		store_rel(&turn, 0);
	}
	return NULL;
}

static uint64_t ticks_of_batch(const struct row *r)
{
	uint64_t began = tsc_now(), sum = 0;
	if (r->how == AT_ONCE) {
		for (int i = 0; i < BATCH; i++)
			r->run();
		return tsc_now() - began;
	}
	for (int i = 0; i < BATCH; i++) {
		others_turn();
		began = tsc_now();
		r->run();
		sum += tsc_now() - began;
	}
	return sum > BATCH * reading ? sum - BATCH * reading : 0;
}

static double mean_of_round(const struct row *r, double seconds)
{
	uint64_t until = tsc_now() + tsc_ticks(seconds * 1e9), ticks = 0, n = 0;
	do {
		ticks += ticks_of_batch(r);
		n += BATCH;
	} while (tsc_now() < until);
	return (double)ticks / tsc.ticks_per_ns / (double)n;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(const struct row *r, double seconds)
{
	double mean[ROUNDS];
	pthread_t other;
	store_rlx(&stop, false);
	store_rlx(&turn, 0);
	if (r->start)
		r->start();
	if (r->other && pthread_create(&other, NULL, second_core, (void *)(uintptr_t)r))
		fatal("cannot start a thread");
	for (int i = 0; i < ROUNDS; i++)
		mean[i] = mean_of_round(r, seconds / ROUNDS);
	store_rlx(&stop, true);
	if (r->other)
		pthread_join(other, NULL);
	qsort(mean, ROUNDS, sizeof *mean, by_size);
	printf("%s %.2f\n", r->name, mean[ROUNDS / 2]);
	fflush(stdout);
}

static void measure_reading(void)
{
	reading = UINT64_MAX;
	for (int i = 0; i < BATCH; i++) {
		uint64_t began = tsc_now(), took = tsc_now() - began;
		if (took < reading)
			reading = took;
	}
}

static void set_up(void)
{
	find_cpus();
	stay_on(0);
	tsc_init();
	measure_reading();
	epoch_init();
	epoch_register();
	epoch_online();
	void *memory = malloc(histogram_bytes(1 << 20));
	if (!memory)
		fatal("out of memory");
	histogram_init(&histogram, memory, 1 << 20);
}

/* ---- the command line ---- */

static const char name[] = "weft-lockfree";

static _Noreturn void help(void)
{
	puts("usage: weft-lockfree [--seconds S] [ROW ...]\n\n"
	     "Prints what an operation of each lock-free structure, and of the heap, takes, in nanoseconds: all rows, or these.\n"
	     "--seconds S   how long each row runs (0.2)\n\nrows:");
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct row *r = tables[i]; r->name; r++)
			printf("  %s%s\n", r->name, r->other ? "  (two cores)" : "");
	exit(0);
}

static const struct row *find_row(const char *wanted)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct row *r = tables[i]; r->name; r++)
			if (!strcmp(r->name, wanted))
				return r;
	command_misused(name, "no row '%s'; --help names them", wanted);
}

static bool can_run(const struct row *r)
{
	if (r->other && cpus < 2)
		command_say(name, "%s is left out: there is one CPU", r->name);
	return !r->other || cpus == 2;
}

int main(int argc, char **argv)
{
	enum { HELP, SECONDS };
	static const struct option options[] = {
		{"help", no_argument, NULL, HELP}, {"seconds", required_argument, NULL, SECONDS}, {0}};
	double seconds = 0.2;
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
		if (o == HELP)
			help();
		else if (o == SECONDS)
			seconds = command_number(name, "--seconds", optarg, 0.001, 3600);
		else
			command_bad_option(name, o, argv);
	}
	for (int i = optind; i < argc; i++)
		find_row(argv[i]);
	set_up();
	for (size_t i = 0; i < ARRAY_LEN(tables) && optind == argc; i++)
		for (const struct row *r = tables[i]; r->name; r++)
			if (can_run(r))
				measure(r, seconds);
	for (int i = optind; i < argc; i++)
		if (can_run(find_row(argv[i])))
			measure(find_row(argv[i]), seconds);
	return fflush(stdout) ? 1 : 0;
}
