/* A program that uses all of the scheduler, channels, select, mutexes, wait groups and timers at once, and checks what
 * each of them promises: what simulations are run on. */
#ifndef TESTS_SIM_WORKLOAD_H
#define TESTS_SIM_WORKLOAD_H

#include "tests/test.h"

/* Runs app as a program of its own under WEFT_DEBUG=seed=<seed><more>, and waits for its end. */
void simulate(struct test_child *, uint64_t seed, const char *more, int (*app)(void));

/* What the line at the end says. False: there is none, or more than one. */
struct sim_trace {
	uint64_t seed, events, hash;
};
bool sim_trace_of(const struct test_child *, struct sim_trace *);

/* The program; ends it with a line when something is not as it should be. */
int workload(void);

#endif
