/* What the scheduler has done so far. */
#ifndef WEFT_STATS_H
#define WEFT_STATS_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_schedstats {
	uint64_t started, ended; /* goroutines */
	uint64_t steals, stolen; /* visits that found something, and how many goroutines they took */
	uint64_t sleeps, wakes;  /* of Ps: gone to sleep, and woken by others */
	uint64_t spin_ns;        /* CPU time spent looking for work and finding none */
	uint64_t asked;          /* goroutines that had run for long, and yielded when they were asked to */
	uint64_t taken;          /* Ps taken from goroutines that computed */
	uint64_t given_up;       /* Ps given up by such goroutines at the end of a call that does not block */
	uint64_t handed_on;      /* Ps handed on from blocking sections */
	uint64_t refused;        /* times that neither was done, because of WEFT_MAXTHREADS or for want of a thread */
	uint64_t threads;        /* that run goroutines, or wait to: now, not so far */
	uint64_t reserved[3];
} weft_schedstats;

/* Sums over all Ps; they run on meanwhile. Zeroes before weft_main. */
WEFT_API void weft_sched_stats(weft_schedstats *);

WEFT_END_DECLS

#endif
