/* The child of a fork has the calling thread and nothing else: no other M, and locks that nobody will give back. So only
 * exec or _exit may follow. The child's thread is no M and no goroutine, and its calls into weft end it with a line
 * instead of hanging; what never comes to the runtime (weft_now, manual memory) works.
 *
 * Guards are inherited, and so is the handler of bad addresses, which passes everything on there.
 *
 * vfork and posix_spawn share the parent's memory, and do not come here. weft_spawn_process (weft/process.h) is made of
 * the latter.
 */
#ifndef RUNTIME_FORK_H
#define RUNTIME_FORK_H

#include "lockfree/assert.h"

#include <stdbool.h>

extern bool fork_has_left_us; /* written by a child, whose only thread reads it */

/* From here on children are told. */
void fork_init(void);

_Noreturn COLD void fork_refuse(void);

/* Where threads outside come in. */
static inline void fork_check(void)
{
	if (unlikely(fork_has_left_us))
		fork_refuse();
}

#endif
