#include "tuning/command.h"

#include <stdio.h>
#include <string.h>

static int run_version(int argc, char **argv);

static const struct command version_command = {"version", "print the version", run_version};
static const struct command *const commands[] = {&bench_command, &load_command, &hiccup_command,
						 &topo_command, &tune_command, &heap_command, &version_command};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int run_version(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--help"))
		command_misused("weft version", "unknown argument '%s'; it takes none", argv[1]);
	if (argc > 1)
		puts("usage: weft version");
	else
		printf("weft %s (%s)\n", WEFT_VERSION, WEFT_FLAVOUR);
	return COMMAND_DONE;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: weft COMMAND [OPTION ...]\n\n");
	for (int i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s  %s\n", commands[i]->name, commands[i]->summary);
	fprintf(to, "\n'weft COMMAND --help' says more. Status: 0 done, 1 ran and failed, 2 wrong "
		    "usage.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return COMMAND_MISUSED;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return COMMAND_DONE;
	}
	if (!strcmp(argv[1], "--version"))
		argv[1] += 2;
	for (int i = 0; i < COMMANDS; i++)
		if (!strcmp(argv[1], commands[i]->name)) {
			int status = commands[i]->run(argc - 1, argv + 1);
			if (fflush(stdout) || ferror(stdout)) {
				perror("weft: standard output");
				return COMMAND_FAILED;
			}
			return status;
		}
	command_misused("weft", "no command '%s'; 'weft --help' lists them", argv[1]);
}
