#include "lockfree/tsc.h"
#include "tuning/command.h"
#include "tuning/hiccup.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CPUS_MAX = 1024, HIGHEST_BITS = 42, CURVE_TICKS = 5 };

static const char name[] = "weft hiccup";
static const char help[] =
    "usage: weft hiccup [OPTION ...]\n\n"
    "Sleeps on each CPU for a short interval, over and over, and reports by how much it "
    "overslept:\n"
    "the stalls that the machine itself adds to whatever runs on it.\n\n"
    "  --duration S       seconds to measure (without: until SIGINT or SIGTERM)\n"
    "  --cpu LIST         the CPUs, as in 0,2-3 (default: all that it may run on)\n"
    "  --interval-us N    length of a sleep, 10 to 1000000 (default 1000)\n"
    "  --json             one JSON object instead of the table\n"
    "  --help             this text\n\n"
    "A percentile with fewer than 100 samples beyond it is not shown. Interrupted, it prints what "
    "it\n"
    "has. Status: 0 done or interrupted, 1 failed, 2 wrong usage.\n";

struct options {
	double seconds; /* 0: until a signal */
	int64_t interval_us;
	int cpus[CPUS_MAX], cpu_count;
	int json;
};

static int usable_cpus(int *cpus)
{
	cpu_set_t allowed;
	int n = 0;
	if (sched_getaffinity(0, sizeof allowed, &allowed))
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && n < CPUS_MAX; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			cpus[n++] = cpu;
	return n;
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"duration", required_argument, NULL, 'd'},
					      {"cpu", required_argument, NULL, 'c'},
					      {"interval-us", required_argument, NULL, 'i'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":", longs, NULL)) != -1;)
		switch (c) {
		case 'd':
			o->seconds = command_number(name, "--duration", optarg, 0.001, 1e6);
			break;
		case 'c':
			o->cpu_count = command_cpus(name, "--cpu", optarg, o->cpus, CPUS_MAX);
			break;
		case 'i':
			o->interval_us =
			    command_integer(name, "--interval-us", optarg, 10, 1000000);
			break;
		case 'j':
			o->json = 1;
			break;
		case 'h':
			fputs(help, stdout);
			exit(COMMAND_DONE);
		default:
			command_bad_option(name, c, argv);
		}
	if (optind < argc)
		command_misused(name, "unknown argument '%s'; it takes options only", argv[optind]);
	if (!o->cpu_count)
		o->cpu_count = usable_cpus(o->cpus);
}

/* Waits for the end, by duration or by signal. Says how it goes when somebody watches. */
static void wait_for_end(double seconds, const sigset_t *signals)
{
	uint64_t start = tsc_monotonic_ns();
	int watched = isatty(STDERR_FILENO);
	for (;;) {
		double passed = (double)(tsc_monotonic_ns() - start) / 1e9;
		double left = seconds > 0 ? seconds - passed : 1;
		if (left <= 0)
			break;
		if (watched && passed >= 1)
			fprintf(stderr, "\rweft hiccup: %.0f s ", passed);
		double nap = left < 1 ? left : 1;
		struct timespec t = {.tv_sec = (time_t)nap,
				     .tv_nsec = (long)((nap - (double)(time_t)nap) * 1e9)};
		if (sigtimedwait(signals, NULL, &t) > 0)
			break;
	}
	if (watched)
		fputs("\r                         \r", stderr);
}

static json_t *microseconds(const struct histogram *h, double quantile)
{
	if (quantile < 1 && !histogram_shows(histogram_count(h), quantile))
		return json_null();
	return json_real((double)histogram_quantile(h, quantile) / 1e3);
}

static void add_quantiles(json_t *to, const struct histogram *h)
{
	json_object_set_new(to, "count", json_integer((json_int_t)histogram_count(h)));
	json_object_set_new(to, "p50", microseconds(h, 0.5));
	json_object_set_new(to, "p99", microseconds(h, 0.99));
	json_object_set_new(to, "p999", microseconds(h, 0.999));
	json_object_set_new(to, "p9999", microseconds(h, 0.9999));
	json_object_set_new(to, "max", microseconds(h, 1));
}

/* [quantile, us, samples up to it], to the maximum. */
static json_t *curve(const struct histogram *h)
{
	json_t *points = json_array();
	struct histogram_point p = {.ticks = CURVE_TICKS};
	while (histogram_next_point(h, &p))
		json_array_append_new(
		    points,
		    json_pack("[f,f,I]", p.quantile, (double)p.value / 1e3, (json_int_t)p.count));
	return points;
}

static void print_json(const struct options *o, double seconds, const struct histogram *all,
		       const struct hiccup_meter *meters)
{
	json_t *root = json_object(), *cpus = json_array();
	json_object_set_new(root, "seconds", json_real(seconds));
	json_object_set_new(root, "interval_us", json_integer(o->interval_us));
	add_quantiles(root, all);
	json_object_set_new(root, "percentiles", curve(all));
	for (int i = 0; i < o->cpu_count; i++) {
		json_t *one = json_object();
		json_object_set_new(one, "cpu", json_integer(meters[i].cpu));
		add_quantiles(one, &meters[i].overshoot);
		json_array_append_new(cpus, one);
	}
	json_object_set_new(root, "cpus", cpus);
	json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(root);
}

static void print_row(const char *label, const struct histogram *h)
{
	uint64_t count = histogram_count(h);
	static const double quantiles[] = {0.5, 0.99, 0.999};
	printf("%-6s %10llu", label, (unsigned long long)count);
	for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
		if (histogram_shows(count, quantiles[i]))
			printf(" %9.1f", (double)histogram_quantile(h, quantiles[i]) / 1e3);
		else
			printf(" %9s", "-");
	printf(" %9.1f\n", (double)histogram_max(h) / 1e3);
}

static void print_table(const struct options *o, double seconds, const struct histogram *all,
			const struct hiccup_meter *meters)
{
	printf("oversleeping of a %lld us sleep, in us, over %.1f s (clock: %s)\n",
	       (long long)o->interval_us, seconds, tsc_source());
	printf("%-6s %10s %9s %9s %9s %9s\n", "cpu", "sleeps", "p50", "p99", "p99.9", "max");
	for (int i = 0; i < o->cpu_count; i++) {
		char label[16];
		snprintf(label, sizeof label, "%d", meters[i].cpu);
		print_row(label, &meters[i].overshoot);
	}
	if (o->cpu_count > 1)
		print_row("all", all);
}

static int init_histogram(struct histogram *h)
{
	uint64_t highest = (UINT64_C(1) << HIGHEST_BITS) - 1;
	void *memory = calloc(1, histogram_bytes(highest));
	if (!memory)
		return -ENOMEM;
	histogram_init_zeroed(h, memory, highest);
	return 0;
}

static int measure(const struct options *o, struct hiccup_meter *meters, struct histogram *all)
{
	static _Atomic int stop;
	static pthread_t threads[CPUS_MAX];
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	tsc_init();

	uint64_t start = tsc_monotonic_ns();
	int started = 0, error = 0;
	for (; started < o->cpu_count && !error; started++) {
		struct hiccup_meter *m = &meters[started];
		m->cpu = o->cpus[started];
		m->interval_ns = (uint64_t)o->interval_us * 1000;
		m->stop = &stop;
		error = -pthread_create(&threads[started], NULL, hiccup_measure, m);
		started -= error != 0;
	}
	if (!error)
		wait_for_end(o->seconds, &signals);
	store_rlx(&stop, 1);
	for (int i = 0; i < started; i++) {
		pthread_join(threads[i], NULL);
		histogram_merge(all, &meters[i].overshoot);
		if (meters[i].error)
			error = meters[i].error;
	}
	double seconds = (double)(tsc_monotonic_ns() - start) / 1e9;
	if (error) {
		fprintf(stderr, "weft hiccup: cannot measure on the CPUs asked for: %s\n",
			strerror(-error));
		return COMMAND_FAILED;
	}
	(o->json ? print_json : print_table)(o, seconds, all, meters);
	return COMMAND_DONE;
}

static int run(int argc, char **argv)
{
	static struct options o = {.interval_us = 1000};
	parse(&o, argc, argv);
	struct histogram all;
	struct hiccup_meter *meters = calloc((size_t)o.cpu_count, sizeof *meters);
	int error = meters && o.cpu_count ? init_histogram(&all) : -ENOMEM;
	for (int i = 0; !error && i < o.cpu_count; i++)
		error = init_histogram(&meters[i].overshoot);
	if (error) {
		fprintf(stderr, "weft hiccup: %s\n", strerror(-error));
		return COMMAND_FAILED; /* the process ends here */
	}
	int status = measure(&o, meters, &all);
	for (int i = 0; i < o.cpu_count; i++)
		free((void *)meters[i].overshoot.counts);
	free((void *)all.counts);
	free(meters);
	return status;
}

const struct command hiccup_command = {"hiccup", "the machine's own stalls", run};
