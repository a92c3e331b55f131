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

/* What a histogram holds; times in nanoseconds, rounded up to within a quarter, the maximum exact. A percentile of few samples says
 * little: see count. */
typedef struct weft_dist {
	uint64_t count; /* samples */
	int64_t p50, p90, p99, p999, max;
} weft_dist;

typedef struct weft_schedhist {
	weft_dist wake;  /* from being made runnable by a socket, timer or deadline to running: every one of them */
	weft_dist other; /* the same for those that goroutines woke, started, or that yielded: one in 1 to 244, the more the longer they run */
	weft_dist slice; /* how long a goroutine ran until it waited, yielded, ended or lost its P: as many */
	weft_dist spin_found; /* how long a P that had nothing looked for work, and found it */
	weft_dist spin_vain;  /* and until it went to sleep */
	uint64_t steals_at[4]; /* steals from Ps: on the same core, with the same cache, on the same node, farther away */
} weft_schedhist;

/* Since the start, over all Ps; they run on meanwhile. `size` is sizeof(weft_schedhist) as the caller knows it: the struct
 * may grow at its end, and what this library does not know is zeroed. Zeroes before weft_main. */
WEFT_API void weft_sched_histograms(weft_schedhist *, size_t size);

WEFT_END_DECLS

#endif
