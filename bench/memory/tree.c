/* Binary trees, as the Computer Language Benchmarks Game has them: a tree one deeper than the deepest, which is counted and
 * given up; one that stays until the end; and of every second depth from 4 on so many trees that each depth makes as many
 * nodes, counted and given up one by one. An operation is a node. One goroutine does it all: a second core helps who
 * collects beside it.
 */
#include "bench/memory/tree.h"
#include "bench/memory/heap.h"

enum { LEAST_DEPTH = 4 };

struct tree {
	struct tree *left, *right;
};
HEAP_TYPE(tree, struct tree, left, right);

static struct tree *long_lived;
HEAP_ROOT(long_lived);

static struct tree *build(int depth)
{
	struct tree *left = NULL, *right = NULL;
	if (depth > 0) {
		left = build(depth - 1);
		right = build(depth - 1);
	}
	struct tree *t = HEAP_NEW(tree, struct tree);
	t->left = left;
	t->right = right;
	return t;
}

static long count(const struct tree *t)
{
	return t->left ? 1 + count(t->left) + count(t->right) : 1;
}

static void give_up(struct tree *t)
{
#ifdef HEAP_MIMALLOC
	if (t->left) {
		give_up(t->left);
		give_up(t->right);
	}
#endif
	HEAP_FREE(t);
}

static long build_and_count(int depth)
{
	struct tree *t = build(depth);
	long nodes = count(t);
	give_up(t);
	return nodes;
}

static void binary_trees(struct work *w, int depth)
{
	work_begin(w);
	long nodes = build_and_count(depth + 1);
	HEAP_SET(&long_lived, build(depth));
	for (int d = LEAST_DEPTH; d <= depth; d += 2)
		for (int trees = 1 << (depth - d + LEAST_DEPTH); trees > 0; trees--)
			nodes += build_and_count(d);
	nodes += count(long_lived);
	give_up(long_lived);
	work_end(w);
	w->ops = nodes;
	PROVE(w, "depth=%d nodes=%ld", depth, nodes);
}

void binary_trees_16(struct work *w)
{
	binary_trees(w, 16);
}

void binary_trees_18(struct work *w)
{
	binary_trees(w, 18);
}
