/* Allocation with 64 MiB live, half of which is replaced in turn, and half of which stays. */
#ifndef BENCH_MEMORY_ALLOC_H
#define BENCH_MEMORY_ALLOC_H

#include "bench/memory/work.h"

enum { ALLOC_LIVE = 64 << 20 };

void alloc_16_fill(void);
void alloc_16(struct work *);
void alloc_64_fill(void);
void alloc_64(struct work *);
void alloc_256_fill(void);
void alloc_256(struct work *);

#define ALLOC_ROWS                                                           \
	{"alloc-16", alloc_16_fill, alloc_16, ROW_REPEATED, ROW_CPU},        \
	{"alloc-64", alloc_64_fill, alloc_64, ROW_REPEATED, ROW_CPU},        \
	{"alloc-256", alloc_256_fill, alloc_256, ROW_REPEATED, ROW_CPU}

#endif
