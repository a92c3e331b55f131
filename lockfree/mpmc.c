#include "lockfree/mpmc.h"

void mpmc_init(struct mpmc *q, struct mpmc_slot *memory, uint32_t slots, enum mpmc_layout layout)
{
	assert_always(slots >= MPMC_SLOTS_MIN && slots <= MPMC_SLOTS_MAX && (slots & (slots - 1)) == 0);
	store_rlx(&q->xtail, 0);
	store_rlx(&q->xhead, 0);
	q->memory = memory;
	q->mask = slots - 1;
	q->bits = (uint8_t)__builtin_ctz(slots);
	q->turn = layout == MPMC_DENSE ? 0 : q->bits < MPMC_TURN ? q->bits : MPMC_TURN;
	for (uint32_t p = 0; p < slots; p++)
		store_rlx(&mpmc_at(q, p)->xnumber, p);
}
