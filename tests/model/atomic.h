/* The explorer's stand-in for lockfree/atomic.h: included first, it takes that header's guard. */
#ifndef LOCKFREE_ATOMIC_H
#define LOCKFREE_ATOMIC_H

#include "tests/model/explorer.h"

#define CACHE_LINE 128
#define ON_OWN_LINE _Alignas(CACHE_LINE)

#define PLAIN_(p) __typeof__((void)0, *(p))
#define AT_(p)    __func__, #p, (void *)(p), (uint64_t)*(p)

#define load_rlx(p)      ((PLAIN_(p))explorer_load(AT_(p), RELAXED))
#define load_acq(p)      ((PLAIN_(p))explorer_load(AT_(p), ACQUIRE))
#define store_rlx(p, v)  explorer_store(AT_(p), (uint64_t)(v), RELAXED)
#define store_rel(p, v)  explorer_store(AT_(p), (uint64_t)(v), RELEASE)

#define CAS_(p, expected, v, order)                                                                \
	({                                                                                         \
		uint64_t found_ = (uint64_t)*(expected);                                           \
		bool done_ = explorer_cas(AT_(p), &found_, (uint64_t)(v), order);                  \
		if (!done_)                                                                        \
			*(expected) = (__typeof__(*(expected)))found_;                             \
		done_;                                                                             \
	})
#define cas_acqrel(p, expected, v) CAS_(p, expected, v, ACQ_REL)

#endif
