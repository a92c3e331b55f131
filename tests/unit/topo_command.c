/* `weft topo`: what it draws of machines that are not here must be what it drew before (tests/golden/topo), and what it
 * says of this one must be so. */
#include "alloc/os.h"
#include "tests/test.h"
#include "tests/weft.h"

#include "lockfree/assert.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct test_child child;

static void default_settings(void)
{
	unsetenv("WEFT_PROCS");
	unsetenv("WEFT_PIN");
}

/* ---- golden files ---- */

static const char *path(const char *name, const char *ending)
{
	static char text[512];
	snprintf(text, sizeof text, "%s/%s.%s", WEFT_GOLDEN, name, ending);
	return text;
}

static const char *contents(const char *file)
{
	static char text[32768];
	FILE *f = fopen(file, "r");
	if (!f)
		test_fail(__FILE__, __LINE__, "no file %s", file);
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	return text;
}

static int line_length(const char *at)
{
	return (int)strcspn(at, "\n");
}

/* The first line that differs, as a diff would show it, and the one before. */
static void must_be_the_same(const char *name, const char *want, const char *got)
{
	const char *before = "";
	for (int line = 1; *want || *got; line++) {
		int n = line_length(want), m = line_length(got);
		if (n != m || memcmp(want, got, (size_t)n) || want[n] != got[m])
			test_fail(__FILE__, __LINE__, "%s.txt, line %d:\n  %.*s\n- %.*s\n+ %.*s", name, line,
				  line_length(before), before, n, want, m, got);
		before = want;
		want += n + (want[n] != 0);
		got += m + (got[m] != 0);
	}
}

static void check_machine(const char *name, const char *ending)
{
	default_settings();
	weft_run(&child, "topo", "--steal", "--input", path(name, ending), NULL);
	CHECK_EQ(child.status, 0);
	CHECK_STR(child.err, "");
	CHECK(strlen(child.out) + 1 < sizeof child.out); /* all of it */
	must_be_the_same(name, contents(path(name, "txt")), child.out);
}

TEST(two_sockets)
{
	check_machine("two-socket", "xml");
}

TEST(eight_nodes)
{
	check_machine("eight-node", "synthetic");
}

TEST(four_threads_a_core)
{
	check_machine("smt-4", "synthetic");
}

TEST(cores_of_two_kinds)
{
	check_machine("hybrid", "xml");
}

TEST(caches_of_unequal_size)
{
	check_machine("unequal-caches", "xml");
}

TEST(no_golden_file_is_left_over)
{
	static const char *const known[] = {"two-socket", "eight-node", "smt-4", "hybrid", "unequal-caches"};
	DIR *d = opendir(WEFT_GOLDEN);
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));) {
		size_t n = strcspn(e->d_name, "."), i = 0;
		while (i < ARRAY_LEN(known) && (strlen(known[i]) != n || memcmp(known[i], e->d_name, n)))
			i++;
		if (n && i == ARRAY_LEN(known))
			test_fail(__FILE__, __LINE__, "%s is drawn by no test", e->d_name);
	}
	closedir(d);
}

/* ---- options and settings ---- */

static bool says(const char *words)
{
	return strstr(child.out, words) != NULL;
}

TEST(a_description_may_be_given_as_it_is)
{
	default_settings();
	weft_run(&child, "topo", "--input", "pack:2 core:2 pu:1", NULL);
	CHECK_EQ(child.status, 0);
	CHECK(says("simulated: pack:2 core:2 pu:1, not this machine\n"));
	CHECK(says("4 CPUs, 1 node, 2 packages\n"));
	CHECK(says("Ps:    4 (as many as CPUs)\n"));
	CHECK(!says("looks for work"));
}

TEST(the_settings_decide)
{
	setenv("WEFT_PROCS", "3", 1);
	setenv("WEFT_PIN", "auto", 1);
	weft_run(&child, "topo", "--input", "core:2 pu:1", NULL);
	CHECK(says("CPU 0 P0,P2\n") && says("CPU 1 P1\n"));
	CHECK(says("Ps:    3 (WEFT_PROCS says so)\n"));
	CHECK(says("Ms:    not bound (WEFT_PIN=auto: not as many Ps as CPUs)\n"));
	setenv("WEFT_PIN", "on", 1);
	weft_run(&child, "topo", "--input", "core:2 pu:1", NULL);
	CHECK(says("Ms:    bound to the CPU of their P (WEFT_PIN=on)\n"));
	setenv("WEFT_PIN", "off", 1);
	weft_run(&child, "topo", "--input", "core:2 pu:1", NULL);
	CHECK(says("Ms:    not bound (WEFT_PIN=off)\n"));
	setenv("WEFT_PROCS", "none", 1);
	weft_refuses("WEFT_PROCS=none: a number from 1 to", "topo", NULL);
}

TEST(bad_input_is_refused_in_one_line)
{
	default_settings();
	weft_refuses("unknown option '--foo'", "topo", "--foo", NULL);
	weft_refuses("option '--input' needs a value", "topo", "--input", NULL);
	weft_refuses("unknown argument 'x'", "topo", "x", NULL);
	weft_refuses("'core:0': no such file, and it does not describe a machine", "topo", "--input", "core:0", NULL);
	weft_refuses("'': no such file", "topo", "--input", "", NULL);
	weft_refuses("want a file", "topo", "--input", "/", NULL);
	weft_refuses("does not describe a machine", "topo", "--input", path("two-socket", "txt"), NULL);
	weft_refuses("does not describe a machine", "topo", "--input", "/proc/self/status", NULL);
	weft_run(&child, "topo", "--help", NULL);
	CHECK(child.status == 0 && says("usage: weft topo"));
}

TEST(an_answer_that_cannot_be_written_is_a_failure)
{
	char command[1024];
	snprintf(command, sizeof command, "%s topo > /dev/full", weft_path());
	test_program(&child, (const char *const[]){"/bin/sh", "-c", command, NULL});
	CHECK_EQ(child.status, 1);
}

/* ---- JSON ---- */

static json_t *json_of(const char *input)
{
	default_settings();
	if (input)
		weft_run(&child, "topo", "--json", "--input", input, NULL);
	else
		weft_run(&child, "topo", "--json", NULL);
	CHECK_EQ(child.status, 0);
	json_t *o = json_loads(child.out, 0, NULL);
	CHECK(o);
	return o;
}

static int64_t field(const json_t *o, const char *key)
{
	const json_t *value = json_object_get(o, key);
	CHECK(json_is_integer(value));
	return json_integer_value(value);
}

TEST(json_says_the_same)
{
	json_t *o = json_of(path("two-socket", "xml"));
	CHECK(json_is_true(json_object_get(o, "simulated")) && json_is_true(json_object_get(o, "bound")));
	CHECK(json_is_true(json_object_get(o, "firmware_distances")));
	CHECK(json_is_null(json_object_get(o, "quota_millicpus")));
	CHECK_EQ(field(o, "procs"), 16);
	const json_t *cpus = json_object_get(o, "cpus"), *nodes = json_object_get(o, "nodes");
	const json_t *ps = json_object_get(o, "ps"), *p0 = json_array_get(ps, 0);
	CHECK(json_array_size(cpus) == 16 && json_array_size(nodes) == 2 && json_array_size(ps) == 16);
	CHECK_EQ(field(json_array_get(cpus, 1), "cpu"), 8);
	CHECK_EQ(field(json_array_get(cpus, 1), "thread"), 1);
	CHECK_EQ(json_integer_value(json_array_get(json_object_get(json_array_get(cpus, 1), "ps"), 0)), 12);
	CHECK_EQ(field(json_array_get(nodes, 1), "network_cards"), 1);
	CHECK_EQ(json_integer_value(json_array_get(json_object_get(json_array_get(nodes, 1), "distances"), 0)), 21);
	CHECK_EQ(field(p0, "cpu"), 4);
	const json_t *rings = json_object_get(p0, "steals_from");
	CHECK_EQ(json_array_size(rings), 3);
	CHECK_EQ(json_integer_value(json_array_get(json_array_get(rings, 0), 0)), 8);
	CHECK_EQ(json_array_size(json_array_get(rings, 2)), 8);
	json_decref(o);
	o = json_of("core:1 pu:1");
	CHECK(json_is_null(json_object_get(json_array_get(json_object_get(o, "cpus"), 0), "l3")));
	CHECK_EQ(json_array_size(json_object_get(json_array_get(json_object_get(o, "ps"), 0), "steals_from")), 0);
	json_decref(o);
}

TEST(this_machine_is_drawn_as_it_is)
{
	static int cpus[1024];
	int n = os_affinity(cpus, 1024), quota = os_cpu_quota();
	json_t *o = json_of(NULL);
	CHECK(json_is_false(json_object_get(o, "simulated")) && json_is_null(json_object_get(o, "input")));
	CHECK_EQ(json_array_size(json_object_get(o, "cpus")), n);
	CHECK_EQ(field(o, "procs"), quota && (quota + 999) / 1000 < n ? (quota + 999) / 1000 : n);
	json_decref(o);
	CHECK_EQ(os_allow(cpus, 1), 0); /* and under a narrower mask */
	o = json_of(NULL);
	CHECK_EQ(json_array_size(json_object_get(o, "cpus")), 1);
	CHECK_EQ(field(json_array_get(json_object_get(o, "cpus"), 0), "cpu"), cpus[0]);
	CHECK_EQ(field(o, "procs"), 1);
	json_decref(o);
	weft_run(&child, "topo", NULL);
	CHECK(child.status == 0 && says("(affinity mask)\n") && !says("simulated"));
}

TEST(a_machine_that_hwloc_is_told_of_is_simulated)
{
	static int cpus[1024];
	char text[64];
	default_settings();
	CHECK(os_affinity(cpus, 1024) >= 1);
	snprintf(text, sizeof text, "numa:1 core:1 pu:1(indexes=%d)", cpus[0]);
	setenv("HWLOC_SYNTHETIC", text, 1);
	weft_run(&child, "topo", NULL);
	CHECK(child.status == 0 && says("simulated: what hwloc's variables say, not this machine\n"));
}
