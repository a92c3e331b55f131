/* How fast a heap is marked: whole collections of one on which nobody works, sweeping included, by the CPU time of the
 * process. An operation is a byte of a live object. The heaps: a tree; many lists whose nodes were made by turns; blocks
 * without pointers.
 *
 * And what a store of a pointer costs while no collection is on its way, beside a plain one.
 */
#include "bench/memory/collect.h"
#include "bench/memory/heap.h"
#include "lockfree/tsc.h"

enum {
	TREE_DEPTH = 21, /* 2^22 - 1 nodes of 32 bytes */
	LISTS = 1024,
	LIST_NODES = 4096,
	BLOCKS = 131072,
	BLOCK = 2048,
	STORES = 1000000,
	SLOTS = 1024,
};
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "the slot of a store is found by a mask");

struct node {
	struct node *left, *right;
	uint64_t words[2];
};
HEAP_TYPE(node, struct node, left, right);

static struct node *tree;
static void **many; /* lists, blocks, or slots */
HEAP_ROOT(tree);
HEAP_ROOT(many);

static struct node *build(int depth)
{
	struct node *left = depth > 0 ? build(depth - 1) : NULL, *right = depth > 0 ? build(depth - 1) : NULL;
	struct node *n = HEAP_NEW(node, struct node);
	n->left = left;
	n->right = right;
	return n;
}

/* Collects until the time is over; `live` then says how much has come through it, and how much should have. */
static void mark(struct work *w, int64_t bytes, int64_t (*live)(void))
{
	HEAP_COLLECT();
	work_begin(w);
	uint64_t until = w->wall_from + (uint64_t)(w->seconds * 1e9);
	do {
		HEAP_COLLECT();
		w->ops += bytes;
	} while (tsc_monotonic_ns() < until);
	work_end(w);
	PROVE(w, "bytes=%lld live=%lld", (long long)bytes, (long long)live());
}

static int64_t bytes_of(const struct node *n)
{
	return n ? (int64_t)sizeof *n + bytes_of(n->left) + bytes_of(n->right) : 0;
}

static int64_t tree_live(void)
{
	return bytes_of(tree);
}

void mark_tree(struct work *w)
{
	HEAP_SET(&tree, build(TREE_DEPTH));
	mark(w, ((INT64_C(2) << TREE_DEPTH) - 1) * (int64_t)sizeof(struct node), tree_live);
}

static int64_t lists_live(void)
{
	int64_t bytes = 0;
	for (int i = 0; i < LISTS; i++)
		for (const struct node *n = many[i]; n; n = n->left)
			bytes += (int64_t)sizeof *n;
	return bytes;
}

void mark_lists(struct work *w)
{
	HEAP_SET(&many, HEAP_POINTERS(LISTS));
	for (int64_t i = 0; i < (int64_t)LISTS * LIST_NODES; i++) {
		struct node *n = HEAP_NEW(node, struct node);
		n->left = many[i % LISTS];
		HEAP_SET(&many[i % LISTS], n);
	}
	mark(w, (int64_t)LISTS * LIST_NODES * (int64_t)sizeof(struct node), lists_live);
}

static int64_t blocks_live(void)
{
	int64_t right = 0;
	for (int i = 0; i < BLOCKS; i++)
		right += ((unsigned char *)many[i])[BLOCK - 1] == (i & 255) ? BLOCK : 0;
	return right;
}

void mark_poor(struct work *w)
{
	HEAP_SET(&many, HEAP_POINTERS(BLOCKS));
	for (int i = 0; i < BLOCKS; i++)
		HEAP_SET(&many[i], memset(HEAP_BYTES(BLOCK), i & 255, BLOCK));
	mark(w, (int64_t)BLOCKS * BLOCK, blocks_live);
}

#ifdef HEAP_WEFT

void set_idle_fill(void)
{
	weft_set(&many, HEAP_POINTERS(SLOTS));
	weft_set(&tree, build(1));
	weft_gc();
}

void set_idle(struct work *w)
{
	struct node *of[2] = {tree->left, tree->right};
	struct work plain = {0};
	void *volatile *plainly = many;
	int right = 0;
	work_begin(w);
	for (int i = 0; i < STORES; i++)
		weft_set(&many[i & (SLOTS - 1)], of[i >> 10 & 1]);
	work_end(w);
	for (int i = STORES - SLOTS; i < STORES; i++)
		right += many[i & (SLOTS - 1)] == of[i >> 10 & 1];
	/* The collector sleeps, and both objects stay reachable from the tree: nothing can be lost by it. */
	work_begin(&plain);
	for (int i = 0; i < STORES; i++)
		plainly[i & (SLOTS - 1)] = of[i >> 10 & 1];
	work_end(&plain);
	w->plain_ns += plain.wall_ns;
	w->ops += STORES;
	PROVE(w, "stores=%d right=%d", STORES, right);
}

#endif
