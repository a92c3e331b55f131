/* The collector's cycle. It is a state machine that whoever has time moves on: gc_step does some marking or sweeping, or, if there is none,
 * looks whether the next phase can begin. Nobody waits in it, and no phase stops the world: only debugging does (runtime/world.h).
 *
 *     IDLE      nothing is marked; all has been swept; allocation is white
 *       | a goal is near, or somebody asks: the barrier is on (weft_marking_); PASS
 *     ARMING    some mutators shade, others do not see the flag yet; nobody has been looked at
 *       | answered: whoever goes on now is looked at first, who begins is black; PASS
 *     SETTLING  all shade
 *       | answered: SCAN
 *     SCANNING  stacks and roots are looked at, each once; their words are kept, and nothing is marked yet
 *       | answered, and all has been looked at
 *     MARKING   what is reachable from those words
 *       | nothing is left to mark: PASS
 *     CLOSING   nobody marks
 *       | answered: drain the rings; what they give is marked. If that is news: back to MARKING
 *       | otherwise all that is reachable is marked: begin sweeping, the barrier is off; FLUSH
 *     SWEEPING
 *       | answered, and all is swept
 *     IDLE
 *
 * Why nothing is lost. *White* objects are unmarked, *black* ones marked (their fields are looked at by somebody sooner or later).
 *
 * (1) From SETTLING on every mutator shades what it overwrites. So whatever was reachable through the heap when the first stack
 * was looked at is marked in the end, unless it is overwritten in an object that nobody else could reach (initialising stores fill
 * empty members: nothing is overwritten). A store shades what it sees in the slot before; if another has stored there in between, that one has
 * shaded, or holds on a black stack, what is overwritten unseen. But not while ARMING, when another may not shade yet: then a store is an exchange, and
 * shades what comes out.
 * (2) A *black stack*, one that has been looked at, holds pointers only to objects that are marked, or will be by (1): it gets others by
 * reading the heap, by allocating, which is black for it, or from another goroutine, by a store.
 * (3) A *grey stack*, one that has not been looked at yet, may hold the only pointer to a white object. If it stores that where others
 * can read it, it shades the new value too.
 * (4) What a grey stack allocates is white: black, it would not be looked at, and what plain stores put into it lost. It is marked when the stack
 * is looked at, or is shaded when it is published. What a black stack allocates is black: what plain stores put into it is marked by (2).
 *
 * That nothing is marked before all stacks are black is for (4) too: a stray word, a stale one of another stack or one for the object behind
 * it (gc_mark_words), could mark what a grey stack has just allocated, and it would be looked at before it is filled.
 *
 * The end. When no span is queued, no word waits, and no marker is at work, the rings may still hold something. After PASS each
 * mutator has passed, so that what it was about to shade is in its ring. If none of those words marks anything new (what was allocated black
 * is no news, whether or not it has its mark yet), there was nothing grey at the moment when the queues were empty, and, stacks being
 * black, nothing can have become grey since.
 *
 * One handshake for turning the barrier on would do for (1); the second is there for goroutines that begin meanwhile: who began one before it
 * saw SETTLING has done so before the list of all goroutines is gone through.
 *
 * Dijkstra, Lamport, Martin, Scholten and Steffens (1978); Yuasa (1990) for (1); Doligez and Gonthier, "Portable, unobtrusive
 * garbage collection for multiprocessor systems" (1994), for handshakes; Clements and Hudson, "Eliminate STW stack re-scanning"
 * (Go proposal 17503), for the hybrid of (1) and (3), which lets a stack be looked at once; Gammie, Hosking and Engelhardt, "Relaxing
 * safely" (2015), for such a collector proved on x86-TSO.
 *
 * R1 set_phase: store_seq(xphase)  ->  A1 gc_phase: load_acq(xphase)   what the phase begins with
 * R2 enter, leave: add_seq(xactive), add_seq(xstarts), sub_seq(xactive)  ->
 *    A2 nothing_is_left: load_seq(xstarts), load_seq(xactive)          the queues as the marker has left them
 * R3 scan_some: store_rel(xscanned) -> A3 scan_some, next_phase: load_acq(xscanned)   who was running, and is to be looked at yet */
#ifndef GC_CYCLE_H
#define GC_CYCLE_H

#include "gc/mark.h"
#include "gc/mutator.h"
#include "gc/pace.h"

enum gc_phase { GC_IDLE, GC_ARMING, GC_SETTLING, GC_SCANNING, GC_MARKING, GC_CLOSING, GC_SWEEPING };

/* Why a cycle began. */
enum gc_why { GC_WHY_HEAP, GC_WHY_ASKED, GC_WHY_STRESS };

/* Whose time goes into a step. */
enum gc_whose { GC_SHARE, GC_SPARE, GC_ASSIST, GC_WHOSE };

struct gc;
struct gc_host;

struct gc_report {
	uint32_t cycle;
	enum gc_why why;
	int64_t began, marked, ended; /* ns */
	uint64_t from, to, live;      /* bytes of objects: at its beginning, when marking ended, of those what lives */
	uint64_t goal;
	uint64_t stacks, roots; /* bytes looked at */
	int64_t ns[GC_WHOSE];
};

struct gc {
	struct heap heap;
	struct gc_marking marking;
	struct gc_words words;
	const struct gc_host *host;
	struct gc_marker **markers; /* [0] is the collector's own, which the holder of `step` uses */
	unsigned nmarkers;

	_Atomic uint32_t xphase; /* enum gc_phase; the holder of `step` writes, as all that follows but for what has an x */
	_Atomic uint32_t xcycle; /* that has begun; 0: none */
	_Atomic uint32_t xended; /* that has ended */
	/* Odd from SETTLING to CLOSING; another value in each cycle. */
	_Atomic uint32_t xstate;
	_Atomic int64_t xbegan;  /* when, in ns */
	_Atomic uint32_t xasked; /* cycles that somebody wants to have begun */

	struct spin step;
	struct pace pace;
	struct pace_limiter limiter;
	int64_t marked; /* when marking ended the last time */
	enum gc_why why; /* of the next cycle, if it is asked for */
	bool answered;
	struct gc_report report;

	ON_OWN_LINE struct spin scanning; /* who calls host->scan */
	_Atomic bool xscanned;		  /* it has said that it is done */
	ON_OWN_LINE _Atomic uint32_t xactive;
	_Atomic uint64_t xstarts;
	ON_OWN_LINE _Atomic uint64_t xheap; /* bytes: what the last cycle found alive, and what has been allocated since */
	_Atomic uint64_t xdone;		    /* bytes looked at in this cycle */
	_Atomic uint64_t xstacks, xroots;
	_Atomic int64_t xns[GC_WHOSE];
	_Atomic uint32_t pressure; /* enum pace_pressure */
	_Atomic uint64_t goal;
	_Atomic uint64_t trigger; /* xheap; UINT64_MAX: never */
	_Atomic uint64_t debt;	  /* bytes to mark for each 1024 that are allocated */
};

/* nmarkers - 1 of the host's and one of the collector's own, which is markers[0]; all are initialised here. 0, or -ENOMEM. */
int gc_init(struct gc *, const struct gc_host *, size_t bytes, struct gc_marker **markers, unsigned nmarkers,
	    const struct pace_settings *);

/* Moves things on: looks at about `budget` bytes, or sweeps some spans, or begins a phase. False: at the moment there is nothing for the
 * caller to do. marker NULL: who calls has none, and only begins phases. Does not wait. */
bool gc_step(struct gc *, struct gc_marker *, uint64_t budget, enum gc_whose);

/* So many bytes have been allocated. How many the caller should mark in return. */
uint64_t gc_allocated(struct gc *, uint64_t bytes);

/* Asks for a cycle that begins after now; its number: when xended has come to it, it is over. */
uint32_t gc_ask(struct gc *, enum gc_why);

/* Settings have changed, or what lies beside the heap. */
void gc_plan(struct gc *, const struct pace_settings *);

static inline enum gc_phase gc_phase(const struct gc *gc)
{
	return (enum gc_phase)load_acq(&gc->xphase); /* A1 */
}

/* Stacks that go on are looked at first, and black from then on. */
static inline bool gc_is_marking(const struct gc *gc)
{
	return load_acq(&gc->xstate) & 1;
}

/* The trigger was reached, or somebody has asked. */
static inline bool gc_is_due(const struct gc *gc)
{
	return load_rlx(&gc->xheap) >= load_rlx(&gc->trigger) || load_acq(&gc->xasked) != load_rlx(&gc->xcycle);
}

/* The heap has come to its goal, and marking is not over. */
static inline bool gc_is_pressed(const struct gc *gc)
{
	return load_rlx(&gc->xheap) >= load_rlx(&gc->goal);
}

static inline bool gc_is_on(const struct gc *gc)
{
	return load_rlx(&gc->xphase) != GC_IDLE;
}

#endif
