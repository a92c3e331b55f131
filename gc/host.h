/* What the collector asks of whoever embeds it. It owns no thread and knows no goroutine: its host has mutators (gc/mutator.h), stacks and
 * roots, calls gc_step now and then, and answers these.
 *
 * A *handshake* is `ask`, and `answered` again and again until it says yes. No mutator waits for another: each answers for itself at its
 * next safe point, or the host answers for one that is outside weft, asleep, or in a blocking section, and cannot store a collected
 * pointer at that moment. What each has to have done since it was asked:
 *
 *     GC_ASK_PASS      been at a point where it is neither between the look at weft_marking_ and its store nor within an allocation
 *     GC_ASK_SCAN      its stack has been looked at, registers and all, and what it allocates from then on is black
 *     GC_ASK_FLUSH     its cache has been flushed, and allocates white. Until then nothing white has been allocated from it since marking ended
 */
#ifndef GC_HOST_H
#define GC_HOST_H

#include "gc/cycle.h"

enum gc_ask { GC_ASK_PASS, GC_ASK_SCAN, GC_ASK_FLUSH };

struct gc_host {
	void (*ask)(struct gc *, enum gc_ask);
	/* May push those that are late. */
	bool (*answered)(struct gc *);
	/* Looks at roots, and at stacks on which nobody runs: some `budget` bytes. False: all of this cycle's have been looked at. One at a
	 * time calls it. */
	bool (*scan)(struct gc *, struct gc_marker *, uint64_t budget);
	/* Moves what all mutators have shaded to the words to be marked (gc_mutator_drain). */
	void (*drain)(struct gc *);
	/* Whether the caller may begin a cycle (next: GC_ARMING), or end marking (GC_SWEEPING: all that is reachable is marked, and nothing has been
	 * swept). False: somebody else does it. By the holder of `step`. NULL: anybody may. */
	bool (*may_begin)(struct gc *, enum gc_phase next);
	/* There is work: whoever has nothing else to do may come. */
	void (*work)(struct gc *);
	/* A cycle has ended, sweeping included. */
	void (*ended)(struct gc *, const struct gc_report *);
	/* Bytes of what counts against the limit, besides objects: stacks, what spans leave over, the host's own. */
	uint64_t (*beside)(struct gc *);
	int64_t (*now)(void);
};

#endif
