/* What each cycle looks through once, a piece at a time: goroutines that do not run, roots, arguments of timers, areas, pools. Their words are
 * noted, to be marked. */
#ifndef RUNTIME_GCROOTS_H
#define RUNTIME_GCROOTS_H

#include "runtime/collect.h"

/* From the beginning. */
void gc_roots_begin(void);
/* The next piece, of about `budget` bytes; false: that was all. By one at a time. */
bool gc_roots_look(uint64_t budget);
/* For who looks at everything at once, while the world stands: every root, with a lock for which who loads a library waits; and what the runtime holds
 * elsewhere. */
void gc_roots_each(void (*see)(const struct weft_root_ *, void *arg), void *arg);
enum gc_held { GC_HELD_TIMERS, GC_HELD_AREAS, GC_HELD_POOLS };
void gc_roots_note_held(enum gc_held, struct gc_filling *);
/* Goroutines that were running when they came to be looked at, and that `settled` has not taken yet. True: there are none left. After all has
 * been looked through. */
bool gc_roots_settle(bool (*settled)(struct g *, int64_t now), int64_t now);

#endif
