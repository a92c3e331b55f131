#include "lockfree/spin.h"

#include <sched.h>

enum { PAUSES_MOST = 32, ROUNDS_BEFORE_YIELD = 40 };

/* Waits longer and longer between looks: a core that asks all the time takes the line away from the one that holds
 * the lock, and two cores that take turns at every operation spend their time waiting for the line. Left alone for
 * a microsecond, the other does a run of operations with the line in its cache. */
void spin_lock_slow(struct spin *s, int pauses)
{
	for (int round = 1;; round++) {
		for (int i = 0; i < pauses; i++)
			cpu_relax();
		if (spin_try_lock(s))
			return;
		if (pauses < PAUSES_MOST)
			pauses *= 2;
		if (round % ROUNDS_BEFORE_YIELD == 0)
			sched_yield();
	}
}
