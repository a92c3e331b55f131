#include "lockfree/spin.h"

#include <sched.h>

enum { SPINS_BEFORE_YIELD = 200 };

void spin_lock_slow(struct spin *s)
{
	for (int spins = 0;; spins++) {
		if (spin_try_lock(s))
			return;
		if (spins < SPINS_BEFORE_YIELD) {
			cpu_relax();
		} else {
			sched_yield();
			spins = 0;
		}
	}
}
