#include "runtime/bias.h"
#include "alloc/os.h"

#include <sched.h>

#ifndef BIAS_AFTER
#define BIAS_AFTER 128
#endif
enum { BIAS_LOSSES = 3, TIMES_MORE_BITS = 3, LOOKS_BEFORE_YIELD = 1000 };
_Static_assert((long)BIAS_AFTER << (BIAS_LOSSES - 1) * TIMES_MORE_BITS <= UINT16_MAX, "a streak that long can be counted");

static bool allowed;

void bias_allow(void)
{
	allowed = true;
}

/* Under the spin lock. Whoever it was holds it no longer. */
static COLD void take_away(struct bias *b, bias_owner *owner)
{
	store_rlx(owner, NULL);
	os_membarrier();
	for (int looks = 1; load_acq(&b->xheld); looks++) { /* A1 */
		cpu_relax();
		if (looks % LOOKS_BEFORE_YIELD == 0)
			sched_yield(); /* it may have been held back from its core */
	}
	b->losses++;
	b->streak = 0;
}

static void become_owner(struct bias *b, bias_owner *owner, const void *self)
{
	b->streak = 0;
	store_rlx(owner, self);
}

static void count(struct bias *b, bias_owner *owner, const void *self)
{
	uint32_t me = (uint32_t)((uintptr_t)self >> 6);
	if (b->last != me) {
		b->last = me;
		b->streak = 0;
	} else if (b->losses < BIAS_LOSSES && ++b->streak == BIAS_AFTER << b->losses * TIMES_MORE_BITS) {
		become_owner(b, owner, self);
	}
}

void bias_lock_shared(struct bias *b, bias_owner *owner, const void *self)
{
	spin_lock(&b->spin);
	if (unlikely(load_rlx(owner) != NULL))
		take_away(b, owner);
	b->by_owner = false;
	if (self && allowed)
		count(b, owner, self);
}
