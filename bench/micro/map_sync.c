/* A map that two goroutines use at once: one of a hundred thousand integers, of which they look up one after the other in an order of their
 * own, and store every tenth; and one that is empty, into which each puts keys of its own, and which is freed at the end.
 */
#include "bench/micro/rows.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { TASKS = 2, KEYS = 100000, TURNS = 100000, TURNS_PER_STORE = 10 };

WEFT_MAP_SYNC_OF(uint64_t, uint64_t, shared_map);

static shared_map filled, growing;
static weft_waitgroup join;
static _Atomic uint64_t found, sum;

void map_sync_fill(void)
{
	for (uint64_t i = 0; i < KEYS; i++)
		shared_map_store(&filled, mixed(i), i);
}

static void load_and_store(void *arg)
{
	uint64_t state = (uintptr_t)arg, seen = 0, added = 0, value;
	for (int i = 0; i < TURNS; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		uint64_t n = (state >> 33) % KEYS;
		if (i % TURNS_PER_STORE == 0) {
			shared_map_store(&filled, mixed(n), n);
			continue;
		}
		seen += shared_map_load(&filled, mixed(n), &value);
		added += value;
	}
	atomic_fetch_add(&found, seen);
	atomic_fetch_add(&sum, added);
	weft_waitgroup_done(&join);
}

static void in_all_tasks(void (*task)(void *))
{
	weft_waitgroup_add(&join, TASKS);
	for (uintptr_t i = 0; i < TASKS; i++)
		weft_go(task, (void *)i);
	weft_waitgroup_wait(&join);
}

void map_sync_load(struct batch *b)
{
	atomic_store(&found, 0);
	atomic_store(&sum, 0);
	in_all_tasks(load_and_store);
	b->ops = TASKS * TURNS;
	PROVE(b, "keys=%d found=%llu sum=%llu", KEYS, (unsigned long long)found, (unsigned long long)sum);
}

static void store_own(void *arg)
{
	for (uint64_t i = (uintptr_t)arg; i < KEYS; i += TASKS)
		shared_map_store(&growing, mixed(i), i);
	weft_waitgroup_done(&join);
}

void map_sync_store(struct batch *b)
{
	in_all_tasks(store_own);
	b->ops = KEYS;
	PROVE(b, "keys=%d len=%zu", KEYS, shared_map_len(&growing));
	shared_map_fini(&growing);
}
