/* weft's micro rows, by the protocol that every peer speaks (docs/bench-method.md):
 *
 *     weft-micro --list | --version | ROW --procs N --seconds S
 *
 * A row runs in a process of its own and prints one line of JSON. `check` proves the work: it must be the same for
 * every peer. A row about a distribution has `histogram` besides: its percentiles are worked out by whoever merges it.
 */
#include "bench/micro/rows.h"
#include "bench/micro/harness.h"
#include "tuning/command.h"

#include <weft/weft.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	const struct row *row;
	int procs;
	double seconds;
} wanted = {.procs = 1, .seconds = 0.2};

static const char name[] = "weft-micro";
static const char help[] = "usage: weft-micro ROW [--procs N] [--seconds S]\n"
			   "       weft-micro --list | --version | --help\n";

static const struct row *find_row(const char *wanted_name)
{
	for (const struct row *r = rows; r->name; r++)
		if (!strcmp(r->name, wanted_name))
			return r;
	command_misused(name, "no row '%s'; --list names them", wanted_name);
}

static struct batch batch;

static void run_batches(void *row, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		((const struct row *)row)->run(&batch);
}

/* Buckets as [ns, count], each by its end and at most 1/128 wide; the last by the maximum itself. */
static void print_histogram(const int64_t *sorted, int64_t n)
{
	printf(",\"histogram\":[");
	for (int64_t i = 0, next; i < n; i = next) {
		int bits = 64 - __builtin_clzll((unsigned long long)sorted[i] | 255);
		int64_t end = sorted[i] | ((INT64_C(1) << (bits - 8)) - 1);
		for (next = i; next < n && sorted[next] <= end; next++)
			;
		printf("%s[%lld,%lld]", i ? "," : "", (long long)(next < n ? end : sorted[n - 1]), (long long)(next - i));
	}
	putchar(']');
}

static int app(int argc, char **argv)
{
	(void)argc, (void)argv;
	const struct row *row = wanted.row;
	double ns, ops;
	if (row->prepare)
		row->prepare();
	if (row->how == ONCE) {
		batch.seconds = wanted.seconds;
		row->run(&batch);
		ops = (double)batch.ops;
		ns = (double)batch.timed_ns / ops;
	} else {
		row->run(&batch); /* warms caches and stacks; not counted, as in every peer */
		struct harness_result r =
			harness_run(row->name, run_batches, (void *)(uintptr_t)row, wanted.seconds);
		ops = (double)r.ops * (double)batch.ops;
		ns = r.ns_per_op / (double)batch.ops;
	}
	printf("{\"row\":\"%s\",\"procs\":%d,\"ns_per_op\":%.3f,\"ops\":%.0f,\"check\":\"%s\",\"bytes_per_op\":",
	       row->name, wanted.procs, ns, ops, batch.check);
	if (batch.bytes_per_op > 0)
		printf("%.1f", batch.bytes_per_op);
	else
		printf("null");
	if (batch.sorted) {
		printf(",\"share\":%.1f", batch.share);
		print_histogram(batch.sorted, batch.ops);
	}
	puts("}");
	if (fflush(stdout) == 0)
		return COMMAND_DONE;
	command_say(name, "standard output: %s", strerror(errno));
	return COMMAND_FAILED;
}

static void list(void)
{
	for (const struct row *r = rows; r->name; r++)
		puts(r->name);
}

static _Noreturn void tell(const char *text)
{
	fputs(text, stdout);
	exit(COMMAND_DONE);
}

static void read_options(int argc, char **argv)
{
	enum { LIST = 256, VERSION, PROCS, SECONDS, HELP };
	static const struct option options[] = {{"list", no_argument, NULL, LIST},
						{"version", no_argument, NULL, VERSION},
						{"procs", required_argument, NULL, PROCS},
						{"seconds", required_argument, NULL, SECONDS},
						{"help", no_argument, NULL, HELP},
						{0}};
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
		if (o == LIST) {
			list();
			exit(COMMAND_DONE);
		} else if (o == VERSION) {
			tell("weft " WEFT_VERSION " gcc " __VERSION__ "\n");
		} else if (o == HELP) {
			tell(help);
		} else if (o == PROCS) {
			wanted.procs = (int)command_integer(name, "--procs", optarg, 1, 1024);
		} else if (o == SECONDS) {
			wanted.seconds = command_number(name, "--seconds", optarg, 0.001, 3600);
		} else {
			command_bad_option(name, o, argv);
		}
	}
	if (optind + 1 != argc)
		command_misused(name, "one row is wanted; --list names them");
	wanted.row = find_row(argv[optind]);
	if (wanted.procs < wanted.row->procs_min)
		command_misused(name, "row '%s' needs --procs %d", wanted.row->name, wanted.row->procs_min);
}

int main(int argc, char **argv)
{
#ifndef __OPTIMIZE__
	fprintf(stderr, "weft-micro: an unoptimised build measures nothing\n");
	return 1;
#endif
	char procs[16];
	read_options(argc, argv);
	snprintf(procs, sizeof procs, "%d", wanted.procs);
	setenv("WEFT_PROCS", procs, 1);
	if (wanted.row->spin)
		setenv("WEFT_SPIN", wanted.row->spin, 1);
	return weft_main(argc, argv, app);
}
