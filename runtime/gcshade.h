/* What all threads have shaded. */
#ifndef RUNTIME_GCSHADE_H
#define RUNTIME_GCSHADE_H

#include "runtime/collect.h"

/* Goes to the words to be marked. */
void gc_drain_all(void);

#endif
