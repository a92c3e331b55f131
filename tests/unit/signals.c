#include "runtime/sched.h"
#include "tests/unit/outside.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static weft_chan *signals_made(size_t room)
{
	return weft_chan_make_leaf(sizeof(int), room);
}

static void raise_here(int signo)
{
	CHECK_EQ(kill(getpid(), signo), 0);
}

static int received(weft_chan *c)
{
	int signo = 0;
	CHECK(weft_recv(c, &signo));
	return signo;
}

/* Whatever has been received was sent to all: the dispatcher has finished with it, as it comes to another one. */
static void settle(void)
{
	weft_chan *c = signals_made(1);
	CHECK_EQ(weft_signal_notify(c, SIGRTMAX), 0);
	raise_here(SIGRTMAX);
	CHECK_EQ(received(c), SIGRTMAX);
	weft_chan_free(c);
}

TEST_GO(a_signal_arrives_as_its_number)
{
	static const int signo[] = {SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGUSR1, SIGTERM, SIGCHLD, SIGPIPE, SIGWINCH};
	weft_chan *c = signals_made(1);
	for (size_t i = 0; i < sizeof signo / sizeof *signo; i++) {
		CHECK_EQ(weft_signal_notify(c, signo[i]), 0);
		raise_here(signo[i]);
		CHECK_EQ(received(c), signo[i]);
	}
	CHECK_EQ(weft_signal_notify(c, SIGRTMIN), 0);
	CHECK_EQ(weft_signal_notify(c, SIGRTMAX), 0);
	raise_here(SIGRTMIN);
	CHECK_EQ(received(c), SIGRTMIN);
	raise_here(SIGRTMAX);
	CHECK_EQ(received(c), SIGRTMAX);
	return 0;
}

TEST_GO(a_waiting_receiver_needs_no_room)
{
	struct meanwhile m;
	struct pipe_ends p = pipe_open(0);
	weft_chan *c = signals_made(0);
	CHECK_EQ(weft_signal_notify(c, SIGIO), 0);
	CHECK_EQ(fcntl(p.out, F_SETOWN, getpid()), 0);
	CHECK_EQ(fcntl(p.out, F_SETFL, O_ASYNC), 0);
	meanwhile_start(&m, p.in); /* its byte raises SIGIO */
	CHECK_EQ(received(c), SIGIO);
	meanwhile_end(&m);
	return 0;
}

TEST_GO(several_channels_and_several_signals)
{
	weft_chan *a = signals_made(8), *b = signals_made(8);
	CHECK_EQ(weft_signal_notify(a, SIGUSR1), 0);
	CHECK_EQ(weft_signal_notify(a, SIGUSR2), 0);
	CHECK_EQ(weft_signal_notify(b, SIGUSR2), 0);
	CHECK_EQ(weft_signal_notify(b, SIGUSR2), 0); /* once */
	raise_here(SIGUSR1);
	CHECK_EQ(received(a), SIGUSR1);
	raise_here(SIGUSR2);
	CHECK_EQ(received(a), SIGUSR2);
	CHECK_EQ(received(b), SIGUSR2);
	settle();
	CHECK_EQ(weft_chan_len(a) + weft_chan_len(b), 0);
	CHECK_EQ(load_seq(&sched.xoutside), 3);
	return 0;
}

TEST_GO(a_full_channel_drops_and_holds_nobody_up)
{
	weft_chan *full = signals_made(1), *none = signals_made(0), *room = signals_made(8);
	CHECK_EQ(weft_signal_notify(full, SIGUSR1), 0);
	CHECK_EQ(weft_signal_notify(none, SIGUSR1), 0);
	CHECK_EQ(weft_signal_notify(room, SIGUSR1), 0);
	for (int i = 0; i < 5; i++) {
		raise_here(SIGUSR1);
		CHECK_EQ(received(room), SIGUSR1);
	}
	CHECK_EQ(weft_chan_len(full), 1);
	CHECK_EQ(received(full), SIGUSR1);
	CHECK_EQ(weft_try_recv(none, NULL), -EAGAIN);
	return 0;
}

TEST_GO(what_cannot_be_had_is_refused)
{
	static const int refused[] = {SIGKILL, SIGSTOP, SIGURG, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 0, -1, 32, 33, 65, 1 << 20};
	weft_chan *c = signals_made(1), *wide = weft_chan_make(8, 1), *closed = signals_made(1);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		CHECK_EQ(weft_signal_notify(c, refused[i]), -EINVAL);
		CHECK_EQ(weft_signal_notify(NULL, refused[i]), -EINVAL);
	}
	weft_close(closed);
	CHECK_EQ(weft_signal_notify(wide, SIGUSR1), -EINVAL);
	CHECK_EQ(weft_signal_notify(closed, SIGUSR1), -EINVAL);
	CHECK_EQ(weft_signal_notify(NULL, SIGUSR1), 0);
	weft_signal_stop(NULL);
	weft_signal_stop(c);
	CHECK_EQ(load_seq(&sched.xoutside), 0);
	weft_chan_free(c);
	weft_chan_free(wide);
	weft_chan_free(closed);
	return 0;
}

TEST(before_weft_runs_it_is_refused)
{
	CHECK_EQ(weft_signal_notify(NULL, SIGUSR1), -EINVAL);
}

/* ---- the end of a subscription ---- */

enum way { BY_NULL, BY_STOP, BY_CLOSE, BY_FREE, WAYS };

static void end_by(enum way way, weft_chan *c)
{
	switch (way) {
	case BY_NULL:
		CHECK_EQ(weft_signal_notify(NULL, SIGUSR1), 0);
		break;
	case BY_STOP:
		weft_signal_stop(c);
		break;
	case BY_CLOSE:
		weft_close(c);
		break;
	default:
		weft_chan_free(c);
	}
}

static enum way way;

static int app_ends(void)
{
	weft_chan *c = signals_made(1);
	CHECK_EQ(weft_signal_notify(c, SIGUSR1), 0);
	raise_here(SIGUSR1);
	CHECK_EQ(received(c), SIGUSR1);
	end_by(way, c);
	raise_here(SIGUSR1);
	for (;;)
		weft_sleep(WEFT_S);
}

static void dies_of_its_signal(void)
{
	run_weft(2, app_ends);
}

TEST(without_a_subscription_a_signal_does_what_it_did)
{
	static struct test_child child;
	for (way = 0; way < WAYS; way++) {
		test_in_child(&child, dies_of_its_signal);
		CHECK_EQ(child.status, 128 + SIGUSR1);
	}
}

static _Atomic int handled;

static void count(int signo)
{
	(void)signo;
	handled++;
}

static int app_gives_back(void)
{
	weft_chan *c = signals_made(1);
	for (way = 0; way < WAYS; way++) {
		CHECK_EQ(weft_signal_notify(c, SIGUSR1), 0);
		raise_here(SIGUSR1);
		CHECK_EQ(received(c), SIGUSR1);
		CHECK_EQ(handled, way);
		end_by(way, c);
		raise_here(SIGUSR1);
		while (handled == (int)way)
			weft_sleep(WEFT_MS);
		if (way == BY_CLOSE)
			weft_chan_free(c);
		if (way >= BY_CLOSE)
			c = signals_made(1);
	}
	weft_chan_free(c);
	return 0;
}

TEST(a_handler_that_was_there_before_is_put_back)
{
	signal(SIGUSR1, count);
	CHECK_EQ(run_weft(2, app_gives_back), 0);
	CHECK_EQ(handled, WAYS);
}

/* One of two channels goes, by each way; the other still gets the signal, and the memory is not touched. */
TEST_GO(what_one_channel_does_is_not_the_others_affair)
{
	weft_chan *stays = signals_made(1);
	for (way = BY_STOP; way < WAYS; way++) {
		weft_chan *goes = signals_made(1);
		CHECK_EQ(weft_signal_notify(goes, SIGUSR1), 0);
		CHECK_EQ(weft_signal_notify(stays, SIGUSR1), 0);
		CHECK_EQ(weft_signal_notify(goes, SIGUSR2), 0);
		end_by(way, goes);
		for (int i = 0; i < 3; i++) {
			raise_here(SIGUSR1);
			CHECK_EQ(received(stays), SIGUSR1);
		}
		CHECK_EQ(load_seq(&sched.xoutside), 1);
		if (way == BY_STOP)
			CHECK_EQ(weft_chan_len(goes), 0);
		if (way != BY_FREE)
			weft_chan_free(goes);
	}
	return 0;
}

/* ---- who takes it ---- */

static int app_blocked(void)
{
	weft_chan *c = signals_made(1);
	CHECK_EQ(weft_signal_notify(c, SIGUSR1), 0);
	raise_here(SIGUSR1);
	CHECK_EQ(received(c), SIGUSR1);
	return 0;
}

TEST(a_signal_that_the_program_blocks_arrives)
{
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	sigprocmask(SIG_BLOCK, &all, NULL);
	CHECK_EQ(run_weft(2, app_blocked), 0);
}

static void compute(void *c)
{
	while (!weft_chan_len(c))
		for (volatile int i = 0; i < 1000; i++)
			;
}

/* The goroutine that raises it has ended before, and no P comes to anything else. */
TEST_GO(a_signal_is_delivered_while_goroutines_compute)
{
	weft_chan *c = signals_made(1);
	CHECK_EQ(weft_signal_notify(c, SIGUSR1), 0);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(50000);
		_exit(kill(getppid(), SIGUSR1));
	}
	for (int i = 1; i < weft_procs(); i++)
		weft_go(compute, c);
	set_error(77);
	compute(c);
	CHECK_EQ(last_error(), 77);
	CHECK_EQ(received(c), SIGUSR1);
	CHECK_EQ(weft_wait_process(pid, NULL, WEFT_NEVER), 0);
	return 0;
}

static void *raise_a_few(void *arg)
{
	CHECK_EQ(weft_signal_notify(arg, SIGUSR1), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(pthread_kill(pthread_self(), SIGUSR1), 0);
		CHECK_EQ(received(arg), SIGUSR1);
	}
	weft_chan_free(arg);
	return NULL;
}

TEST_GO(a_thread_outside_may_do_the_same)
{
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, raise_a_few, signals_made(1)), 0);
	weft_block_begin();
	pthread_join(thread, NULL);
	weft_block_end();
	return 0;
}

/* ---- deadlocks ---- */

/* Nothing else is there: no timer, no socket, no thread of the program's. */
static int app_waits_alone(void)
{
	weft_chan *c = signals_made(1);
	CHECK_EQ(weft_signal_notify(c, SIGTERM), 0);
	sleep_where_signals_arrive();
	CHECK_EQ(write(STDOUT_FILENO, "\n", 1), 1);
	CHECK_EQ(received(c), SIGTERM);
	return 5;
}

static void waits_alone(int procs)
{
	char line;
	int status;
	struct pipe_ends p = pipe_open(0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p.in, STDOUT_FILENO);
		_exit(run_weft(procs, app_waits_alone));
	}
	CHECK_EQ(read(p.out, &line, 1), 1);
	usleep(150000);
	CHECK_EQ(kill(pid, SIGTERM), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 5);
}

TEST(waiting_for_a_signal_is_no_deadlock_p1)
{
	waits_alone(1);
}

TEST(waiting_for_a_signal_is_no_deadlock_p2)
{
	waits_alone(2);
}

static int app_waits_for_nothing(void)
{
	weft_chan *c = signals_made(1);
	CHECK_EQ(weft_signal_notify(c, SIGUSR1), 0);
	raise_here(SIGUSR1);
	CHECK_EQ(received(c), SIGUSR1);
	weft_signal_stop(c);
	return received(c);
}

static void waits_for_nothing_p1(void)
{
	run_weft(1, app_waits_for_nothing);
}

static void waits_for_nothing_p2(void)
{
	run_weft(2, app_waits_for_nothing);
}

TEST(waiting_for_a_signal_that_is_not_subscribed_to_is_a_deadlock)
{
	test_dies(waits_for_nothing_p1, "deadlock!\n");
	test_dies(waits_for_nothing_p2, "deadlock!\n");
}

static void *unsubscribe_late(void *c)
{
	usleep(50000);
	weft_signal_stop(c);
	for (;;)
		pause();
	return NULL;
}

/* The thread that ends it is taken for one of weft's own: only the subscription stands against the deadlock. */
static int app_is_left(void)
{
	pthread_t thread;
	weft_chan *c = signals_made(1);
	CHECK_EQ(weft_signal_notify(c, SIGUSR1), 0);
	add_seq(&sched.own_threads, 1);
	CHECK_EQ(pthread_create(&thread, NULL, unsubscribe_late, c), 0);
	return received(c);
}

static void is_left_p1(void)
{
	run_weft(1, app_is_left);
}

static void is_left_p2(void)
{
	run_weft(2, app_is_left);
}

TEST(the_last_subscription_leaves_a_deadlock_behind)
{
	test_dies(is_left_p1, "deadlock!\n");
	test_dies(is_left_p2, "deadlock!\n");
}
