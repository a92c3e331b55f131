#include "gc/mutator.h"
#include "alloc/heap.h"

#include <assert.h>

static_assert((GC_RING & (GC_RING - 1)) == 0, "indices wrap");

size_t gc_mutator_drain(struct gc_mutator *m, struct gc_words *words)
{
	struct gc_filling filling = {.words = words};
	spin_lock(&m->lock);
	uint32_t put = load_acq(&m->xput), taken = load_rlx(&m->xtaken); /* A1 */
	uint32_t n = put - taken;
	for (; taken != put; taken++) {
		uintptr_t word = load_rlx(&m->ring[taken % GC_RING]);
		if (!words->heap || heap_is_to_be_marked(words->heap, word))
			gc_fill(&filling, word);
	}
	store_rel(&m->xtaken, put); /* R2 */
	spin_unlock(&m->lock);
	gc_fill_end(&filling);
	return n;
}
