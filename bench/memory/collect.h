/* A collector by itself: how fast it marks, and what it costs while it does not. */
#ifndef BENCH_MEMORY_COLLECT_H
#define BENCH_MEMORY_COLLECT_H

#include "bench/memory/work.h"

void mark_tree(struct work *);
void mark_lists(struct work *);
void mark_poor(struct work *);
void set_idle_fill(void);
void set_idle(struct work *);

#define MARK_ROWS                                                            \
	{"mark-tree", NULL, mark_tree, ROW_ONCE, ROW_CPU},                   \
	{"mark-lists", NULL, mark_lists, ROW_ONCE, ROW_CPU},                 \
	{"mark-poor", NULL, mark_poor, ROW_ONCE, ROW_CPU}

#endif
