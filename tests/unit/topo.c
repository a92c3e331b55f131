#include "alloc/topo.h"
#include "alloc/os.h"
#include "tests/test.h"

#include "lockfree/assert.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static struct topo t;

static void read_topology(const char *text, int cpus)
{
	CHECK_EQ(topo_from_text(&t, text), 0);
	CHECK_EQ(t.ncpus, cpus);
	CHECK(t.from_hwloc);
}

TEST(cpus_come_in_hwlocs_order_with_what_they_share)
{
	read_topology("pack:2 l3:1(size=32MiB) l2:4(size=1MiB) core:1 pu:2", 16);
	for (int i = 0; i < 16; i++) {
		const struct topo_cpu *c = &t.cpu[i];
		CHECK_EQ(c->os, i);
		CHECK_EQ(c->core, i / 2);
		CHECK_EQ(c->thread, i % 2);
		CHECK_EQ(c->l2, i / 2);
		CHECK_EQ(c->l2_kib, 1024);
		CHECK_EQ(c->l3, i / 8);
		CHECK_EQ(c->l3_kib, 32768);
		CHECK_EQ(c->l3_cores, 4);
		CHECK_EQ(c->package, i / 8);
		CHECK_EQ(c->node, 0);
	}
	CHECK_EQ(t.nnodes, 1);
	CHECK_EQ(t.node[0].package, -1); /* both */
	CHECK(t.simulated);
	read_topology("core:3 pu:4", 12);
	CHECK_EQ(t.cpu[0].l2, -1);
	CHECK_EQ(t.cpu[0].l3, -1);
	CHECK_EQ(t.cpu[5].thread, 1);
}

TEST(distances)
{
	read_topology("pack:2 l3:2 core:2 pu:2", 16);
	CHECK_EQ(topo_distance(&t, 0, 0), TOPO_SAME_CORE);
	CHECK_EQ(topo_distance(&t, 0, 1), TOPO_SAME_CORE);
	CHECK_EQ(topo_distance(&t, 0, 2), TOPO_SAME_L3);
	CHECK_EQ(topo_distance(&t, 0, 4), TOPO_SAME_NODE);
	CHECK_EQ(topo_distance(&t, 0, 8), TOPO_SAME_NODE); /* one node for both packages */
	read_topology("numa:2 l3:2 l2:2 core:2 pu:1", 16);
	CHECK_EQ(topo_distance(&t, 0, 1), TOPO_SAME_L2);
	CHECK_EQ(topo_distance(&t, 0, 2), TOPO_SAME_L3);
	CHECK_EQ(topo_distance(&t, 0, 4), TOPO_SAME_NODE);
	CHECK_EQ(topo_distance(&t, 0, 8), TOPO_REMOTE);
	for (int a = 0; a < t.ncpus; a++)
		for (int b = 0; b < t.ncpus; b++)
			CHECK_EQ(topo_distance(&t, a, b), topo_distance(&t, b, a));
}

TEST(nodes_of_a_package_are_nearer_than_others)
{
	read_topology("pack:2 group:4 [numa(memory=8GiB)] core:8 pu:1", 64);
	CHECK_EQ(t.nnodes, 8);
	for (int i = 0; i < 64; i++)
		CHECK_EQ(t.cpu[i].node, i / 8);
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(t.node[i].os, i);
		CHECK_EQ(t.node[i].package, i / 4);
		CHECK_EQ(t.node[i].memory_mib, 8192);
	}
	CHECK_EQ(topo_distance(&t, 0, 7), TOPO_SAME_NODE);
	CHECK_EQ(topo_distance(&t, 0, 8), TOPO_REMOTE);
	CHECK_EQ(topo_distance(&t, 0, 31), TOPO_REMOTE);
	CHECK_EQ(topo_distance(&t, 0, 32), TOPO_REMOTE + 1);
	read_topology("numa:8 core:8 pu:1", 64);
	CHECK_EQ(topo_distance(&t, 0, 7), TOPO_SAME_NODE);
	CHECK_EQ(topo_distance(&t, 0, 8), TOPO_REMOTE);
	CHECK_EQ(topo_distance(&t, 0, 63), TOPO_REMOTE);
}

/* The file's text, with one piece of it replaced. */
static const char *golden(const char *name, const char *from, const char *to)
{
	static char text[65536];
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", WEFT_GOLDEN, name);
	FILE *f = fopen(path, "r");
	CHECK(f);
	size_t n = fread(text, 1, sizeof text / 2, f);
	fclose(f);
	CHECK(n > 0 && n < sizeof text / 2);
	text[n] = 0;
	char *at = strstr(text, from);
	CHECK(at);
	memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
	memcpy(at, to, strlen(to));
	return text;
}

TEST(the_firmwares_distances_and_the_network_cards_node_are_read)
{
	read_topology(golden("two-socket.xml", "10 21 21 10", "10 21 31 10"), 16);
	CHECK(t.has_distances);
	CHECK_EQ(topo_node_distance(&t, 0, 0), 10);
	CHECK_EQ(topo_node_distance(&t, 0, 1), 31); /* the longer way */
	CHECK_EQ(topo_node_distance(&t, 1, 0), 31);
	CHECK_EQ(t.node[0].nics, 0); /* the disk is no network card */
	CHECK_EQ(t.node[1].nics, 1);
	read_topology(golden("two-socket.xml", "\"0200 [", "\"0300 ["), 16);
	CHECK_EQ(t.node[1].nics, 0);
}

TEST(kinds_of_cores_are_ranked)
{
	read_topology(golden("hybrid.xml", "<", "<"), 16);
	for (int i = 0; i < 16; i++) {
		CHECK_EQ(t.cpu[i].kind, i >= 8);
		CHECK_EQ(t.cpu[i].thread, i >= 8 && i % 2);
		CHECK_EQ(t.cpu[i].l2_kib, i >= 8 ? 2048 : 4096);
	}
	CHECK_EQ(topo_distance(&t, 0, 3), TOPO_SAME_L2);
	CHECK_EQ(topo_distance(&t, 0, 4), TOPO_SAME_L3);
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
	CHECK_EQ(os_allow(cpus, n), 0);
	CHECK_EQ(os_affinity(cpus, TOPO_MAX_CPUS), n);
	CHECK_EQ(os_pin(cpus[n - 1]), 0);
	CHECK_EQ(topo_find(&t), 0);
	CHECK_EQ(t.ncpus, 1);
	CHECK_EQ(t.cpu[0].os, cpus[n - 1]);
	CHECK_EQ(t.cpu[0].thread, 0);
	CHECK(os_pin(1023) < 0);
}

/* hwloc finds nothing: the order is that of the mask. */
TEST(without_topology_every_distance_is_the_same)
{
	memset(&t, 0, sizeof t);
	t.ncpus = 3;
	for (int i = 0; i < 3; i++)
		t.cpu[i] = (struct topo_cpu){.os = i, .core = i, .l2 = -1, .l3 = -1};
	CHECK_EQ(topo_distance(&t, 0, 0), TOPO_SAME_CORE);
	CHECK_EQ(topo_distance(&t, 0, 2), TOPO_SAME_NODE);
}
