/* The explorer's stand-in for lockfree/fence.h: included first, it takes that header's guard. */
#ifndef LOCKFREE_FENCE_H
#define LOCKFREE_FENCE_H

#include "tests/model/atomic.h"

#define fence_light() explorer_fence_light(__func__)
#define fence_heavy() explorer_fence_heavy(__func__)

#endif
