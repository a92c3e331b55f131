/* What a program has done to its heap, written down beside it: which objects there are, what each points to, and what the program can
 * reach. It is what the collector is judged by, and has nothing of the collector's in it but heap_find.
 *
 * An object's number stands in its first word, and its node in the graph has the same number; 0 is nothing. */
#ifndef TESTS_GC_GRAPH_H
#define TESTS_GC_GRAPH_H

#include "alloc/heap.h"

enum { GRAPH_NODES = 1 << 14, GRAPH_FIELDS = 4 };

/* The first word is the number, the next ones are the fields; the rest is zero. */
struct graph_object {
	uint64_t number;
	struct graph_object *field[GRAPH_FIELDS];
};

struct graph_node {
	struct graph_object *at;
	uint32_t to[GRAPH_FIELDS];
	uint32_t nfields;
	bool published; /* others may reach it */
	bool reached;	/* when graph_reach was called last */
	bool lost;	/* it was unreachable when the cycle began */
	bool excused;	/* it may outlive the cycle though it is lost: something looked like a pointer to it, or it was found again */
	bool gone;	/* its memory was given back */
};

struct graph {
	uint32_t n; /* nodes [1, n) */
	uint32_t ntodo;
	uint32_t first; /* all before it are gone */
	struct graph_node node[GRAPH_NODES];
	uint32_t todo[GRAPH_NODES];
};

void graph_init(struct graph *);

/* The number of a new object, which is written into it. */
uint32_t graph_add(struct graph *, struct graph_object *, uint32_t nfields);

/* Others may reach it from now on, and what it leads to. */
void graph_publish(struct graph *, uint32_t number);

/* Reaching begins: nothing is reached; then from each root; then all that these lead to. */
void graph_begin(struct graph *);
void graph_from(struct graph *, uint32_t number);
void graph_reach(struct graph *);

/* All that the program can reach is there and says what it should; else what is wrong. */
const char *graph_check(struct graph *, struct heap *);

/* A cycle begins: what is not reached now is lost, and nothing is excused. */
void graph_lose(struct graph *);
/* It and what it leads to may outlive the cycle. */
void graph_excuse(struct graph *, uint32_t number);
/* A cycle has ended, and the graph is reached: what was lost is gone. And there are as many objects as the heap says. Else what is wrong. */
const char *graph_check_freed(struct graph *, struct heap *, uint64_t objects);

#endif
