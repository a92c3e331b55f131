/* An overflow is reported whatever goes wrong on the way: no signal stack, no symbols, a second fault. */
#include "alloc/os.h"
#include "alloc/stack.h"
#include "runtime/overflow.h"
#include "tests/unit/deep.h"
#include "tests/unit/go.h"

#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct test_child child;

/* ---- libdw goes wrong ---- */

static char *volatile nowhere = (char *)16;

static enum { WELL, REFUSES, FAULTS, ABORTS, HANGS } libdw;

/* In the place of libdw's: what the first frame needs. */
int dwfl_linux_proc_report(Dwfl *dwfl, pid_t pid)
{
	switch (libdw) {
	case REFUSES:
		return -1;
	case FAULTS:
		*nowhere = 1;
		return 0;
	case ABORTS:
		abort();
	case HANGS:
		for (;;)
			pause();
	default:
		break;
	}
	int (*real)(Dwfl *, pid_t) = (int (*)(Dwfl *, pid_t))dlsym(RTLD_NEXT, "dwfl_linux_proc_report");
	CHECK(real);
	return real(dwfl, pid);
}

static int overflow(void)
{
	return recurse(0);
}

static void run_overflow(void)
{
	_exit(run_weft(1, overflow));
}

static void must_say_it(void)
{
	static const char head[] = "fatal: goroutine 1 stack overflow (limit 8388608 bytes)\n\ngoroutine 1 [running]:\n  ";
	if (child.status != 2 || strncmp(child.err, head, strlen(head)))
		test_fail(__FILE__, __LINE__, "status %d (want 2), stderr:\n%s", child.status, child.err);
}

static void without_symbols(void)
{
	test_in_child(&child, run_overflow);
	must_say_it();
	int frames = 0;
	for (const char *at = child.err; (at = strstr(at, "\n  0x")); at++)
		frames++;
	CHECK_EQ(frames, 32);
	CHECK(strstr(child.err, " more\n"));
	CHECK(!strstr(child.err, "recurse"));
}

TEST(with_symbols)
{
	test_in_child(&child, run_overflow);
	must_say_it();
	CHECK(strstr(child.err, "  recurse"));
}

TEST(no_symbols)
{
	libdw = REFUSES;
	without_symbols();
}

TEST(a_fault_among_the_symbols)
{
	libdw = FAULTS;
	without_symbols();
}

TEST(an_abort_among_the_symbols)
{
	libdw = ABORTS;
	without_symbols();
}

TEST(a_lock_that_is_never_free_among_the_symbols)
{
	libdw = HANGS;
	without_symbols();
}

/* ---- no signal stack ---- */

static stack_t current(void)
{
	stack_t s;
	CHECK_EQ(sigaltstack(NULL, &s), 0);
	return s;
}

static void refuse(enum os_call call)
{
	struct overflow_part o;
	stack_t before = current();
	os_fail_at(call, 1, ENOMEM);
	overflow_open(&o);
	os_fail_at(call, 0, 0);
	CHECK(!o.mapping);
	CHECK(current().ss_sp == before.ss_sp && current().ss_flags == before.ss_flags);
	overflow_close(&o);
}

TEST(no_memory_for_a_signal_stack)
{
	refuse(OS_RESERVE);
	refuse(OS_GUARD);
}

TEST(a_signal_stack_is_guarded_and_what_was_there_before_comes_back)
{
	static char old[64 * 1024];
	struct overflow_part o;
	stack_t mine = {.ss_sp = old, .ss_size = sizeof old}, was = current();
	CHECK_EQ(sigaltstack(&mine, NULL), 0);
	overflow_open(&o);
	CHECK(o.mapping && current().ss_sp == (char *)o.mapping + STACK_GUARD);
	CHECK(current().ss_size >= 256 * 1024);
	int fd[2];
	CHECK_EQ(pipe(fd), 0);
	CHECK(write(fd[1], (char *)o.mapping + STACK_GUARD - 1, 1) == -1 && errno == EFAULT);
	CHECK_EQ(write(fd[1], current().ss_sp, 1), 1);
	overflow_close(&o);
	CHECK(current().ss_sp == old && current().ss_size == sizeof old);
	CHECK_EQ(sigaltstack(&was, NULL), 0);
}

static int end_early(void)
{
	return 9;
}

static void run_without_signal_stacks(void)
{
	_exit(run_weft(2, end_early));
}

/* Reservations of the first ones in turn: each M that can start does, and none falls over. */
static int nth;

static void run_refused(void)
{
	os_fail_at(OS_RESERVE, nth, ENOMEM);
	run_without_signal_stacks();
}

TEST(an_m_without_a_signal_stack_runs)
{
	int ran = 0;
	for (nth = 1; nth <= 16; nth++) {
		test_in_child(&child, run_refused);
		CHECK(child.status == 9 || (child.status == 2 && strstr(child.err, "fatal: ")));
		ran += child.status == 9;
	}
	CHECK(ran > 0);
}
