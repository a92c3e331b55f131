#include "bench/memory/work.h"
#include "lockfree/tsc.h"
#include "tuning/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t clock_ns(clockid_t which)
{
	struct timespec now;
	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void work_begin(struct work *w)
{
	w->cpu_from = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	w->wall_from = clock_ns(CLOCK_MONOTONIC);
}

void work_end(struct work *w)
{
	w->wall_ns += clock_ns(CLOCK_MONOTONIC) - w->wall_from;
	w->cpu_ns += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - w->cpu_from;
}

int64_t work_count(const struct work *w, int64_t per_second, int64_t least)
{
	int64_t count = (int64_t)(w->seconds * 1000 + 0.5) * per_second / 1000;
	return count > least ? count : least;
}

/* The most that was resident at once, in bytes; 0 where /proc does not say. The peak that getrusage knows is also that of
 * the process from which this one was forked. */
static long peak_rss(void)
{
	long kib = 0;
	char line[256];
	FILE *status = fopen("/proc/self/status", "re");
	if (!status)
		return 0;
	while (fgets(line, sizeof line, status))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	fclose(status);
	return kib * 1024;
}

/* Buckets as [ns, count], each by its end and at most 1/128 wide; the last by the maximum itself. */
static void print_histogram(const struct histogram *h)
{
	uint64_t end = 0, count = 0;
	const char *between = "";
	printf(",\"histogram\":[");
	for (struct histogram_bucket b = {0}; histogram_next(h, &b);) {
		int bits = 64 - __builtin_clzll(b.low | 255);
		uint64_t next = b.low | ((UINT64_C(1) << (bits - 8)) - 1);
		if (count && next != end) {
			printf("%s[%llu,%llu]", between, (unsigned long long)end, (unsigned long long)count);
			between = ",";
			count = 0;
		}
		end = next;
		count += b.count;
	}
	printf("%s[%llu,%llu]]", between, (unsigned long long)histogram_max(h), (unsigned long long)count);
}

static double ns_per_op(const struct work *w, const struct memory_row *row)
{
	if (w->ns)
		return (double)w->ns;
	if (w->latencies)
		return histogram_mean(w->latencies);
	return (double)(row->time == ROW_CPU ? w->cpu_ns : w->wall_ns) / (double)w->ops;
}

static void run_row(struct work *w, const struct memory_row *row, double seconds)
{
	w->seconds = seconds;
	if (row->prepare)
		row->prepare();
	if (row->runs == ROW_ONCE) {
		row->run(w);
		return;
	}
	struct work warming = {0};
	row->run(&warming);
	do
		row->run(w);
	while ((double)w->wall_ns < seconds * 1e9);
}

int memory_measure(const struct memory_program *program, const struct wanted *wanted)
{
	struct work w = {0};
	tsc_init();
	run_row(&w, wanted->row, wanted->seconds);
	printf("{\"row\":\"%s\",\"procs\":%d,\"ns_per_op\":%.3f,\"ops\":%lld,\"check\":\"%s\",\"bytes_per_op\":null,",
	       wanted->row->name, wanted->procs, ns_per_op(&w, wanted->row), (long long)w.ops, w.check);
	printf("\"wall_s\":%.6f,\"cpu_s\":%.6f,\"rss\":%ld", (double)w.wall_ns / 1e9, (double)w.cpu_ns / 1e9, peak_rss());
	if (w.plain_ns)
		printf(",\"plain_ns\":%.3f", (double)w.plain_ns / (double)w.ops);
	if (w.latencies)
		print_histogram(w.latencies);
	puts("}");
	if (fflush(stdout) == 0)
		return COMMAND_DONE;
	command_say(program->name, "standard output: %s", strerror(errno));
	return COMMAND_FAILED;
}

static const struct memory_row *find_row(const struct memory_program *program, const char *name)
{
	for (const struct memory_row *r = program->rows; r->name; r++)
		if (!strcmp(r->name, name))
			return r;
	command_misused(program->name, "no row '%s'; --list names them", name);
}

static _Noreturn void list(const struct memory_program *program)
{
	for (const struct memory_row *r = program->rows; r->name; r++)
		puts(r->name);
	exit(COMMAND_DONE);
}

static _Noreturn void tell(const char *format, const char *what)
{
	printf(format, what, what);
	exit(COMMAND_DONE);
}

struct wanted memory_options(const struct memory_program *program, int argc, char **argv)
{
	enum { LIST = 256, VERSION, PROCS, SECONDS, HELP };
	static const struct option options[] = {{"list", no_argument, NULL, LIST},
						{"version", no_argument, NULL, VERSION},
						{"procs", required_argument, NULL, PROCS},
						{"seconds", required_argument, NULL, SECONDS},
						{"help", no_argument, NULL, HELP},
						{0}};
	struct wanted wanted = {.procs = 1, .seconds = 0.2};
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
		switch (o) {
		case LIST: list(program);
		case VERSION: tell("%s\n", program->version);
		case HELP: tell("usage: %s ROW [--procs N] [--seconds S]\n       %s --list | --version | --help\n", program->name);
		case PROCS: wanted.procs = (int)command_integer(program->name, "--procs", optarg, 1, 1024); break;
		case SECONDS: wanted.seconds = command_number(program->name, "--seconds", optarg, 0.001, 3600); break;
		default: command_bad_option(program->name, o, argv);
		}
	}
	if (optind + 1 != argc)
		command_misused(program->name, "one row is wanted; --list names them");
	if (strcmp(WEFT_FLAVOUR, "release") != 0) {
		command_say(program->name, "a " WEFT_FLAVOUR " build: its numbers would mean nothing");
		exit(COMMAND_FAILED);
	}
	wanted.row = find_row(program, argv[optind]);
	return wanted;
}
