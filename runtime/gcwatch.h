/* The collector's watch (gcwatch.c). */
#ifndef RUNTIME_GCWATCH_H
#define RUNTIME_GCWATCH_H

#include "runtime/collect.h"

/* There is something for it. */
void gc_watch_wake(void);
/* A cycle has ended: gc_tidy_up is due. */
void gc_watch_tidies(void);

#endif
