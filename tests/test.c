#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, SECONDS_PER_TEST = 60, SLOW_FACTOR = 5 };

static struct test *first, **last = &first;

void test_register(struct test *t)
{
	*last = t;
	last = &t->next;
}

bool test_is_slow(void)
{
	return !strcmp(WEFT_FLAVOUR, "asan") || !strcmp(WEFT_FLAVOUR, "tsan");
}

static int64_t soak_factor(void)
{
	const char *soak = getenv("WEFTTEST_SOAK");
	return soak ? atoll(soak) : 1;
}

int64_t test_rounds(int64_t normal)
{
	int64_t rounds = normal * soak_factor();
	if (test_is_slow())
		rounds /= 10;
	return rounds > 1 ? rounds : 1;
}

/* Written with one system call and without a lock: the caller may stand on any stack, in any state. */
static void say(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof line - 1)
		n = (int)sizeof line - 1;
	ssize_t written = write(STDERR_FILENO, line, (size_t)n);
	(void)written;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	char what[768];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	say("# %s:%d: %s\n", file, line, what);
	_exit(1);
}

void test_skip(const char *why)
{
	say("# skip: %s\n", why);
	_exit(SKIPPED);
}

void test_check_str(const char *file, int line, const char *expr, const char *got, const char *want)
{
	if (!got || strcmp(got, want))
		test_fail(file, line, "%s is \"%s\", not \"%s\"", expr, got ? got : "(null)", want);
}

static int status_of(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			test_fail(__FILE__, __LINE__, "waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Keeps what fits, and reads on, so that the child never blocks on a full pipe. */
static bool drain(int fd, char *buf, size_t cap, size_t *len)
{
	char spill[4096];
	ssize_t n = *len + 1 < cap ? read(fd, buf + *len, cap - 1 - *len) : read(fd, spill, sizeof spill);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	if (*len + 1 < cap)
		*len += (size_t)n;
	return true;
}

static void collect(struct test_child *child, pid_t pid, int out, int err)
{
	size_t out_len = 0, err_len = 0;
	struct pollfd fds[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents && !drain(out, child->out, sizeof child->out, &out_len))
			fds[0].fd = -1;
		if (fds[1].revents && !drain(err, child->err, sizeof child->err, &err_len))
			fds[1].fd = -1;
		fds[0].revents = fds[1].revents = 0;
	}
	child->out[out_len] = child->err[err_len] = 0;
	close(out);
	close(err);
	child->status = status_of(pid);
}

static void spawn(struct test_child *child, void (*fn)(void), const char *const argv[])
{
	int out[2], err[2];
	CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	fflush(NULL);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		if (fn) {
			fn();
			fflush(NULL);
			_exit(0);
		}
		execv(argv[0], (char *const *)(uintptr_t)argv);
		say("%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	collect(child, pid, out[0], err[0]);
}

void test_in_child(struct test_child *child, void (*fn)(void))
{
	spawn(child, fn, NULL);
}

void test_program(struct test_child *child, const char *const argv[])
{
	spawn(child, NULL, argv);
}

void test_dies(void (*fn)(void), const char *words)
{
	static struct test_child child;
	test_in_child(&child, fn);
	if (child.status != 2 || !strstr(child.err, words))
		test_fail(__FILE__, __LINE__, "status %d (want 2), stderr (want \"%s\"):\n%s",
			  child.status, words, child.err);
}

/* After which a test is taken to hang: as much later as it has more to do. */
static unsigned patience_seconds(void)
{
	int64_t seconds = SECONDS_PER_TEST * (test_is_slow() ? SLOW_FACTOR : 1) * soak_factor();
	return seconds < 1 ? 1 : seconds > INT_MAX ? INT_MAX : (unsigned)seconds;
}

/* One test in a session of its own, so that whatever it leaves behind can be ended with it. */
static int run_test(const struct test *t)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return 1;
	if (pid == 0) {
		setpgid(0, 0);
		signal(SIGINT, SIG_DFL); /* a shell has its background jobs ignore them */
		signal(SIGQUIT, SIG_DFL);
		alarm(patience_seconds());
		t->run();
		fflush(NULL);
		exit(0); /* sanitizers report at exit */
	}
	setpgid(pid, pid);
	int status = status_of(pid);
	kill(-pid, SIGKILL);
	return status;
}

static bool wanted(const struct test *t, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], t->name))
			return true;
	return argc == 1;
}

/* Weak: a program with children and checks, but no list of tests, has a main of its own (tests/sim/run.c). */
__attribute__((weak)) int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (struct test *t = first; t; t = t->next)
			puts(t->name);
		return 0;
	}
	int total = 0, n = 0, failed = 0;
	for (struct test *t = first; t; t = t->next)
		total += wanted(t, argc, argv);
	if (!total) {
		fprintf(stderr, "%s: no such test\n", argv[0]);
		return 2;
	}
	printf("1..%d\n", total);
	for (struct test *t = first; t; t = t->next) {
		if (!wanted(t, argc, argv))
			continue;
		int status = run_test(t);
		n++;
		if (status == 0)
			printf("ok %d %s\n", n, t->name);
		else if (status == SKIPPED)
			printf("ok %d %s # SKIP\n", n, t->name);
		else if (status == 128 + SIGALRM)
			printf("not ok %d %s # timed out\n", n, t->name);
		else
			printf("not ok %d %s # status %d\n", n, t->name, status);
		failed += status != 0 && status != SKIPPED;
		fflush(stdout);
	}
	return failed ? 1 : 0;
}
