/* Goroutines that can never run again: weft_leaks. */
#ifndef RUNTIME_LEAKS_H
#define RUNTIME_LEAKS_H

#include "runtime/g.h"

/* start.c: before the Ps start. */
void leaks_start(void);

/* It waits, and at that time nobody could come at what it waits for. So it stays, unless somebody wakes it by a pointer that was none then. */
static inline bool is_leaked(const struct g *g)
{
	return load_rlx(&g->state) == G_WAITING && load_rlx(&g->waiting) & WAIT_LEAKED;
}

#endif
