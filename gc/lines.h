/* Lines of eight words: which of them point into the heap. By whatever the processor has; all forms give the same.
 *
 * Mutators store meanwhile, whole words. No processor tears an aligned word within a vector, though few manuals say so (Intel's says it of
 * scalar loads; Go's collector relies on it as well); what is then marked is loaded again, by itself. */
#ifndef GC_LINES_H
#define GC_LINES_H

#include "lockfree/atomic.h"
#include "lockfree/sanitize.h"

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { LINE_WORDS = 8 };

enum gc_lines { GC_LINES_SCALAR, GC_LINES_AVX2, GC_LINES_AVX512, GC_LINES_NEON };

/* Attributes of functions that have a form inlined. */
#define GC_TARGET_AVX2	 __attribute__((target("avx2,bmi,bmi2")))
#define GC_TARGET_AVX512 __attribute__((target("avx512f,avx512dq,avx2,bmi,bmi2")))

/* The best that the processor has. Under ThreadSanitizer the scalar form: it is to see each load. */
static inline enum gc_lines gc_lines_best(void)
{
#if defined(__x86_64__)
	if (WEFT_TSAN)
		return GC_LINES_SCALAR;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("bmi2"))
		return GC_LINES_AVX512;
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") ? GC_LINES_AVX2 : GC_LINES_SCALAR;
#elif defined(__aarch64__)
	return WEFT_TSAN ? GC_LINES_SCALAR : GC_LINES_NEON;
#else
	return GC_LINES_SCALAR;
#endif
}

/* Of the words at `at` whose bits are set in `which`, those that lie in [base, base + bytes). */
static inline NOT_INSTRUMENTED uint32_t gc_line_scalar(const uintptr_t *at, uint32_t which, uintptr_t base, size_t bytes)
{
	uint32_t in = 0;
	for (; which; which &= which - 1) {
		unsigned i = (unsigned)__builtin_ctz(which);
		in |= (uint32_t)(load_rlx((const _Atomic uintptr_t *)&at[i]) - base < bytes) << i;
	}
	return in;
}

#if defined(__x86_64__)

GC_TARGET_AVX512 static inline NOT_INSTRUMENTED uint32_t gc_line_avx512(const uintptr_t *at, uint32_t which, uintptr_t base, size_t bytes)
{
	__m512i words = _mm512_sub_epi64(_mm512_load_si512(at), _mm512_set1_epi64((int64_t)base));
	return which & _mm512_cmplt_epu64_mask(words, _mm512_set1_epi64((int64_t)bytes));
}

/* There is no comparison without signs: both sides have theirs turned. */
GC_TARGET_AVX2 static inline NOT_INSTRUMENTED uint32_t gc_line_avx2(const uintptr_t *at, uint32_t which, uintptr_t base, size_t bytes)
{
	const __m256i turned_base = _mm256_set1_epi64x((int64_t)(base ^ (uintptr_t)1 << 63));
	const __m256i turned_bytes = _mm256_set1_epi64x((int64_t)(bytes ^ (uintptr_t)1 << 63));
	__m256i low = _mm256_sub_epi64(_mm256_load_si256((const __m256i *)(const void *)at), turned_base);
	__m256i high = _mm256_sub_epi64(_mm256_load_si256((const __m256i *)(const void *)(at + 4)), turned_base);
	int in_low = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(turned_bytes, low)));
	int in_high = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(turned_bytes, high)));
	return which & ((uint32_t)in_low | (uint32_t)in_high << 4);
}

#elif defined(__aarch64__)

static inline NOT_INSTRUMENTED uint32_t gc_line_neon(const uintptr_t *at, uint32_t which, uintptr_t base, size_t bytes)
{
	uint32_t in = 0;
	for (unsigned i = 0; i < LINE_WORDS; i += 2) {
		uint64x2_t words = vsubq_u64(vld1q_u64(&at[i]), vdupq_n_u64(base));
		uint32x2_t below = vmovn_u64(vcltq_u64(words, vdupq_n_u64(bytes)));
		in |= (vget_lane_u32(below, 0) & 1u) << i | (vget_lane_u32(below, 1) & 1u) << (i + 1);
	}
	return which & in;
}

#endif

#endif
