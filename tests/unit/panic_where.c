/* Where panics are raised: inside calls into weft, on another thread than the protect's, without a P, in blocking sections. */
#include "runtime/call.h"
#include "tests/unit/go.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int thread_now(void)
{
	return (int)syscall(SYS_gettid);
}

static bool inside_a_call(void)
{
	return load_rlx(&m_self()->xinside);
}

static bool in_section(void)
{
	return load_rlx(&m_g(m_self())->state) == G_SYSCALL;
}

static bool has_p(void)
{
	return m_p(m_self());
}

/* A goroutine's deferred calls may do what its own code may. */
static void live(void *ran)
{
	weft_waitgroup wg = {0};
	CHECK(!inside_a_call() && !in_section());
	weft_yield();
	CHECK_EQ(weft_waitgroup_wait_until(&wg, WEFT_NEVER), 0);
	weft_sleep(WEFT_US);
	++*(_Atomic int *)ran;
}

/* ---- inside a call ---- */

static void send_on_closed(void *ch)
{
	static _Atomic int ran;
	WEFT_DEFER(live, &ran);
	weft_send(ch, NULL);
}

static void try_send_on_closed(void *ch)
{
	weft_try_send(ch, NULL);
}

TEST_GO(the_call_that_panics_is_over_when_deferred_calls_run)
{
	weft_chan *ch = weft_chan_make(0, 1);
	weft_close(ch);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(weft_protect(i % 2 ? send_on_closed : try_send_on_closed, ch, NULL), 1);
		CHECK(!inside_a_call());
		CHECK(has_p());
	}
	weft_chan_free(ch);
	return 0;
}

/* sysmon asks in the middle of a call; the panic is that call's end. */
static void noted(void *ch)
{
	struct m *m = m_self();
	call_note(m, load_rlx(&m_p(m)->tick), NOTE_GIVE_UP);
	weft_try_send(ch, NULL);
}

static int give_up_by_panic(void)
{
	weft_chan *ch = weft_chan_make(0, 1);
	weft_close(ch);
	while (has_p()) /* the note is void if the P has looked around in between */
		CHECK_EQ(weft_protect(noted, ch, NULL), 1);
	CHECK_EQ(load_rlx(&m_self()->xnote), NOTE_NONE);
	CHECK(!inside_a_call());
	weft_yield();
	CHECK(has_p());
	weft_chan_free(ch);
	return 0;
}

TEST(a_panic_does_what_sysmon_asks_of_the_call)
{
	CHECK_EQ(run_weft(2, give_up_by_panic), 0);
}

/* ---- on another thread ---- */

/* A blocking section that lasts costs the goroutine its P, and it goes on with another, on another thread. */
static void move(void *unused)
{
	int at_first = thread_now();
	(void)unused;
	while (thread_now() == at_first) {
		weft_block_begin();
		usleep(500);
		weft_block_end();
	}
}

static void move_and_panic(void *unused)
{
	move(unused);
	weft_panic("elsewhere");
}

static void move_while_panicking(void *unused)
{
	(void)unused;
	WEFT_DEFER(move, NULL);
	weft_panic("here");
}

static void move_and_misuse(void *ch)
{
	WEFT_DEFER(move, NULL);
	move(NULL);
	weft_send(ch, NULL);
}

TEST_GO(a_goroutine_may_move_between_protect_and_panic_and_jump)
{
	weft_chan *ch = weft_chan_make(0, 1);
	weft_close(ch);
	for (int i = 0; i < 20; i++) {
		weft_panic_info info;
		int before = thread_now();
		CHECK_EQ(weft_protect(move_and_panic, NULL, &info), 1);
		CHECK(thread_now() != before);
		CHECK_STR(info.message, "elsewhere");
		CHECK_EQ(info.goroutine, 1);
		before = thread_now();
		CHECK_EQ(weft_protect(move_while_panicking, NULL, NULL), 1);
		CHECK(thread_now() != before);
		CHECK_EQ(weft_protect(move_and_misuse, ch, NULL), 1);
		CHECK(!inside_a_call());
	}
	weft_chan_free(ch);
	return 0;
}

/* ---- without a P ---- */

static _Atomic bool wanted;
static weft_waitgroup sleepers;

static void keep_wanting(void *unused)
{
	(void)unused;
	while (wanted)
		weft_sleep(WEFT_MS);
	weft_waitgroup_done(&sleepers);
}

/* Others want every P, so that one which computes loses its own. */
static void have_every_p_wanted(void)
{
	wanted = true;
	weft_waitgroup_add(&sleepers, weft_procs());
	for (int i = 1; i <= weft_procs(); i++)
		CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = i}, keep_wanting, NULL), 0);
	weft_sleep(WEFT_MS);
}

static void let_them_end(void)
{
	wanted = false;
	weft_waitgroup_wait(&sleepers);
}

static void panic_without_p(void *ran)
{
	WEFT_DEFER(live, ran);
	while (sched_getscheduler(0) != SCHED_BATCH)
		;
	CHECK(!has_p());
	weft_panic("no P");
}

static void misuse_without_p(void *ch)
{
	while (sched_getscheduler(0) != SCHED_BATCH)
		;
	weft_try_send(ch, NULL);
}

TEST_GO(one_whose_p_was_taken_may_panic)
{
	_Atomic int ran = 0;
	weft_chan *ch = weft_chan_make(0, 1);
	weft_close(ch);
	have_every_p_wanted();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(weft_protect(panic_without_p, &ran, NULL), 1);
		CHECK(has_p()); /* by what was deferred */
		CHECK_EQ(weft_protect(misuse_without_p, ch, NULL), 1);
		CHECK(!has_p());
		CHECK(!inside_a_call());
		weft_yield();
		CHECK(has_p());
	}
	CHECK_EQ(ran, 3);
	let_them_end();
	weft_chan_free(ch);
	return 0;
}

/* ---- in a blocking section ---- */

static void panic_blocked(void *ran)
{
	WEFT_DEFER(live, ran);
	weft_block_begin();
	weft_panic("blocked");
}

static void end_section(void *ran)
{
	CHECK(in_section());
	weft_block_end();
	++*(_Atomic int *)ran;
}

static void end_section_by_deferred_call(void *ran)
{
	WEFT_DEFER(live, ran);
	weft_block_begin();
	WEFT_DEFER(end_section, ran);
	weft_panic("blocked");
}

static void wait_in_section(void *ran)
{
	WEFT_DEFER(live, ran);
	weft_block_begin();
	weft_yield();
}

static void defer_in_section(void *unused)
{
	(void)unused;
	CHECK(in_section());
}

static void panic_where_protected(void *unused)
{
	(void)unused;
	WEFT_DEFER(defer_in_section, NULL);
	weft_panic("inside all the while");
}

TEST_GO(a_blocking_section_ends_with_what_was_registered_in_it)
{
	_Atomic int ran = 0;
	weft_panic_info info;
	CHECK_EQ(weft_protect(panic_blocked, &ran, NULL), 1);
	CHECK(!in_section() && ran == 1);
	CHECK_EQ(weft_protect(end_section_by_deferred_call, &ran, NULL), 1);
	CHECK(!in_section() && ran == 3);
	CHECK_EQ(weft_protect(wait_in_section, &ran, &info), 1);
	CHECK_STR(info.message, "blocking call of weft's between weft_block_begin and weft_block_end");
	CHECK(!in_section() && ran == 4);
	weft_block_begin();
	usleep(2000); /* the P goes */
	CHECK_EQ(weft_protect(panic_where_protected, NULL, NULL), 1);
	CHECK(in_section());
	weft_block_end();
	return 0;
}

static void panic_in_a_later_section(void *ran)
{
	weft_block_begin();
	WEFT_DEFER(live, ran);
	weft_block_end();
	weft_block_begin();
	weft_panic("in the second");
}

static void leave_a_section_open(void *unused)
{
	(void)unused;
	weft_block_begin();
}

static void exit_into_a_section(void *over)
{
	WEFT_DEFER(live, over);
	WEFT_DEFER(leave_a_section_open, NULL);
	weft_exit_goroutine();
}

TEST_GO(a_section_that_is_over_is_not_the_next_one)
{
	_Atomic int ran = 0;
	weft_panic_info info;
	CHECK_EQ(weft_protect(panic_in_a_later_section, &ran, &info), 1);
	CHECK_STR(info.message, "in the second");
	CHECK(!in_section() && ran == 1);
	weft_go(exit_into_a_section, &ran);
	while (ran < 2 || weft_num_goroutine() > 1)
		weft_yield();
	return 0;
}

static void exit_in_section(void *ran)
{
	WEFT_DEFER(live, ran);
	weft_block_begin();
	weft_exit_goroutine();
}

TEST_GO(an_exit_in_a_blocking_section_is_a_panic)
{
	_Atomic int ran = 0;
	CHECK_EQ(weft_protect(exit_in_section, &ran, NULL), 1);
	CHECK(!in_section() && ran == 1);
	return 0;
}
