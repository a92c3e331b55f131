/* The machine as plain data: CPUs, their caches, packages and kinds, the NUMA nodes, and how far apart all that is.
 *
 * hwloc finds the topology; nothing above this file knows hwloc. These are facts, in hwloc's logical order, which keeps
 * neighbours in a cache and a node together; what weft makes of them is alloc/place.h. Numbers are dense and count
 * from 0 in that order, but for `os`, which is the kernel's. A CPU without a cache of a level has -1 there.
 *
 * Without topology information (some containers) there are the CPUs of the affinity mask, and every distance is the
 * same. hwloc's own variables (HWLOC_XMLFILE, HWLOC_SYNTHETIC) put another machine in this one's place; it is marked
 * as simulated, and its CPUs are those whose numbers are in the affinity mask.
 */
#ifndef ALLOC_TOPO_H
#define ALLOC_TOPO_H

#include <stdbool.h>
#include <stdint.h>

enum { TOPO_MAX_CPUS = 1024, TOPO_MAX_NODES = 64 };

struct topo_cpu {
	int os;
	int core;     /* physical core */
	int thread;   /* 0: the core's first hardware thread that we may use */
	int kind;     /* of cores of unequal kind: more is faster */
	int l2, l3;   /* caches */
	int l2_kib, l3_kib;
	int l3_cores; /* that share the L3, whether we may use them or not */
	int node;     /* index into struct topo's nodes */
	int package;
};

struct topo_node {
	int os;
	int64_t memory_mib;
	int nics;    /* network devices on PCI that are nearest to this node; 0 for all where that is not known */
	int package; /* of its CPUs; -1: of several, or of none */
};

struct topo {
	int ncpus; /* usable */
	int nnodes;
	bool from_hwloc;
	bool simulated;     /* not the machine on which we run */
	bool has_distances; /* the firmware tells how far the nodes are apart; 10 is a node to itself */
	struct topo_cpu cpu[TOPO_MAX_CPUS];
	struct topo_node node[TOPO_MAX_NODES];
	uint16_t distance[TOPO_MAX_NODES][TOPO_MAX_NODES];
	uint8_t remoteness[TOPO_MAX_NODES][TOPO_MAX_NODES]; /* how many shorter distances there are between nodes */
};

/* Looks at this machine under the calling thread's affinity mask. 0, or a negative errno when not even the mask
 * can be read. */
int topo_find(struct topo *);

/* The same from a topology in hwloc's XML or synthetic form; every CPU is usable. 0, or -EINVAL. */
int topo_from_text(struct topo *, const char *description);

/* How far CPU b is from a. Nodes apart come in classes, TOPO_REMOTE and up: by the firmware's matrix, the shorter of
 * its distances first; without one, nodes of the same package before the others. */
enum { TOPO_SAME_CORE, TOPO_SAME_L2, TOPO_SAME_L3, TOPO_SAME_NODE, TOPO_REMOTE };
int topo_distance(const struct topo *, int a, int b);

/* The firmware's figure for two nodes, the larger of the two directions; without a matrix 10 for a node to itself, 20
 * within a package, otherwise 30. */
int topo_node_distance(const struct topo *, int a, int b);

#endif
