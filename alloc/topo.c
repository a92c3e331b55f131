#include "alloc/topo.h"
#include "alloc/os.h"

#include <errno.h>
#include <hwloc.h>
#include <limits.h>
#include <string.h>

enum { PCI_NETWORK = 0x02, SELF = 10, SAME_PACKAGE = 20, OTHER_PACKAGE = 30 };

/* ---- distances ---- */

int topo_node_distance(const struct topo *topo, int a, int b)
{
	if (a == b)
		return SELF;
	if (topo->has_distances) {
		int there = topo->distance[a][b], back = topo->distance[b][a];
		return there > back ? there : back;
	}
	int package = topo->node[a].package;
	return package >= 0 && package == topo->node[b].package ? SAME_PACKAGE : OTHER_PACKAGE;
}

int topo_distance(const struct topo *topo, int a, int b)
{
	const struct topo_cpu *x = &topo->cpu[a], *y = &topo->cpu[b];
	if (x->core == y->core)
		return TOPO_SAME_CORE;
	if (x->node != y->node)
		return TOPO_REMOTE + topo->remoteness[x->node][y->node];
	if (x->l2 >= 0 && x->l2 == y->l2)
		return TOPO_SAME_L2;
	return x->l3 >= 0 && x->l3 == y->l3 ? TOPO_SAME_L3 : TOPO_SAME_NODE;
}

/* The next longer distance between two nodes after `last`; INT_MAX: there is none. */
static int next_distance(const struct topo *topo, int last)
{
	int next = INT_MAX;
	for (int a = 0; a < topo->nnodes; a++)
		for (int b = 0; b < a; b++) {
			int far = topo_node_distance(topo, a, b);
			if (far > last && far < next)
				next = far;
		}
	return next;
}

static void rank_distances(struct topo *topo)
{
	int far = next_distance(topo, -1);
	for (uint8_t rank = 0; far != INT_MAX; rank += rank < UINT8_MAX) {
		for (int a = 0; a < topo->nnodes; a++)
			for (int b = 0; b < topo->nnodes; b++)
				if (a != b && topo_node_distance(topo, a, b) == far)
					topo->remoteness[a][b] = rank;
		far = next_distance(topo, far);
	}
}

/* ---- reading hwloc ---- */

static int ancestor(hwloc_topology_t t, hwloc_obj_t pu, hwloc_obj_type_t type, int without)
{
	hwloc_obj_t o = hwloc_get_ancestor_obj_by_type(t, type, pu);
	return o ? (int)o->logical_index : without;
}

static int kib(hwloc_topology_t t, hwloc_obj_t pu, hwloc_obj_type_t type)
{
	hwloc_obj_t o = hwloc_get_ancestor_obj_by_type(t, type, pu);
	return o ? (int)(o->attr->cache.size / 1024) : 0;
}

static int cores_in(hwloc_topology_t t, hwloc_obj_t pu, hwloc_obj_type_t type)
{
	hwloc_obj_t o = hwloc_get_ancestor_obj_by_type(t, type, pu);
	return o ? hwloc_get_nbobjs_inside_cpuset_by_type(t, o->cpuset, HWLOC_OBJ_CORE) : 0;
}

/* hwloc's ranking of the kinds of cores; 0 for all where it knows of none. */
static int kind_of(hwloc_topology_t t, hwloc_obj_t pu)
{
	int kind = hwloc_cpukinds_get_by_cpuset(t, pu->cpuset, 0), efficiency = -1;
	if (kind >= 0)
		hwloc_cpukinds_get_info(t, (unsigned)kind, NULL, &efficiency, NULL, NULL, 0);
	return efficiency < 0 ? 0 : efficiency;
}

static int node_index(const struct topo *topo, int os)
{
	for (int i = 0; i < topo->nnodes; i++)
		if (topo->node[i].os == os)
			return i;
	return 0;
}

static int package_of(hwloc_obj_t node)
{
	hwloc_obj_t o = node->parent;
	while (o && o->type != HWLOC_OBJ_PACKAGE)
		o = o->parent;
	return o ? (int)o->logical_index : -1;
}

static void read_nodes(struct topo *topo, hwloc_topology_t t)
{
	hwloc_obj_t o = NULL;
	while ((o = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_NUMANODE, o)) && topo->nnodes < TOPO_MAX_NODES)
		topo->node[topo->nnodes++] = (struct topo_node){
			.os = (int)o->os_index,
			.memory_mib = (int64_t)(o->attr->numanode.local_memory >> 20),
			.package = package_of(o)};
}

static void read_distances(struct topo *topo, hwloc_topology_t t)
{
	struct hwloc_distances_s *d = NULL;
	unsigned n = 1;
	if (hwloc_distances_get_by_type(t, HWLOC_OBJ_NUMANODE, &n, &d, HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) ||
	    n == 0 || !d)
		return;
	for (unsigned a = 0; a < d->nbobjs; a++)
		for (unsigned b = 0; b < d->nbobjs; b++) {
			int from = node_index(topo, (int)d->objs[a]->os_index);
			int to = node_index(topo, (int)d->objs[b]->os_index);
			hwloc_uint64_t far = d->values[a * d->nbobjs + b];
			topo->distance[from][to] = far > UINT16_MAX ? UINT16_MAX : (uint16_t)far;
		}
	topo->has_distances = true;
	hwloc_distances_release(t, d);
}

/* By its PCI class, so that a device is found whose driver is in user space. One near all nodes is near none. */
static void read_nics(struct topo *topo, hwloc_topology_t t)
{
	hwloc_obj_t pci = NULL;
	while ((pci = hwloc_get_next_pcidev(t, pci))) {
		if (pci->attr->pcidev.class_id >> 8 != PCI_NETWORK)
			continue;
		hwloc_obj_t near = hwloc_get_non_io_ancestor_obj(t, pci);
		for (int i = 0; near && near->nodeset && near != hwloc_get_root_obj(t) && i < topo->nnodes; i++)
			topo->node[i].nics += hwloc_bitmap_isset(near->nodeset, (unsigned)topo->node[i].os);
	}
}

static int node_of(const struct topo *topo, hwloc_obj_t pu)
{
	int os = pu->nodeset ? hwloc_bitmap_first(pu->nodeset) : -1;
	return os < 0 ? 0 : node_index(topo, os);
}

static void read_cpus(struct topo *topo, hwloc_topology_t t, const bool *usable)
{
	int last_core = -1, thread = 0;
	hwloc_obj_t pu = NULL;
	while ((pu = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_PU, pu)) && topo->ncpus < TOPO_MAX_CPUS) {
		int os = (int)pu->os_index;
		if (os >= TOPO_MAX_CPUS || (usable && !usable[os]))
			continue;
		int core = ancestor(t, pu, HWLOC_OBJ_CORE, (int)pu->logical_index);
		thread = core == last_core ? thread + 1 : 0;
		last_core = core;
		topo->cpu[topo->ncpus++] = (struct topo_cpu){
			.os = os,
			.core = core,
			.thread = thread,
			.kind = kind_of(t, pu),
			.l2 = ancestor(t, pu, HWLOC_OBJ_L2CACHE, -1),
			.l3 = ancestor(t, pu, HWLOC_OBJ_L3CACHE, -1),
			.l2_kib = kib(t, pu, HWLOC_OBJ_L2CACHE),
			.l3_kib = kib(t, pu, HWLOC_OBJ_L3CACHE),
			.l3_cores = cores_in(t, pu, HWLOC_OBJ_L3CACHE),
			.node = node_of(topo, pu),
			.package = ancestor(t, pu, HWLOC_OBJ_PACKAGE, 0)};
	}
}

static void fill(struct topo *topo, hwloc_topology_t t, const bool *usable)
{
	read_nodes(topo, t);
	read_distances(topo, t);
	rank_distances(topo);
	read_nics(topo, t);
	read_cpus(topo, t, usable);
	topo->from_hwloc = true;
	topo->simulated = !hwloc_topology_is_thissystem(t);
}

enum io { WITHOUT_IO, WITH_IO };

/* Of I/O only PCI devices are wanted. The plugins for GPUs would start their drivers, which takes longer than all
 * else. And hwloc must not go from CPU to CPU to ask each: the kernel takes the mask that it puts back for a wish of
 * ours, and would keep us to it when a cpuset grows. */
static int prepare(hwloc_topology_t *t, enum io io)
{
	static const char *const slow[] = {"cuda", "gl", "levelzero", "nvml", "opencl", "rsmi"};
	if (hwloc_topology_init(t))
		return -ENOMEM;
	for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
		hwloc_topology_set_components(*t, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, slow[i]);
	hwloc_topology_set_flags(*t, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING);
	if (io == WITH_IO)
		hwloc_topology_set_type_filter(*t, HWLOC_OBJ_PCI_DEVICE, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
	return 0;
}

static bool load(hwloc_topology_t *t, enum io io)
{
	if (prepare(t, io))
		return false;
	if (hwloc_topology_load(*t) == 0)
		return true;
	hwloc_topology_destroy(*t);
	return false;
}

/* Looking for PCI devices takes ten times as long as all else, so only where there are nodes that they could be near. */
static bool load_this_machine(hwloc_topology_t *t)
{
	if (!load(t, WITHOUT_IO))
		return false;
	if (hwloc_get_nbobjs_by_type(*t, HWLOC_OBJ_NUMANODE) == 1)
		return true;
	hwloc_topology_destroy(*t);
	return load(t, WITH_IO);
}

/* ---- finding ---- */

static void fill_flat(struct topo *topo, const int *cpus, int n)
{
	topo->ncpus = n;
	topo->nnodes = 1;
	topo->node[0] = (struct topo_node){.package = 0};
	for (int i = 0; i < n; i++)
		topo->cpu[i] = (struct topo_cpu){.os = cpus[i], .core = i, .l2 = -1, .l3 = -1};
}

int topo_find(struct topo *topo)
{
	int cpus[TOPO_MAX_CPUS];
	bool usable[TOPO_MAX_CPUS] = {false};
	memset(topo, 0, sizeof *topo);
	int n = os_affinity(cpus, TOPO_MAX_CPUS);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		usable[cpus[i]] = true;
	hwloc_topology_t t;
	if (load_this_machine(&t)) {
		fill(topo, t, usable);
		hwloc_topology_destroy(t);
	}
	if (topo->ncpus == 0) {
		memset(topo, 0, sizeof *topo);
		fill_flat(topo, cpus, n);
	}
	return 0;
}

int topo_from_text(struct topo *topo, const char *description)
{
	hwloc_topology_t t;
	memset(topo, 0, sizeof *topo);
	if (prepare(&t, WITH_IO))
		return -ENOMEM;
	int err = description[0] == '<'
			  ? hwloc_topology_set_xmlbuffer(t, description, (int)strlen(description) + 1)
			  : hwloc_topology_set_synthetic(t, description);
	if (!err)
		err = hwloc_topology_load(t);
	if (!err)
		fill(topo, t, NULL);
	hwloc_topology_destroy(t);
	return err || topo->ncpus == 0 ? -EINVAL : 0;
}
