/* Rows of one core, and of two in turn, that the queues have. */
#include "bench/lockfree/rows.h"
#include "lockfree/deque.h"
#include "lockfree/mpmc.h"
#include "lockfree/mpsc.h"
#include "lockfree/spsc.h"

enum { SLOTS = 256, BATCH = 16 };

static void *memory[SLOTS];
static struct spsc spsc;
static struct mpmc_slot slots[SLOTS];
static struct mpmc mpmc;
static deque_slot deque_slots[SLOTS];
static struct deque deque;
static struct mpsc mpsc;
static struct mpsc_node node;

static void spsc_start(void)
{
	spsc_init(&spsc, memory, SLOTS);
}

static void spsc_push_pop(void)
{
	spsc_push(&spsc, &spsc);
	spsc_pop(&spsc);
}

static void spsc_push_pop_batch(void)
{
	static void *item[BATCH];
	spsc_push_many(&spsc, item, BATCH);
	spsc_pop_many(&spsc, item, BATCH);
}

static void spsc_push_one(void)
{
	spsc_push(&spsc, &spsc);
}

static void spsc_pop_one(void)
{
	spsc_pop(&spsc);
}

static void mpmc_start(void)
{
	mpmc_init(&mpmc, slots, SLOTS, MPMC_SPREAD);
}

static void mpmc_start_dense(void)
{
	mpmc_init(&mpmc, slots, SLOTS, MPMC_DENSE);
}

static void mpmc_push_pop(void)
{
	mpmc_push(&mpmc, &mpmc);
	mpmc_pop(&mpmc);
}

static void mpsc_start(void)
{
	mpsc_init(&mpsc);
}

static void mpsc_push_one(void)
{
	mpsc_push(&mpsc, &node);
}

static void mpsc_pop_one(void)
{
	struct mpsc_node *popped;
	mpsc_pop(&mpsc, &popped);
}

static void mpsc_push_pop(void)
{
	mpsc_push_one();
	mpsc_pop_one();
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

static void deque_push_one(void)
{
	deque_push(&deque, &deque);
}

static void deque_steal_one(void)
{
	void *item;
	deque_steal(&deque, &item);
}

const struct row queue_rows[] = {
	{"spsc-push-pop-own", spsc_push_pop, NULL, AT_ONCE, spsc_start},
	{"spsc-push-pop-sixteen-own", spsc_push_pop_batch, NULL, AT_ONCE, spsc_start},
	{"spsc-push-other", spsc_push_one, spsc_pop_one, IN_TURN, spsc_start},
	{"mpmc-push-pop-own", mpmc_push_pop, NULL, AT_ONCE, mpmc_start},
	{"mpmc-push-pop-own-dense", mpmc_push_pop, NULL, AT_ONCE, mpmc_start_dense},
	{"mpmc-push-pop-other", mpmc_push_pop, mpmc_push_pop, IN_TURN, mpmc_start},
	{"mpsc-push-pop-own", mpsc_push_pop, NULL, AT_ONCE, mpsc_start},
	{"mpsc-push-other", mpsc_push_one, mpsc_pop_one, IN_TURN, mpsc_start},
	{"deque-push-pop-own", deque_push_pop, NULL, AT_ONCE, deque_start},
	{"deque-steal-other", deque_steal_one, deque_push_one, IN_TURN, deque_start},
	{0},
};
