#include "alloc/topo.h"
#include "alloc/os.h"

#include <errno.h>
#include <hwloc.h>
#include <string.h>

static int ancestor(hwloc_topology_t t, hwloc_obj_t pu, hwloc_obj_type_t type)
{
	hwloc_obj_t o = hwloc_get_ancestor_obj_by_type(t, type, pu);
	return o ? (int)o->logical_index : 0;
}

static int node_of(hwloc_obj_t pu)
{
	int node = pu->nodeset ? hwloc_bitmap_first(pu->nodeset) : 0;
	return node < 0 ? 0 : node;
}

/* Fills in hwloc's logical order, then moves the second hardware threads behind the first ones. */
static void fill(struct topo *topo, hwloc_topology_t t, const bool *usable)
{
	static struct topo_cpu second[TOPO_MAX_CPUS];
	int nsecond = 0, last_core = -1, thread = 0;
	hwloc_obj_t pu = NULL;
	topo->ncpus = 0;
	while ((pu = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_PU, pu)) &&
	       topo->ncpus + nsecond < TOPO_MAX_CPUS) {
		int os = (int)pu->os_index;
		if (os >= TOPO_MAX_CPUS || (usable && !usable[os]))
			continue;
		struct topo_cpu cpu = {.os = os,
				       .core = ancestor(t, pu, HWLOC_OBJ_CORE),
				       .l3 = ancestor(t, pu, HWLOC_OBJ_L3CACHE),
				       .node = node_of(pu)};
		thread = cpu.core == last_core ? thread + 1 : 0;
		last_core = cpu.core;
		cpu.thread = thread;
		if (thread == 0)
			topo->cpu[topo->ncpus++] = cpu;
		else
			second[nsecond++] = cpu;
	}
	memcpy(topo->cpu + topo->ncpus, second, (size_t)nsecond * sizeof *second);
	topo->ncpus += nsecond;
	topo->from_hwloc = true;
}

static void fill_flat(struct topo *topo, const int *cpus, int n)
{
	topo->ncpus = n;
	topo->from_hwloc = false;
	for (int i = 0; i < n; i++)
		topo->cpu[i] = (struct topo_cpu){.os = cpus[i], .core = i};
}

int topo_find(struct topo *topo)
{
	static int cpus[TOPO_MAX_CPUS];
	bool usable[TOPO_MAX_CPUS] = {false};
	int n = os_affinity(cpus, TOPO_MAX_CPUS);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		usable[cpus[i]] = true;
	topo->ncpus = 0;
	hwloc_topology_t t;
	if (hwloc_topology_init(&t) == 0) {
		if (hwloc_topology_load(t) == 0)
			fill(topo, t, usable);
		hwloc_topology_destroy(t);
	}
	if (topo->ncpus == 0)
		fill_flat(topo, cpus, n);
	return 0;
}

int topo_from_text(struct topo *topo, const char *description)
{
	hwloc_topology_t t;
	if (hwloc_topology_init(&t))
		return -ENOMEM;
	int err = description[0] == '<'
			  ? hwloc_topology_set_xmlbuffer(t, description, (int)strlen(description) + 1)
			  : hwloc_topology_set_synthetic(t, description);
	if (!err)
		err = hwloc_topology_load(t);
	if (!err)
		fill(topo, t, NULL);
	hwloc_topology_destroy(t);
	return err ? -EINVAL : 0;
}

int topo_distance(const struct topo *topo, int a, int b)
{
	const struct topo_cpu *x = &topo->cpu[a], *y = &topo->cpu[b];
	if (!topo->from_hwloc)
		return a == b ? 0 : 1;
	if (x->node != y->node)
		return 3;
	if (x->l3 != y->l3)
		return 2;
	return x->core == y->core ? 0 : 1;
}
