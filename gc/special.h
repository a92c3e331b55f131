/* What hangs on an object and outlives it: a weak pointer, a cleanup. The object does not know of it; its span has a list.
 *
 *     attached    in its object's span's list; `object` is set
 *     detached    by its owner, or since the object is dead: `object` is NULL
 *
 * An object is dead when its span is swept after a cycle that has not marked it; whoever sweeps detaches what hangs on it first, under
 * a lock of the span's, and tells the owner. Until then a weak pointer that is asked goes by the mark. A black object may have
 * got its mark too late for that (alloc/heap.h, colour): what was attached in this cycle is alive, for somebody had the object.
 *
 * R1 unlink_locked: store_rel(object)  ->  A1 gc_special_get: load_acq(object)   nothing: NULL says all
 * R2 begin: store_rel(xcycle)          ->  A2 gc_special_add: load_acq(xcycle)   the barrier is on: the caller shades after it */
#ifndef GC_SPECIAL_H
#define GC_SPECIAL_H

#include "gc/cycle.h"

struct gc_special {
	struct gc_special *next;
	_Atomic(void *) object;
	uint32_t cycle; /* in which it was attached */
	/* The object is dead, under a lock for a moment. */
	void (*dead)(struct gc_special *);
};

/* Attaches it to the object that the address lies in: 0, or -EINVAL if that is none. In a call, by who has the object, and who shades it
 * afterwards if weft_marking_ is set then: in the cycle that is noted here it counts as alive. */
int gc_special_add(struct gc *, struct gc_special *, void *object);

/* Detaches it; false: the object is dead already. */
bool gc_special_drop(struct gc *, struct gc_special *);

/* The object, which the caller keeps from then on; NULL: it is dead. *wait: it may be dead, and will be known in some microseconds: the caller
 * is to ask again, outside a call in between. In a call; shade(object) during marking. */
void *gc_special_get(struct gc *, struct gc_special *, bool *wait);

/* Detaches the latest that is attached to the object and that `is` takes, and gives it. NULL: there is none. */
struct gc_special *gc_special_take(struct gc *, void *object, bool (*is)(const struct gc_special *, const void *), const void *what);

/* heap.h's hook. */
uint32_t gc_special_sweep(struct heap *, struct span *, uint64_t cycle);

#endif
