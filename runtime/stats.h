/* What each P sees of its own scheduling: histograms that are always on.
 *
 * The holder of the P records, plainly; who asks sums over all Ps. Nothing is shared, and a switch that is no sample looks at a
 * byte in a line that it has anyway: `stamping` when a goroutine is made runnable (not in a yield), `stamp` when one runs.
 *
 * From runnable to running. Whom a poller or a timer wakes is always a sample: the request that waited. One
 * reading of the counter does for a batch, its beginning. Of all others (wakes by goroutines, yields, starts) the first
 * after a look around (sched.c) is one: one in 61 where steps take nanoseconds, and one in a few where they are long, and a
 * sample costs nothing beside them. The rates of the two kinds differ, so they are kept apart.
 *
 * How long they run, to the next park, yield or end: of whoever runs first after a look, but while steps are short only
 * after every fourth. Nobody asks at each switch whether this is it: the look leaves a countdown of one step and puts the
 * others by (rest), so that the next step comes to the look again, which takes the time and gives the steps back.
 *
 * A reading of the counter costs more than a yield does (9.6 ns on the reference machine). The look has one anyway, which is where
 * a yield's wait begins and a slice too; what a sample adds is the reading at its end. A yield takes 0.3 ns longer than with no
 * samples at all (micro row yield-2), of which most is the looking at the bytes; 0.1 less with waits from every fourth
 * look only, 0.2 more with slices from every one.
 *
 * Ticks of the cycle counter are recorded, and made nanoseconds when somebody asks.
 */
#ifndef RUNTIME_STATS_H
#define RUNTIME_STATS_H

#include "lockfree/small_histogram.h"

#include <stdbool.h>

struct g;
struct p;

/* Whom the P stamps: nobody, the next one with a time of its own, all with the batch's. */
enum stamping { STAMPING_NONE, STAMPING_NEXT, STAMPING_BATCH };

/* What a goroutine was made runnable by, if it is a sample. */
enum stamp { STAMP_NONE, STAMP_WAKE, STAMP_OTHER };

enum { STEAL_RINGS = 4 };

/* A part of struct p; its holder writes. */
struct stats_part {
	uint8_t stamping; /* enum stamping */
	int rest;         /* steps put by while a slice is timed */
	uint64_t batch_at;
	uint64_t slice_since; /* 0: none is timed */
	struct small_histogram wake, other, slice; /* ticks */
	struct small_histogram spin_found, spin_vain; /* ns */
	_Atomic uint64_t steals_at[STEAL_RINGS];
};

/* Before the Ps start: when ticks begin to be compared with nanoseconds. */
void stats_start(void);

/* What is made runnable in between was woken by a poller or a timer. */
void stats_batch_begin(struct p *);
void stats_batch_end(struct p *);

/* At the end of a look around, with the counter: a sample is due. Whoever looks is stamped if it is about to be queued, otherwise
 * the next one that becomes runnable here. g may be NULL. */
void stats_looked(struct p *, struct g *, uint64_t ticks);

/* After it: whoever runs next is timed. */
void stats_slice_begin(struct p *, uint64_t ticks);

/* A step has come to the look around. True: only because of a slice, or for a simulation's sake (sim.h). */
bool stats_slice_ends(struct p *);

/* The P has gone to another M in the middle of one. */
void stats_slice_cut(struct p *);

/* None is under way: nobody has run. */
void stats_slice_none(struct p *);

void stats_stamp(struct p *, struct g *);
void stats_stamped_runs(struct p *, struct g *);

#endif
