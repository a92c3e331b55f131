#include "tuning/command.h"
#include "tuning/script.h"

static int run(int argc, char **argv)
{
	return script_run("weft tune", "tuning/tune/run.py", argc, argv);
}

const struct command tune_command = {"tune", "find the collector's settings for a program", run};
