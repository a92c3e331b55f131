#include "tuning/command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `weft bench` is the Python driver of the source tree this program was built in: bench/run.py in
 * one of the directories above the program. */
static int find_driver(char *path, size_t cap)
{
	ssize_t len = readlink("/proc/self/exe", path, cap - 1);
	if (len < 0)
		return -errno;
	path[len] = 0;
	for (char *slash; (slash = strrchr(path, '/'));) {
		*slash = 0;
		if (strlen(path) + sizeof "/bench/run.py" > cap)
			continue;
		strcpy(slash, "/bench/run.py");
		if (access(path, R_OK) == 0)
			return 0;
		*slash = 0;
	}
	return -ENOENT;
}

static int run(int argc, char **argv)
{
	static char path[PATH_MAX];
	if (find_driver(path, sizeof path) < 0) {
		fprintf(
		    stderr,
		    "weft bench: no bench/run.py above this program; it runs from a source tree\n");
		return COMMAND_FAILED;
	}
	char **args = calloc((size_t)argc + 2, sizeof *args);
	if (!args) {
		fprintf(stderr, "weft bench: out of memory\n");
		return COMMAND_FAILED;
	}
	args[0] = (char *)(uintptr_t) "python3";
	args[1] = path;
	memcpy(args + 2, argv + 1, (size_t)(argc - 1) * sizeof *args);
	execvp(args[0], args);
	fprintf(stderr, "weft bench: cannot run python3: %s\n", strerror(errno));
	free(args);
	return COMMAND_FAILED;
}

const struct command bench_command = {"bench", "the benchmark suite with its peers", run};
