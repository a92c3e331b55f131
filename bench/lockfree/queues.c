/* Rows of one core, and of two in turn, that the queues have. */
#include "bench/lockfree/rows.h"
#include "lockfree/spsc.h"

enum { SLOTS = 256, BATCH = 16 };

static void *memory[SLOTS];
static struct spsc spsc;

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

const struct row queue_rows[] = {
	{"spsc-push-pop-own", spsc_push_pop, NULL, AT_ONCE, spsc_start},
	{"spsc-push-pop-sixteen-own", spsc_push_pop_batch, NULL, AT_ONCE, spsc_start},
	{"spsc-push-other", spsc_push_one, spsc_pop_one, IN_TURN, spsc_start},
	{0},
};
