#include "lockfree/mpsc.h"
#include "tests/test.h"

enum { NODES = 8 };

static struct mpsc q;
static struct mpsc_node node[NODES];

static void push(int from, int to)
{
	for (int i = from; i < to; i++)
		mpsc_push(&q, &node[i]);
}

static void pop(int from, int to)
{
	for (int i = from; i < to; i++) {
		struct mpsc_node *n = NULL;
		CHECK_EQ(mpsc_pop(&q, &n), MPSC_TAKEN);
		CHECK(n == &node[i]);
	}
}

static void is(enum mpsc_result want)
{
	struct mpsc_node *n = &node[0];
	CHECK_EQ(mpsc_pop(&q, &n), want);
	CHECK(n == &node[0]);
}

TEST(first_in_first_out_and_nodes_are_used_again)
{
	mpsc_init(&q);
	for (int round = 0; round < 4; round++) {
		for (int n = 0; n <= NODES; n++) {
			push(0, n);
			pop(0, n);
			is(MPSC_EMPTY);
			is(MPSC_EMPTY);
		}
	}
}

TEST(pushes_between_pops_keep_the_order)
{
	mpsc_init(&q);
	push(0, 1);
	pop(0, 1);
	push(1, 4);
	pop(1, 3);
	push(4, 6);
	pop(3, 6);
	is(MPSC_EMPTY);
}

/* The first half of a push, up to the window. */
static struct mpsc_node *swap_in(int i)
{
	store_rlx(&node[i].xnext, NULL);
	return swap_acqrel(&q.xlast, &node[i]);
}

TEST(a_producer_in_the_window_makes_an_empty_queue_busy)
{
	mpsc_init(&q);
	struct mpsc_node *before = swap_in(0);
	is(MPSC_BUSY);
	store_rel(&before->xnext, &node[0]);
	pop(0, 1);
	is(MPSC_EMPTY);
}

TEST(a_producer_in_the_window_hides_those_behind_it)
{
	mpsc_init(&q);
	push(0, 2);
	struct mpsc_node *before = swap_in(2);
	push(3, 5);
	pop(0, 1);
	is(MPSC_BUSY);
	is(MPSC_BUSY);
	store_rel(&before->xnext, &node[2]);
	pop(1, 5);
	is(MPSC_EMPTY);
}

/* The consumer finds the last node, and a producer comes before the stub that is to follow it. */
TEST(a_producer_behind_the_last_node_makes_it_busy)
{
	mpsc_init(&q);
	push(0, 1);
	struct mpsc_node *before = swap_in(1);
	CHECK(before == &node[0]);
	is(MPSC_BUSY);
	push(2, 3);
	is(MPSC_BUSY);
	store_rel(&before->xnext, &node[1]);
	pop(0, 3);
	is(MPSC_EMPTY);
}
