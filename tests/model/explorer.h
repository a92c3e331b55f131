/* An interleaving explorer: the threads of a small program are fibers, and every order in which their atomic
 * operations can happen is tried, depth first, up to a number of preemptions.
 *
 * Memory is weak. A location is a list of messages, one per store, in the order of the stores; a thread has a
 * view: how far down each location's list it must have looked. A load may read any message that is not older
 * than the view allows (a stale read; so many per execution), and a read-modify-write reads the last one.
 * A releasing store hands the view on with its message, an acquiring load takes it over. That is C11's
 * release/acquire fragment but for one thing: a load never sees a store that is yet to come.
 *
 * Views also carry how many steps of every other thread have been seen, so that a test can ask for
 * happens-before itself (explorer_has_seen).
 *
 * tests/model/atomic.h stands in for lockfree/atomic.h, so that the source under test is the same. Each
 * operation there knows its place (function, verb, operand), and a *mutation* spoils those of one place; a
 * model that does not catch its mutations shows nothing.
 *
 * Kang, Hur, Lahav, Vafeiadis and Dreyer, "A Promising Semantics for Relaxed-Memory Concurrency" (2017),
 * without the promises; Musuvathi and Qadeer, "Iterative Context Bounding" (2007).
 */
#ifndef TESTS_MODEL_EXPLORER_H
#define TESTS_MODEL_EXPLORER_H

#include <stdbool.h>
#include <stdint.h>

enum explorer_order { RELAXED = 0, ACQUIRE = 1, RELEASE = 2, ACQ_REL = ACQUIRE | RELEASE };
enum explorer_verb { VERB_LOAD, VERB_STORE, VERB_CAS, VERB_ADD };

enum explorer_change {
	WEAKEN, /* the operation is relaxed */
	SPLIT,  /* compare-and-swap becomes a load, and a store whatever it read */
};

struct explorer_mutation {
	const char *name;
	const char *function;
	enum explorer_verb verb;
	const char *operand; /* part of it */
	enum explorer_change change;
};

struct explorer_program {
	int threads;
	void (*start)(void);          /* sets memory up, before each execution */
	void (*thread)(int which);    /* the body of each */
	void (*end)(void);            /* looks at what has come of it; operations read the last message */
	int preemptions, stale_reads; /* bounds */
	void (*saw)(int which, const void *address, uint64_t value); /* what a thread has read; may be NULL */
};

/* What an exploration found. */
struct explorer_result {
	const char *broken; /* NULL: nothing */
	int64_t executions;
};

struct explorer_result explore(const struct explorer_program *, const struct explorer_mutation *);

/* In a body or at the end: what must hold. The first failure ends the exploration after this execution. */
void explorer_check(bool holds, const char *what);

/* How many steps this thread has done, and whether it stands after so many steps of another. */
uint32_t explorer_step(void);
bool explorer_has_seen(int thread, uint32_t step);

/* The operations; `address` names the location, and `memory` is what it holds before its first use. */
uint64_t explorer_load(const char *function, const char *operand, void *address, uint64_t memory, int order);
void explorer_store(const char *function, const char *operand, void *address, uint64_t memory, uint64_t value,
		    int order);
bool explorer_cas(const char *function, const char *operand, void *address, uint64_t memory,
		  uint64_t *expected, uint64_t value, int order);
uint64_t explorer_add(const char *function, const char *operand, void *address, uint64_t memory,
		      uint64_t value, int order);

#endif
