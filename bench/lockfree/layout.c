/* Rows of two cores that write fields of one structure at once. packed.c has the same rows with these fields in one
 * cache line: what is between the two figures, the padding buys. */
#include "bench/lockfree/rows.h"
#include "lockfree/counter.h"
#include "lockfree/deque.h"
#include "lockfree/mpmc.h"
#include "lockfree/mpsc.h"
#include "lockfree/runq.h"
#include "lockfree/spsc.h"

#ifndef PACKED
#define PACKED
#define ROWS layout_rows
#endif

enum { BITS = 8, SLOTS = 1 << BITS, PAUSES = 100 };

static struct runq runq;
static struct spsc spsc;
static void *memory[SLOTS];
static struct mpmc_slot slots[SLOTS];
static struct mpmc mpmc;
static struct counter_shard shards[2];
static struct counter counter;
static deque_slot deque_slots[SLOTS];
static struct deque deque;
static struct mpsc mpsc;
static struct node {
	ON_OWN_LINE struct mpsc_node node;
	_Atomic bool xin_use; /* its producer sets it, the consumer clears it */
} nodes[SLOTS];

static void runq_push_pop(void)
{
	runq_push(&runq, &runq);
	runq_pop(&runq);
}

static void runq_steal_always(void)
{
	void *to[RUNQ_SLOTS / 2];
	runq_steal(&runq, to, RUNQ_SLOTS / 2);
	for (int i = 0; i < PAUSES; i++)
		cpu_relax();
}

static void spsc_start(void)
{
	spsc_init(&spsc, memory, SLOTS);
}

static void spsc_push_one(void)
{
	while (!spsc_push(&spsc, &spsc))
		cpu_relax();
}

static void spsc_pop_one(void)
{
	spsc_pop(&spsc);
}

/* As mpmc_init does, which is compiled for one layout. */
static void mpmc_start_turned(unsigned turn)
{
	mpmc = (struct mpmc){.memory = slots, .mask = SLOTS - 1, .bits = BITS, .turn = (uint8_t)turn};
	for (uint32_t p = 0; p < SLOTS; p++)
		store_rlx(&mpmc_at(&mpmc, p)->xnumber, p);
}

static void mpmc_start(void)
{
	mpmc_start_turned(MPMC_TURN);
}

static void mpmc_start_dense(void)
{
	mpmc_start_turned(0);
}

static void mpmc_push_one(void)
{
	while (!mpmc_push(&mpmc, &mpmc))
		cpu_relax();
}

static void mpmc_pop_one(void)
{
	mpmc_pop(&mpmc);
}

static void mpmc_push_pop(void)
{
	mpmc_push(&mpmc, &mpmc);
	mpmc_pop(&mpmc);
}

static void mpsc_start(void)
{
	mpsc_init(&mpsc);
	for (int i = 0; i < SLOTS; i++)
		store_rlx(&nodes[i].xin_use, false);
}

static void mpsc_push_one(void)
{
	static unsigned next;
	struct node *n = &nodes[next++ % SLOTS];
	while (load_acq(&n->xin_use))
		cpu_relax();
	store_rlx(&n->xin_use, true);
	mpsc_push(&mpsc, &n->node);
}

static void mpsc_pop_one(void)
{
	struct mpsc_node *n;
	if (mpsc_pop(&mpsc, &n) == MPSC_TAKEN)
		store_rel(&((struct node *)(void *)n)->xin_use, false);
}

static void deque_start(void)
{
	deque_init(&deque, deque_slots, SLOTS);
}

static void deque_push_pop(void)
{
	deque_push(&deque, &deque);
	deque_pop(&deque);
}

static void deque_steal_always(void)
{
	void *item;
	deque_steal(&deque, &item);
	for (int i = 0; i < PAUSES; i++)
		cpu_relax();
}

static void counter_start(void)
{
	counter_init(&counter, shards, ARRAY_LEN(shards));
}

static void counter_add_here(void)
{
	counter_add(&counter, 0, 1);
}

static void counter_add_there(void)
{
	counter_add(&counter, 1, 1);
}

static void counter_bump_here(void)
{
	counter_bump(&counter, 0, 1);
}

static void counter_bump_there(void)
{
	counter_bump(&counter, 1, 1);
}

static void counter_sum_both(void)
{
	uint64_t sum = counter_sum(&counter);
	__asm__ volatile("" : : "r"(sum));
}

const struct row ROWS[] = {
	{"runq-push-pop-contended" PACKED, runq_push_pop, runq_steal_always, AT_ONCE, NULL},
	{"spsc-contended" PACKED, spsc_push_one, spsc_pop_one, AT_ONCE, spsc_start},
	{"mpmc-contended" PACKED, mpmc_push_one, mpmc_pop_one, AT_ONCE, mpmc_start},
	{"mpmc-contended-dense" PACKED, mpmc_push_one, mpmc_pop_one, AT_ONCE, mpmc_start_dense},
	{"mpmc-both-contended" PACKED, mpmc_push_pop, mpmc_push_pop, AT_ONCE, mpmc_start},
	{"mpmc-both-contended-dense" PACKED, mpmc_push_pop, mpmc_push_pop, AT_ONCE, mpmc_start_dense},
	{"mpsc-contended" PACKED, mpsc_push_one, mpsc_pop_one, AT_ONCE, mpsc_start},
	{"deque-push-pop-contended" PACKED, deque_push_pop, deque_steal_always, AT_ONCE, deque_start},
	{"counter-add-contended" PACKED, counter_add_here, counter_add_there, AT_ONCE, counter_start},
	{"counter-bump-contended" PACKED, counter_bump_here, counter_bump_there, AT_ONCE, counter_start},
	{"counter-sum-other" PACKED, counter_sum_both, counter_add_there, IN_TURN, counter_start},
	{0},
};
