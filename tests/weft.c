#include "tests/weft.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ARGS_MAX = 48 };

const char *weft_path(void)
{
	static char path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
	CHECK(n > 0);
	path[n] = 0;
	char *slash = strrchr(path, '/');
	CHECK(slash);
	strcpy(slash, "/../tuning/weft");
	if (access(path, X_OK))
		test_fail(__FILE__, __LINE__, "%s is not there: build all", path);
	return path;
}

static void run_list(struct test_child *child, va_list ap)
{
	const char *argv[ARGS_MAX] = {weft_path()};
	int n = 1;
	while ((argv[n] = va_arg(ap, const char *)))
		CHECK(++n < ARGS_MAX);
	test_program(child, argv);
}

void weft_run(struct test_child *child, ...)
{
	va_list ap;
	va_start(ap, child);
	run_list(child, ap);
	va_end(ap);
}

void weft_refuses(const char *words, ...)
{
	static struct test_child child;
	va_list ap;
	va_start(ap, words);
	run_list(&child, ap);
	va_end(ap);
	const char *newline = strchr(child.err, '\n');
	if (child.status != 2 || !strstr(child.err, words) || !newline || newline[1])
		test_fail(__FILE__, __LINE__,
			  "status %d (want 2), stderr (want one line, \"%s\"):\n%s", child.status,
			  words, child.err);
}
