/* The pacer: how large the heap may become, when marking begins so that it ends before that, and what an allocation owes meanwhile.
 * Arithmetic only, on what its callers have measured.
 *
 *     goal     = live + (live + stacks + roots) * percent / 100        after a cycle, by WEFT_GOGC
 *              or what the limit leaves for the heap, if that is less  by WEFT_MEMLIMIT
 *     runway   = work * cons_mark * (1 - share) / share                what is allocated while `work` bytes are marked
 *     trigger  = goal - runway                                         where marking begins
 *     debt     = work left / (goal - heap)                             bytes to mark for each byte allocated
 *
 * with share = a quarter of the Ps' time, which marking has for itself. cons_mark is allocated bytes per second of a mutator over marked
 * bytes per second of marking: a property of the program, and not of how much of the machine marking had. It is the mean of the last cycles,
 * because one that was interrupted says little.
 *
 * If the guess was right, marking ends when the heap has come to the goal, and nobody was asked for help. If the program allocates
 * faster, debt makes up for it, allocation by allocation; each pays a bounded step at most, so that the goal may be passed, and not
 * the latency. A limit below what lives cannot be kept: the limiter gives marking half of the time at most, averaged over a second, and
 * the heap grows past the limit instead of the program standing still.
 *
 * After Go's pacer: M. Knyszek, "GC pacer redesign" (proposal 44167), and "Soft memory limit" (proposal 48409). */
#ifndef GC_PACE_H
#define GC_PACE_H

#include <stdint.h>

enum { PACE_OFF = -1, PACE_HISTORY = 4 };

#define PACE_NO_LIMIT UINT64_MAX
#define PACE_SHARE    0.25

/* When the program allocates faster than marking keeps up with: who allocates helps; or the heap grows beyond its goal, and who serves others may
 * ask whether to refuse work (gc_is_pressed). */
enum pace_pressure { PACE_ASSIST, PACE_GROW, PACE_SHED };

struct pace_settings {
	int percent;	/* PACE_OFF: only the limit counts */
	uint64_t limit; /* of all that weft maps; PACE_NO_LIMIT */
	enum pace_pressure pressure;
};

/* What the last cycle has found; bytes. */
struct pace_found {
	uint64_t live;	 /* marked objects */
	uint64_t stacks; /* looked at, as were */
	uint64_t roots;
};

struct pace {
	struct pace_settings settings;
	struct pace_found found;
	double cons_mark[PACE_HISTORY];
	unsigned cycles; /* that have been measured */
	uint64_t goal, trigger;
};

/* What a cycle has cost. */
struct pace_cycle {
	uint64_t allocated; /* bytes, from its beginning to its end */
	uint64_t work;	    /* bytes looked at */
	double share;	    /* of the Ps' time: what marking had, assists and idle time included; above 0, below 1 */
};

void pace_init(struct pace *, const struct pace_settings *);

/* A cycle has ended. */
void pace_learn(struct pace *, const struct pace_cycle *);

/* Sets goal and trigger: after a cycle, when a setting changes, and when what is beside the heap's objects has changed a lot: stacks, the
 * runtime's own memory, tables, what spans leave over; so many bytes. Free pages are not: the heap grows into them. */
void pace_plan(struct pace *, const struct pace_found *, uint64_t beside);

/* What marking is expected to look at, in bytes: as much as the last time. */
uint64_t pace_work(const struct pace *);

/* Bytes to mark for each byte that is allocated, with so much of the expected work done and so large a heap. */
double pace_debt(const struct pace *, uint64_t done, uint64_t heap);

/* How many of the Ps mark all the time, and for what part of it one more does, so that together it is the share. */
struct pace_workers {
	unsigned whole;
	double part;
};
struct pace_workers pace_workers(unsigned procs);

/* Against spirals in which all time goes into marking: a bucket of so many seconds of one P's time for each P, filled by
 * marking beyond half of the time, emptied by less. */
struct pace_limiter {
	double filled, capacity; /* seconds */
};

void pace_limiter_init(struct pace_limiter *, unsigned procs);

/* In a stretch of so many seconds of the Ps' time, marking had so many. */
void pace_limiter_note(struct pace_limiter *, double all, double marking);

/* Nobody is to be asked for help: marking has had its half. */
static inline int pace_limited(const struct pace_limiter *l)
{
	return l->filled >= l->capacity;
}

#endif
