#include "runtime/bias.h"
#include "alloc/os.h"

#include <sched.h>

#ifndef BIAS_AFTER
#define BIAS_AFTER 128
#endif
#ifndef BIAS_HEAT_MOST
#define BIAS_HEAT_MOST 7
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
	store_rlx(owner, 0);
	os_membarrier();
	for (int looks = 1; load_acq(&b->xheld); looks++) { /* A1 */
		cpu_relax();
		if (looks % LOOKS_BEFORE_YIELD == 0)
			sched_yield(); /* it may have been held back from its core */
	}
	b->losses++;
	b->streak = 0;
}

static void count(struct bias *b, bias_owner *owner, uint16_t self)
{
	if (b->last != self) {
		b->last = self;
		b->streak = 0;
		return;
	}
	if (b->losses == BIAS_LOSSES || (b->first && b->first != self))
		return;
	if (++b->streak < BIAS_AFTER << b->losses * TIMES_MORE_BITS)
		return;
	b->streak = 0;
	b->first = self;
	store_rlx(owner, self);
}

/* By the spin lock. Where the same few Ps collide again and again, each leaves the lock to another for longer and longer, up to some
 * microseconds: the other does a run of operations then, all of which would otherwise be made while the lines of the channel and of its
 * elements are on their way back and forth (bench: chan-mpmc). A lock that goes over without a collision cools down. */
static void lock_patiently(struct bias *b, uint16_t self)
{
	bool at_once = spin_lock_at_once(&b->spin);
	uint8_t heat = BIAS_HEAT_MOST ? load_rlx(&b->heat) : 0;
	if (likely(at_once)) {
		if (heat && b->last != self)
			store_rlx(&b->heat, heat - 1);
		return;
	}
	spin_lock_slow(&b->spin, SPIN_PAUSES << heat);
	if (heat != BIAS_HEAT_MOST)
		store_rlx(&b->heat, heat + 1);
}

void bias_lock_shared(struct bias *b, bias_owner *owner, uint16_t self)
{
	lock_patiently(b, self);
	if (unlikely(load_rlx(owner)))
		take_away(b, owner);
	b->by_owner = false;
	if (self && allowed)
		count(b, owner, self);
}
