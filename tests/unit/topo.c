#include "alloc/topo.h"
#include "alloc/os.h"
#include "tests/test.h"

#include "lockfree/assert.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <string.h>

static struct topo t;

static void read_topology(const char *text, int cpus)
{
	CHECK_EQ(topo_from_text(&t, text), 0);
	CHECK_EQ(t.ncpus, cpus);
	CHECK(t.from_hwloc);
}

/* Every CPU once, first threads first. */
static void check_order(int cores)
{
	static bool seen[TOPO_MAX_CPUS];
	memset(seen, 0, sizeof seen);
	for (int i = 0; i < t.ncpus; i++) {
		const struct topo_cpu *c = &t.cpu[i];
		CHECK(c->os >= 0 && c->os < TOPO_MAX_CPUS && !seen[c->os]);
		seen[c->os] = true;
		CHECK_EQ(c->thread > 0, i >= cores);
	}
	for (int i = 0; i < cores; i++)
		for (int j = i + 1; j < cores; j++)
			CHECK(t.cpu[i].core != t.cpu[j].core);
}

TEST(one_thread_of_each_core_comes_first)
{
	read_topology("pack:2 l3:1 core:4 pu:2", 16);
	check_order(8);
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(t.cpu[i].core, i);
		CHECK_EQ(t.cpu[i].l3, i / 4);
		CHECK_EQ(t.cpu[i].thread, 0);
		CHECK_EQ(t.cpu[i + 8].core, i);
		CHECK_EQ(t.cpu[i + 8].thread, 1);
	}
	read_topology("core:3 pu:4", 12);
	CHECK_EQ(t.cpu[3].thread, 1);
	check_order(3);
}

TEST(distances)
{
	read_topology("pack:2 l3:2 core:2 pu:2", 16);
	CHECK_EQ(topo_distance(&t, 0, 0), 0);
	CHECK_EQ(topo_distance(&t, 0, 8), 0); /* the two threads of a core */
	CHECK_EQ(topo_distance(&t, 0, 1), 1);
	CHECK_EQ(topo_distance(&t, 0, 2), 2);
	CHECK_EQ(topo_distance(&t, 0, 4), 2); /* one node for both packages */
	read_topology("numa:2 l3:2 core:2 pu:1", 8);
	CHECK_EQ(topo_distance(&t, 0, 1), 1);
	CHECK_EQ(topo_distance(&t, 0, 2), 2);
	CHECK_EQ(topo_distance(&t, 0, 4), 3);
	for (int a = 0; a < t.ncpus; a++)
		for (int b = 0; b < t.ncpus; b++)
			CHECK_EQ(topo_distance(&t, a, b), topo_distance(&t, b, a));
}

TEST(many_nodes)
{
	read_topology("numa:8 core:8 pu:1", 64);
	check_order(64);
	for (int i = 0; i < 64; i++)
		CHECK_EQ(t.cpu[i].node, i / 8);
	CHECK_EQ(topo_distance(&t, 0, 7), 1);
	CHECK_EQ(topo_distance(&t, 0, 8), 3);
}

TEST(more_cpus_than_there_is_room_for)
{
	CHECK_EQ(topo_from_text(&t, "pack:2 core:512 pu:2"), 0);
	CHECK_EQ(t.ncpus, TOPO_MAX_CPUS);
}

TEST(xml_says_the_same)
{
	static struct topo synthetic;
	const char *text = "pack:2 numa:2 l3:1 core:4 pu:2";
	hwloc_topology_t topology;
	char *xml;
	int n;
	CHECK_EQ(topo_from_text(&synthetic, text), 0);
	CHECK(!hwloc_topology_init(&topology) && !hwloc_topology_set_synthetic(topology, text) &&
	      !hwloc_topology_load(topology));
	CHECK(!hwloc_topology_export_xmlbuffer(topology, &xml, &n, 0));
	read_topology(xml, 32);
	CHECK(!memcmp(&t, &synthetic, offsetof(struct topo, cpu) + 32 * sizeof(struct topo_cpu)));
	hwloc_free_xmlbuffer(topology, xml);
	hwloc_topology_destroy(topology);
}

TEST(text_that_describes_nothing_is_refused)
{
	static const char *const bad[] = {"x", "core:", "core:x", "<", "<topology>", "core:0"};
	setenv("HWLOC_HIDE_ERRORS", "2", 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (topo_from_text(&t, bad[i]) != -EINVAL)
			test_fail(__FILE__, __LINE__, "\"%s\" is taken", bad[i]);
}

TEST(this_machine_has_the_cpus_of_the_affinity_mask)
{
	int cpus[TOPO_MAX_CPUS];
	int n = os_affinity(cpus, TOPO_MAX_CPUS);
	CHECK(n >= 1);
	CHECK_EQ(topo_find(&t), 0);
	CHECK_EQ(t.ncpus, n);
	for (int i = 0; i < n; i++) {
		int j = 0;
		while (j < n && t.cpu[j].os != cpus[i])
			j++;
		CHECK(j < n);
	}
}

TEST(a_smaller_mask_gives_fewer_cpus)
{
	int cpus[TOPO_MAX_CPUS];
	int n = os_affinity(cpus, TOPO_MAX_CPUS);
	if (n < 2)
		test_skip("one CPU only");
	CHECK_EQ(os_pin(cpus[n - 1]), 0);
	CHECK_EQ(sched_getcpu(), cpus[n - 1]);
	CHECK_EQ(os_unpin(), 0);
	CHECK_EQ(os_affinity(cpus, TOPO_MAX_CPUS), n);
	CHECK_EQ(os_pin(cpus[n - 1]), 0);
	CHECK_EQ(topo_find(&t), 0);
	CHECK_EQ(t.ncpus, 1);
	CHECK_EQ(t.cpu[0].os, cpus[n - 1]);
	CHECK_EQ(t.cpu[0].thread, 0);
	CHECK(os_pin(1023) < 0);
}

/* hwloc finds nothing: the order is that of the mask. */
TEST(without_topology_every_distance_is_one)
{
	memset(&t, 0, sizeof t);
	t.ncpus = 3;
	CHECK_EQ(topo_distance(&t, 0, 0), 0);
	CHECK_EQ(topo_distance(&t, 0, 2), 1);
}

TEST(the_quota_is_read)
{
	CHECK(os_cpu_quota() >= 0);
	CHECK(os_threads() >= 1);
}
