/* The explorer's stand-in for lockfree/atomic.h: included first, it takes that header's guard. */
#ifndef LOCKFREE_ATOMIC_H
#define LOCKFREE_ATOMIC_H

#include "tests/model/explorer.h"

#define CACHE_LINE 128
#define ON_OWN_LINE _Alignas(CACHE_LINE)

#define PLAIN_(p) __typeof__((void)0, *(p))
#define AT_(p)    __func__, #p, (void *)(p), (uint64_t)*(p)

#define load_rlx(p)     ((PLAIN_(p))explorer_load(AT_(p), RELAXED))
#define load_acq(p)     ((PLAIN_(p))explorer_load(AT_(p), ACQUIRE))
#define load_seq(p)     ((PLAIN_(p))explorer_load(AT_(p), SEQ_CST))
#define store_rlx(p, v) explorer_store(AT_(p), (uint64_t)(v), RELAXED)
#define store_rel(p, v) explorer_store(AT_(p), (uint64_t)(v), RELEASE)
#define store_seq(p, v) explorer_store(AT_(p), (uint64_t)(v), SEQ_CST)

#define MODIFY_(p, verb, v, order)                                                                 \
	({ (PLAIN_(p))explorer_modify(AT_(p), sizeof *(p), verb, (uint64_t)(v), order); })
#define add_rlx(p, v)     MODIFY_(p, VERB_ADD, v, RELAXED)
#define add_rel(p, v)     MODIFY_(p, VERB_ADD, v, RELEASE)
#define add_acqrel(p, v)  MODIFY_(p, VERB_ADD, v, ACQ_REL)
#define add_seq(p, v)     MODIFY_(p, VERB_ADD, v, SEQ_CST)
#define sub_rlx(p, v)     MODIFY_(p, VERB_ADD, -(uint64_t)(v), RELAXED)
#define sub_acqrel(p, v)  MODIFY_(p, VERB_ADD, -(uint64_t)(v), ACQ_REL)
#define sub_seq(p, v)     MODIFY_(p, VERB_ADD, -(uint64_t)(v), SEQ_CST)
#define or_rlx(p, v)      MODIFY_(p, VERB_OR, v, RELAXED)
#define and_rlx(p, v)     MODIFY_(p, VERB_AND, v, RELAXED)
#define or_seq(p, v)      MODIFY_(p, VERB_OR, v, SEQ_CST)
#define and_seq(p, v)     MODIFY_(p, VERB_AND, v, SEQ_CST)
#define swap_acq(p, v)    MODIFY_(p, VERB_SWAP, v, ACQUIRE)
#define swap_acqrel(p, v) MODIFY_(p, VERB_SWAP, v, ACQ_REL)
#define swap_seq(p, v)    MODIFY_(p, VERB_SWAP, v, SEQ_CST)

#define CAS_(p, expected, v, order)                                                                \
	({                                                                                         \
		uint64_t found_ = (uint64_t)*(expected);                                           \
		bool done_ = explorer_cas(AT_(p), &found_, (uint64_t)(v), order);                  \
		if (!done_)                                                                        \
			*(expected) = (__typeof__(*(expected)))found_;                             \
		done_;                                                                             \
	})
#define cas_rlx(p, expected, v)    CAS_(p, expected, v, RELAXED)
#define cas_rel(p, expected, v)    CAS_(p, expected, v, RELEASE)
#define cas_acq(p, expected, v)    CAS_(p, expected, v, ACQUIRE)
#define cas_acqrel(p, expected, v) CAS_(p, expected, v, ACQ_REL)
#define cas_seq(p, expected, v)    CAS_(p, expected, v, SEQ_CST)

/* Counters order nothing. */
#define bump(p, v) ((void)(p), (void)(v))

/* For the stand-ins of what blocks. */
#define await_acq(p, unwanted) ({ (PLAIN_(p))explorer_await(AT_(p), (uint64_t)(unwanted), ACQUIRE); })

static inline void prefetch_to_write(const void *p)
{
	(void)p;
}

static inline void cpu_relax(void)
{
	explorer_relax();
}

#endif
