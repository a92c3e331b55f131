/* What a P tells the time by between two readings of the kernel's clock: from pairs that are made up. */
#include "runtime/clock.h"
#include "tests/test.h"

#include <string.h>

enum { NARROW = 50 };

static struct clock_part c;
static uint64_t ticks = 1000000;
static int64_t ns = 5000000000;

/* A machine of 2 GHz whose kernel's clock goes at `permille` of its speed, for so long. */
static void pass(int64_t real_ns, int64_t permille)
{
	ticks += (uint64_t)real_ns * 2;
	ns += real_ns * permille / 1000;
}

static void read_both(void)
{
	clock_learn(&c, ticks, ns, NARROW);
}

static void start(void)
{
	for (int i = 0; i < 4; i++) {
		pass(2000000, 1000);
		read_both();
	}
}

/* Whatever it says within the next few µs is not before the time, nor much after it. */
static void check_not_early(int64_t permille)
{
	for (int i = 0; i < 200; i++) {
		int64_t told;
		if (clock_tell(&c, ticks, &told)) {
			CHECK(told >= ns);
			CHECK(told <= ns + 1200);
		}
		pass(50, permille);
	}
}

TEST(without_a_rate_the_kernel_is_asked)
{
	int64_t told;
	CHECK(!clock_tell(&c, ticks, &told));
	read_both();
	CHECK(!clock_tell(&c, ticks, &told));
}

TEST(it_tells_the_time_for_a_few_microseconds)
{
	int64_t told;
	start();
	CHECK(clock_tell(&c, ticks, &told));
	CHECK(told >= ns && told <= ns + CLOCK_SLACK_NS);
	CHECK(!clock_tell(&c, ticks + CLOCK_TICKS_MOST, &told));
	CHECK(!clock_tell(&c, ticks - 1, &told));
	check_not_early(1000);
}

/* As fast as adjtimex(2) lets it go, and as slow, from one moment to the next. */
TEST(a_clock_that_is_slewed_is_not_told_early)
{
	static const int64_t speeds[] = {1000, 1100, 900, 1100, 1000};
	start();
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 300; k++) {
			check_not_early(speeds[i]);
			read_both();
		}
	}
}

/* The counter goes on, the clock stands still. */
TEST(after_a_suspended_machine_it_begins_anew)
{
	start();
	pass(3600000000000, 0);
	check_not_early(1000);
	read_both();
	for (int k = 0; k < 1000; k++) {
		check_not_early(1000);
		read_both();
	}
	int64_t told;
	CHECK(clock_tell(&c, ticks, &told)); /* again */
}

TEST(a_counter_that_is_set_back_begins_anew)
{
	start();
	ticks = 5;
	int64_t told;
	CHECK(!clock_tell(&c, ticks, &told));
	for (int k = 0; k < 1000; k++) {
		check_not_early(1000);
		read_both();
	}
	CHECK(clock_tell(&c, ticks, &told));
}

/* Something came between the two readings: what the kernel said is later than the counter. */
TEST(a_pair_that_was_torn_apart_is_not_kept)
{
	start();
	struct clock_part before = c;
	pass(1000, 1000);
	clock_learn(&c, ticks, ns + 4000000, 8000000);
	CHECK(!memcmp(&before, &c, sizeof c));
	check_not_early(1000);
}
