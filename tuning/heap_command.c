#include "tuning/command.h"
#include "tuning/script.h"

static int run(int argc, char **argv)
{
	return script_run("weft heap", "tuning/heap/run.py", argc, argv);
}

const struct command heap_command = {"heap", "say what a heap dump has", run};
