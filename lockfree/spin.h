/* A lock for a handful of instructions, by a thread that never parks while it holds it.
 *
 * Taking it is one locked operation, giving it back a plain store. A holder may be preempted by the
 * kernel, so a waiter yields its time slice after a bounded spin: on a machine whose cores are not
 * owned, spinning on would keep the holder off its core.
 *
 * R1 spin_unlock: store_rel(word)  ->  A1 spin_lock_at_once, spin_try_lock: swap_acq(word)    whatever the lock guards
 */
#ifndef LOCKFREE_SPIN_H
#define LOCKFREE_SPIN_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

struct spin {
	_Atomic uint32_t word;
};

enum { SPIN_PAUSES = 2 };

/* That many pauses until the first look. */
COLD void spin_lock_slow(struct spin *, int pauses);

static inline bool spin_try_lock(struct spin *s)
{
	return load_rlx(&s->word) == 0 && swap_acq(&s->word, 1) == 0;
}

/* For who expects it to be free; a failure takes the line away from the holder. */
static inline bool spin_lock_at_once(struct spin *s)
{
	return swap_acq(&s->word, 1) == 0;
}

static inline void spin_lock(struct spin *s)
{
	if (unlikely(!spin_lock_at_once(s)))
		spin_lock_slow(s, SPIN_PAUSES);
}

static inline void spin_unlock(struct spin *s)
{
	assert_debug(load_rlx(&s->word) == 1);
	store_rel(&s->word, 0);
}

#endif
