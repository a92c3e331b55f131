/* weft's micro rows, by the protocol that every peer speaks (docs/bench-method.md):
 *
 *     weft-micro --list | --version | ROW --procs N --seconds S
 *
 * A row runs in a process of its own and prints one line of JSON. `check` proves the work: it must be the same for
 * every peer.
 */
#include "bench/micro/rows.h"
#include "bench/micro/harness.h"

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

static _Noreturn void wrong(const char *fmt, const char *what)
{
	fprintf(stderr, "weft-micro: ");
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	exit(2);
}

static const struct row *find_row(const char *name)
{
	for (const struct row *r = rows; r->name; r++)
		if (!strcmp(r->name, name))
			return r;
	wrong("no row '%s'; --list names them", name);
}

static struct batch batch;

static void run_batches(void *row, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		((const struct row *)row)->run(&batch);
}

static int app(int argc, char **argv)
{
	(void)argc, (void)argv;
	const struct row *row = wanted.row;
	double ns, ops;
	if (row->prepare)
		row->prepare();
	if (row->how == ONCE) {
		row->run(&batch);
		ops = (double)batch.ops;
		ns = (double)batch.timed_ns / ops;
	} else {
		struct harness_result r =
			harness_run(row->name, run_batches, (void *)(uintptr_t)row, wanted.seconds);
		ops = (double)r.ops * (double)batch.ops;
		ns = r.ns_per_op / (double)batch.ops;
	}
	printf("{\"row\":\"%s\",\"procs\":%d,\"ns_per_op\":%.3f,\"ops\":%.0f,\"check\":\"%s\",\"bytes_per_op\":",
	       row->name, wanted.procs, ns, ops, batch.check);
	if (row->how == ONCE)
		printf("%.1f}\n", batch.bytes_per_op);
	else
		printf("null}\n");
	return fflush(stdout) ? 1 : 0;
}

static void list(void)
{
	for (const struct row *r = rows; r->name; r++)
		puts(r->name);
}

static double number(const char *option, const char *text, double low, double high)
{
	char *end;
	errno = 0;
	double v = strtod(text, &end);
	if (errno || *end || end == text || !(v >= low && v <= high)) {
		fprintf(stderr, "weft-micro: --%s %s: a number from %g to %g is wanted\n", option, text, low,
			high);
		exit(2);
	}
	return v;
}

static void read_options(int argc, char **argv)
{
	enum { LIST, VERSION, PROCS, SECONDS };
	static const struct option options[] = {{"list", no_argument, NULL, LIST},
						{"version", no_argument, NULL, VERSION},
						{"procs", required_argument, NULL, PROCS},
						{"seconds", required_argument, NULL, SECONDS},
						{0}};
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (o == LIST) {
			list();
			exit(0);
		} else if (o == VERSION) {
			puts("weft " WEFT_VERSION " gcc " __VERSION__);
			exit(0);
		} else if (o == PROCS) {
			wanted.procs = (int)number("procs", optarg, 1, 1024);
		} else if (o == SECONDS) {
			wanted.seconds = number("seconds", optarg, 0.001, 3600);
		} else {
			exit(2);
		}
	}
	if (optind + 1 != argc)
		wrong("%s", "one row is wanted; --list names them");
	wanted.row = find_row(argv[optind]);
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
	return weft_main(argc, argv, app);
}
