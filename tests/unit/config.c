/* The environment: every variable and debug key, what is taken and what is refused. */
#include "tests/unit/go.h"

#include <string.h>
#include <unistd.h>

static const char *variable, *value;

static int nothing(void)
{
	return 0;
}

static void run_with_variable(void)
{
	setenv(variable, value, 1);
	_exit(run_weft(1, nothing));
}

static void refused(const char *name, const char *val, const char *why)
{
	static struct test_child child;
	static char want[1024];
	variable = name;
	value = val;
	snprintf(want, sizeof want, "weft: %s=%s: %s\n", name, val, why);
	test_in_child(&child, run_with_variable);
	CHECK_EQ(child.status, 2);
	CHECK_STR(child.err, want);
}

static void accepted(const char *name, const char *val)
{
	static struct test_child child;
	variable = name;
	value = val;
	test_in_child(&child, run_with_variable);
	CHECK_STR(child.err, "");
	CHECK_EQ(child.status, 0);
}

#define KEYS                                                                                                           \
	"there are: nosteal (Ps do not steal from each other), nopreempt (a goroutine that computes keeps its P), "    \
	"nobias (a channel's lock is nobody's own), "    \
	"schedtrace=MS (a line about the scheduler on stderr, every so many milliseconds), "                          \
	"gctrace=1 (a line about each cycle of the collector on stderr), "                                            \
	"gcstress=N (a cycle of the collector at every Nth allocation), "                                             \
	"gcstw=1 (the collector marks while everything stands), "                                                      \
	"gcverify=1 (each cycle is verified: the end of the program, if a pointer was hidden from it), "              \
	"seed=N (a simulation, in which everything that happens follows from N), "                                    \
	"nodelay (a simulation delays nobody: timers fire in their own nanosecond), "                                 \
	"help (prints this list, and ends the program)"

#define SEEDS "a number from 0 to 18446744073709551615 is wanted"

static void run_with_variable_and_seed(void)
{
	setenv("WEFT_DEBUG", "seed=1", 1);
	run_with_variable();
}

TEST(what_a_simulation_cannot_have_is_one_line_and_status_2)
{
	variable = "WEFT_SPIN";
	value = "poll";
	test_dies(run_with_variable_and_seed, "weft: WEFT_SPIN=poll: a simulation (WEFT_DEBUG=seed) has no time to poll in\n");
	variable = "WEFT_PIN";
	value = "on";
	test_dies(run_with_variable_and_seed, "weft: WEFT_PIN=on: a simulation (WEFT_DEBUG=seed) has no cores to bind to\n");
}

TEST(bad_settings_are_one_line_and_status_2)
{
	refused("WEFT_PIN", "yes", "one of auto, on, off is wanted");
	refused("WEFT_SPIN", "fast", "one of off, auto, poll is wanted");
	refused("WEFT_NET", "carrier-pigeon", "one of epoll is wanted");
	refused("WEFT_DEBUG", "nosteal=1", "'nosteal' takes no value");
	refused("WEFT_DEBUG", "schedtrace", "'schedtrace' wants a value: schedtrace=MS");
	refused("WEFT_DEBUG", "nosteal,schedtrace=", "a number from 1 to 3600000 is wanted");
	refused("WEFT_DEBUG", "schedtrace=0", "a number from 1 to 3600000 is wanted");
	refused("WEFT_DEBUG", "schedtrace=3600001", "a number from 1 to 3600000 is wanted");
	refused("WEFT_DEBUG", "nosteal,nosuch", "unknown key 'nosuch'; " KEYS);
	refused("WEFT_DEBUG", "schedtrac=1", "unknown key 'schedtrac=1'; " KEYS);
	refused("WEFT_DEBUG", "schedtracer=1", "unknown key 'schedtracer=1'; " KEYS);
	refused("WEFT_DEBUG", "seed", "'seed' wants a value: seed=N");
	refused("WEFT_DEBUG", "seed=", SEEDS);
	refused("WEFT_DEBUG", "seed=-1", SEEDS);
	refused("WEFT_DEBUG", "seed=0x1", SEEDS);
	refused("WEFT_DEBUG", "seed=18446744073709551616", SEEDS);
	refused("WEFT_DEBUG", "nodelay", "'nodelay' is about a simulation: seed=N is wanted beside it");
	refused("WEFT_DEBUG", "gcverify", "'gcverify' wants a value: gcverify=1");
	refused("WEFT_DEBUG", "gcstw=2", "a number from 0 to 1 is wanted");
	refused("WEFT_DEBUG", "gcverify=yes", "a number from 0 to 1 is wanted");
	refused("WEFT_DEBUG", "gcstw=1,seed=1", "'gcstw' and 'gcverify' stop threads, and a simulation has none");
	refused("WEFT_DEBUG", "gcverify=1,seed=1", "'gcstw' and 'gcverify' stop threads, and a simulation has none");
	refused("WEFT_DEBUG", "schedtrace=1,seed=1", "'schedtrace' is by the clock, and a simulation has none");
	refused("WEFT_PROC", "1", "unknown variable");
	refused("WEFT_GOGC", "-5", "a percentage is wanted, or off");
	refused("WEFT_GOGC", "all", "a percentage is wanted, or off");
	refused("WEFT_MEMLIMIT", "1GB", "a number of bytes is wanted (with B, KiB, MiB, GiB or TiB, if any), or off");
	refused("WEFT_MEMLIMIT", "9999999TiB", "a number of bytes is wanted (with B, KiB, MiB, GiB or TiB, if any), or off");
	refused("WEFT_PRESSURE", "much", "one of assist, grow, shed is wanted");
	variable = "WEFT_PIN";
	value = "a\nb\033";
	test_dies(run_with_variable, "weft: WEFT_PIN=a?b?: one of auto, on, off is wanted\n");
}

TEST(good_settings_and_empty_ones_are_taken)
{
	accepted("WEFT_PIN", "on");
	accepted("WEFT_SPIN", "poll");
	accepted("WEFT_SPIN", "off");
	accepted("WEFT_DEBUG", "nosteal");
	accepted("WEFT_DEBUG", "nosteal,schedtrace=3600000,nopreempt");
	accepted("WEFT_UNHEARD_OF", "");
}

static const char *bad_procs;

static void run_with_procs(void)
{
	setenv("WEFT_PROCS", bad_procs, 1);
	weft_test_app = nothing;
	_exit(weft_main(0, NULL, weft_test_main));
}

TEST(bad_procs_are_refused)
{
	static const char *const bad[] = {"0", "-1", "1025", "two", "2x", "99999999999999999999", " 2", "+2", "\n"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		bad_procs = bad[i];
		test_dies(run_with_procs, "a number from 1 to 1024 is wanted\n");
	}
}
