/* How long goroutines are held, and what allocation pays (gcpay.c). */
#ifndef RUNTIME_GCPAY_H
#define RUNTIME_GCPAY_H

#include "runtime/collect.h"

/* A goroutine was held for so long. */
void gc_held(int64_t ns);
/* The longest since this was asked the last time. */
int64_t gc_cycle_hold(void);
/* A cycle at every so many allocations, if the caches give objects one by one; 0: as the heap grows. */
void gc_stress(unsigned every);

#endif
