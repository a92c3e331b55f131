/* Pushes into a window of messages, each timed. */
#ifndef BENCH_MEMORY_PUSH_H
#define BENCH_MEMORY_PUSH_H

#include "bench/memory/work.h"

#include "lockfree/tsc.h"

/* As many as are made in a second of --seconds: what a heap does at leisure. */
enum { PUSHES_PER_SECOND = 1000000 };

/* Room for the latencies of a row. */
struct histogram *push_latencies(void);

static inline void push_timed(struct histogram *h, uint64_t from)
{
	histogram_record(h, tsc_ns(tsc_now() - from));
}

void ring_fill(void);
void ring_push(struct work *);
void map_fill(void); /* map.c */
void map_push(struct work *);

#define RING_ROW {"ring-push", ring_fill, ring_push, ROW_ONCE, ROW_WALL}

#endif
