/* A full fence, for two sides that each write and then read what the other has written (Dekker's pattern), where the
 * write is not itself a sequentially consistent swap:
 *
 *     store X          store Y
 *     fence_full()     fence_full()
 *     load Y           load X          at least one of the two loads sees the other's store
 *
 * It costs 2 to 8 ns. Rejected: membarrier(2) on the rarer side alone. That makes the other side free, but it
 * interrupts every core on which the process runs, for 2 to 15 µs each time (docs/decisions/005). Where the rarer side
 * comes a hundred times a second, that is the better bargain, and fence_compiler is the other side's part of it
 * (runtime/call.h).
 * ThreadSanitizer does not see a fence; whatever data goes over has an edge of its own.
 */
#ifndef LOCKFREE_FENCE_H
#define LOCKFREE_FENCE_H

static inline void fence_full(void)
{
	__sync_synchronize();
}

/* Half of a fence: the other half is os_membarrier (alloc/os.h), on the other side. */
static inline void fence_compiler(void)
{
	__asm__ volatile("" ::: "memory");
}

#endif
