/* A fork-join tree: what it costs to split work down to pieces that are nothing, and to put the results together.
 *
 * An inner node starts a goroutine for its left child, does the right one itself, and joins. A leaf returns its
 * number, so that the sum proves that each was visited. A node lies on the stack of whoever does it.
 */
#include "bench/micro/rows.h"

#include <weft/weft.h>

enum { DEPTH = 20, LEAVES = 1 << DEPTH };

struct fork {
	weft_waitgroup joined;
	long left; /* the number of the left child among those of its depth; once it is joined, its sum */
	int depth;
};

static long sum_of(long node, int depth);

static void do_left(void *arg)
{
	struct fork *f = arg;
	f->left = sum_of(f->left, f->depth);
	weft_waitgroup_done(&f->joined);
}

static long sum_of(long node, int depth)
{
	if (depth == 0)
		return node;
	struct fork f = {.left = 2 * node, .depth = depth - 1};
	weft_waitgroup_add(&f.joined, 1);
	weft_go(do_left, &f);
	long right = sum_of(2 * node + 1, depth - 1);
	weft_waitgroup_wait(&f.joined);
	return f.left + right;
}

void fork_join(struct batch *b)
{
	long sum = sum_of(0, DEPTH);
	b->ops = LEAVES;
	PROVE(b, "leaves=%d sum=%ld", LEAVES, sum);
}
