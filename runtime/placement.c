/* Which CPU each P has. What is decided is in alloc/place.h; here it is carried out, and again when the affinity mask or
 * the CPU quota changes while the program runs.
 *
 * Invariant: an M that holds a P is bound, if weft binds, to p->cpu; a CPU that the mask does not have any more is no
 * P's for longer than a look takes to come round, which is once a second.
 *
 * Who looks is the thread that has called weft_main, which weft never binds: its own mask is the process's. An M that is bound
 * to one CPU cannot tell what else it might use. What administrators do, and where it shows:
 *     - a cpuset of the cgroup: the kernel narrows and widens every thread's mask; this thread's is the cpuset, as far
 *       as the program was started with it;
 *     - `taskset -ap MASK PID` sets every thread's mask, and `taskset -p MASK PID` that of the process's first thread, which
 *       usually is the one that has called weft_main;
 *     - `taskset -p MASK TID` of another thread is about that thread, and stays until all are placed anew.
 *
 * How many Ps are worth waking, sched.active, follows the smaller of mask and quota, unless WEFT_PROCS has said how many
 * there are to be. The others rest: they are not woken for work that others have, and take none from them. What is theirs
 * alone (pinned goroutines, timers, sockets, what is on their queue already) they still do (idle.c). There are never more Ps than at the start. A fractional quota turns spinning
 * off, as at the start.
 *
 * Rejected: looking from the idle Ps' watch and from busy Ps by the clock. A process that only sleeps has no
 * watch, one that only computes has no clock, and all of them are bound. It costs an idle process one wake-up a
 * second of some 50 µs.
 */
#include "runtime/placement.h"

#include "alloc/os.h"
#include "lockfree/assert.h"

#include <weft/time.h>

#include <string.h>

enum {
	LOOKS_TO_SETTLE = 3, /* an M may just have come back from a call, and be bound as before */
};
struct mask {
	int n, cpu[TOPO_MAX_CPUS];
};

static struct {
	struct config config;
	struct topo topo; /* as of the last look that found something new */
	struct place place;
	int home[MAX_PS], now[MAX_PS];
	struct mask mask;
	int quota;
	int unsettled; /* looks */
} placement;

/* ---- at the start ---- */

static enum spin_mode spin_under(int quota)
{
	enum spin_mode wanted = placement.config.spin;
	return quota % 1000 && wanted == SPIN_AUTO ? SPIN_OFF : wanted;
}

static void find_machine(struct topo *topo)
{
	int err = topo_find(topo);
	if (!err && (placement.mask.n = os_affinity(placement.mask.cpu, TOPO_MAX_CPUS)) < 0)
		err = placement.mask.n;
	if (err)
		fatal("cannot find out which CPUs there are: %s", strerror(-err));
	placement.quota = os_cpu_quota();
}

void placement_find(const struct config *c)
{
	struct topo *topo = &placement.topo;
	if (sim_on)
		sim_topo(topo, c->procs);
	else
		find_machine(topo);
	placement.config = *c;
	place_order(&placement.place, topo);
	sched.nprocs = placement_procs(c, topo, placement.quota);
	sched.pin = placement_binds(c, topo, sched.nprocs);
	store_rlx(&sched.active, sched.nprocs);
	store_rlx(&sched.spin, spin_under(placement.quota));
	for (unsigned i = 0; i < sched.nprocs; i++)
		placement.home[i] = placement.now[i] = place_cpu(&placement.place, topo, i)->os;
}

static int node_of(unsigned index)
{
	return placement.topo.node[place_cpu(&placement.place, &placement.topo, index)->node].os;
}

static bool has_nodes(void)
{
	return placement.topo.nnodes > 1 && !sim_on;
}

int placement_node(unsigned index)
{
	return has_nodes() ? node_of(index) : -1;
}

void *placement_alloc(unsigned index, size_t bytes)
{
	bytes = (bytes + OS_PAGE - 1) / OS_PAGE * OS_PAGE;
	void *memory = os_reserve(bytes);
	if (memory && has_nodes())
		os_prefer_node(memory, bytes, node_of(index));
	return memory;
}

_Static_assert(sizeof((struct p){0}.ring_end) == PLACE_RINGS * sizeof(unsigned), "a thief goes round all rings");

void placement_of(struct p *p)
{
	store_rlx(&p->cpu, placement.home[p->index]);
	p->stacks.node = has_nodes() ? 1 + node_of(p->index) : 0;
	place_victims(&placement.place, &placement.topo, sched.nprocs, p->index, p->victims, p->ring_end);
}

/* ---- binding ---- */

/* Even one that is there already: the kernel may have moved it when its CPU went, and would take it home when that came
 * back. */
static void bind(struct p *p, int thread, void *unused)
{
	(void)unused;
	os_pin_thread(thread, load_rlx(&p->cpu)); /* refused: the CPU has just gone, which the next look will show */
}

static void bind_all(void)
{
	if (sched.pin && !load_acq(&sched.stopping))
		m_each_with_p(bind, NULL);
}

/* ---- looking again ---- */

static bool same_mask(const struct mask *a, const struct mask *b)
{
	return a->n == b->n && !memcmp(a->cpu, b->cpu, (size_t)a->n * sizeof a->cpu[0]);
}

static unsigned worth_waking(void)
{
	unsigned good_for = placement_procs(&placement.config, &placement.topo, placement.quota);
	return good_for < sched.nprocs ? good_for : sched.nprocs;
}

static void place_anew(void)
{
	static int cpus[TOPO_MAX_CPUS];
	unsigned before = load_rlx(&sched.active), active;
	if (topo_find(&placement.topo))
		return;
	place_order(&placement.place, &placement.topo);
	for (int i = 0; i < placement.topo.ncpus; i++)
		cpus[i] = place_cpu(&placement.place, &placement.topo, (unsigned)i)->os;
	active = worth_waking();
	place_again(placement.home, sched.nprocs, active, cpus, (unsigned)placement.topo.ncpus, placement.now);
	for (unsigned i = 0; i < sched.nprocs; i++)
		store_rlx(&sched.ps[i]->cpu, placement.now[i]);
	store_rlx(&sched.spin, spin_under(placement.quota));
	store_rlx(&sched.active, active);
	placement.unsettled = LOOKS_TO_SETTLE;
	if (active > before)
		wake_one();
}

void placement_look_again(void)
{
	static struct mask mask;
	int quota = os_cpu_quota();
	mask.n = os_affinity(mask.cpu, TOPO_MAX_CPUS);
	if (mask.n > 0 && (!same_mask(&mask, &placement.mask) || quota != placement.quota)) {
		placement.mask = mask;
		placement.quota = quota;
		place_anew();
	}
	if (placement.unsettled > 0) {
		placement.unsettled--;
		bind_all();
	}
}
