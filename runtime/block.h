/* Blocking sections, from sysmon's side. */
#ifndef RUNTIME_BLOCK_H
#define RUNTIME_BLOCK_H

#include "runtime/g.h"

/* Is its M in a blocking section? */
static inline bool block_is_on(const struct p *p)
{
	return load_rlx(&p->xstatus) == P_BLOCKED;
}

/* Hands the P on if it is in the same section as *seen says, which is brought up to date. */
bool block_take_back(struct p *, uint32_t *seen);

/* In the function that begins a section, with its frame: what it has in registers and below the frame's end is kept. */
__attribute__((noinline)) void section_publish(struct section *, void *frame);
/* There is nothing in it. */
void section_clear(struct section *);

#endif
