/* The thread that watches Ps whose Ms do not come back to the scheduler: they block in the kernel, or compute. */
#ifndef RUNTIME_SYSMON_H
#define RUNTIME_SYSMON_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <stdint.h>

/* ASLEEP: until a P wakes up or blocks. NAPPING: until a P blocks, or its next look. */
enum { SYSMON_ASLEEP, SYSMON_NAPPING, SYSMON_AWAKE };

struct sysmon {
	ON_OWN_LINE _Atomic uint32_t xstate; /* futex; whoever changes it to AWAKE wakes it */
	ON_OWN_LINE _Atomic uint32_t xblocked_ps;
	ON_OWN_LINE _Atomic uint64_t looks; /* at blocking sections, so far; sysmon writes */
};
extern struct sysmon sysmon;

/* What a look at the blocking sections has seen, of those there have been since the last one: the last that is true.
 * Something waits for one that is on, or for the P of one that is over. */
enum blocked_look { LOOK_NO_SECTIONS, LOOK_NOTHING_WAITS, LOOK_SOMETHING_WAITS, LOOK_ONE_IS_ON, LOOK_HANDED_ON };

/* How far apart the looks are. Zeroed at first. */
struct look_pace {
	int useless;    /* looks in a row */
	int idle;       /* looks in a row that saw no sections */
	int64_t every;  /* ns; 0: as often as can be */
	bool confirmed; /* the last pause was a short one, between two longer ones */
};

/* The pause after a look, in ns; 0: there are no sections any more, whoever begins one is to wake sysmon. */
int64_t look_pace_next(struct look_pace *, enum blocked_look);

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
