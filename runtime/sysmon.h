/* The thread that watches Ps whose Ms do not come back to the scheduler: they block in the kernel, or compute. */
#ifndef RUNTIME_SYSMON_H
#define RUNTIME_SYSMON_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

/* ASLEEP: until a P wakes up or blocks. NAPPING: until a P blocks, or its next look. */
enum { SYSMON_ASLEEP, SYSMON_NAPPING, SYSMON_AWAKE };

struct sysmon {
	ON_OWN_LINE _Atomic uint32_t xstate; /* futex; whoever changes it to AWAKE wakes it */
	ON_OWN_LINE _Atomic uint32_t xblocked_ps;
};
extern struct sysmon sysmon;

void sysmon_start(void);
COLD void sysmon_wake(void);

/* A P has come back from sleep; xidle says so already. */
static inline void sysmon_p_is_up(void)
{
	if (unlikely(load_seq(&sysmon.xstate) == SYSMON_ASLEEP))
		sysmon_wake();
}

/* A P is in a blocking section. */
static inline void sysmon_p_blocks(void)
{
	add_seq(&sysmon.xblocked_ps, 1);
	if (load_seq(&sysmon.xstate) != SYSMON_AWAKE)
		sysmon_wake();
}

#endif
