#include "runtime/world.h"
#include "alloc/os.h"
#include "runtime/sched.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* Each kind of runner counts in a word of its own, and has a pattern of its own on its stack. */
enum { COMPUTES, YIELDS, CALLS, BLOCKS, ALLOCATES, SLEEPS, PARKED, ATTACHED, ATTACHED_PARKED, KINDS };

static _Atomic uint64_t counts[KINDS];
static _Atomic bool over;
static weft_waitgroup ended;
static weft_chan *never;

static void pause_for(long ns)
{
	struct timespec t = {.tv_nsec = ns};
	nanosleep(&t, NULL);
}

/* ThreadSanitizer keeps a signal back until the thread calls something that it knows. */
static void let_signals_in(void)
{
	if (test_is_slow())
		pause_for(1);
}

static uint64_t pattern_of(int kind)
{
	return 0x5ee5000000000000u | (uint64_t)kind << 32 | 0xabcdu;
}

static void step_of(int kind)
{
	switch (kind) {
	case COMPUTES:
	case ATTACHED:
		let_signals_in();
		break;
	case YIELDS:
		weft_yield();
		break;
	case CALLS:
		(void)weft_goroutine_id();
		(void)weft_chan_len(never);
		break;
	case BLOCKS:
		weft_block_begin();
		pause_for(1000);
		weft_block_end();
		break;
	case ALLOCATES:
		weft_keep_alive(weft_new_bytes(48));
		break;
	case SLEEPS:
		weft_sleep(10 * WEFT_US);
		break;
	default:
		weft_recv(never, NULL);
	}
}

static __attribute__((noinline)) void run_kind(int kind)
{
	volatile uint64_t pattern = pattern_of(kind);
	while (!load_rlx(&over)) {
		step_of(kind);
		(void)add_rlx(&counts[kind], 1);
	}
	CHECK_EQ(pattern, pattern_of(kind));
}

static void run(void *kind)
{
	run_kind((int)(intptr_t)kind);
	weft_waitgroup_done(&ended);
}

static void *run_attached(void *kind)
{
	CHECK_EQ(weft_attach(), 0);
	run_kind((int)(intptr_t)kind);
	weft_waitgroup_done(&ended);
	weft_detach();
	return NULL;
}

static void start_kind(intptr_t kind)
{
	pthread_t thread;
	weft_waitgroup_add(&ended, 1);
	if (kind < ATTACHED) {
		weft_go(run, (void *)kind);
		return;
	}
	CHECK_EQ(pthread_create(&thread, NULL, run_attached, (void *)kind), 0);
	pthread_detach(thread);
}

static void start_all(void)
{
	never = weft_chan_make(0, 0);
	for (intptr_t kind = 0; kind < KINDS; kind++)
		start_kind(kind);
	for (int kind = 0; kind < KINDS; kind++)
		while (kind != PARKED && kind != ATTACHED_PARKED && !load_rlx(&counts[kind]))
			weft_sleep(WEFT_MS);
}

static void end_all(void)
{
	store_rlx(&over, true);
	weft_close(never);
	weft_waitgroup_wait(&ended);
	weft_chan_free(never);
}

/* ---- nothing runs ---- */

static _Atomic int inside;

static void copy_counts(uint64_t *to)
{
	for (int kind = 0; kind < KINDS; kind++)
		to[kind] = load_rlx(&counts[kind]);
}

static void see_that_nothing_runs(void *rounds)
{
	uint64_t before[KINDS], after[KINDS];
	CHECK_EQ(add_rlx(&inside, 1), 0);
	copy_counts(before);
	pause_for(3000000);
	copy_counts(after);
	for (int kind = 0; kind < KINDS; kind++)
		CHECK_EQ(after[kind], before[kind]);
	(void)add_rlx((_Atomic int *)rounds, 1);
	(void)sub_rlx(&inside, 1);
}

TEST_GO(nothing_runs_while_the_world_stands)
{
	_Atomic int rounds = 0;
	start_all();
	for (int i = 1; i <= 10; i++) {
		uint64_t before = load_rlx(&counts[COMPUTES]);
		world_stand_still(see_that_nothing_runs, &rounds);
		CHECK_EQ(load_rlx(&rounds), i);
		while (load_rlx(&counts[COMPUTES]) == before) /* and then all goes on */
			weft_sleep(WEFT_MS / 10);
	}
	end_all();
	return 0;
}

static void ask_often(void *rounds)
{
	for (int i = 0; i < 5; i++)
		world_stand_still(see_that_nothing_runs, rounds);
	weft_waitgroup_done(&ended);
}

static _Atomic int rounds_of_many;

static void *ask_attached(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	ask_often(&rounds_of_many);
	weft_detach();
	return unused;
}

TEST_GO(those_who_ask_at_once_take_turns)
{
	pthread_t thread;
	start_all();
	weft_waitgroup_add(&ended, 4);
	for (int i = 0; i < 3; i++)
		weft_go(ask_often, &rounds_of_many);
	CHECK_EQ(pthread_create(&thread, NULL, ask_attached, NULL), 0);
	pthread_detach(thread);
	while (load_rlx(&rounds_of_many) < 20)
		weft_sleep(WEFT_MS);
	end_all();
	return 0;
}

static void do_nothing(void *unused)
{
	(void)unused;
}

/* Without a pause in between: an M that has not woken up yet must not pass for one that stands again. */
TEST_GO(it_stands_again_and_again)
{
	start_all();
	for (int i = 0; i < (test_is_slow() ? 20 : 300); i++)
		world_stand_still(i % 50 ? do_nothing : see_that_nothing_runs, &rounds_of_many);
	end_all();
	return 0;
}

/* ---- what they have ---- */

struct found {
	int times[KINDS];
	struct g *of[KINDS];
};

static NOT_INSTRUMENTED void look_for_patterns(void *arg, struct g *g, const void *from, const void *to)
{
	struct found *f = arg;
	for (const volatile uint64_t *at = from; at < (const volatile uint64_t *)to; at++)
		for (int kind = 0; kind < KINDS; kind++)
			if (*at == pattern_of(kind) && f->of[kind] != g) {
				f->times[kind]++;
				f->of[kind] = g;
			}
}

static void look_at_all(void *found)
{
	world_each_range(look_for_patterns, found);
}

TEST_GO(everybody_s_stack_is_seen_and_whose_it_is)
{
	struct found f = {{0}, {0}};
	start_all();
	weft_sleep(WEFT_MS); /* the parked ones park */
	world_stand_still(look_at_all, &f);
	for (int kind = 0; kind < KINDS; kind++) {
		CHECK_EQ(f.times[kind], 1);
		CHECK_EQ(load_rlx(&f.of[kind]->is_thread), kind >= ATTACHED);
		for (int other = 0; other < kind; other++)
			CHECK(f.of[other] != f.of[kind]);
	}
	end_all();
	return 0;
}

/* ---- who comes ---- */

static void *attach_often(void *unused)
{
	while (!load_rlx(&over)) {
		CHECK_EQ(weft_attach(), 0);
		(void)add_rlx(&counts[ATTACHED], 1);
		weft_detach();
	}
	weft_waitgroup_done(&ended);
	return unused;
}

static void see_that_nobody_has_come(void *found)
{
	uint64_t before = load_rlx(&counts[ATTACHED]);
	look_at_all(found);
	pause_for(100000);
	CHECK_EQ(load_rlx(&counts[ATTACHED]), before);
}

TEST_GO(who_attaches_meanwhile_waits)
{
	struct found f = {{0}, {0}};
	pthread_t thread;
	weft_waitgroup_add(&ended, 2);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pthread_create(&thread, NULL, attach_often, NULL), 0);
		pthread_detach(thread);
	}
	for (int i = 0; i < (test_is_slow() ? 50 : 500); i++)
		world_stand_still(see_that_nobody_has_come, &f);
	store_rlx(&over, true);
	weft_waitgroup_wait(&ended);
	return 0;
}

static __attribute__((noinline)) uint64_t keep_in_a_register(uint64_t word)
{
	while (!load_rlx(&over)) {
		__asm__ volatile("" : "+r"(word) : : "memory");
		(void)add_rlx(&counts[COMPUTES], 1);
		let_signals_in();
	}
	return word;
}

static void compute_with_a_word(void *word)
{
	uint64_t its = ~(uint64_t)(uintptr_t)word; /* on nobody's stack like this */
	CHECK_EQ(keep_in_a_register(its), its);
	weft_waitgroup_done(&ended);
}

static _Atomic int registers_seen;

static NOT_INSTRUMENTED void look_for_register(void *word, struct g *g, const void *from, const void *to)
{
	(void)g;
	for (const volatile uint64_t *at = from; at < (const volatile uint64_t *)to; at++)
		if (*at == ~(uint64_t)(uintptr_t)word)
			(void)add_rlx(&registers_seen, 1);
}

static void look_at_registers(void *word)
{
	world_each_range(look_for_register, word);
}

TEST_GO(what_is_in_a_register_is_seen)
{
	void *word = (void *)0x12345678abcd0000;
	weft_waitgroup_add(&ended, 1);
	weft_go(compute_with_a_word, word);
	while (!load_rlx(&counts[COMPUTES]))
		weft_sleep(WEFT_MS);
	world_stand_still(look_at_registers, word);
	CHECK(load_rlx(&registers_seen) > 0);
	store_rlx(&over, true);
	weft_waitgroup_wait(&ended);
	return 0;
}

/* ---- who comes back from where others looked at it on its behalf ---- */

enum { WORD = 0x7ee51234, COMINGS = 3000 };

static _Atomic bool waits;
static int in[2];

static __attribute__((noinline)) uint64_t keep_across_sections(uint64_t word)
{
	char byte;
	while (!load_rlx(&over)) {
		__asm__ volatile("" : "+r"(word));
		store_rlx(&waits, true);
		weft_block_begin();
		CHECK_EQ(read(in[0], &byte, 1), 1);
		weft_block_end();
		__asm__ volatile("" : "+r"(word));
	}
	return word;
}

static void come_back_from_sections(void *word)
{
	uint64_t its = ~(uint64_t)(uintptr_t)word;
	CHECK_EQ(keep_across_sections(its), its);
	weft_waitgroup_done(&ended);
}

static __attribute__((noinline)) uint64_t keep_across_waits(uint64_t word)
{
	while (!load_rlx(&over)) {
		__asm__ volatile("" : "+r"(word));
		store_rlx(&waits, true);
		weft_recv(never, NULL);
		__asm__ volatile("" : "+r"(word));
	}
	return word;
}

static void *come_back_attached(void *word)
{
	uint64_t its = ~(uint64_t)(uintptr_t)word;
	CHECK_EQ(weft_attach(), 0);
	CHECK_EQ(keep_across_waits(its), its);
	weft_detach();
	weft_waitgroup_done(&ended);
	return NULL;
}

static void wake_from_section(void)
{
	CHECK_EQ(write(in[1], "x", 1), 1);
}

static void wake_attached(void)
{
	weft_send(never, NULL);
}

static void wake_all_attached(void)
{
	weft_close(never);
}

/* It is woken, and the world is to stand a moment later. */
static void look_while_it_comes(void (*wake)(void), void (*wake_at_last)(void))
{
	while (!load_rlx(&waits))
		weft_sleep(WEFT_MS);
	weft_sleep(WEFT_MS);
	for (int i = 0, n = test_is_slow() ? COMINGS / 10 : COMINGS; i < n; i++) {
		wake();
		for (volatile int k = 0; k < i % 64 * 50; k++)
			;
		store_rlx(&registers_seen, 0);
		CHECK_EQ(world_stand_still(look_at_registers, (void *)(uintptr_t)WORD), 0);
		CHECK(load_rlx(&registers_seen) > 0);
	}
	store_rlx(&over, true);
	wake_at_last();
	weft_waitgroup_wait(&ended);
}

TEST_GO(who_comes_back_from_a_section_is_seen)
{
	CHECK_EQ(pipe2(in, O_CLOEXEC), 0);
	weft_waitgroup_add(&ended, 1);
	weft_go(come_back_from_sections, (void *)(uintptr_t)WORD);
	look_while_it_comes(wake_from_section, wake_from_section);
	close(in[0]);
	close(in[1]);
	return 0;
}

TEST_GO(an_attached_thread_that_comes_back_is_seen)
{
	pthread_t thread;
	never = weft_chan_make(0, 0);
	weft_waitgroup_add(&ended, 1);
	CHECK_EQ(pthread_create(&thread, NULL, come_back_attached, (void *)(uintptr_t)WORD), 0);
	look_while_it_comes(wake_attached, wake_all_attached);
	pthread_join(thread, NULL);
	weft_chan_free(never);
	return 0;
}

/* ---- who does not come to stand ---- */

static void mask_signal(int how)
{
	sigset_t urgent;
	sigemptyset(&urgent);
	sigaddset(&urgent, SIGURG);
	pthread_sigmask(how, &urgent, NULL);
}

static void *block_the_signal(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	mask_signal(SIG_BLOCK);
	(void)add_rlx(&counts[ATTACHED], 1);
	while (!load_rlx(&over))
		pause_for(1000000);
	mask_signal(SIG_UNBLOCK);
	weft_detach();
	weft_waitgroup_done(&ended);
	return unused;
}

TEST_GO(who_does_not_stand_is_given_up_and_the_rest_goes_on)
{
	pthread_t thread;
	weft_waitgroup_add(&ended, 1);
	CHECK_EQ(pthread_create(&thread, NULL, block_the_signal, NULL), 0);
	while (!load_rlx(&counts[ATTACHED]))
		weft_sleep(WEFT_MS);
	CHECK_EQ(world_stand_still(see_that_nothing_runs, &rounds_of_many), -EBUSY);
	CHECK_EQ(load_rlx(&rounds_of_many), 0);
	CHECK(world_late() > 0 && world_late() != os_thread());
	store_rlx(&over, true);
	weft_waitgroup_wait(&ended);
	pthread_join(thread, NULL);
	CHECK_EQ(world_stand_still(see_that_nothing_runs, &rounds_of_many), 0);
	CHECK_EQ(load_rlx(&rounds_of_many), 1);
	return 0;
}
