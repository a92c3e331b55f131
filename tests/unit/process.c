#include "net/process.h"
#include "tests/unit/outside.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static weft_waitgroup join;

/* A shell that runs the script. */
static pid_t shell(const char *script, const weft_spawn_opts *opts)
{
	pid_t pid = 0;
	CHECK_EQ(weft_spawn_process(&pid, (const char *const[]){"sh", "-c", script, NULL}, opts), 0);
	CHECK(pid > 0);
	return pid;
}

static int exit_status(pid_t pid)
{
	int status = -1;
	CHECK_EQ(weft_wait_process(pid, &status, WEFT_NEVER), 0);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

enum { TEXT_MAX = 4096 };

static const char *read_to_end(int fd)
{
	static char text[TEXT_MAX];
	size_t n = 0;
	for (ssize_t got; (got = weft_file_read(fd, text + n, TEXT_MAX - 1 - n)) > 0;)
		n += (size_t)got;
	text[n] = 0;
	weft_file_close(fd);
	return text;
}

/* What the script says on its standard output, with these options; it must end with 0. */
static const char *said(const char *script, weft_spawn_opts opts)
{
	struct pipe_ends p = pipe_open(0);
	opts.stdout_fd = p.in;
	pid_t pid = shell(script, &opts);
	close(p.in);
	const char *text = read_to_end(p.out);
	CHECK_EQ(exit_status(pid), 0);
	return text;
}

/* A shell that ends with 3 as soon as it is told so, or this process ends; *tell is where. */
static pid_t shell_that_waits(int *tell)
{
	struct pipe_ends p = pipe_open(0);
	pid_t pid = shell("read line; exit 3", &(weft_spawn_opts){.stdin_fd = p.out});
	close(p.out);
	*tell = p.in;
	return pid;
}

static void no_child_is_left(void)
{
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && last_error() == ECHILD);
}

TEST_GO(the_status_is_waitpids)
{
	int status;
	CHECK_EQ(exit_status(shell("exit 7", NULL)), 7);
	CHECK_EQ(weft_wait_process(shell("kill -9 $$", NULL), &status, WEFT_NEVER), 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK_EQ(weft_wait_process(shell("exit 1", NULL), NULL, WEFT_NEVER), 0);
	no_child_is_left();
	return 0;
}

static int try_spawn(const char *program, const weft_spawn_opts *opts)
{
	pid_t pid = -5;
	int err = weft_spawn_process(&pid, (const char *const[]){program, NULL}, opts);
	CHECK_EQ(pid, -5);
	return err;
}

TEST_GO(what_cannot_be_started_is_an_error_and_no_child)
{
	int closed = dup(0);
	close(closed);
	CHECK_EQ(try_spawn("no-such-program-of-wefts", NULL), -ENOENT);
	CHECK_EQ(try_spawn("/dev/null", NULL), -EACCES);
	CHECK_EQ(try_spawn("true", &(weft_spawn_opts){.cwd = "/no/such"}), -ENOENT);
	CHECK_EQ(try_spawn("true", &(weft_spawn_opts){.stdin_fd = closed}), -EBADF);
	CHECK_EQ(try_spawn("true", &(weft_spawn_opts){.stderr_fd = -2}), -EINVAL);
	CHECK_EQ(try_spawn("true", &(weft_spawn_opts){.group = (weft_spawn_group)3}), -EINVAL);
	CHECK_EQ(try_spawn("true", &(weft_spawn_opts){.reserved = {0, 1}}), -EINVAL);
	CHECK_EQ(try_spawn(NULL, NULL), -EINVAL);
	CHECK_EQ(weft_spawn_process(NULL, NULL, NULL), -EINVAL);
	no_child_is_left();
	return 0;
}

TEST_GO(a_file_that_is_no_program_is_said_to_be_none)
{
	char path[] = "/tmp/weft-test-XXXXXX";
	int fd = mkstemp(path);
	CHECK(fd >= 0 && write(fd, "exit 0\n", 7) == 7 && fchmod(fd, 0700) == 0);
	close(fd);
	int err = try_spawn(path, NULL);
	unlink(path);
	CHECK_EQ(err, -ENOEXEC);
	return 0;
}

TEST_GO(streams_are_the_ones_given)
{
	struct pipe_ends p = pipe_open(0);
	CHECK_EQ(write(p.in, "in\n", 3), 3);
	close(p.in);
	CHECK_STR(said("read line; echo got $line", (weft_spawn_opts){.stdin_fd = p.out}), "got in\n");
	close(p.out);
	CHECK_STR(said("read line || echo empty", (weft_spawn_opts){.stdin_fd = WEFT_SPAWN_NULL}), "empty\n");
	CHECK_STR(said("echo lost >&2; echo kept", (weft_spawn_opts){.stderr_fd = WEFT_SPAWN_NULL}), "kept\n");
	p = pipe_open(0);
	pid_t pid = shell("echo one; echo two >&2", &(weft_spawn_opts){.stdout_fd = p.in, .stderr_fd = p.in});
	close(p.in);
	CHECK_STR(read_to_end(p.out), "one\ntwo\n");
	CHECK_EQ(exit_status(pid), 0);
	return 0;
}

static void swap_streams(void)
{
	run_weft(1, weft_test_app);
}

static int app_swaps(void)
{
	return exit_status(shell("echo to stdout; echo to stderr >&2", &(weft_spawn_opts){.stdout_fd = 2, .stderr_fd = 1}));
}

TEST(streams_may_change_places)
{
	static struct test_child child;
	weft_test_app = app_swaps;
	test_in_child(&child, swap_streams);
	CHECK_STR(child.out, "to stderr\n");
	CHECK_STR(child.err, "to stdout\n");
}

TEST_GO(directory_and_environment_are_the_ones_given)
{
	const char *env[] = {"WHAT=this", "PATH=/no/such", NULL};
	setenv("WHAT", "that", 1);
	CHECK_STR(said("pwd", (weft_spawn_opts){.cwd = "/proc"}), "/proc\n");
	CHECK_STR(said("echo $WHAT $PATH", (weft_spawn_opts){.env = env}), "this /no/such\n");
	CHECK_STR(said("echo $WHAT", (weft_spawn_opts){0}), "that\n");
	return 0;
}

static pid_t group_of(weft_spawn_group group, pid_t *pid, pid_t *session)
{
	struct pipe_ends p = pipe_open(0);
	*pid = shell("read line", &(weft_spawn_opts){.stdin_fd = p.out, .group = group});
	pid_t is = getpgid(*pid);
	*session = getsid(*pid);
	close(p.in);
	close(p.out);
	exit_status(*pid);
	return is;
}

TEST_GO(the_group_is_the_one_given)
{
	pid_t pid, session;
	CHECK_EQ(group_of(WEFT_SPAWN_SAME_GROUP, &pid, &session), getpgrp());
	CHECK_EQ(group_of(WEFT_SPAWN_NEW_GROUP, &pid, &session), pid);
	CHECK_EQ(session, getsid(0));
	CHECK_EQ(group_of(WEFT_SPAWN_NEW_SESSION, &pid, &session), pid);
	CHECK_EQ(session, pid);
	return 0;
}

TEST_GO(other_descriptors_are_closed_if_asked)
{
	static char script[128];
	int fd = dup(0);
	CHECK(fd > 2 && fcntl(fd, F_GETFD) == 0);
	snprintf(script, sizeof script, "[ -e /proc/self/fd/%d ] && echo open || echo closed", fd);
	CHECK_STR(said(script, (weft_spawn_opts){0}), "open\n");
	CHECK_STR(said(script, (weft_spawn_opts){.close_others = true}), "closed\n");
	close(fd);
	return 0;
}

static uint64_t mask_in(const char *status, const char *name)
{
	const char *at = strstr(status, name);
	CHECK(at);
	return strtoull(at + strlen(name), NULL, 16);
}

/* Two signals are libc's own, which nobody can send by its name; it lets a child ignore them. */
enum { FIRST_OF_LIBC = 32, LIBCS = 2 };

/* What this process ignores, blocks and handles is not the child's affair. */
static int app_signals(void)
{
	const char *status = said("exec cat /proc/self/status", (weft_spawn_opts){0});
	uint64_t libcs = ((1ull << LIBCS) - 1) << (FIRST_OF_LIBC - 1);
	CHECK_EQ(mask_in(status, "SigBlk:"), 0);
	CHECK_EQ(mask_in(status, "SigIgn:") & ~libcs, 0);
	CHECK_EQ(mask_in(status, "SigCgt:"), 0);
	return 0;
}

static void on_signal(int signo)
{
	(void)signo;
}

TEST(a_child_has_default_actions_and_an_empty_mask)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR2, on_signal);
	CHECK_EQ(run_weft(2, app_signals), 0);
}

/* On one P, with a child that ends only when others have run. */
TEST_GO(waiting_stops_nobody)
{
	struct meanwhile m;
	int tell;
	pid_t pid = shell_that_waits(&tell);
	meanwhile_start(&m, tell);
	CHECK_EQ(exit_status(pid), 3);
	meanwhile_end(&m);
	CHECK_STR(process_wait_way(), "pidfd");
	close(tell);
	return 0;
}

TEST_GO(a_deadline_leaves_the_child_waitable)
{
	int tell, status = 77;
	pid_t pid = shell_that_waits(&tell);
	CHECK_EQ(weft_wait_process(pid, &status, weft_at(0)), -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weft_wait_process(pid, &status, weft_in(WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(status, 77);
	close(tell);
	while (weft_wait_process(pid, &status, weft_at(0)) == -ETIMEDOUT)
		weft_sleep(WEFT_MS);
	CHECK_EQ(WEXITSTATUS(status), 3);
	CHECK_EQ(weft_wait_process(pid, &status, weft_at(0)), -ECHILD);
	return 0;
}

TEST_GO(what_is_no_child_is_said_to_be_none)
{
	int status = 77;
	pid_t pid = shell("exit 0", NULL);
	CHECK_EQ(exit_status(pid), 0);
	pid_t not_ours[] = {pid, getppid(), getpid(), 1, 0, -1, -getpgrp()};
	pid_t child = shell("exit 0", NULL); /* which 0 and -1 would be to waitpid */
	for (size_t i = 0; i < sizeof not_ours / sizeof *not_ours; i++)
		CHECK_EQ(weft_wait_process(not_ours[i], &status, WEFT_NEVER), -ECHILD);
	CHECK_EQ(status, 77);
	CHECK_EQ(exit_status(child), 0);
	return 0;
}

static _Atomic int reaped, refused, waiting;

static void wait_too(void *arg)
{
	int status;
	waiting++;
	int err = weft_wait_process((pid_t)(intptr_t)arg, &status, WEFT_NEVER);
	CHECK(err == 0 || err == -ECHILD);
	if (err == 0)
		reaped++;
	else
		refused++;
	weft_waitgroup_done(&join);
}

TEST_GO(one_of_several_waiters_gets_the_status)
{
	enum { WAITERS = 8 };
	int tell;
	pid_t pid = shell_that_waits(&tell);
	weft_waitgroup_add(&join, WAITERS);
	for (int i = 0; i < WAITERS; i++)
		weft_go(wait_too, (void *)(intptr_t)pid);
	while (waiting < WAITERS)
		weft_yield();
	weft_sleep(5 * WEFT_MS);
	close(tell);
	weft_waitgroup_wait(&join);
	CHECK_EQ(reaped, 1);
	CHECK_EQ(refused, WAITERS - 1);
	return 0;
}

enum { MANY = 40 };

/* They share one standard input, and all end when it does. */
TEST_GO(waiters_hold_no_threads_and_leave_no_descriptors)
{
	struct pipe_ends p = pipe_open(0);
	CHECK_EQ(weft_wait_fd(p.out, POLLIN, weft_in(WEFT_MS)), -ETIMEDOUT); /* the pollers are there */
	int threads, before = open_descriptors();
	weft_waitgroup_add(&join, MANY);
	for (int i = 0; i < MANY; i++)
		weft_go(wait_too, (void *)(intptr_t)shell("read line", &(weft_spawn_opts){.stdin_fd = p.out}));
	while (waiting < MANY)
		weft_yield();
	weft_sleep(5 * WEFT_MS);
	threads = os_threads();
	close(p.in);
	weft_waitgroup_wait(&join);
	CHECK_EQ(reaped, MANY);
	CHECK(threads > 0 && threads < MANY / 2);
	CHECK_EQ(open_descriptors(), before - 1);
	close(p.out);
	return 0;
}

static void *wait_on_a_thread(void *arg)
{
	int tell, status;
	(void)arg;
	pid_t pid = shell_that_waits(&tell);
	CHECK_EQ(weft_wait_process(pid, &status, weft_in(WEFT_MS)), -ETIMEDOUT);
	close(tell);
	CHECK_EQ(weft_wait_process(pid, &status, WEFT_NEVER), 0);
	CHECK_EQ(WEXITSTATUS(status), 3);
	return NULL;
}

TEST_GO(a_thread_outside_may_do_the_same)
{
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, wait_on_a_thread, NULL), 0);
	weft_block_begin();
	pthread_join(thread, NULL);
	weft_block_end();
	return 0;
}

TEST_GO(errno_stays_as_it_was)
{
	set_error(77);
	CHECK_EQ(try_spawn("no-such-program-of-wefts", NULL), -ENOENT);
	CHECK_EQ(last_error(), 77);
	CHECK_EQ(weft_wait_process(1, NULL, WEFT_NEVER), -ECHILD);
	CHECK_EQ(last_error(), 77);
	int tell;
	pid_t pid = shell_that_waits(&tell);
	CHECK_EQ(weft_wait_process(pid, NULL, weft_in(WEFT_MS)), -ETIMEDOUT);
	CHECK_EQ(last_error(), 77);
	close(tell);
	CHECK_EQ(exit_status(pid), 3);
	return 0;
}
