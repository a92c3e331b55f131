/* The public counter: a shard for each P, and one for whoever has none (lockfree/counter.h has what a sum is).
 *
 * The caller may lose its P between looking and adding, so the add is a locked one, to a line that is mostly its own. A
 * counter that was made before the runtime knew its Ps has few shards, which they share.
 */
#include "lockfree/counter.h"
#include "runtime/panic.h"
#include "runtime/sched.h"

#include <weft/counter.h>
#include <weft/mem.h>

struct weft_counter {
	struct counter counter;
	ON_OWN_LINE struct counter_shard shard[];
};

weft_counter *weft_counter_make(void)
{
	uint32_t shards = sched.nprocs + 1;
	weft_counter *c = weft_aligned_alloc(CACHE_LINE, sizeof *c + shards * sizeof c->shard[0]);
	if (!c)
		weft_panic("out of memory for a counter");
	counter_init(&c->counter, c->shard, shards);
	return c;
}

void weft_counter_free(weft_counter *c)
{
	weft_free(c);
}

void weft_counter_add(weft_counter *c, int64_t n)
{
	struct m *m = m_self();
	struct p *p = m ? m_p(m) : NULL;
	uint32_t last = c->counter.shards - 1;
	counter_add(&c->counter, p && p->index < last ? p->index : last, (uint64_t)n);
}

int64_t weft_counter_sum(weft_counter *c)
{
	return (int64_t)counter_sum(&c->counter);
}
