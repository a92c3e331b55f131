#include "lockfree/tsc.h"
#include "tests/test.h"
#include "tests/weft.h"
#include "tuning/hiccup.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct test_child child;

TEST(the_clock_agrees_with_clock_monotonic)
{
	tsc_init();
	uint64_t ticks = tsc_now(), ns = tsc_monotonic_ns(), last = ticks;
	while (tsc_monotonic_ns() - ns < 50000000) {
		uint64_t now = tsc_now();
		CHECK(now >= last);
		last = now;
	}
	uint64_t by_ticks = tsc_ns(tsc_now() - ticks), by_clock = tsc_monotonic_ns() - ns;
	CHECK(by_ticks + by_clock / 100 >= by_clock || by_ticks >= 49000000);
	CHECK(by_ticks <
	      by_clock + by_clock / 2); /* another thread may have come between the readings */
	CHECK(llabs((long long)tsc_ns(tsc_ticks(1e9)) - 1000000000) < 1000);
}

TEST(hiccup_counts_its_sleeps)
{
	weft_run(&child, "hiccup", "--duration", "0.4", "--interval-us", "500", "--json", NULL);
	CHECK_EQ(child.status, 0);
	json_t *o = json_loads(child.out, 0, NULL);
	CHECK(o);
	int64_t count = json_integer_value(json_object_get(o, "count"));
	size_t cpus = json_array_size(json_object_get(o, "cpus"));
	CHECK(cpus > 0 && count > 0 && count <= (int64_t)cpus * 800 * 2);
	CHECK(json_number_value(json_object_get(o, "max")) > 0);
	CHECK(json_is_null(json_object_get(o, "p999"))); /* fewer than 100,000 */
	CHECK_EQ(json_integer_value(json_object_get(o, "interval_us")), 500);
	const json_t *curve = json_object_get(o, "percentiles");
	const json_t *last = json_array_get(curve, json_array_size(curve) - 1);
	CHECK_EQ(json_integer_value(json_array_get(last, 2)), count);
	CHECK(json_number_value(json_array_get(last, 1)) ==
	      json_number_value(json_object_get(o, "max")));
	json_decref(o);
}

TEST(hiccup_prints_a_table_when_interrupted)
{
	static const char *const argv[] = {"/usr/bin/timeout", "-s", "INT", "0.5", NULL,
					   "hiccup",	       NULL};
	const char *args[ARRAY_LEN(argv)];
	memcpy(args, argv, sizeof argv);
	args[4] = weft_path();
	test_program(&child, args);
	CHECK_EQ(child.status, 124); /* timeout's way to say that it sent the signal */
	CHECK(strstr(child.out, "oversleeping") && strstr(child.out, "p99.9"));
}

TEST(hiccup_refuses_bad_input_in_one_line)
{
	weft_refuses("unknown option '--foo'", "hiccup", "--foo", NULL);
	weft_refuses("--duration 'x'", "hiccup", "--duration", "x", NULL);
	weft_refuses("--interval-us '5'", "hiccup", "--interval-us", "5", NULL);
	weft_refuses("--cpu '0,'", "hiccup", "--cpu", "0,", NULL);
	weft_refuses("may not run on CPU 9999", "hiccup", "--cpu", "9999", NULL);
	weft_refuses("unknown argument 'x'", "hiccup", "x", NULL);
}

TEST(weft_knows_its_commands)
{
	weft_refuses("no command 'frobnicate'", "frobnicate", NULL);
	weft_refuses("unknown argument 'x'", "version", "x", NULL);
	weft_run(&child, "version", NULL);
	CHECK(child.status == 0 && !strncmp(child.out, "weft ", 5));
	weft_run(&child, "--version", NULL);
	CHECK(child.status == 0 && !strncmp(child.out, "weft ", 5));
	static const char *const all[] = {"load", "hiccup", "version"};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		weft_run(&child, all[i], "--help", NULL);
		CHECK(child.status == 0 && !strncmp(child.out, "usage: weft ", 12) &&
		      !child.err[0]);
	}
	weft_run(&child, "--help", NULL);
	CHECK(child.status == 0 && strstr(child.out, "hiccup"));
	weft_run(&child, NULL);
	CHECK_EQ(child.status, 2);
}
