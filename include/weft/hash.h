/* Keyed hashes: what maps use, and what a hash function of your own is made of (WEFT_MAP_BY).
 *
 * A seed is two secret words. weft_hash_u64 is two multiplications, each folded to 64 bits: it spreads any integers,
 * and who does not see the seed, nor what order or time gives away of it, cannot choose keys that collide. It is no
 * pseudo-random function: against an opponent who can measure single look-ups very precisely, it is not proven.
 * weft_hash_bytes is SipHash-1-3 (Aumasson and Bernstein, 2012), which is made for that case: no attack is known that
 * finds collisions without the key. */
#ifndef WEFT_HASH_H
#define WEFT_HASH_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_seed {
	uint64_t a, b; /* b is odd */
} weft_seed;

__extension__ typedef unsigned __int128 weft_product_;

static inline uint64_t weft_hash_fold_(uint64_t x, uint64_t y)
{
	weft_product_ p = (weft_product_)x * y;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* Of an integer, or of a pointer's or an enum's value. */
static inline uint64_t weft_hash_u64(weft_seed seed, uint64_t key)
{
	return weft_hash_fold_(weft_hash_fold_(key ^ seed.a, seed.b), 0x9e3779b97f4a7c15u);
}

/* Of n bytes. A struct with padding has bytes that its members do not determine: chain the hashes of the members,
 * each by h = weft_hash_u64(seed, h ^ member). */
WEFT_API uint64_t weft_hash_bytes(weft_seed seed, const void *bytes, size_t n);

/* A seed that nobody knows, and another one each time. Does not fail. */
WEFT_API weft_seed weft_seed_make(void);

WEFT_END_DECLS

#endif
