/* The machine as plain data: which CPUs weft uses, in which order, and how far apart they are.
 *
 * hwloc finds the topology; nothing above this file knows hwloc. The order puts one hardware thread of
 * each physical core first, then the second threads, each time along hwloc's logical order, which keeps
 * neighbours in a cache and a node together. Without topology information (some containers) the order is
 * that of the affinity mask and every distance is 1.
 */
#ifndef ALLOC_TOPO_H
#define ALLOC_TOPO_H

#include <stdbool.h>
#include <stdint.h>

enum { TOPO_MAX_CPUS = 1024 };

struct topo_cpu {
	int os;     /* the kernel's number */
	int core;   /* physical core */
	int l3;     /* last-level cache */
	int node;   /* NUMA node */
	int thread; /* 0: the core's first hardware thread that we may use */
};

struct topo {
	int ncpus; /* usable, in order of use */
	bool from_hwloc;
	struct topo_cpu cpu[TOPO_MAX_CPUS];
};

/* Looks at this machine under this process's affinity mask. 0, or a negative errno when not even the mask
 * can be read. */
int topo_find(struct topo *);

/* The same from a topology in hwloc's XML or synthetic form; every CPU is usable. */
int topo_from_text(struct topo *, const char *description);

/* 0 same core, 1 same last-level cache, 2 same node, 3 another node. */
int topo_distance(const struct topo *, int a, int b);

#endif
