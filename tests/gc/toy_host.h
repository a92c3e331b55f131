/* A host for the collector that is no runtime: a few mutators, goroutines that are stacks of pointers, roots, weak pointers; all on one
 * thread, step by step, in an order that a seed gives. What runtime/gchost.c, gc.c, block.c and cleanup.c do for real is done here in the
 * same order, but without claims and signals: where those would interrupt a thread, a step is over.
 *
 * A step of a mutator is as much as others see at once: a store is the look at the flag, each shading and the store itself, one
 * step each. Others go on in between: the other mutators, and the collector, in the middle of whose steps mutators go on as well, whenever
 * it asks its host for something.
 *
 * The graph (graph.h) says what the program has done. The host can have a *fault*: one of the things left out that the argument in
 * gc/cycle.h needs. The tests want each to be found. */
#ifndef TESTS_GC_TOY_HOST_H
#define TESTS_GC_TOY_HOST_H

#include "gc/cycle.h"
#include "gc/host.h"
#include "gc/special.h"
#include "tests/gc/graph.h"

enum toy_fault {
	TOY_SOUND,
	TOY_NO_DELETION,	  /* the barrier does not shade what is overwritten */
	TOY_DELETION_TOO_SOON,	  /* it looks before the store at what that overwrites, while others do not shade yet */
	TOY_NO_INSERTION,	  /* nor what a grey stack stores */
	TOY_NO_FIRST_PASS,	  /* ARMING ends though a mutator has not seen the flag */
	TOY_NO_LOOK,		  /* SCANNING ends though stacks that run are grey */
	TOY_NO_THIRD_PASS,	  /* CLOSING ends though one has not shaded what it has swapped out */
	TOY_EARLY_SCAN,		  /* stacks are looked at while ARMING */
	TOY_BLACK_BEFORE_SCAN,	  /* a grey stack allocates black */
	TOY_WHITE_AFTER_SCAN,	  /* a black one allocates white */
	TOY_NO_DRAIN,		  /* the rings are not drained at the end */
	TOY_NO_FLUSH,		  /* after marking a cache allocates white, but in the spans that it had */
	TOY_NO_SECTION,		  /* a stack in a blocking section is not looked at */
	TOY_BACK_UNSEEN,	  /* who comes back from one goes on unseen, and counts as looked at */
	TOY_NO_ROOTS,		  /* roots are not looked at */
	TOY_BIRTH_UNSHADED,	  /* what a new goroutine is given is not shaded */
	TOY_WEAK_UNSHADED,	  /* what a weak pointer gives is not shaded */
	TOY_WEAK_SHADED_TOO_SOON, /* an object is shaded before, not after, a weak pointer is attached to it */
	TOY_COLOUR_TOO_SOON,	  /* without a P: the colour is found out before the shared cache's lock is taken */
	TOY_FAULTS,
};

enum { TOY_MS = 4, TOY_GS = 6, TOY_STACK = 4, TOY_ROOTS = 3, TOY_WEAKS = 6, TOY_KINDS = 5, TOY_MARKERS = 3 };

enum toy_state { TOY_FREE, TOY_BEING_BORN, TOY_PARKED, TOY_RUNNING, TOY_SECTION };

struct toy_g {
	enum toy_state state;
	uint32_t scanned; /* the cycle in which it was looked at last */
	uint32_t stack[TOY_STACK], n;
	bool pending; /* it ran when it came to be looked at */
};

/* A call that takes several steps. */
enum toy_call { TOY_NOTHING, TOY_STORE, TOY_SWAP, TOY_ALLOCATE, TOY_BIRTH, TOY_ATTACH, TOY_GET };

struct toy_op {
	enum toy_call call;
	unsigned step;
	bool shades, swaps, black;
	struct toy_slot {
		struct graph_object **at;
		uint32_t *number;
	} slot;
	uint32_t value, old;
	unsigned kind;
	struct toy_g *child;
	struct toy_weak *weak;
};

struct toy_m {
	struct gc_mutator shaded;
	struct heap_cache *cache; /* NULL: it has no P */
	struct toy_g *g;
	bool inside, noted;
	uint32_t passed, seen;
	unsigned stalled; /* for so many steps the kernel has taken its CPU away, within a call */
	struct toy_op op;
};

struct toy_weak {
	struct gc_special special;
	uint32_t number; /* 0: it is not made */
	bool attached, told;
};

struct toy {
	struct gc gc;
	enum toy_fault fault;
	uint64_t random;
	struct {
		unsigned collects, asks, clears, moves, passes, slow, stalls; /* percent of steps */
		unsigned budget_most, stall_most;
		bool crowds;
	} temper;
	struct graph *graph;
	struct gc_marker *markers[TOY_MARKERS];
	struct toy_m m[TOY_MS]; /* the last one has no P */
	struct toy_g g[TOY_GS];
	struct toy_weak weak[TOY_WEAKS];
	struct graph_object *root[TOY_ROOTS];
	uint32_t root_number[TOY_ROOTS];
	struct heap_cache *shared;
	uint32_t shared_seen;
	uint32_t cells[TOY_KINDS];

	enum gc_ask what;
	uint32_t round;
	unsigned g_at, root_at; /* the next to look at */
	bool between;		/* mutators go on in the middle of the collector's step */

	const char *wrong; /* what the graph has found; NULL: nothing */
	uint32_t cycles;
};

/* Every run of the same seed is the same run. */
struct toy *toy_make(uint64_t seed, enum toy_fault);
void toy_free(struct toy *);

/* Runs so many steps, or until something is wrong, or the graph is full. */
void toy_run(struct toy *, unsigned steps);

/* The program forgets all it has, and so many cycles go by. */
void toy_end(struct toy *);

#endif
