/* SipHash-1-3, and the seeds of maps.
 *
 * The process asks the kernel for one key, the first time that it needs one. What is derived from it is SipHash of a
 * counter: whoever learns one map's seed has not learnt another's. A kernel that refuses, at boot, leaves the address of
 * a variable and the time, which is what a program without getrandom(2) would have.
 *
 * SipHash ("SipHash: a fast short-input PRF", Aumasson and Bernstein, 2012) with one round a word and three at the end,
 * as Rust's and Python's tables have it. It was chosen over AES rounds, which are faster where the processor has them and
 * would be a second algorithm where it has not: docs/decisions/015-map-hash.md.
 */
#include "runtime/hash.h"
#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "runtime/sim.h"

#include <weft/time.h>

#include <pthread.h>
#include <string.h>
#include <sys/random.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

static inline uint64_t sip_end(struct sip *s)
{
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* The constants spell "somepseudorandomlygeneratedbytes". */
static inline struct sip sip_begin(weft_seed seed)
{
	return (struct sip){seed.a ^ 0x736f6d6570736575u, seed.b ^ 0x646f72616e646f6du, seed.a ^ 0x6c7967656e657261u,
			    seed.b ^ 0x7465646279746573u};
}

uint64_t weft_hash_bytes(weft_seed seed, const void *bytes, size_t n)
{
	struct sip s = sip_begin(seed);
	const char *p = bytes;
	uint64_t word, last = (uint64_t)n << 56;
	for (size_t left = n; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, 8);
		sip_word(&s, word);
	}
	word = 0;
	if (n & 7)
		memcpy(&word, p, n & 7);
	sip_word(&s, last | word);
	return sip_end(&s);
}

static weft_seed process_key;
static _Atomic uint64_t drawn;

static void ask_kernel(void)
{
	if (getrandom(&process_key, sizeof process_key, 0) != sizeof process_key)
		process_key = (weft_seed){(uint64_t)(uintptr_t)&process_key, (uint64_t)weft_now()};
}

uint64_t hash_random(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	if (unlikely(sim_on))
		return sim_random();
	pthread_once(&once, ask_kernel);
	uint64_t n = add_rlx(&drawn, 1);
	return weft_hash_bytes(process_key, &n, sizeof n);
}

weft_seed weft_seed_make(void)
{
	weft_seed seed = {hash_random(), hash_random() | 1};
	return seed;
}
