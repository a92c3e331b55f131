/* A storm of signals from another process, while goroutines subscribe, receive, end subscriptions and free channels. Signals
 * coalesce; but whoever looks after the last one finds it. */
#include "lockfree/atomic.h"
#include "tests/unit/outside.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECEIVERS = 3, CHANGERS = 3 };

static const int kinds[RECEIVERS] = {SIGUSR1, SIGTERM, SIGUSR2};

/* How many of a kind have been sent: counted before, by the other process. */
static struct storm {
	_Atomic int64_t sent[RECEIVERS];
	_Atomic bool may_begin;
	_Atomic int64_t answered; /* pairs */
} *storm;

static int64_t rounds;
static weft_chan *channels[RECEIVERS];
static weft_waitgroup receiving, changing;
static _Atomic bool over;

static void await_beginning(void)
{
	while (!load_acq(&storm->may_begin))
		usleep(1000);
}

static void send_storm(pid_t target)
{
	await_beginning();
	for (int64_t i = 0; i < rounds; i++)
		for (int k = 0; k < RECEIVERS; k++) {
			add_seq(&storm->sent[k], 1);
			if (kill(target, kinds[k]))
				_exit(1);
		}
	_exit(0);
}

/* After the last signal there is a value to be had: its own, or one that was there already. If it were lost, this would
 * wait for ever. */
static void receive_all(void *arg)
{
	int k = (int)(intptr_t)arg, signo;
	do {
		CHECK(weft_recv(channels[k], &signo));
		CHECK_EQ(signo, kinds[k]);
	} while (load_seq(&storm->sent[k]) < rounds);
	weft_waitgroup_done(&receiving);
}

/* Comes and goes: by stopping, closing, freeing. */
static void change(void *arg)
{
	unsigned turn = (unsigned)(uintptr_t)arg;
	for (; !load_acq(&over); turn++) {
		weft_chan *c = weft_chan_make_leaf(sizeof(int), turn % 3);
		for (int k = 0; k < RECEIVERS; k++)
			CHECK_EQ(weft_signal_notify(c, kinds[k]), 0);
		weft_recv_until(c, NULL, weft_in(20 * WEFT_US));
		if (turn % 3 == 0)
			weft_signal_stop(c);
		if (turn % 3 == 1)
			weft_close(c);
		weft_chan_free(c);
		weft_block_begin();
		weft_block_end();
	}
	weft_waitgroup_done(&changing);
}

static void subscribe(void)
{
	for (int k = 0; k < RECEIVERS; k++) {
		channels[k] = weft_chan_make_leaf(sizeof(int), 1);
		CHECK_EQ(weft_signal_notify(channels[k], kinds[k]), 0);
	}
	sleep_where_signals_arrive();
	store_rel(&storm->may_begin, true);
}

static int receive_storm(void)
{
	subscribe();
	weft_waitgroup_add(&receiving, RECEIVERS);
	weft_waitgroup_add(&changing, CHANGERS);
	for (int k = 0; k < RECEIVERS; k++)
		weft_go(receive_all, (void *)(intptr_t)k);
	for (int i = 0; i < CHANGERS; i++)
		weft_go(change, (void *)(intptr_t)i);
	weft_waitgroup_wait(&receiving);
	store_rel(&over, true);
	weft_waitgroup_wait(&changing);
	return 0;
}

/* Two signals, the second ever so little later, and then none until both have been answered. */
static void send_pairs(pid_t target)
{
	await_beginning();
	for (int64_t i = 0; i < rounds; i++) {
		if (kill(target, kinds[0]))
			_exit(1);
		for (int64_t spin = i % 1000; spin > 0; spin--)
			cpu_relax();
		if (kill(target, kinds[1]))
			_exit(1);
		while (load_acq(&storm->answered) <= i)
			cpu_relax();
	}
	_exit(0);
}

static int answer_pairs(void)
{
	int signo;
	subscribe();
	for (int64_t i = 0; i < rounds; i++) {
		CHECK(weft_recv(channels[0], &signo));
		CHECK(weft_recv(channels[1], &signo));
		add_seq(&storm->answered, 1);
	}
	return 0;
}

static void under(int procs, void (*blow)(pid_t), int (*weather)(void), int64_t n)
{
	int status;
	pid_t target = getpid();
	rounds = test_rounds(n);
	storm = mmap(NULL, sizeof *storm, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(storm != MAP_FAILED);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		blow(target);
	}
	CHECK_EQ(run_weft(procs, weather), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

TEST(the_last_signal_of_a_storm_is_seen_p1)
{
	under(1, send_storm, receive_storm, 20000);
}

TEST(the_last_signal_of_a_storm_is_seen_p2)
{
	under(2, send_storm, receive_storm, 20000);
}

/* A signal that comes while the one before it is being dispatched. */
TEST(the_second_of_two_signals_is_seen_p1)
{
	under(1, send_pairs, answer_pairs, 10000);
}

TEST(the_second_of_two_signals_is_seen_p2)
{
	under(2, send_pairs, answer_pairs, 10000);
}
