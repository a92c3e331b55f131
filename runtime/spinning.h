/* A little spinning before a wait: all in all about as long as it takes to park and to be woken.
 * Few looks, far between: a core that asks often takes the line away from the one that could do a run of locks and
 * unlocks with it. */
#ifndef RUNTIME_SPINNING_H
#define RUNTIME_SPINNING_H

#include "runtime/sched.h"

enum { PAUSES_FIRST = 32, PAUSES_MOST = 256 };

/* True: it has been taken. */
static inline __attribute__((always_inline)) bool spin_for(bool (*try_take)(void *), void *object)
{
	struct m *m = m_self();
	struct p *p = m ? m_p(m) : NULL;
	if (!p || !spinning_may_help(p))
		return false;
	for (int pauses = PAUSES_FIRST; pauses <= PAUSES_MOST; pauses *= 2) {
		if (try_take(object))
			return true;
		for (int i = 0; i < pauses; i++)
			cpu_relax();
	}
	return false;
}

#endif
