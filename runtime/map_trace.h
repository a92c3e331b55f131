/* Maps whose entries may hold collected pointers: what the collector looks at, while the map's owner changes it.
 *
 * Such a map is an area (area.h) from when it is made until it is freed. Entries that are far are in a list; the others lie in slots, whose
 * numbers stay what they are when the map grows, and spilled ones in the map's own list. The look goes through list or slots in steps, and
 * remembers where it was.
 *
 * Changes are of two kinds. A value is overwritten as weft_set does it: inside, and while the collector marks both the old words and the new
 * ones are shaded (weft_map_value_). What changes which entries there are, or where they lie, is a *change*:
 *
 *     the owner: map_change_begin .. map_change_end       the look: a step
 *     a call, so that no phase of the collector begins    the lock, if it is free: a change takes less time
 *       and is answered meanwhile                           than others would wait for it
 *     the lock                                            links, control words and slots are as a change
 *     what goes, comes or moves is shaded, if it marks      leaves them; nothing of them is freed
 *
 * If nothing was to be shaded when a change began there is no look until it has ended. Otherwise all that it takes from one place to another
 * is shaded: so it does not matter on which side of the look the two places are. Far entries stay where they are when their slots move.
 *
 * Slots that are not taken are zero, so that nothing is kept by what they held before. Whoever reads an entry shades nothing: what
 * was in the map when marking began is found there, or was shaded when it went. So a map that is freed while the collector marks shades what
 * it has: somebody may have read it just before.
 *
 * The user's hash function is called outside of changes: it may do whatever a goroutine may.
 */
#ifndef RUNTIME_MAP_TRACE_H
#define RUNTIME_MAP_TRACE_H

#include "runtime/area.h"

#include <weft/map_table.h>

struct weft_map_spilled {
	struct weft_map_spilled *next;
	uint64_t number, hash; /* numbers fall along the list */
	_Alignas(16) char slot[];
};

static inline bool map_is_traced(const struct weft_map_type *t)
{
	return t->flags & WEFT_MAP_TRACED_;
}

/* Zeroed; NULL: there is no memory. */
weft_map *map_trace_make(const struct weft_map_type *);
/* It is a map, and looked at from here on. */
void map_trace_start(weft_map *);
/* Nobody looks at it any more; its entries are still there. */
void map_trace_end(weft_map *);

bool map_trace_begin_change(weft_map *);
void map_trace_end_change(weft_map *, bool outermost);

static inline bool map_change_begin(weft_map *m, const struct weft_map_type *t)
{
	return map_is_traced(t) && map_trace_begin_change(m);
}

static inline void map_change_end(weft_map *m, const struct weft_map_type *t, bool outermost)
{
	if (map_is_traced(t))
		map_trace_end_change(m, outermost);
}

/* ---- in a change ---- */

/* Entries that are about to move, from so many groups. */
void map_trace_moves(const struct weft_map_type *, struct weft_map_segment_, uint64_t groups);
/* A key comes in, and the entry's value is not there yet. */
void map_trace_comes(const struct weft_map_type *, const void *key);
/* An entry goes. */
void map_trace_goes(const struct weft_map_type *, char *slot);
void map_trace_spilled_goes(weft_map *, const struct weft_map_type *, struct weft_map_spilled *);

/* Memory for a far entry, zeroed, which is looked at from now on; NULL: there is none. */
void *map_trace_far_make(weft_map *, const struct weft_map_type *);
void map_trace_far_free(weft_map *, void *entry);

#endif
