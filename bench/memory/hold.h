/* The longest that the collector holds a goroutine. */
#ifndef BENCH_MEMORY_HOLD_H
#define BENCH_MEMORY_HOLD_H

#include "bench/memory/work.h"

void gc_hold(struct work *);

#endif
