/* Goroutine stacks: reserved whole, committed where touched, guarded below, recycled hot.
 *
 *     base                                              top
 *     | guard: 16 pages | ........ usable bytes ........ |
 *
 * There are five classes of sizes, each twice the one before, up to the common one. A stack is cut from a chunk of its class's
 * address space, and comes back to the lists of its class; a larger one is a mapping of its own. Pages come when they are touched (1.6 µs each), but for the topmost of a new stack, which comes with those
 * of its neighbours in one call, as their guards do; so recycling one whose top is still in the cache is what
 * makes goroutines cheap: each P keeps a list of those that its goroutines left (struct stack_cache, one for each class, last
 * in, first out), and the depot behind them exchanges many at a time. On a machine of several NUMA nodes the depot has address space and lists for
 * each of them; a goroutine that was stolen leaves its stack to the thief's P all the same, for it is hot there.
 *
 * What a goroutine has grown is given back, but not when it ends: to find out whether there is anything would cost a
 * look at a page that is not hot, or a system call (0.3 µs), where ending costs a few nanoseconds, and the next goroutine
 * may want just those pages. So a P's newest STACK_HOT stacks of a class keep what they have; every 10 ms a few of the others go to the
 * depot (stack_trim), which costs 5 µs when there is nothing to give. In the depot a stack has its top STACK_KEPT
 * bytes at most, and beyond STACK_DEPOT_WARM of them nothing.
 *
 * The guards are as large below a small stack as below a large one: it is the frame that leaps over them that counts. What is saved
 * with small stacks is the kernel's tables (a table of 4 KiB maps 2 MiB of slots: 6 of the common size, 25 of the
 * least), and locked memory.
 *
 * Locked memory (mlockall) is all there from the beginning, cannot be given back, and takes no guard regions:
 * guards are made with mprotect then, at two mappings for each stack. docs/stacks.md says what to do about it.
 *
 * The descriptor is not on the stack itself: a stack that nobody uses need not touch a page.
 *
 * Stacks begin at one of 16 offsets below their top (the colour): they lie a constant stride apart, and
 * the tops of a thousand of them would otherwise fall into the same few sets of every cache.
 */
#ifndef ALLOC_STACK_H
#define ALLOC_STACK_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <stddef.h>
#include <stdint.h>

enum {
	STACK_LEAST = 16 * 1024, /* class 0 */
	STACK_CLASSES = 5,
	STACK_COMMON = STACK_CLASSES - 1,
	STACK_DEFAULT = STACK_LEAST << STACK_COMMON,
	STACK_LARGE = STACK_CLASSES, /* of no class */
	STACK_GUARD = 16 * 4096,
	STACK_CACHE_MAX = 1024,  /* in a P's list; half of it goes to the depot when it is full */
	STACK_HOT = 8,           /* of them with all of their pages, whatever happens */
	STACK_DEPOT_WARM = 2048, /* in the depot with some of their pages */
	STACK_KEPT = 16 * 1024,  /* bytes of them, at the top */
	STACK_COLOURS = 16,
};
_Static_assert(STACK_DEFAULT == 256 * 1024, "include/weft/go.h says so");

/* Whoever walks all goroutines (runtime/overflow.c) reads the bounds of stacks that others take and give: they are atomic, and
 * descriptors stay readable for ever. */
struct stack {
	struct stack *next;
	_Atomic(char *) base; /* lowest usable byte; the guard lies below */
	_Atomic(char *) top;  /* one past the highest usable byte */
	unsigned colour;     /* bytes to leave free at the top */
	int store;           /* of the depot's, to which it returns */
	unsigned class;      /* STACK_LARGE: none */
	unsigned valgrind_id;
	_Atomic(void *) kept; /* runtime/gckept.h: of what lies between the bounds, whosever it is; it stays with the descriptor */
};

struct stack_list {
	struct stack *first;
	unsigned n;
};

/* A P's own stacks. */
struct stack_cache {
	struct stack_list of[STACK_CLASSES];
	unsigned trimmed; /* the class whose turn it was last */
	int64_t trim_at; /* not before then again */
	int node; /* 0, or 1 + the NUMA node from which new stacks are to have their pages */
};

/* A stack of at least `size` usable bytes (0: the default). NULL: no memory. */
struct stack *stack_take(struct stack_cache *, size_t size);

/* Gives it back; nobody runs on it, or the caller does and is about to leave it for good. */
void stack_give(struct stack_cache *, struct stack *);

/* Moves a cache's stacks to the depot. */
void stack_flush(struct stack_cache *);

/* Bytes of stack that are reserved, in use or not. */
size_t stack_bytes_reserved(void);

static inline char *stack_base(const struct stack *s)
{
	return load_rlx(&s->base);
}

static inline char *stack_top(const struct stack *s)
{
	return load_rlx(&s->top);
}

static inline size_t stack_size(const struct stack *s)
{
	return (size_t)(stack_top(s) - stack_base(s));
}

static inline size_t stack_class_size(unsigned class)
{
	return (size_t)STACK_LEAST << class;
}

/* The least class of at least `size` bytes (0: the common one), or STACK_LARGE. */
static inline unsigned stack_class(size_t size)
{
	unsigned class = 0;
	while (class < STACK_LARGE && stack_class_size(class) < size)
		class++;
	return size ? class : (unsigned)STACK_COMMON;
}

COLD void stack_trim_slow(struct stack_cache *, int64_t now);

/* When there is something to trim; INT64_MAX: nothing. */
static inline int64_t stack_trim_due(const struct stack_cache *c)
{
	for (unsigned i = 0; i < STACK_CLASSES; i++)
		if (unlikely(c->of[i].n > STACK_HOT))
			return c->trim_at;
	return INT64_MAX;
}

/* Every now and then: some of the stacks that have not been used lately give back what they have grown. */
static inline void stack_trim(struct stack_cache *c, int64_t now)
{
	if (unlikely(now >= stack_trim_due(c)))
		stack_trim_slow(c, now);
}

COLD struct stack *stack_take_slow(struct stack_cache *, unsigned class);
COLD void stack_give_slow(struct stack_cache *, struct stack *);

static inline struct stack *stack_take_class(struct stack_cache *c, unsigned class)
{
	struct stack_list *l = &c->of[class];
	struct stack *s = l->first;
	if (unlikely(!s))
		return stack_take_slow(c, class);
	l->first = s->next;
	l->n--;
	return s;
}

static inline void stack_give_class(struct stack_cache *c, struct stack *s, unsigned class)
{
	struct stack_list *l = &c->of[class];
	assert_debug(s->class == class);
	if (unlikely(l->n >= STACK_CACHE_MAX)) {
		stack_give_slow(c, s);
		return;
	}
	s->next = l->first;
	l->first = s;
	l->n++;
}

#endif
