#include "tests/unit/waiting.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_DEEP = 40 };

/* Keeps the call before it from becoming a jump, which would leave no frame. */
static void stay(void)
{
	__asm__ volatile("" ::: "memory");
}

static weft_chan *never;
static weft_mutex held, free_one;
static weft_rwmutex read_by_main;
static weft_cond nobody_signals;
static weft_sem empty;
static _Atomic int arrived, computing;
static _Atomic bool enough;

static void receive_for_ever(void *arg)
{
	(void)arg;
	atomic_fetch_add(&arrived, 1);
	weft_recv(never, NULL);
	stay();
}

static void send_for_ever(void *arg)
{
	static int one = 1;
	(void)arg;
	atomic_fetch_add(&arrived, 1);
	weft_send(weft_chan_make(sizeof one, 0), &one);
	stay();
}

static void lock_for_ever(void *arg)
{
	(void)arg;
	atomic_fetch_add(&arrived, 1);
	weft_mutex_lock(&held);
	stay();
}

static void write_for_ever(void *arg)
{
	(void)arg;
	atomic_fetch_add(&arrived, 1);
	weft_rwmutex_lock(&read_by_main);
	stay();
}

static void wait_for_ever(void *arg)
{
	(void)arg;
	weft_mutex_lock(&free_one);
	atomic_fetch_add(&arrived, 1);
	weft_cond_wait(&nobody_signals, &free_one);
	stay();
}

static void acquire_for_ever(void *arg)
{
	(void)arg;
	atomic_fetch_add(&arrived, 1);
	weft_sem_acquire(&empty, 1);
	stay();
}

static void sleep_for_long(void *arg)
{
	(void)arg;
	atomic_fetch_add(&arrived, 1);
	weft_sleep(3600 * WEFT_S);
	stay();
}

static __attribute__((noinline)) void deep(int left)
{
	if (left)
		deep(left - 1);
	else
		receive_for_ever(NULL);
	stay();
}

static void deep_for_ever(void *arg)
{
	(void)arg;
	deep(FRAMES_DEEP);
}

static void block_for_long(void *arg)
{
	(void)arg;
	weft_block_begin();
	atomic_fetch_add(&arrived, 1);
	while (!atomic_load(&enough))
		usleep(1000);
	weft_block_end();
}

static void compute(void *arg)
{
	(void)arg;
	atomic_fetch_add(&computing, 1);
	while (!atomic_load(&enough))
		;
}

static void make_company(void)
{
	static const weft_go_opts named = {.name = "worker"};
	never = weft_chan_make(0, 0);
	weft_mutex_lock(&held);
	CHECK_EQ(weft_go_with(&named, receive_for_ever, NULL), 0);
	weft_go(send_for_ever, NULL);
	weft_go(lock_for_ever, NULL);
	weft_rwmutex_rlock(&read_by_main);
	weft_go(write_for_ever, NULL);
	weft_go(wait_for_ever, NULL);
	weft_go(acquire_for_ever, NULL);
	weft_go(sleep_for_long, NULL);
	weft_go(deep_for_ever, NULL);
	weft_go(block_for_long, NULL);
	while (atomic_load(&arrived) < 9)
		weft_sleep(WEFT_MS);
	weft_sleep(WEFT_MS); /* from the count to the wait */
}

/* What a dump must say of the company, whoever asks for it. */
static void check_company(const char *dump)
{
	CHECK(strstr(dump, "[chan receive] name=worker:\n"));
	CHECK(strstr(dump, "  receive_for_ever+0x"));
	CHECK(strstr(dump, "dump.c:"));
	CHECK(strstr(dump, "[chan send]:\n"));
	CHECK(strstr(dump, "  send_for_ever+0x"));
	CHECK(strstr(dump, "[mutex]:\n"));
	CHECK(strstr(dump, "  lock_for_ever+0x"));
	CHECK(strstr(dump, "[rwmutex]:\n"));
	CHECK(strstr(dump, "  write_for_ever+0x"));
	CHECK(strstr(dump, "[cond]:\n"));
	CHECK(strstr(dump, "  wait_for_ever+0x"));
	CHECK(strstr(dump, "[semaphore]:\n"));
	CHECK(strstr(dump, "  acquire_for_ever+0x"));
	CHECK(strstr(dump, "[sleep]:\n"));
	CHECK(strstr(dump, "  sleep_for_long+0x"));
	CHECK(strstr(dump, "[syscall"));
	CHECK(strstr(dump, " more\ncreated by goroutine 1 at dump.c:")); /* the deep one */
}

static int quit_in_company(void)
{
	make_company();
	kill(getpid(), SIGQUIT);
	weft_sleep(3600 * WEFT_S);
	return 0;
}

static void quit_p1(void)
{
	run_weft(1, quit_in_company);
}

static void quit_p2(void)
{
	run_weft(2, quit_in_company);
}

static void check_quit(void (*run)(void))
{
	static const char head[] = "SIGQUIT: 10 goroutines\n\ngoroutine 1 [";
	struct test_child child;
	test_in_child(&child, run);
	CHECK_EQ(child.status, 2);
	CHECK(!strncmp(child.err, head, strlen(head)));
	check_company(child.err);
}

TEST(sigquit_prints_all_goroutines_main_first_and_ends_with_2)
{
	check_quit(quit_p1);
	check_quit(quit_p2);
}

static weft_once endless;

static void come_to_it(void *arg)
{
	(void)arg;
	atomic_fetch_add(&arrived, 1);
	weft_once_do(&endless, receive_for_ever, NULL);
	stay();
}

static int quit_beside_a_once(void)
{
	never = weft_chan_make(0, 0);
	weft_go(come_to_it, NULL);
	while (atomic_load(&arrived) < 2)
		weft_sleep(WEFT_MS);
	weft_go(come_to_it, NULL);
	while (atomic_load(&arrived) < 3)
		weft_sleep(WEFT_MS);
	await_waiting(WAIT_MUTEX, 1);
	kill(getpid(), SIGQUIT);
	weft_sleep(3600 * WEFT_S);
	return 0;
}

static void beside_a_once(void)
{
	run_weft(2, quit_beside_a_once);
}

TEST(who_waits_for_anothers_once_is_shown_as_waiting_for_a_mutex)
{
	struct test_child child;
	test_in_child(&child, beside_a_once);
	CHECK_EQ(child.status, 2);
	const char *waiter = strstr(child.err, "\ngoroutine 3 [mutex]:\n");
	CHECK(waiter && strstr(waiter, "  come_to_it+0x"));
	CHECK(strstr(child.err, "\ngoroutine 2 [chan receive]:\n"));
}

/* Nobody parks, no P looks around, and nobody is asleep. */
static int quit_while_all_compute(void)
{
	for (int i = 1; i < weft_procs(); i++)
		weft_go(compute, NULL);
	while (atomic_load(&computing) + 1 < weft_procs())
		weft_yield();
	kill(getpid(), SIGQUIT);
	compute(NULL);
	return 0;
}

static void computing_p1(void)
{
	run_weft(1, quit_while_all_compute);
}

static void computing_p2(void)
{
	run_weft(2, quit_while_all_compute);
}

static void no_preemption(void)
{
	setenv("WEFT_DEBUG", "nopreempt", 1);
	run_weft(2, quit_while_all_compute);
}

TEST(sigquit_is_heard_while_all_compute)
{
	static void (*const runs[])(void) = {computing_p1, computing_p2, no_preemption};
	for (int i = 0; i < 3; i++) {
		struct test_child child;
		test_in_child(&child, runs[i]);
		CHECK_EQ(child.status, 2);
		CHECK(!strncmp(child.err, i ? "SIGQUIT: 2 goroutines\n" : "SIGQUIT: 1 goroutines\n", 22));
		CHECK(strstr(child.err, "goroutine 1 [running]:\n"));
	}
}

static int subscribe_and_quit(void)
{
	weft_chan *c = weft_chan_make_leaf(sizeof(int), 1);
	int signo = 0;
	CHECK_EQ(weft_signal_notify(c, SIGQUIT), 0);
	kill(getpid(), SIGQUIT);
	CHECK(weft_recv(c, &signo));
	CHECK_EQ(signo, SIGQUIT);
	weft_signal_stop(c);
	kill(getpid(), SIGQUIT);
	weft_sleep(3600 * WEFT_S);
	return 0;
}

static void subscribed(void)
{
	run_weft(2, subscribe_and_quit);
}

TEST(a_subscription_takes_sigquit_and_its_end_gives_it_back)
{
	struct test_child child;
	test_in_child(&child, subscribed);
	CHECK_EQ(child.status, 2);
	CHECK(!strncmp(child.err, "SIGQUIT: 1 goroutines\n", 22));
}

static int quit_in_vain(void)
{
	kill(getpid(), SIGQUIT);
	weft_sleep(20 * WEFT_MS);
	return 0;
}

static void ignored(void)
{
	signal(SIGQUIT, SIG_IGN);
	run_weft(1, quit_in_vain);
}

static void handled(void)
{
	signal(SIGQUIT, (void (*)(int))(uintptr_t)sync); /* of the program's own */
	run_weft(1, quit_in_vain);
}

TEST(a_sigquit_that_the_program_ignores_or_handles_stays_so)
{
	struct test_child child;
	test_in_child(&child, ignored);
	CHECK_EQ(child.status, 0);
	CHECK_STR(child.err, "");
	test_in_child(&child, handled);
	CHECK_EQ(child.status, 0);
	CHECK_STR(child.err, "");
}

static char words[1 << 16];

/* All that has been written to a file. */
static char *read_back(FILE *file)
{
	CHECK(fseek(file, 0, SEEK_SET) == 0);
	size_t n = fread(words, 1, sizeof words - 1, file);
	words[n] = 0;
	return words;
}

TEST_GO(a_dump_says_the_same_and_the_program_goes_on)
{
	FILE *file = tmpfile();
	CHECK(file);
	make_company();
	weft_dump(fileno(file));
	char *dump = read_back(file);
	CHECK(!strncmp(dump, "\ngoroutine 1 [running]:\n", 24));
	CHECK(strstr(dump, "app_a_dump_says_the_same_and_the_program_goes_on+0x"));
	check_company(dump);
	atomic_store(&enough, true);
	fclose(file);
	return 0;
}

TEST_GO(a_wait_of_a_second_carries_its_duration)
{
	FILE *file = tmpfile();
	CHECK(file);
	never = weft_chan_make(0, 0);
	weft_go(receive_for_ever, NULL);
	weft_sleep(1200 * WEFT_MS);
	weft_dump(fileno(file));
	const char *at = strstr(read_back(file), "[chan receive, ");
	CHECK(at && strstr(at, "s]:\n"));
	fclose(file);
	return 0;
}
