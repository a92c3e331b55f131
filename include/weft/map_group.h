/* The control word of a group: eight bytes, one for each slot, looked at all at once.
 *
 *     0              empty, and has been since the group was last full: a search ends here
 *     1              deleted: a search goes on, an insertion may take it
 *     128 | tag      taken; the tag is seven bits of the key's hash
 *
 * Memory fresh from the operating system is empty. Each search gives bits, one for each slot that is found, from which
 * weft_group_slot_ takes the lowest; there are three ways, with the same answers: SSE2's movemask, NEON's compare, and
 * the arithmetic of Mycroft and Knuth on one word, which is exact here too (tests/unit/map_group.c compares them). */
#ifndef WEFT_MAP_GROUP_H
#define WEFT_MAP_GROUP_H

#include <weft/base.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

WEFT_BEGIN_DECLS

enum { WEFT_SLOT_EMPTY_ = 0, WEFT_SLOT_DELETED_ = 1, WEFT_SLOT_TAKEN_ = 128 };

/* ---- arithmetic: a slot's bit is the highest of its byte ---- */

#define WEFT_GROUP_LOWS_  0x0101010101010101u
#define WEFT_GROUP_HIGHS_ 0x8080808080808080u

/* The bytes that are zero. No carry crosses from one byte to the next. */
static inline uint64_t weft_group_zeros_(uint64_t word)
{
	return ~(((word & ~WEFT_GROUP_HIGHS_) + ~WEFT_GROUP_HIGHS_) | word | ~WEFT_GROUP_HIGHS_);
}

static inline uint64_t weft_group_match_word_(uint64_t word, uint8_t control)
{
	return weft_group_zeros_(word ^ WEFT_GROUP_LOWS_ * control);
}

static inline uint64_t weft_group_taken_word_(uint64_t word)
{
	return word & WEFT_GROUP_HIGHS_;
}

/* ---- SSE2: a slot's bit is the bit of its number ---- */

#if defined(__SSE2__)
static inline uint64_t weft_group_match_sse2_(uint64_t word, uint8_t control)
{
	__m128i found = _mm_cmpeq_epi8(_mm_cvtsi64_si128((long long)word), _mm_set1_epi8((char)control));
	return (uint64_t)(unsigned)_mm_movemask_epi8(found) & 0xff;
}

static inline uint64_t weft_group_taken_sse2_(uint64_t word)
{
	return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cvtsi64_si128((long long)word));
}
#endif

/* ---- NEON: as arithmetic, compared in one instruction ---- */

#if defined(__ARM_NEON)
static inline uint64_t weft_group_match_neon_(uint64_t word, uint8_t control)
{
	uint8x8_t found = vceq_u8(vcreate_u8(word), vdup_n_u8(control));
	return vget_lane_u64(vreinterpret_u64_u8(found), 0) & WEFT_GROUP_HIGHS_;
}
#endif

/* ---- the one that is used ---- */

#if defined(__SSE2__)
#define WEFT_GROUP_SHIFT_ 0
#define weft_group_match_ weft_group_match_sse2_
#define weft_group_taken_ weft_group_taken_sse2_
#elif defined(__ARM_NEON)
#define WEFT_GROUP_SHIFT_ 3
#define weft_group_match_ weft_group_match_neon_
#define weft_group_taken_ weft_group_taken_word_
#else
#define WEFT_GROUP_SHIFT_ 3
#define weft_group_match_ weft_group_match_word_
#define weft_group_taken_ weft_group_taken_word_
#endif

/* Any bit: some slot is empty. */
static inline uint64_t weft_group_empty_(uint64_t word)
{
	return weft_group_match_(word, WEFT_SLOT_EMPTY_);
}

/* The slots that may be taken: empty or deleted. */
static inline uint64_t weft_group_free_(uint64_t word)
{
	return weft_group_taken_(word) ^ (WEFT_GROUP_SHIFT_ ? WEFT_GROUP_HIGHS_ : 0xff);
}

/* The lowest slot among bits that are not 0. */
static inline unsigned weft_group_slot_(uint64_t bits)
{
	return (unsigned)__builtin_ctzll(bits) >> WEFT_GROUP_SHIFT_;
}

WEFT_END_DECLS

#endif
