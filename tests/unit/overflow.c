/* Stack overflow is told from other faults, and said in words. */
#include "alloc/os.h"
#include "alloc/stack.h"
#include "runtime/overflow.h"
#include "runtime/sched.h"
#include "tests/unit/deep.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_child child;

/* ---- what runs ---- */

static int (*app)(void);
static int procs;

static void run_app(void)
{
	_exit(run_weft(procs, app));
}

/* Runs `what` in a child on one P and on two; `see` looks at each. */
static void on_one_and_two(int (*what)(void), void (*see)(void))
{
	app = what;
	for (procs = 1; procs <= 2; procs++) {
		test_in_child(&child, run_app);
		see();
	}
}

static weft_waitgroup join;

static const struct stack *own_stack(void)
{
	return load_acq(&m_g(m_self())->stack);
}

static void overflow(void *arg)
{
	(void)arg;
	recurse(0);
}

/* ---- the words ---- */

static void must_say(const char *words)
{
	if (child.status != 2 || strncmp(child.err, words, strlen(words)))
		test_fail(__FILE__, __LINE__, "status %d (want 2), stderr (want \"%s\" first):\n%s", child.status, words,
			  child.err);
}

static void must_hold(const char *words)
{
	if (!strstr(child.err, words))
		test_fail(__FILE__, __LINE__, "no \"%s\" in:\n%s", words, child.err);
}

static int occurrences(const char *words)
{
	int n = 0;
	for (const char *at = child.err; (at = strstr(at, words)); at++)
		n++;
	return n;
}

static int overflow_named(void)
{
	CHECK_EQ(weft_go_with(&(weft_go_opts){.name = "deep"}, overflow, NULL), 0);
	for (;;)
		weft_yield();
}

static void see_named(void)
{
	must_say("fatal: goroutine 2 stack overflow (limit 262144 bytes)\n\n"
		 "goroutine 2 [running] name=deep:\n  recurse");
	must_hold("overflow.c:");
	CHECK_EQ(occurrences("\n  recurse"), 32); /* as many as a trace shows */
	must_hold("  ... ");
	must_hold("created by goroutine 1 at overflow.c:");
	CHECK_EQ(occurrences("\ngoroutine "), 1); /* and nobody else */
}

TEST(an_overflow_is_a_line_and_the_goroutine)
{
	on_one_and_two(overflow_named, see_named);
}

static void see_seed(void)
{
	see_named();
	must_hold("\nweft: seed 6, ");
}

TEST(in_a_simulation_it_is_told_with_the_seed)
{
	setenv("WEFT_DEBUG", "seed=6", 1);
	on_one_and_two(overflow_named, see_seed);
}

static int overflow_main(void)
{
	overflow(NULL);
	return 0;
}

static void see_main(void)
{
	must_say("fatal: goroutine 1 stack overflow (limit 8388608 bytes)\n\ngoroutine 1 [running]:\n");
}

TEST(the_main_goroutine_has_eight_mebibytes)
{
	on_one_and_two(overflow_main, see_main);
}

static size_t wanted;

static int overflow_sized(void)
{
	CHECK_EQ(weft_go_with(&(weft_go_opts){.stack_size = wanted}, overflow, NULL), 0);
	for (;;)
		weft_yield();
}

TEST(the_limit_is_what_the_goroutine_has)
{
	static const size_t sizes[][2] = {
		{0, STACK_DEFAULT},
		{1, 16384},
		{16384, 16384},
		{16385, 32768},
		{65536, 65536},
		{100000, 131072},
		{STACK_DEFAULT, STACK_DEFAULT},
		{STACK_DEFAULT + 1, STACK_DEFAULT + OS_PAGE},
		{1000001, (1000001 + OS_PAGE - 1) / OS_PAGE * OS_PAGE},
		{4 << 20, 4 << 20},
	};
	app = overflow_sized;
	procs = 1;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char words[128];
		wanted = sizes[i][0];
		snprintf(words, sizeof words, "fatal: goroutine 2 stack overflow (limit %zu bytes)\n", sizes[i][1]);
		test_in_child(&child, run_app);
		must_say(words);
	}
}

/* ---- the least stack ---- */

static void make_pair(weft_conn **a, weft_conn **b)
{
	char text[128];
	weft_listener *l;
	CHECK_EQ(weft_listen(&l, "tcp://127.0.0.1:0", NULL), 0);
	CHECK(weft_listener_addr(l, text, sizeof text) > 0);
	CHECK_EQ(weft_dial(a, text, WEFT_NEVER), 0);
	CHECK_EQ(weft_accept(l, b), 0);
	weft_listener_close(l);
}

static void use_weft(void *arg)
{
	static weft_mutex m;
	weft_chan *c = weft_chan_make(sizeof(int), 1), *none = weft_chan_make(0, 0);
	int one = 1;
	weft_case cases[] = {WEFT_CASE_RECV(c, &one), WEFT_CASE_RECV(none, NULL)};
	(void)arg;
	weft_mutex_lock(&m);
	weft_send(c, &one);
	CHECK_EQ(weft_select(cases, 2), 0);
	CHECK_EQ(weft_select_until(cases, 2, weft_in(WEFT_MS)), -ETIMEDOUT);
	weft_mutex_unlock(&m);
	weft_chan_free(c);
	weft_chan_free(none);
	weft_conn *from, *to;
	make_pair(&from, &to);
	CHECK_EQ(weft_write(from, "x", 1), 1);
	CHECK_EQ(weft_read(to, &one, 1), 1);
	weft_conn_close(from);
	weft_conn_close(to);
	weft_block_begin();
	usleep(1000);
	weft_block_end();
	weft_dump(STDOUT_FILENO);
	weft_panic("as far as this");
}

static int small_that_panics(void)
{
	CHECK_EQ(weft_go_with(&(weft_go_opts){.stack_size = 1, .name = "small"}, use_weft, NULL), 0);
	weft_sleep(60 * WEFT_S);
	return 0;
}

static void see_panic(void)
{
	must_say("panic: as far as this\n\ngoroutine 2 [running] name=small:\n  ");
	must_hold("  use_weft+0x");
	must_hold("created by goroutine 1 at overflow.c:");
	CHECK(strstr(child.out, "[running] name=small:\n"));
}

TEST(all_of_weft_has_room_on_the_least_stack)
{
	on_one_and_two(small_that_panics, see_panic);
}

/* ---- system calls ---- */

static int made_pipe[2];
static int (*call)(void *guarded);

static void call_on_guard(void *arg)
{
	(void)arg;
	call((void *)(stack_base(own_stack()) - 100));
	weft_waitgroup_done(&join);
}

static int run_call(void)
{
	CHECK_EQ(pipe(made_pipe), 0);
	CHECK_EQ(write(made_pipe[1], "x", 1), 1);
	weft_waitgroup_add(&join, 1);
	weft_go(call_on_guard, NULL);
	weft_waitgroup_wait(&join);
	return 0;
}

static int file_read(void *guarded)
{
	return (int)weft_file_read(made_pipe[0], guarded, 50);
}

/* Not by reading: what lies below the guard may be another stack, and takes what there is to be read. */
static int buffer_that_begins_below(void *guarded)
{
	overflow_check((char *)guarded - STACK_GUARD, 2 * STACK_GUARD);
	return 0;
}

static int file_write(void *guarded)
{
	return (int)weft_file_write(made_pipe[1], guarded, 50);
}

static int file_open(void *guarded)
{
	return weft_file_open(guarded, O_RDONLY, 0);
}

static int conn_read(void *guarded)
{
	weft_conn *from, *to;
	make_pair(&from, &to);
	CHECK_EQ(weft_write(from, "x", 1), 1);
	int n = (int)weft_read(to, guarded, 50);
	weft_conn_close(from);
	weft_conn_close(to);
	return n;
}

static int conn_write(void *guarded)
{
	weft_conn *from, *to;
	make_pair(&from, &to);
	int n = (int)weft_write(from, guarded, 50);
	weft_conn_close(from);
	weft_conn_close(to);
	return n;
}

static void see_call(void)
{
	must_say("fatal: goroutine 2 stack overflow (limit 262144 bytes)\n\ngoroutine 2 [running]:\n");
	must_hold("  call_on_guard+0x");
	CHECK(!strstr(child.err, "overflow_check"));
}

TEST(a_system_call_that_faults_on_the_guard_is_an_overflow)
{
	static int (*const calls[])(void *) = {file_read, buffer_that_begins_below, file_write, file_open, conn_read,
					       conn_write};
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		call = calls[i];
		on_one_and_two(run_call, see_call);
	}
}

TEST_GO(any_other_bad_buffer_is_an_error)
{
	char *bad = mmap(NULL, OS_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(bad != MAP_FAILED);
	CHECK_EQ(pipe(made_pipe), 0);
	CHECK_EQ(write(made_pipe[1], "x", 1), 1);
	CHECK_EQ(file_read(bad), -EFAULT);
	CHECK_EQ(file_write(bad), -EFAULT);
	CHECK_EQ(file_open(bad), -EFAULT);
	CHECK_EQ(conn_read(bad), -EFAULT);
	CHECK_EQ(conn_write(bad), -EFAULT);
	return 0;
}

/* ---- what is no overflow ---- */

static char *volatile nowhere = (char *)16;

static void write_to_nowhere(void *arg)
{
	(void)arg;
	*nowhere = 1;
}

static int fault_elsewhere(void)
{
	weft_go(write_to_nowhere, NULL);
	weft_sleep(60 * WEFT_S);
	return 0;
}

static void see_killed(void)
{
	CHECK_EQ(child.status, 128 + SIGSEGV);
	CHECK_STR(child.err, "");
}

/* The sanitizers report in their own words. */
static void see_reported(void)
{
	CHECK(child.status && child.status != 2);
	CHECK(!strstr(child.err, "fatal:") && !strstr(child.err, "stack overflow"));
	CHECK(strstr(child.err, "SEGV on unknown address"));
}

TEST(a_bad_pointer_kills_as_without_weft)
{
	on_one_and_two(fault_elsewhere, test_is_slow() ? see_reported : see_killed);
}

static weft_chan *told;

static void tell_guard(void *arg)
{
	char *guarded = stack_base(own_stack()) - 1;
	weft_send(told, &guarded);
	weft_recv(arg, NULL);
}

/* Another's guard: nobody stands on that stack. */
static int write_to_a_guard(void)
{
	char *guarded;
	told = weft_chan_make(sizeof guarded, 0);
	weft_go(tell_guard, weft_chan_make(0, 0));
	weft_recv(told, &guarded);
	*(volatile char *)guarded = 1;
	return 0;
}

TEST(a_bad_pointer_into_another_guard_is_no_overflow)
{
	on_one_and_two(write_to_a_guard, test_is_slow() ? see_reported : see_killed);
}

static int send_oneself_a_fault(void)
{
	kill(getpid(), SIGSEGV);
	weft_sleep(60 * WEFT_S);
	return 0;
}

static void see_sent(void)
{
	CHECK(test_is_slow() ? child.status && child.status != 2 : child.status == 128 + SIGSEGV);
	CHECK(!strstr(child.err, "stack overflow"));
}

TEST(a_signal_that_was_sent_is_no_overflow)
{
	on_one_and_two(send_oneself_a_fault, see_sent);
}

static int send_oneself_a_fault_that_is_ignored(void)
{
	kill(getpid(), SIGSEGV);
	weft_sleep(WEFT_MS);
	kill(getpid(), SIGSEGV);
	return 7;
}

static void run_ignoring(void)
{
	signal(SIGSEGV, SIG_IGN);
	run_app();
}

TEST(a_sent_signal_that_is_ignored_stays_ignored)
{
	app = send_oneself_a_fault_that_is_ignored;
	procs = 2;
	test_in_child(&child, run_ignoring);
	CHECK_EQ(child.status, 7);
}

/* ---- a handler of the program's ---- */

static sigset_t mask_inside;
static void *volatile address_seen;
static char *page;

static void make_writable(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	pthread_sigmask(SIG_SETMASK, NULL, &mask_inside);
	address_seen = info->si_addr;
	mprotect(page, OS_PAGE, PROT_READ | PROT_WRITE);
}

static void install_own_handler(int flags)
{
	struct sigaction action = {.sa_sigaction = make_writable, .sa_flags = SA_SIGINFO | flags};
	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR1);
	CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
	page = mmap(NULL, OS_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
}

static void write_to_page(void *arg)
{
	(void)arg;
	errno = 77;
	*(volatile char *)(page + 9) = 1;
	CHECK_EQ(errno, 77);
	CHECK(address_seen == page + 9);
	CHECK(sigismember(&mask_inside, SIGUSR1) && sigismember(&mask_inside, SIGSEGV));
	weft_waitgroup_done(&join);
}

static int fault_and_go_on(void)
{
	weft_waitgroup_add(&join, 1);
	weft_go(write_to_page, NULL);
	weft_waitgroup_wait(&join);
	return 5;
}

static void run_with_own_handler(void)
{
	install_own_handler(0);
	run_app();
}

TEST(a_handler_that_was_there_before_gets_what_is_no_overflow)
{
	app = fault_and_go_on;
	procs = 2;
	test_in_child(&child, run_with_own_handler);
	if (child.status != 5)
		test_fail(__FILE__, __LINE__, "status %d:\n%s", child.status, child.err);
}

TEST(and_not_the_overflows)
{
	app = overflow_named;
	procs = 2;
	test_in_child(&child, run_with_own_handler);
	see_named();
}

static int fault_twice(void)
{
	fault_and_go_on();
	CHECK_EQ(mprotect(page, OS_PAGE, PROT_NONE), 0);
	*(volatile char *)page = 1;
	return 0;
}

static void run_with_handler_for_once(void)
{
	install_own_handler((int)SA_RESETHAND);
	run_app();
}

TEST(a_handler_for_once_is_called_once)
{
	app = fault_twice;
	procs = 2;
	test_in_child(&child, run_with_handler_for_once);
	CHECK_EQ(child.status, 128 + SIGSEGV);
}

/* ---- two at a time ---- */

static void meet_and_overflow(void *arg)
{
	static _Atomic int here;
	here++;
	while (here < 2)
		;
	overflow(arg);
}

static int overflow_twice_at_once(void)
{
	weft_go(meet_and_overflow, NULL);
	weft_go(meet_and_overflow, NULL);
	weft_sleep(60 * WEFT_S);
	return 0;
}

TEST(of_two_at_once_one_speaks)
{
	app = overflow_twice_at_once;
	procs = 2;
	for (int i = 0; i < 20; i++) {
		test_in_child(&child, run_app);
		CHECK_EQ(child.status, 2);
		CHECK_EQ(occurrences("fatal: goroutine "), 1);
		CHECK_EQ(occurrences("\ngoroutine "), 1);
		must_hold("\n  recurse");
	}
}
