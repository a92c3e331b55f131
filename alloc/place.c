#include "alloc/place.h"

#include "lockfree/assert.h"

#include <stdlib.h>
#include <string.h>

enum { CLASSES = TOPO_REMOTE + UINT8_MAX + 1 };

/* ---- the order of use ---- */

/* The node from which the others are counted: the first that has a network card, or the first at all. */
static int first_node(const struct topo *topo)
{
	for (int i = 0; i < topo->nnodes; i++)
		if (topo->node[i].nics)
			return i;
	return 0;
}

/* Negative, zero, positive: CPU x is used before y, either, after. */
static int compare(const struct topo *topo, int first, int x, int y)
{
	const struct topo_cpu *a = &topo->cpu[x], *b = &topo->cpu[y];
	if (a->thread != b->thread)
		return a->thread - b->thread;
	if (a->node != b->node) {
		bool a_nic = topo->node[a->node].nics > 0, b_nic = topo->node[b->node].nics > 0;
		if (a_nic != b_nic)
			return b_nic - a_nic;
		int nearer = topo_node_distance(topo, first, a->node) - topo_node_distance(topo, first, b->node);
		return nearer ? nearer : a->node - b->node;
	}
	if (a->kind != b->kind)
		return b->kind - a->kind;
	if (a->l3_kib != b->l3_kib)
		return b->l3_kib - a->l3_kib;
	return a->l3_cores != b->l3_cores ? b->l3_cores - a->l3_cores : x - y;
}

struct by_use {
	const struct topo *topo;
	int first;
};

static int by_use(const void *x, const void *y, void *arg)
{
	const struct by_use *u = arg;
	return compare(u->topo, u->first, *(const int *)x, *(const int *)y);
}

void place_order(struct place *place, const struct topo *topo)
{
	struct by_use u = {topo, first_node(topo)};
	place->ncpus = topo->ncpus;
	for (int i = 0; i < topo->ncpus; i++)
		place->cpu[i] = i;
	qsort_r(place->cpu, (size_t)topo->ncpus, sizeof place->cpu[0], by_use, &u);
}

unsigned place_procs(const struct topo *topo, int quota)
{
	unsigned cpus = (unsigned)topo->ncpus, paid = (unsigned)(quota + 999) / 1000;
	return quota > 0 && paid < cpus ? paid : cpus;
}

bool place_owns_all(const struct topo *topo, unsigned procs)
{
	return procs == (unsigned)topo->ncpus;
}

/* ---- the stealing order ---- */

/* Numbers the classes that occur, nearest first, and merges the least different ones while there are too many. */
static void number_rings(const bool occurs[CLASSES], unsigned char ring[CLASSES])
{
	int classes = 0, within_l3 = 0;
	for (int c = 0; c < CLASSES; c++) {
		classes += occurs[c];
		within_l3 += occurs[c] && c <= TOPO_SAME_L3;
	}
	int too_many = classes > PLACE_RINGS ? classes - PLACE_RINGS : 0;
	int merged = too_many < within_l3 ? too_many : within_l3 ? within_l3 - 1 : 0;
	for (int c = 0, at = 0; c < CLASSES; c++) {
		int r = at > merged ? at - merged : 0;
		ring[c] = (unsigned char)(r < PLACE_RINGS ? r : PLACE_RINGS - 1);
		at += occurs[c];
	}
}

void place_victims(const struct place *place, const struct topo *topo, unsigned procs, unsigned index,
		   unsigned *victims, unsigned ring_end[PLACE_RINGS])
{
	bool occurs[CLASSES] = {false};
	unsigned char ring[CLASSES];
	unsigned ncpus = (unsigned)place->ncpus, n = 0;
	int me = place->cpu[index % ncpus];
	for (unsigned i = 0; i < procs; i++)
		if (i != index)
			occurs[topo_distance(topo, me, place->cpu[i % ncpus])] = true;
	number_rings(occurs, ring);
	int r = 0;
	for (int c = 0; c < CLASSES; c++) {
		if (!occurs[c])
			continue;
		while (r < ring[c])
			ring_end[r++] = n;
		for (unsigned i = 0; i < procs; i++)
			if (i != index && topo_distance(topo, me, place->cpu[i % ncpus]) == c)
				victims[n++] = i;
	}
	while (r < PLACE_RINGS)
		ring_end[r++] = n;
	assert_always(n == procs - 1);
}

/* ---- when CPUs come and go ---- */

static unsigned emptiest(const unsigned *load, unsigned ncpus)
{
	unsigned best = 0;
	for (unsigned i = 1; i < ncpus; i++)
		if (load[i] < load[best])
			best = i;
	return best;
}

/* Ps [from, to): first those that stay, then the others. */
static void settle(const int *home, unsigned from, unsigned to, const int *at, const int *cpus, unsigned ncpus,
		   unsigned *load, int *now)
{
	for (unsigned i = from; i < to; i++)
		if (at[home[i]] >= 0) {
			now[i] = home[i];
			load[at[home[i]]]++;
		}
	for (unsigned i = from; i < to; i++)
		if (at[home[i]] < 0) {
			unsigned cpu = emptiest(load, ncpus);
			now[i] = cpus[cpu];
			load[cpu]++;
		}
}

void place_again(const int *home, unsigned procs, unsigned active, const int *cpus, unsigned ncpus, int *now)
{
	int at[TOPO_MAX_CPUS]; /* the kernel's number to the index in cpus, -1: gone */
	unsigned load[TOPO_MAX_CPUS] = {0};
	memset(at, -1, sizeof at);
	for (unsigned i = 0; i < ncpus; i++)
		at[cpus[i]] = (int)i;
	settle(home, 0, active, at, cpus, ncpus, load, now);
	settle(home, active, procs, at, cpus, ncpus, load, now);
}
