/* The harness itself: what it promises to the tests that rely on it. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs itself as a soak would. */
TEST(a_soak_has_as_much_more_time_as_rounds)
{
	static const char name[] = "a_soak_has_as_much_more_time_as_rounds", factor[] = "7";
	static struct test_child child;
	const char *soak = getenv("WEFTTEST_SOAK");
	if (soak && !strcmp(soak, factor)) {
		unsigned left = alarm(0);
		CHECK(left > 7 * 50 && left <= 7 * 300);
		return;
	}
	setenv("WEFTTEST_SOAK", factor, 1);
	test_program(&child, (const char *const[]){"/proc/self/exe", name, NULL});
	if (child.status)
		test_fail(__FILE__, __LINE__, "%s", child.err);
}
