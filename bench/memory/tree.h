/* Binary trees. */
#ifndef BENCH_MEMORY_TREE_H
#define BENCH_MEMORY_TREE_H

#include "bench/memory/work.h"

void binary_trees_16(struct work *);
void binary_trees_18(struct work *);

#define TREE_ROWS                                                            \
	{"binary-trees-16", NULL, binary_trees_16, ROW_ONCE, ROW_CPU},      \
	{"binary-trees-18", NULL, binary_trees_18, ROW_ONCE, ROW_CPU}

#endif
