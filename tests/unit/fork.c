/* After fork only exec or _exit may follow: the first works, and a call into weft says so. */
#include "alloc/stack.h"
#include "runtime/sched.h"
#include "tests/unit/go.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_child child;
static weft_waitgroup join;
static weft_chan *full, *empty;

static int status_of(pid_t pid)
{
	int status;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void fork_and_exec(void *arg)
{
	(void)arg;
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
		_exit(1);
	}
	CHECK_EQ(status_of(pid), 7);
	weft_waitgroup_done(&join);
}

TEST_GO(exec_may_follow)
{
	weft_waitgroup_add(&join, 10);
	for (int i = 0; i < 10; i++)
		weft_go(fork_and_exec, NULL);
	weft_waitgroup_wait(&join);
	return 0;
}

/* ---- calls ---- */

static void nothing(void *arg)
{
	(void)arg;
}

static void send_value(void)
{
	weft_send(empty, &(int){1});
}

static void send_value_that_has_room(void)
{
	weft_send(full, &(int){1});
}

static void start_goroutine_there(void)
{
	weft_go(nothing, NULL);
}

static void start_goroutine_with_options(void)
{
	weft_go_with(NULL, nothing, NULL);
}

static void sleep_there(void)
{
	weft_sleep(WEFT_MS);
}

static void lock_there(void)
{
	static weft_mutex m;
	weft_mutex_lock(&m);
	weft_mutex_lock(&m);
}

static void listen_there(void)
{
	weft_listener *l;
	weft_listen(&l, "tcp://127.0.0.1:0", NULL);
	weft_conn *c;
	weft_accept(l, &c);
}

static void return_from_there(void)
{
}

static void (*call)(void);
static int procs;

/* The child's status goes on: the parent waits as a thread, and stays out of the way. */
static void fork_and_call(void *arg)
{
	(void)arg;
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		alarm(20); /* ends what hangs */
		call();
		return;
	}
	_exit(status_of(pid));
}

static int app(void)
{
	full = weft_chan_make(sizeof(int), 1);
	empty = weft_chan_make(sizeof(int), 0);
	weft_go(fork_and_call, NULL);
	weft_sleep(60 * WEFT_S);
	return 0;
}

static void run_app(void)
{
	_exit(run_weft(procs, app));
}

TEST(any_other_call_is_fatal)
{
	static void (*const calls[])(void) = {send_value, send_value_that_has_room, start_goroutine_there,
					      start_goroutine_with_options, sleep_there, lock_there, listen_there,
					      return_from_there};
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		for (procs = 1; procs <= 2; procs++) {
			call = calls[i];
			test_in_child(&child, run_app);
			if (child.status != 2)
				test_fail(__FILE__, __LINE__, "call %zu: status %d:\n%s", i, child.status, child.err);
			CHECK_STR(child.err, "fatal: weft in a forked child: only exec may follow\n");
		}
}

/* ---- guards ---- */

/* How a child ends that writes there. */
static int write_in_child(volatile char *at)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*at = 1;
		_exit(3);
	}
	return status_of(pid);
}

TEST_GO(guards_are_inherited)
{
	char *base = stack_base(load_acq(&m_g(m_self())->stack));
	CHECK_EQ(write_in_child(base - 1), 128 + SIGSEGV);
	CHECK_EQ(write_in_child(base - STACK_GUARD), 128 + SIGSEGV);
	CHECK_EQ(write_in_child(base), 3);
	return 0;
}
