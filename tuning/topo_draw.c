#include "tuning/topo_draw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pieces ---- */

/* Appends "2-5,7" for numbers that follow each other. */
static void add_runs(FILE *to, const unsigned *numbers, unsigned n)
{
	for (unsigned i = 0; i < n;) {
		unsigned last = i;
		while (last + 1 < n && numbers[last + 1] == numbers[last] + 1)
			last++;
		fprintf(to, last > i ? "%s%u-%u" : "%s%u", i ? "," : "", numbers[i], numbers[last]);
		i = last + 1;
	}
}

static const char *size(int64_t kib)
{
	static char text[32];
	if (kib % (1 << 20) == 0)
		snprintf(text, sizeof text, "%lld GiB", (long long)(kib >> 20));
	else if (kib % (1 << 10) == 0)
		snprintf(text, sizeof text, "%lld MiB", (long long)(kib >> 10));
	else
		snprintf(text, sizeof text, "%lld KiB", (long long)kib);
	return text;
}

static const char *plural(int n)
{
	return n == 1 ? "" : "s";
}

static int count(const struct topo_view *v, int (*of)(const struct topo_cpu *))
{
	int most = -1;
	for (int i = 0; i < v->topo.ncpus; i++)
		most = of(&v->topo.cpu[i]) > most ? of(&v->topo.cpu[i]) : most;
	return most + 1;
}

static int package_of(const struct topo_cpu *c)
{
	return c->package;
}

static int kind_of(const struct topo_cpu *c)
{
	return c->kind;
}

/* ---- the tree ---- */

/* The things that enclose a CPU, outermost first. */
enum level { PACKAGE, NODE, L3, L2, CORE, LEVELS };

static int at_level(const struct topo_cpu *c, int level)
{
	const int number[LEVELS] = {c->package, c->node, c->l3, c->l2, c->core};
	return number[level];
}

static void head(const struct topo_view *v, const struct topo_cpu *c, int level, int depth)
{
	const struct topo_node *node = &v->topo.node[c->node];
	printf("%*s", 2 * depth, "");
	if (level == PACKAGE)
		printf("package %d\n", c->package);
	if (level == NODE) {
		printf("node %d", node->os);
		if (node->memory_mib)
			printf(", %s", size(node->memory_mib * 1024));
		if (node->nics)
			printf(", %d network card%s", node->nics, plural(node->nics));
		putchar('\n');
	}
	if (level == L3)
		printf("L3 %d, %s\n", c->l3, size(c->l3_kib));
	if (level == L2)
		printf("L2 %d, %s\n", c->l2, size(c->l2_kib));
	if (level == CORE) {
		printf("core %d", c->core);
		if (count(v, kind_of) > 1)
			printf(" (kind %d)", c->kind);
		fputs(": ", stdout);
	}
}

/* Behind a core: its CPU, and the Ps that lie there. */
static void draw_cpu(const struct topo_view *v, int index)
{
	printf("CPU %d", v->topo.cpu[index].os);
	const char *before = " ";
	for (unsigned p = 0; p < v->procs; p++)
		if (v->place.cpu[p % (unsigned)v->place.ncpus] == index) {
			printf("%sP%u", before, p);
			before = ",";
		}
}

static void draw_tree(const struct topo_view *v)
{
	const struct topo_cpu *last = NULL;
	for (int i = 0; i < v->topo.ncpus; i++) {
		const struct topo_cpu *c = &v->topo.cpu[i];
		int depth = 0, from = 0;
		while (last && from < LEVELS && at_level(c, from) == at_level(last, from))
			from++;
		if (last)
			fputs(from < LEVELS ? "\n" : ", ", stdout);
		for (int level = 0; level < LEVELS; level++) {
			if (level >= from && at_level(c, level) >= 0)
				head(v, c, level, depth);
			depth += at_level(c, level) >= 0;
		}
		draw_cpu(v, i);
		last = c;
	}
	putchar('\n');
}

static void draw_distances(const struct topo_view *v)
{
	if (v->topo.nnodes < 2)
		return;
	printf("distances between nodes (%s):\n",
	       v->topo.has_distances ? "from the firmware" : "the firmware tells none; assumed");
	for (int a = 0; a < v->topo.nnodes; a++) {
		printf("  %3d:", v->topo.node[a].os);
		for (int b = 0; b < v->topo.nnodes; b++)
			printf(" %3d", topo_node_distance(&v->topo, a, b));
		putchar('\n');
	}
}

/* ---- the decisions ---- */

static const char *pin_word(const struct topo_view *v)
{
	static const char *const words[] = {[PIN_AUTO] = "auto", [PIN_ON] = "on", [PIN_OFF] = "off"};
	return words[v->config.pin];
}

static const char *why_so_many(const struct topo_view *v)
{
	if (v->config.procs)
		return "WEFT_PROCS says so";
	return v->procs < (unsigned)v->topo.ncpus ? "as many as the quota pays for" : "as many as CPUs";
}

static const char *why_bound(const struct topo_view *v)
{
	if (v->config.pin != PIN_AUTO)
		return "";
	return v->bound ? ": as many Ps as CPUs" : ": not as many Ps as CPUs";
}

static int by_number(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
	return x < y ? -1 : x > y;
}

static void draw_mask(const struct topo_view *v)
{
	unsigned cpus[TOPO_MAX_CPUS];
	for (int i = 0; i < v->topo.ncpus; i++)
		cpus[i] = (unsigned)v->topo.cpu[i].os;
	qsort(cpus, (size_t)v->topo.ncpus, sizeof cpus[0], by_number);
	printf("CPUs:  ");
	add_runs(stdout, cpus, (unsigned)v->topo.ncpus);
	puts(v->input ? "" : " (affinity mask)");
}

static void draw_decisions(const struct topo_view *v)
{
	draw_mask(v);
	if (v->quota)
		printf("quota: %d.%03d CPUs\n", v->quota / 1000, v->quota % 1000);
	else
		puts(v->input ? "quota: not looked at" : "quota: none");
	printf("Ps:    %u (%s)\n", v->procs, why_so_many(v));
	printf("Ms:    %s (WEFT_PIN=%s%s)\n", v->bound ? "bound to the CPU of their P" : "not bound", pin_word(v),
	       why_bound(v));
	printf("order: ");
	unsigned cpus[TOPO_MAX_CPUS];
	for (int i = 0; i < v->place.ncpus; i++)
		cpus[i] = (unsigned)v->topo.cpu[v->place.cpu[i]].os;
	add_runs(stdout, cpus, (unsigned)v->place.ncpus);
	puts(" (CPUs in order of use)");
}

static void draw_origin(const struct topo_view *v)
{
	if (v->input)
		printf("simulated: %s, not this machine\n", v->input);
	else if (v->topo.simulated)
		puts("simulated: what hwloc's variables say, not this machine");
	else if (!v->topo.from_hwloc)
		puts("hwloc finds no topology here: CPUs are taken for equal");
}

void topo_draw(const struct topo_view *v)
{
	int packages = count(v, package_of);
	draw_origin(v);
	printf("%d CPU%s, %d node%s, %d package%s\n", v->topo.ncpus, plural(v->topo.ncpus), v->topo.nnodes,
	       plural(v->topo.nnodes), packages, plural(packages));
	draw_tree(v);
	draw_distances(v);
	draw_decisions(v);
}

/* ---- stealing ---- */

struct victims {
	unsigned *p, ring_end[PLACE_RINGS];
};

static void find_victims(const struct topo_view *v, unsigned p, struct victims *found)
{
	if (!found->p)
		found->p = malloc(v->procs * sizeof *found->p);
	if (!found->p)
		abort();
	place_victims(&v->place, &v->topo, v->procs, p, found->p, found->ring_end);
}

void topo_draw_stealing(const struct topo_view *v)
{
	struct victims found = {0};
	puts("each P looks for work at, ring by ring:");
	for (unsigned p = 0; p < v->procs; p++) {
		find_victims(v, p, &found);
		printf("  P%u:", p);
		const char *bar = " ";
		unsigned from = 0;
		for (int r = 0; r < PLACE_RINGS; from = found.ring_end[r++]) {
			if (found.ring_end[r] == from)
				continue;
			fputs(bar, stdout);
			add_runs(stdout, found.p + from, found.ring_end[r] - from);
			bar = " | ";
		}
		putchar('\n');
	}
	free(found.p);
}

/* ---- JSON ---- */

static json_t *number_or_null(int number)
{
	return number < 0 ? json_null() : json_integer(number);
}

static json_t *json_of_cpu(const struct topo_view *v, int index)
{
	const struct topo_cpu *c = &v->topo.cpu[index];
	json_t *o = json_object(), *ps = json_array();
	const struct {
		const char *name;
		int value;
	} fields[] = {{"cpu", c->os}, {"core", c->core}, {"thread", c->thread}, {"kind", c->kind},
		      {"l2", c->l2}, {"l2_kib", c->l2_kib}, {"l3", c->l3}, {"l3_kib", c->l3_kib},
		      {"node", v->topo.node[c->node].os}, {"package", c->package}};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		json_object_set_new(o, fields[i].name, number_or_null(fields[i].value));
	for (unsigned p = 0; p < v->procs; p++)
		if (v->place.cpu[p % (unsigned)v->place.ncpus] == index)
			json_array_append_new(ps, json_integer(p));
	json_object_set_new(o, "ps", ps);
	return o;
}

static json_t *json_of_node(const struct topo_view *v, int index)
{
	const struct topo_node *n = &v->topo.node[index];
	json_t *o = json_object(), *far = json_array();
	json_object_set_new(o, "node", json_integer(n->os));
	json_object_set_new(o, "memory_mib", json_integer(n->memory_mib));
	json_object_set_new(o, "network_cards", json_integer(n->nics));
	for (int i = 0; i < v->topo.nnodes; i++)
		json_array_append_new(far, json_integer(topo_node_distance(&v->topo, index, i)));
	json_object_set_new(o, "distances", far);
	return o;
}

static json_t *json_of_p(const struct topo_view *v, unsigned p, struct victims *found)
{
	json_t *o = json_object(), *rings = json_array();
	find_victims(v, p, found);
	json_object_set_new(o, "p", json_integer(p));
	json_object_set_new(o, "cpu", json_integer(place_cpu(&v->place, &v->topo, p)->os));
	unsigned at = 0;
	for (int r = 0; r < PLACE_RINGS; r++) {
		if (found->ring_end[r] == at)
			continue;
		json_t *ring = json_array();
		for (; at < found->ring_end[r]; at++)
			json_array_append_new(ring, json_integer(found->p[at]));
		json_array_append_new(rings, ring);
	}
	json_object_set_new(o, "steals_from", rings);
	return o;
}

json_t *topo_json(const struct topo_view *v)
{
	json_t *o = json_object(), *cpus = json_array(), *nodes = json_array(), *ps = json_array();
	struct victims found = {0};
	json_object_set_new(o, "simulated", json_boolean(v->topo.simulated));
	json_object_set_new(o, "input", v->input ? json_string(v->input) : json_null());
	json_object_set_new(o, "quota_millicpus", v->quota ? json_integer(v->quota) : json_null());
	json_object_set_new(o, "procs", json_integer(v->procs));
	json_object_set_new(o, "pin", json_string(pin_word(v)));
	json_object_set_new(o, "bound", json_boolean(v->bound));
	json_object_set_new(o, "firmware_distances", json_boolean(v->topo.has_distances));
	for (int i = 0; i < v->topo.ncpus; i++)
		json_array_append_new(cpus, json_of_cpu(v, i));
	for (int i = 0; i < v->topo.nnodes; i++)
		json_array_append_new(nodes, json_of_node(v, i));
	for (unsigned p = 0; p < v->procs; p++)
		json_array_append_new(ps, json_of_p(v, p, &found));
	json_object_set_new(o, "cpus", cpus);
	json_object_set_new(o, "nodes", nodes);
	json_object_set_new(o, "ps", ps);
	free(found.p);
	return o;
}
