/* A storm of signals from another process, while goroutines subscribe, receive, end subscriptions and free channels. Signals
 * coalesce; but whoever looks after the last one finds it. */
#include "lockfree/atomic.h"
#include "tests/unit/go.h"

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
} *storm;

static int64_t rounds;
static weft_chan *channels[RECEIVERS];
static weft_waitgroup receiving, changing;
static _Atomic bool over;

static void blow(pid_t target)
{
	while (!load_acq(&storm->may_begin))
		usleep(1000);
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

static int weather(void)
{
	for (int k = 0; k < RECEIVERS; k++) {
		channels[k] = weft_chan_make_leaf(sizeof(int), 1);
		CHECK_EQ(weft_signal_notify(channels[k], kinds[k]), 0);
	}
	store_rel(&storm->may_begin, true);
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

static void under(int procs)
{
	int status;
	pid_t target = getpid();
	rounds = test_rounds(20000);
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
	under(1);
}

TEST(the_last_signal_of_a_storm_is_seen_p2)
{
	under(2);
}
