/* Rows of two cores that write fields of one structure at once. packed.c has the same rows with these fields in one
 * cache line: what is between the two figures, the padding buys. */
#include "bench/lockfree/rows.h"
#include "lockfree/runq.h"
#include "lockfree/spsc.h"

#ifndef PACKED
#define PACKED
#define ROWS layout_rows
#endif

enum { SLOTS = 256, PAUSES = 100 };

static struct runq runq;
static struct spsc spsc;
static void *memory[SLOTS];

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

const struct row ROWS[] = {
	{"runq-push-pop-contended" PACKED, runq_push_pop, runq_steal_always, AT_ONCE, NULL},
	{"spsc-contended" PACKED, spsc_push_one, spsc_pop_one, AT_ONCE, spsc_start},
	{0},
};
