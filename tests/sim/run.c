/* ./dev sim N [COUNT]: the workload under seeds, a line for each. */
#include "tests/sim/workload.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct test_child child;

static uint64_t number(const char *what, const char *text, uint64_t least)
{
	char *end;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || n < least) {
		fprintf(stderr, "sim: %s '%s': a number from %" PRIu64 " to %" PRIu64 " is wanted\n", what, text, least,
			UINT64_MAX);
		exit(2);
	}
	return n;
}

static bool passes(uint64_t seed)
{
	struct sim_trace t;
	simulate(&child, seed, "", workload);
	if (child.status == 0 && sim_trace_of(&child, &t)) {
		printf("seed %" PRIu64 ": %" PRIu64 " events, trace %016" PRIx64 "\n", t.seed, t.events, t.hash);
		return true;
	}
	const char *procs = getenv("WEFT_PROCS");
	printf("seed %" PRIu64 ": FAILED, status %d\n%sreplay: %s%s%s./dev sim %" PRIu64 "\n", seed, child.status, child.err,
	       procs ? "WEFT_PROCS=" : "", procs ? procs : "", procs ? " " : "", seed);
	return false;
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 3) {
		fputs("usage: sim N [COUNT]\n", stderr);
		return 2;
	}
	uint64_t seed = number("seed", argv[1], 0), count = argc > 2 ? number("count", argv[2], 1) : 1, failed = 0;
	for (uint64_t i = 0; i < count; i++)
		failed += !passes(seed + i);
	if (count > 1)
		printf("%" PRIu64 " seeds, %" PRIu64 " failed\n", count, failed);
	return failed ? 1 : 0;
}
