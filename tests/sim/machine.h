/* A machine of 8 nodes with 8 cores each, and what is run on it: how the scheduler does on more cores than there are here. */
#ifndef TESTS_SIM_MACHINE_H
#define TESTS_SIM_MACHINE_H

#include <stdint.h>

enum { NODES = 8, CORES_PER_NODE = 8, CORES = NODES * CORES_PER_NODE };

/* Assumed, in ns. The first four are this project's reference platform's, the lines a server's of that size. */
enum {
	SWITCH_NS = 10,      /* from a goroutine to the next */
	CALL_NS = 20,        /* a call that finds no reason to wait */
	WAKE_UP_NS = 22000,  /* from the wake to the first instruction of a core that was halted */
	SYSTEM_CALL_NS = 1500, /* the waker's futex, and the sleeper's */
	LINE_NEAR_NS = 25,   /* a cache line that a core of the same node has */
	LINE_FAR_NS = 100,   /* or one of another */
	LINES_A_LOOK = 2,    /* of a P that has made a step since the last look at it */
	LINES_A_STEAL = 6,   /* of its queue, the goroutine and its stack */
	LINES_OF_GLOBAL = 3, /* queue */
};

/* What a run has shown. */
struct run {
	int64_t ns;      /* it took */
	int64_t busy_ns; /* of work, in all goroutines */
	int64_t p99_ns;  /* from runnable to running */
	int64_t max_ns;
	uint64_t steals, far_steals, stolen, sleeps, wakes, goroutines;
	int64_t looking_ns; /* of all Ps, in vain */
};

/* What can be run: name and how it is drawn. */
struct task {
	const char *name;
	int (*app)(void);
};
enum { FORK_JOIN, PRODUCER, PAIRS, REQUESTS, BURST, TASKS };
extern const struct task tasks[TASKS];

/* Runs a task on so many Ps, in a process of its own; ends the test if it fails. */
struct run run_on(unsigned procs, const struct task *, uint64_t seed);

#endif
