/* After fork only exec or _exit may follow: the first works, and a call into weft says so. */
#include "alloc/stack.h"
#include "runtime/sched.h"
#include "tests/unit/go.h"
#include "tests/unit/still.h"

#include <pthread.h>
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

static void exec_in_child(void)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
		_exit(1);
	}
	CHECK_EQ(status_of(pid), 7);
}

static void fork_and_exec(void *arg)
{
	(void)arg;
	exec_in_child();
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

/* ---- while the collector marks ---- */

static struct thing *kept[2];
WEFT_ROOT(kept);
static _Atomic int thread_may; /* what has been reached: odd by the thread, even by the goroutine */

static __attribute__((noinline)) void fork_while_marking(void)
{
	struct thing *mine = watch_new(0);
	weft_set(&kept[0], watch_new(1));
	stand_still();
	CHECK(weft_marking_);
	exec_in_child();
	weft_set(&kept[1], weft_get(&kept[0])); /* the parent's barrier goes on */
	weft_set(&kept[0], NULL);
	go_on();
	use_memory_again();
	CHECK_EQ(mine->number, 1000);
	CHECK_EQ(kept[1]->number, 1001);
}

TEST_GO(a_cycle_in_whose_midst_a_goroutine_forks_goes_on)
{
	fork_while_marking();
	weft_gc();
	CHECK_EQ(kept[1]->number, 1001);
	return 0;
}

static void await_leave(int may)
{
	while (load_acq(&thread_may) != may)
		usleep(100);
}

static void *attached_forks(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	struct thing *mine = weft_new(thing);
	mine->number = 77;
	store_rel(&thread_may, 1);
	await_leave(2);
	CHECK(weft_marking_);
	exec_in_child();
	store_rel(&thread_may, 3);
	await_leave(4);
	CHECK_EQ(mine->number, 77);
	weft_detach();
	return unused;
}

static void await_from_goroutine(int done)
{
	while (load_acq(&thread_may) != done)
		weft_sleep(100000);
}

TEST_GO(a_cycle_in_whose_midst_an_attached_thread_forks_goes_on)
{
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, attached_forks, NULL), 0);
	await_from_goroutine(1);
	weft_set(&kept[0], watch_new(1));
	stand_still();
	store_rel(&thread_may, 2);
	await_from_goroutine(3);
	go_on();
	use_memory_again();
	CHECK_EQ(kept[0]->number, 1001);
	store_rel(&thread_may, 4);
	pthread_join(t, NULL);
	return 0;
}

static void allocate_there(void)
{
	weft_new(thing)->number = 1;
}

static void allocate_bytes_there(void)
{
	weft_new_bytes(100000);
}

static void collect_there(void)
{
	weft_gc();
}

static void *attached_forks_and_calls(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	allocate_there();
	store_rel(&thread_may, 1);
	await_leave(2);
	fork_and_call(NULL);
	return unused;
}

static int app_marking(void)
{
	allocate_there();
	stand_still();
	fork_and_call(NULL);
	return 0;
}

static int app_marking_attached(void)
{
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, attached_forks_and_calls, NULL), 0);
	await_from_goroutine(1);
	stand_still();
	store_rel(&thread_may, 2);
	weft_sleep(60 * WEFT_S);
	return 0;
}

static int (*app_of_fork)(void);

static void run_app_of_fork(void)
{
	_exit(run_weft(procs, app_of_fork));
}

TEST(a_child_that_allocates_in_the_midst_of_a_cycle_ends)
{
	static int (*const apps[])(void) = {app_marking, app_marking_attached};
	static void (*const calls[])(void) = {allocate_there, allocate_bytes_there, collect_there};
	for (size_t a = 0; a < ARRAY_LEN(apps); a++)
		for (size_t i = 0; i < ARRAY_LEN(calls); i++)
			for (procs = 1; procs <= 2; procs++) {
				app_of_fork = apps[a];
				call = calls[i];
				test_in_child(&child, run_app_of_fork);
				if (child.status != 2)
					test_fail(__FILE__, __LINE__, "app %zu, call %zu: status %d:\n%s", a, i, child.status, child.err);
				CHECK_STR(child.err, "fatal: weft in a forked child: only exec may follow\n");
			}
}
