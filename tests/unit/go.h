/* Running a test inside weft: TEST bodies call run_weft(app) once, with WEFT_ settings if they want any. */
#ifndef TESTS_UNIT_GO_H
#define TESTS_UNIT_GO_H

#include "tests/test.h"

#include <weft/weft.h>

#include <stdlib.h>

static int (*weft_test_app)(void);

static int weft_test_main(int argc, char **argv)
{
	(void)argc, (void)argv;
	return weft_test_app();
}

/* Runs app as the main goroutine on `procs` Ps; its result. */
static inline int run_weft(int procs, int (*app)(void))
{
	char text[16];
	snprintf(text, sizeof text, "%d", procs);
	setenv("WEFT_PROCS", text, 1);
	weft_test_app = app;
	return weft_main(0, NULL, weft_test_main);
}

/* TEST twice over: on one P and on two. */
#define TEST_GO(name)                                                                              \
	static int app_##name(void);                                                               \
	TEST(name##_p1)                                                                            \
	{                                                                                          \
		CHECK_EQ(run_weft(1, app_##name), 0);                                              \
	}                                                                                          \
	TEST(name##_p2)                                                                            \
	{                                                                                          \
		CHECK_EQ(run_weft(2, app_##name), 0);                                              \
	}                                                                                          \
	static int app_##name(void)

#endif
