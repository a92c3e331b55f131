/* The collector, as the rest of the runtime sees it: what is to be told of goroutines, Ps and calls. All of it is one load and a
 * branch while nothing is being collected. gchost.c is the host that gc/ asks for; docs/gc.md says what is in the
 * other files beside it.
 *
 * Whose stack has been looked at. A goroutine's `scan` byte says in which cycle it was looked at last; whoever looks *claims* it first, and
 * whoever is about to run it, or to come back from a blocking section, passes by the claim: it waits for one who is looking, or looks
 * itself.
 *
 *     not this cycle's --claim--> claimed --looked at--> this cycle's
 *                        claimed --it is running--> not this cycle's
 *
 *     who looks (gc_host.scan)                  who runs it (gc_before_run)
 *     claim                                     claim, or wait while somebody else has it
 *     on a CPU? then give the claim back        look at it
 *     look at it, from its saved stack pointer  this cycle's
 *     this cycle's                              on a CPU
 *
 * A goroutine that was running already when marking began looks at itself at the end of its next call (NOTE_GC), or is looked at by a
 * signal's handler on its thread, if it makes none; one in a blocking section by its saved registers.
 *
 * A P's cache allocates white until a goroutine that has been looked at runs there, and black from then on, until it is flushed after
 * marking (p->gc_seen); a P looks at gc.xstate before each goroutine that it runs.
 *
 * R1 gc_looked_at: store_rel(scan)  ->  A1 gc_claim: load_acq(scan), cas_acq(scan)   what whoever looked has noted
 */
#ifndef RUNTIME_COLLECT_H
#define RUNTIME_COLLECT_H

#include "gc/cycle.h"
#include "lockfree/fence.h"
#include "lockfree/sanitize.h"
#include "runtime/g.h"

#include <weft/gc.h>

struct config;

extern struct gc collector;

enum { GC_CODES = 127 };

/* As a goroutine has it that was looked at in this cycle. */
static inline uint8_t gc_code(void)
{
	return (uint8_t)(load_rlx(&collector.xcycle) % GC_CODES + 1);
}

static inline bool gc_shades(void)
{
	return unlikely(__atomic_load_n(&weft_marking_, __ATOMIC_RELAXED));
}

/* Has its stack been looked at in this cycle? Asked by itself. */
static inline bool gc_is_black(const struct g *g)
{
	return g && gc_is_marking(&collector) && load_rlx(&g->scan) == gc_code();
}

/* ---- start.c, attach.c ---- */

/* The calling thread takes the collector's signal, whatever it has blocked. */
void gc_take_signal(void);

void gc_start(const struct config *);
/* The P's part: before it runs anything. */
void gc_start_p(struct p *);

/* ---- sched.c ---- */

COLD void gc_before_run_slow(struct m *, struct g *next);
COLD void gc_born_slow(struct m *, struct g *);
COLD void gc_ends_slow(struct g *);

/* `next`, which is on no CPU, runs on the M's P from here on. */
static inline void gc_before_run(struct m *m, struct g *next)
{
	if (unlikely(load_rlx(&collector.xstate) != load_rlx(&m_p(m)->gc_seen)))
		gc_before_run_slow(m, next);
}

/* ThreadSanitizer: who has ended leaves it to the M's own context. The identity that its stack belongs to may be gone. */
static inline bool gc_before_run_elsewhere(const struct p *p)
{
	return WEFT_TSAN && load_rlx(&collector.xstate) != load_rlx(&p->gc_seen);
}

/* It has been made, with its argument, and nobody else knows it yet. */
static inline void gc_born(struct m *m, struct g *g)
{
	if (gc_shades())
		gc_born_slow(m, g);
}

/* It will not run any more; before it is on no CPU. */
static inline void gc_ends(struct g *g)
{
	if (gc_shades())
		gc_ends_slow(g);
}

/* ---- takeover.c, idle.c ---- */

/* At the end of a call, or in the scheduler: what the collector has asked of the M. */
COLD void gc_safe_point(struct m *);

/* ---- gc.c ---- */

/* In a call, after the P's cache has got so many bytes more. May mark for some microseconds. */
void gc_note_allocated(struct p *, uint64_t bytes);

/* The calling goroutine, or an attached thread's stand-in; NULL: neither. */
struct g *gc_self(void);

/* A cache for who has no P, to be given back with the number of bytes that it has got more. Its colour is the calling goroutine's. */
struct heap_cache *gc_take_shared(void);
void gc_give_shared(uint64_t bytes);

/* Of which a goroutine was held, and who has marked for how long; ns. */
struct gc_times {
	int64_t hold_max, hold_total, spent[GC_WHOSE];
};
struct gc_times gc_times(void);
uint64_t gc_objects_allocated(void);
void gc_settings_start(const struct pace_settings *);

/* ---- cleanup.c ---- */

/* A cycle has ended: a goroutine calls what has become due. */
void gc_start_cleanups(void);

/* ---- block.c ---- */

/* A goroutine is back from a blocking section, and G_RUNNING. */
COLD void gc_back_slow(struct m *);
static inline void gc_back(struct m *m)
{
	if (unlikely(gc_is_marking(&collector)))
		gc_back_slow(m);
}

/* ---- attach.c ---- */

struct attached;
/* The calling thread, attached, is at the end of a call, or back from waiting in one. */
void gc_safe_point_outside(struct attached *);
/* It is attached no longer: what it has shaded is taken over. */
void gc_leaves_outside(struct attached *);

/* ---- idle.c ---- */

/* The P has nothing to run: it works for the collector. False: there is nothing to do. */
bool gc_spare_time(struct m *);
/* The P's M sleeps, and others may flush its cache. */
void gc_p_sleeps(struct p *);
void gc_p_wakes(struct p *);

/* ---- pick.c ---- */

/* A P that has goroutines to run gives the collector its share. */
COLD void gc_share_slow(struct p *, int64_t now);
static inline void gc_share(struct p *p, int64_t now)
{
	if (unlikely(gc_is_on(&collector)) && !(WEFT_TSAN && p->gc_not_here))
		gc_share_slow(p, now);
}

/* After a cycle: what has become due is called, pools get older. */
void gc_tidy_up(void);

/* start.c: a thread of weft's own that looks after all this when nobody else does. */
void gc_watch_start(void);

/* ---- whoever has something that the collector is to look at (area.h) ---- */

/* Words that point into the heap are noted, to be marked. While others write there. */
void gc_note_words(struct gc_filling *, const void *from, const void *to);
void gc_note_word(struct gc_filling *, const void *word);
/* The same for many small places, whose bytes are counted all at once. */
void gc_note_some_words(struct gc_filling *, const void *from, const void *to);
void gc_noted(const struct gc_filling *, size_t bytes);

/* ---- whatever copies what may be collected pointers for somebody else ---- */

/* In a call, if gc_shades(): all words of it. */
COLD void gc_shade_words(const void *at, size_t bytes);
COLD void gc_shade_word(const void *word);

#endif
