#include "tests/unit/panic_cxx.h"
#include "tests/unit/go.h"

#include <string.h>

static char trail[64];

void cxx_leave(char letter)
{
	size_t n = strlen(trail);
	trail[n] = letter;
	trail[n + 1] = 0;
}

static void expect(const char *want)
{
	CHECK_STR(trail, want);
	trail[0] = 0;
}

TEST_GO(blocks_are_left_as_in_c)
{
	cxx_blocks();
	expect("lbababa.d");
	return 0;
}

TEST_GO(a_panic_passes_through_frames_without_destructors)
{
	char message[64] = "";
	CHECK_EQ(cxx_protect(message, sizeof message - 1), 1);
	CHECK_STR(message, "from C++");
	expect("yx");
	CHECK_EQ(cxx_misuse(), 1);
	expect("m");
	return 0;
}

TEST_GO(an_exception_between_leaves_blocks_as_any)
{
	CHECK_EQ(cxx_exceptions(), 0);
	expect("ec");
	return 0;
}

static weft_waitgroup over;

static void is_over(void *unused)
{
	(void)unused;
	weft_waitgroup_done(&over);
}

static void exit_from_cxx(void *unused)
{
	WEFT_DEFER(is_over, NULL);
	cxx_exit(unused);
}

TEST_GO(a_goroutine_exits_from_cxx)
{
	weft_waitgroup_add(&over, 1);
	weft_go(exit_from_cxx, NULL);
	weft_waitgroup_wait(&over);
	expect("2");
	return 0;
}
