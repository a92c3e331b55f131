/* A count that many cores add to and few read: a shard for each core, in lines of its own.
 *
 * The caller says which shard, because he knows where he is: the number of his P, or of his thread. Each shard has 64 bits,
 * and so has the sum; both wrap, so what has been added and subtracted may be spread over the shards in any way, and the
 * sum is right all the same.
 *
 *     counter_bump    one writer for each shard: a plain add
 *     counter_add     any number of writers: a locked add, to a line that is mostly the caller's own
 *
 * The sum reads one shard after the other, and orders nothing. Each shard's value is one that it had while counter_sum ran,
 * so what was added before (in the sense of happens-before) is in it, and what was added after it is not; of what is added
 * meanwhile, some may be in it and some not, whatever the order. Hence
 *
 *     a count that only grows: the sum lies between the count when counter_sum begins and the count when it ends
 *     one that goes both ways: it may be a number that the count never was, even a negative one
 *     one at rest: it is the count
 *
 * There is no edge here: all is relaxed. weft-lockfree counter-add-contended, and -packed beside it, show what it is for.
 *
 * Rejected: a threshold at which shards hand over to a shared count (the kernel's percpu_counter): cheaper to read, and a
 * branch, a shared line and an error bound for those who add.
 */
#ifndef LOCKFREE_COUNTER_H
#define LOCKFREE_COUNTER_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

struct counter_shard {
	ON_OWN_LINE _Atomic uint64_t xcount; /* whoever the caller says */
};
_Static_assert(sizeof(struct counter_shard) == CACHE_LINE, "shards leave each other's lines alone");

struct counter {
	struct counter_shard *shard; /* caller's memory */
	uint32_t shards;
};

/* `memory` has room for `shards`, one or more. */
static inline void counter_init(struct counter *c, struct counter_shard *memory, uint32_t shards)
{
	assert_always(shards > 0);
	c->shard = memory;
	c->shards = shards;
	for (uint32_t i = 0; i < shards; i++)
		store_rlx(&memory[i].xcount, 0);
}

/* The one thread that writes this shard. To subtract, add what wraps. */
static inline void counter_bump(struct counter *c, uint32_t shard, uint64_t n)
{
	assert_debug(shard < c->shards);
	bump(&c->shard[shard].xcount, n);
}

/* Any thread. */
static inline void counter_add(struct counter *c, uint32_t shard, uint64_t n)
{
	assert_debug(shard < c->shards);
	(void)add_rlx(&c->shard[shard].xcount, n);
}

/* Any thread. It reads every shard's line. */
static inline uint64_t counter_sum(struct counter *c)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < c->shards; i++)
		sum += load_rlx(&c->shard[i].xcount);
	return sum;
}

#endif
