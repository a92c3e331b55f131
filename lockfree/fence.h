/* An asymmetric fence: store-load order between a side that runs all the time and one that runs rarely.
 *
 *     frequent side                     rare side
 *     store X                           store Y
 *     fence_light()  (a compiler fence)  fence_heavy()  (membarrier on every core)
 *     load Y                            load X
 *
 * At least one of the two sees the other's store: membarrier(2), PRIVATE_EXPEDITED, makes every running
 * thread of the process pass a full barrier, so the frequent side need not. A locked operation would cost
 * it 2 to 8 ns each time; the rare side pays 0.6 µs and an interrupt of the other cores. Where the kernel
 * refuses membarrier (some containers), fence_init() says so and the light side uses a full fence.
 * (Dice, Huang and Yang, "Asymmetric Dekker Synchronization", 2001.)
 */
#ifndef LOCKFREE_FENCE_H
#define LOCKFREE_FENCE_H

#include "lockfree/atomic.h"

/* Written once by fence_init, before any second thread exists. */
extern bool fence_is_asymmetric;

/* Registers the process. False: membarrier is not to be had, and both sides pay. */
bool fence_init(void);

void fence_heavy(void);

static inline void fence_light(void)
{
	if (__builtin_expect(fence_is_asymmetric, 1)) {
		atomic_signal_fence(memory_order_seq_cst);
	} else {
		__sync_synchronize(); /* the one full fence; ThreadSanitizer orders by the queues' own edges */
	}
}

#endif
