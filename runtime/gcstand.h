/* The collector while the world stands (world.h): what WEFT_DEBUG=gcstw and gcverify ask for. All of it is one branch without them. */
#ifndef RUNTIME_GCSTAND_H
#define RUNTIME_GCSTAND_H

#include "runtime/collect.h"

struct config;

void gc_stand_start(const struct config *);

/* Everything stands, and has passed, and its stacks have been noted; the caller is who runs. */
bool gc_stands(void);

/* gc/host.h: may_begin. */
bool gc_stand_may_begin(struct gc *, enum gc_phase next);

/* gcwatch.c: does what somebody may not begin otherwise. */
void gc_stand_serve(void);

#endif
