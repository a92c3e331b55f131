#include "tuning/script.h"
#include "tuning/command.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const below[] = {"", "share/weft/"};

/* path: a directory of `len` bytes; left as it was if there is no such script below it. */
static bool found_below(char *path, size_t len, size_t cap, const char *script)
{
	for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
		int more = snprintf(path + len, cap - len, "/%s%s", below[i], script);
		if (more > 0 && (size_t)more < cap - len && access(path, R_OK) == 0)
			return true;
	}
	path[len] = 0;
	return false;
}

static int find(char *path, size_t cap, const char *script)
{
	ssize_t len = readlink("/proc/self/exe", path, cap - 1);
	if (len < 0)
		return -errno;
	path[len] = 0;
	for (char *slash; (slash = strrchr(path, '/'));) {
		*slash = 0;
		if (found_below(path, (size_t)(slash - path), cap, script))
			return 0;
	}
	return -ENOENT;
}

int script_run(const char *name, const char *script, int argc, char **argv)
{
	static char path[PATH_MAX];
	if (find(path, sizeof path, script) < 0) {
		command_say(name, "no %s above this program, nor in share/weft there", script);
		return COMMAND_FAILED;
	}
	char **args = calloc((size_t)argc + 2, sizeof *args);
	if (!args) {
		command_say(name, "out of memory");
		return COMMAND_FAILED;
	}
	args[0] = (char *)(uintptr_t) "python3";
	args[1] = path;
	memcpy(args + 2, argv + 1, (size_t)(argc - 1) * sizeof *args);
	execvp(args[0], args);
	command_say(name, "cannot run python3: %s", strerror(errno));
	free(args);
	return COMMAND_FAILED;
}
