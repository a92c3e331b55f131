/* Atomic operations under names that carry their order.
 *
 * Every access that another core may race with goes through one of these, on an object declared
 * _Atomic, so that a reader sees the order where the access stands and ThreadSanitizer sees every
 * edge. There are no free-standing fences here: ThreadSanitizer cannot see them. Where two sides each
 * write and then read the other's word, the accesses themselves are seq_cst, or both have the fence of
 * lockfree/fence.h.
 *
 * The last word is the order: rlx relaxed, acq acquire, rel release, acqrel both, seq sequentially
 * consistent. A compare-and-swap is strong, fails relaxed unless it acquires, and leaves the value it
 * found in *expected.
 */
#ifndef LOCKFREE_ATOMIC_H
#define LOCKFREE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Two lines: the adjacent-line prefetcher of x86-64 moves lines in pairs. */
#define CACHE_LINE 128
#define ON_OWN_LINE _Alignas(CACHE_LINE)

#define load_rlx(p) atomic_load_explicit((p), memory_order_relaxed)
#define load_acq(p) atomic_load_explicit((p), memory_order_acquire)
#define load_seq(p) atomic_load_explicit((p), memory_order_seq_cst)

#define store_rlx(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_rel(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define store_seq(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

#define add_rlx(p, v)    atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define add_rel(p, v)    atomic_fetch_add_explicit((p), (v), memory_order_release)
#define add_acqrel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define add_seq(p, v)    atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define sub_rlx(p, v)    atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define sub_acqrel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define sub_seq(p, v)    atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define or_rlx(p, v)     atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define or_seq(p, v)     atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define and_rlx(p, v)     atomic_fetch_and_explicit((p), (v), memory_order_relaxed)
#define and_seq(p, v)    atomic_fetch_and_explicit((p), (v), memory_order_seq_cst)

#define swap_acq(p, v)    atomic_exchange_explicit((p), (v), memory_order_acquire)
#define swap_acqrel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define swap_seq(p, v)    atomic_exchange_explicit((p), (v), memory_order_seq_cst)

#define cas_rlx(p, expected, v)                                                                    \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_relaxed,        \
						memory_order_relaxed)
#define cas_rel(p, expected, v)                                                                    \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_release,        \
						memory_order_relaxed)
#define cas_acq(p, expected, v)                                                                    \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acquire,        \
						memory_order_acquire)
#define cas_acqrel(p, expected, v)                                                                 \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acq_rel,        \
						memory_order_acquire)
#define cas_seq(p, expected, v)                                                                    \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_seq_cst,        \
						memory_order_seq_cst)

/* A counter with one writer: a plain add that readers on other cores may look at. */
#define bump(p, v) store_rlx((p), load_rlx(p) + (v))

/* Asks for a line to write to, which is about to be read first: otherwise another core would be asked for it twice. */
static inline void prefetch_to_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

#endif
