#include "lockfree/seqlock.h"

#include <sched.h>

enum { ROUNDS_BEFORE_YIELD = 100 };

/* A writer that the kernel has preempted needs the core. */
void seqlock_read_slow(struct seqlock *s, seqlock_word *xword, void *to, size_t size)
{
	for (int round = 1; !seqlock_try_read(s, xword, to, size); round++) {
		cpu_relax();
		if (round % ROUNDS_BEFORE_YIELD == 0)
			sched_yield();
	}
}
