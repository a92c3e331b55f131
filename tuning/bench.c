#include "tuning/command.h"
#include "tuning/script.h"

/* The driver is not installed: it measures the tree that this program was built in. */
static int run(int argc, char **argv)
{
	return script_run("weft bench", "bench/run.py", argc, argv);
}

const struct command bench_command = {"bench", "the benchmark suite with its peers", run};
