/* Which CPU each P has, from the start on and when the affinity mask or the quota changes. */
#ifndef RUNTIME_PLACEMENT_H
#define RUNTIME_PLACEMENT_H

#include "alloc/place.h"
#include "runtime/config.h"

/* How many Ps there are to be, and whether Ms are bound to the CPUs of theirs: what the environment says, and otherwise
 * what the machine suggests. */
static inline unsigned placement_procs(const struct config *c, const struct topo *topo, int quota)
{
	return c->procs ? c->procs : place_procs(topo, quota);
}

static inline bool placement_binds(const struct config *c, const struct topo *topo, unsigned procs)
{
	return c->pin == PIN_ON || (c->pin == PIN_AUTO && place_owns_all(topo, procs));
}

/* Looks at the machine and decides how many Ps there are, whether Ms are bound, and whether they spin: sched.nprocs,
 * active, pin and spin. */
void placement_find(const struct config *);

/* Memory for P `index`, zeroed, in whole pages of its own; on its NUMA node where there are several. NULL: no memory. */
void *placement_alloc(unsigned index, size_t bytes);

/* The NUMA node of P `index`; -1: there are not several. */
int placement_node(unsigned index);

/* Fills in what depends on where the P lies: its CPU, whence its stacks come, the order of its victims. */
void placement_of(struct p *);

/* Looks again, and places the Ps anew if something has changed. By the thread that has called placement_find, which is bound to
 * nothing, every so often. */
void placement_look_again(void);
enum { PLACEMENT_EVERY_S = 1 };

/* start.c: calls see(p, thread, arg) for every M that holds a P: the P, and the kernel's number of the M's thread. */
void m_each_with_p(void (*see)(struct p *, int thread, void *arg), void *arg);

#endif
