/* How long the collector holds a goroutine at most: by its own account, over whole collections of a tree of 1 GiB,
 * while 10,000 goroutines, each with a node of its own, sleep for half a second and replace it, by turns. The
 * machine's own hiccups are measured beside, by whoever runs the row.
 */
#include "bench/memory/hold.h"

#include <weft/gc.h>
#include <weft/weft.h>

#include <stdatomic.h>

enum {
	DEPTH = 23, /* 2^24 - 1 nodes of 64 bytes */
	GOROUTINES = 10000,
	SLEEP_MIN = 250000000, /* ns */
	SLEEP_SPAN = 500000000,
};

struct large {
	struct large *left, *right;
	uint64_t words[6];
};
WEFT_TYPE(large, struct large, left, right);

static struct large *tree;
WEFT_ROOT(tree);

static _Atomic int stop;
static _Atomic long number_sum;
static weft_waitgroup sleepers;

static struct large *build(int depth)
{
	struct large *left = depth > 0 ? build(depth - 1) : NULL, *right = depth > 0 ? build(depth - 1) : NULL;
	struct large *n = weft_new(large);
	n->left = left;
	n->right = right;
	return n;
}

static void sleeper(void *arg)
{
	const uint64_t number = (uint64_t)(uintptr_t)arg;
	uint64_t x = (number + 1) * 0x9e3779b97f4a7c15u;
	struct large *mine = weft_new(large);
	mine->words[0] = number;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		weft_sleep(SLEEP_MIN + (int64_t)(x % SLEEP_SPAN));
		struct large *next = weft_new(large);
		next->words[0] = mine->words[0];
		mine = next;
	}
	atomic_fetch_add(&number_sum, (long)mine->words[0]);
	weft_waitgroup_done(&sleepers);
}

static long count(const struct large *t)
{
	return t->left ? 1 + count(t->left) + count(t->right) : 1;
}

void gc_hold(struct work *w)
{
	weft_memstats stats;
	weft_set(&tree, build(DEPTH));
	weft_waitgroup_add(&sleepers, GOROUTINES);
	for (uintptr_t i = 0; i < GOROUTINES; i++)
		weft_go(sleeper, (void *)i);
	work_begin(w);
	int64_t until = weft_now() + (int64_t)(w->seconds * 1e9);
	do {
		weft_gc();
		w->ops++;
	} while (weft_now() < until);
	work_end(w);
	weft_mem_stats(&stats);
	w->ns = stats.pause_ns_max;
	atomic_store(&stop, 1);
	weft_waitgroup_wait(&sleepers);
	PROVE(w, "goroutines=%d nodes=%ld sum=%ld", GOROUTINES, count(tree), atomic_load(&number_sum));
}
