/* Where the Ps lie: in which order CPUs are used, and in which order a P looks at the others for work.
 *
 * Pure functions of a topology and a few numbers, so that every machine for which there is a description can be tried
 * on any other (tests/golden/topo).
 *
 * The order of use, by what counts most:
 *     - one hardware thread of each core before the second ones: two threads of a core have little more than one;
 *     - nodes that have a network card first, and then those near the first of them;
 *     - faster cores before slower ones, where a machine has several kinds;
 *     - larger last-level caches first, and of equal ones those that more cores share;
 *     - hwloc's logical order, which keeps what shares a cache together.
 * P i lies on the i-th CPU of the order, and begins again at the first when there are more Ps than CPUs.
 *
 * The stealing order is by distance (topo_distance), in at most PLACE_RINGS rings, each of which a thief goes round from
 * a random place on. A machine that knows more distances has the ones merged that differ least: first those within
 * an L3, then the farthest.
 *
 * When the affinity mask changes under a running program, a P stays on its own CPU, its home, as long as that is there;
 * the others go where there are fewest. It is home that the stealing order is made for: a P that has been moved
 * is looked at as if it had not, and a move that takes all Ps along keeps the order of use.
 */
#ifndef ALLOC_PLACE_H
#define ALLOC_PLACE_H

#include "alloc/topo.h"

enum { PLACE_RINGS = 4 };

struct place {
	int ncpus;
	int cpu[TOPO_MAX_CPUS]; /* indices into struct topo's CPUs, in order of use */
};

void place_order(struct place *, const struct topo *);

/* The CPU on which P `index` lies. */
static inline const struct topo_cpu *place_cpu(const struct place *place, const struct topo *topo, unsigned index)
{
	return &topo->cpu[place->cpu[index % (unsigned)place->ncpus]];
}

/* How many Ps the CPUs and a quota (thousandths of a core; 0: none) are good for. */
unsigned place_procs(const struct topo *, int quota);

/* Do so many Ps take all the CPUs that we may use, so that binding them is nobody's loss? */
bool place_owns_all(const struct topo *, unsigned procs);

/* The other Ps, nearest first: procs - 1 of them; victims[ring_end[r-1] .. ring_end[r]) are ring r. */
void place_victims(const struct place *, const struct topo *, unsigned procs, unsigned index, unsigned *victims,
		   unsigned ring_end[PLACE_RINGS]);

/* Where `procs` Ps whose homes are given lie (`now`) when `ncpus` CPUs are left, in order of use; all by the kernel's
 * numbers. The first `active` of them are seen to first. */
void place_again(const int *home, unsigned procs, unsigned active, const int *cpus, unsigned ncpus, int *now);

#endif
