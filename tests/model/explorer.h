/* An interleaving explorer: the threads of a small program are fibers, and every order in which their atomic
 * operations can happen is tried, depth first, up to a number of preemptions.
 *
 * Memory is weak. A location is a list of messages, one per store, in the order of the stores; a thread has a
 * view: how far down each location's list it must have looked. A load may read any message that is not older
 * than the view allows (a stale read; so many per execution), and a read-modify-write reads the last one.
 * A releasing store hands the view on with its message, an acquiring load takes it over. That is C11's
 * release/acquire fragment but for one thing: a load never sees a store that is yet to come.
 *
 * A sequentially consistent load reads no message older than the last such store to its location. A full fence
 * (lockfree/fence.h) orders itself with others and with sequentially consistent operations: a view of the whole
 * program's hands that on. A membarrier is a fence of the caller, one of every other thread, and another of the caller.
 *
 * Views also carry how many steps of every other thread have been seen, so that a test can ask for
 * happens-before itself (explorer_has_seen). Plain memory that is watched is checked for races in that way,
 * access by access, where the compiler tells of them (EXPLORER_PLAIN; plain.c).
 *
 * A thread that waits (explorer_await) is enabled by a store; one that pauses between two looks (explorer_relax)
 * goes on when something has been stored since it looked, or when nobody else can. When all that have not
 * finished wait, that is a lost wake-up, unless the program says that it may end so.
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
#include <stddef.h>
#include <stdint.h>

enum explorer_order { RELAXED = 0, ACQUIRE = 1, RELEASE = 2, ACQ_REL = ACQUIRE | RELEASE, SEQ_CST = 4 | ACQ_REL };
enum explorer_verb { VERB_LOAD, VERB_STORE, VERB_CAS, VERB_ADD, VERB_OR, VERB_AND, VERB_SWAP, VERB_FENCE };

enum explorer_change {
	WEAKEN, /* the operation is relaxed; a fence is none */
	UNRELEASE, /* of acquire and release, the half that is named goes */
	UNACQUIRE,
	SPLIT,  /* a read-modify-write becomes a load, and a store of what it made of that (a CAS: whatever it read) */
	REPEAT, /* a store is done twice */
	OMIT,   /* a store is not done */
	BLIND,  /* a load finds 0 */
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
	bool may_sleep; /* it is no fault when all threads wait; end() judges */
};

/* What an exploration found. */
struct explorer_result {
	const char *broken; /* NULL: nothing */
	int64_t executions;
};

struct explorer_result explore(const struct explorer_program *, const struct explorer_mutation *);

/* After a failure: that execution once more, step by step on stderr. */
void explorer_tell(void);

/* In a body or at the end: what must hold. The first failure ends the exploration after this execution. */
void explorer_check(bool holds, const char *what);

/* In a body: it does not hold, and the execution ends here. */
_Noreturn void explorer_abandon(const char *what);

/* One of `of` ways, each of them tried. */
int explorer_choose(int of);

/* The thread that runs. */
int explorer_self(void);

/* What breaks first with this mutation, or as it is (NULL); NULL: nothing. */
typedef const char *explorer_exploration(const struct explorer_mutation *);

/* What a test of a model comes to: as it is nothing breaks, or the execution is told and the test fails; and each of
 * the mutations breaks something. */
void explorer_holds(explorer_exploration *);
void explorer_catches(explorer_exploration *, const struct explorer_mutation *, size_t n);

/* How many steps this thread has done, and whether it stands after so many steps of another. */
uint32_t explorer_step(void);
bool explorer_has_seen(int thread, uint32_t step);

/* Marks one use of something that only one thread at a time may use, each after the one before. */
struct explorer_use {
	int thread;
	uint32_t step; /* 0: not used yet */
};
bool explorer_uses(struct explorer_use *); /* false: the use before is not over, as far as this thread can know */

/* At the start: operations on this memory are nobody's business but one thread's, and no steps. */
void explorer_private(void *memory, size_t size);

/* At the start: a store to this memory must come after the one before, as far as its thread can know. C11 has no order
 * for two that are not so, and here only that of the execution is tried. */
void explorer_ordered(void *memory, size_t size);

/* At the start: plain accesses to this memory must not race. The threads' stacks are watched already. */
void explorer_watch(void *memory, size_t size);
extern const bool explorer_sees_plain;

/* The memory is given back: whoever has touched it has done so before, and nobody may from now on. */
void explorer_vanish(void *memory, size_t size);

/* The operations; `address` names the location, and `memory` is what it holds before its first use. */
uint64_t explorer_load(const char *function, const char *operand, void *address, uint64_t memory, int order);
void explorer_store(const char *function, const char *operand, void *address, uint64_t memory, uint64_t value,
		    int order);
bool explorer_cas(const char *function, const char *operand, void *address, uint64_t memory,
		  uint64_t *expected, uint64_t value, int order);

/* Add, or, and, swap; of `size` bytes. What was there before. */
uint64_t explorer_modify(const char *function, const char *operand, void *address, uint64_t memory, size_t size,
			 enum explorer_verb verb, uint64_t value, int order);

/* Waits until the location holds something else than `unwanted`, and reads it. */
uint64_t explorer_await(const char *function, const char *operand, void *address, uint64_t memory,
			uint64_t unwanted, int order);

void explorer_relax(void);
void explorer_fence(const char *function);
void explorer_membarrier(const char *function);

/* plain.c, for explorer.c: a new execution begins; a plain access; who has touched the range has been seen. */
void plain_start(void);
void plain_watch(const void *memory, size_t size);
void plain_vanish(const void *memory, size_t size);

#endif
