/* A pool of blocks of 64 bytes: two goroutines take three out, write to each, and put them back, again and again. */
#include "bench/micro/rows.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { TASKS = 2, TURNS = 20000, HELD = 3 };

struct block {
	long uses;
	char room[56];
};

static weft_pool *pool;
static weft_waitgroup join;
static _Atomic long uses;

static void *make(void *arg)
{
	(void)arg;
	return weft_calloc(1, sizeof(struct block));
}

static void drop(void *block, void *arg)
{
	(void)arg;
	weft_free(block);
}

void pool_make(void)
{
	pool = weft_pool_make(make, drop, NULL);
}

static void take_and_put_back(void *arg)
{
	long used = 0;
	(void)arg;
	for (int i = 0; i < TURNS; i++) {
		struct block *held[HELD];
		for (int k = 0; k < HELD; k++) {
			held[k] = weft_pool_get(pool);
			long before = held[k]->uses++;
			used += held[k]->uses - before;
		}
		for (int k = 0; k < HELD; k++)
			weft_pool_put(pool, held[k]);
	}
	atomic_fetch_add(&uses, used);
	weft_waitgroup_done(&join);
}

void pool_get_put(struct batch *b)
{
	atomic_store(&uses, 0);
	weft_waitgroup_add(&join, TASKS);
	for (int i = 0; i < TASKS; i++)
		weft_go(take_and_put_back, NULL);
	weft_waitgroup_wait(&join);
	b->ops = TASKS * TURNS * HELD;
	PROVE(b, "taken=%d uses=%ld", TASKS * TURNS * HELD, uses);
}
