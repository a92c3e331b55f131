#include "alloc/place.h"
#include "tests/random.h"
#include "tests/test.h"

#include "lockfree/assert.h"

#include <stdio.h>
#include <string.h>

static struct topo t;
static struct place place;

static void read_topology(const char *text, int cpus)
{
	CHECK_EQ(topo_from_text(&t, text), 0);
	CHECK_EQ(t.ncpus, cpus);
	place_order(&place, &t);
	CHECK_EQ(place.ncpus, cpus);
}

static int os(unsigned p)
{
	return place_cpu(&place, &t, p)->os;
}

TEST(one_thread_of_each_core_comes_first)
{
	read_topology("pack:2 l3:1 core:4 pu:2", 16);
	for (unsigned i = 0; i < 8; i++) {
		CHECK_EQ(os(i), 2 * i);
		CHECK_EQ(os(i + 8), 2 * i + 1);
	}
	CHECK_EQ(os(16), 0); /* from the beginning */
	read_topology("core:3 pu:4", 12);
	for (unsigned i = 0; i < 12; i++)
		CHECK_EQ(place_cpu(&place, &t, i)->thread, i / 3);
}

TEST(nodes_with_network_cards_come_first_and_then_those_near_them)
{
	read_topology("pack:2 group:2 [numa] core:2 pu:1", 8);
	t.node[2].nics = 1;
	place_order(&place, &t);
	static const int want[] = {4, 5, 6, 7, 0, 1, 2, 3};
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(os(i), want[i]);
	t.node[0].nics = 1; /* both packages have one */
	place_order(&place, &t);
	static const int both[] = {0, 1, 4, 5, 2, 3, 6, 7};
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(os(i), both[i]);
}

TEST(faster_cores_and_larger_caches_come_first)
{
	read_topology("l3:3(size=16MB) core:2 pu:1", 6);
	t.cpu[2].l3_kib = t.cpu[3].l3_kib = 2 * t.cpu[0].l3_kib;
	t.cpu[4].l3_cores = t.cpu[5].l3_cores = 3;
	place_order(&place, &t);
	static const int want[] = {2, 3, 4, 5, 0, 1};
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(os(i), want[i]);
	t.cpu[1].kind = 1;
	place_order(&place, &t);
	CHECK_EQ(os(0), 1);
	CHECK_EQ(os(1), 2);
}

TEST(a_quota_buys_whole_cores)
{
	read_topology("core:4 pu:1", 4);
	CHECK_EQ(place_procs(&t, 0), 4);
	CHECK_EQ(place_procs(&t, 1), 1);
	CHECK_EQ(place_procs(&t, 1000), 1);
	CHECK_EQ(place_procs(&t, 1001), 2);
	CHECK_EQ(place_procs(&t, 9000), 4);
	CHECK(place_owns_all(&t, 4));
	CHECK(!place_owns_all(&t, 3));
	CHECK(!place_owns_all(&t, 5));
}

/* ---- stealing ---- */

enum { MOST = 96 };
static unsigned victims[MOST], ring_end[PLACE_RINGS];

/* Everybody but itself, once, and no nearer one behind a farther one. */
static void check_victims(unsigned procs, unsigned index)
{
	bool seen[MOST] = {false};
	int last = -1;
	CHECK(procs <= MOST);
	place_victims(&place, &t, procs, index, victims, ring_end);
	CHECK_EQ(ring_end[PLACE_RINGS - 1], procs - 1);
	for (unsigned i = 0; i + 1 < procs; i++) {
		CHECK(victims[i] < procs && victims[i] != index && !seen[victims[i]]);
		seen[victims[i]] = true;
		int far = topo_distance(&t, place.cpu[index % (unsigned)t.ncpus],
					place.cpu[victims[i] % (unsigned)t.ncpus]);
		CHECK(far >= last);
		last = far;
	}
	for (int r = 1; r < PLACE_RINGS; r++)
		CHECK(ring_end[r] >= ring_end[r - 1]);
}

static void check_rings(unsigned a, unsigned b, unsigned c, unsigned d)
{
	CHECK_EQ(ring_end[0], a);
	CHECK_EQ(ring_end[1], b);
	CHECK_EQ(ring_end[2], c);
	CHECK_EQ(ring_end[3], d);
}

TEST(every_p_steals_from_every_other_nearest_first)
{
	static const char *const machines[] = {"core:1 pu:1", "core:4 pu:1", "pack:2 [numa] l3:2 core:2 pu:2",
					       "pack:2 group:4 [numa] l3:2 l2:2 core:2 pu:2", "core:3 pu:4"};
	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		CHECK_EQ(topo_from_text(&t, machines[i]), 0);
		place_order(&place, &t);
		for (unsigned procs = 1; procs <= (unsigned)t.ncpus + 3 && procs <= MOST; procs++)
			for (unsigned p = 0; p < procs; p++)
				check_victims(procs, p);
	}
}

TEST(each_distance_has_its_ring_while_there_are_enough)
{
	read_topology("core:4 pu:1", 4);
	check_victims(4, 1);
	check_rings(3, 3, 3, 3);
	read_topology("pack:2 [numa] l3:2 core:2 pu:1", 8);
	check_victims(8, 0);
	check_rings(1, 3, 7, 7);
	read_topology("pack:2 [numa] l3:2 core:2 pu:2", 16);
	check_victims(16, 0);
	check_rings(1, 3, 7, 15);
	read_topology("pack:2 [numa] core:2 pu:1", 4); /* two Ps on each CPU */
	check_victims(8, 0);
	check_rings(1, 3, 7, 7);
}

TEST(rings_are_merged_within_an_l3_first_and_then_the_farthest)
{
	read_topology("pack:2 group:2 [numa] l3:2 core:2 pu:2", 32);
	check_victims(32, 0); /* core and L3 | node | package | the other one */
	check_rings(3, 7, 15, 31);
	read_topology("pack:2 group:2 [numa] l3:2 l2:2 core:2 pu:2", 64);
	check_victims(64, 0); /* core, L2 and L3 */
	check_rings(7, 15, 31, 63);
	read_topology("pack:4 [numa] l3:2 core:2 pu:1", 16);
	t.has_distances = true;
	for (int a = 0; a < 4; a++)
		for (int b = 0; b < 4; b++)
			t.remoteness[a][b] = (uint8_t)(a > b ? a - b : b - a);
	check_victims(16, 0); /* L3 | node | next | the other two distances */
	check_rings(1, 3, 7, 15);
}

/* ---- when CPUs come and go ---- */

static int home[MOST], now[MOST];

static void homes(unsigned procs, int cpus)
{
	for (unsigned i = 0; i < procs; i++)
		home[i] = (int)i % cpus;
}

static unsigned on(int cpu, unsigned procs)
{
	unsigned n = 0;
	for (unsigned i = 0; i < procs; i++)
		n += now[i] == cpu;
	return n;
}

TEST(who_can_stay_stays)
{
	static const int cpus[] = {0, 1, 3};
	homes(4, 4);
	place_again(home, 4, 4, cpus, 3, now);
	CHECK(now[0] == 0 && now[1] == 1 && now[3] == 3);
	CHECK_EQ(now[2], 0); /* the first of those that have fewest */
	static const int again[] = {0, 1, 2, 3};
	place_again(home, 4, 4, again, 4, now);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(now[i], i);
}

TEST(ps_that_are_active_do_not_share_while_there_is_room)
{
	static const int cpus[] = {6, 7};
	homes(8, 8);
	place_again(home, 8, 2, cpus, 2, now);
	CHECK_EQ(now[0], 6);
	CHECK_EQ(now[1], 7);
	CHECK_EQ(now[6], 6);
	CHECK_EQ(on(6, 8), 4);
	CHECK_EQ(on(7, 8), 4);
}

TEST(a_move_of_all_keeps_the_order_of_use)
{
	static const int cpus[] = {12, 14, 13, 15};
	homes(4, 4);
	place_again(home, 4, 4, cpus, 4, now);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(now[i], cpus[i]);
}

TEST(any_mask_is_shared_evenly)
{
	uint64_t r = random_seed();
	for (int round = 0; round < 2000; round++) {
		int cpus[16];
		unsigned ncpus = 0, procs = 1 + (unsigned)draw_below(&r, 40), before = 1 + (unsigned)draw_below(&r, 16);
		unsigned active = 1 + (unsigned)draw_below(&r, procs), most = 0, home_most = 0;
		for (int cpu = 0; cpu < 16; cpu++)
			if ((unsigned)draw_below(&r, 2))
				cpus[ncpus++] = cpu;
		if (!ncpus)
			continue;
		homes(procs, (int)before);
		place_again(home, procs, active, cpus, ncpus, now);
		for (unsigned i = 0; i < ncpus; i++) {
			most = on(cpus[i], procs) > most ? on(cpus[i], procs) : most;
			unsigned at_home = 0;
			for (unsigned p = 0; p < procs; p++)
				at_home += home[p] == cpus[i];
			home_most = at_home > home_most ? at_home : home_most;
		}
		unsigned total = 0;
		for (unsigned i = 0; i < ncpus; i++)
			total += on(cpus[i], procs);
		CHECK_EQ(total, procs); /* nobody where there is no CPU */
		unsigned fair = (procs + ncpus - 1) / ncpus;
		CHECK(most <= fair + home_most);
	}
}
