/* The explorer's stand-in for lockfree/fence.h: included first, it takes that header's guard. */
#ifndef LOCKFREE_FENCE_H
#define LOCKFREE_FENCE_H

#include "tests/model/atomic.h"

#define fence_full()     explorer_fence(__func__)
#define fence_compiler() ((void)0)

#endif
