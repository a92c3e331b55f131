/* Goroutines that start others and wait for them: in which order those run, and what others notice of it. */
#include "runtime/sched.h"
#include "tests/unit/go.h"

#include <string.h>
#include <unistd.h>

static _Atomic int begun, begun_most;
static _Atomic long leaves;
static _Atomic bool stop; /* cuts a tree short */

static void count_begun(int change)
{
	int now = atomic_fetch_add(&begun, change) + change, most = begun_most;
	while (now > most && !atomic_compare_exchange_weak(&begun_most, &most, now))
		;
}

struct node {
	int depth, fanout; /* fanout 1: starts one child, and is the other itself */
	weft_waitgroup *parent;
};

static void grow(const struct node *);

static void grow_on_a_goroutine(void *node)
{
	const struct node n = *(const struct node *)node;
	count_begun(1);
	grow(&n);
	count_begun(-1);
	weft_waitgroup_done(n.parent);
}

static void grow(const struct node *n)
{
	if (n->depth == 0 || stop) {
		leaves++;
		return;
	}
	weft_waitgroup wg = {0};
	struct node child = {n->depth - 1, n->fanout, &wg};
	weft_waitgroup_add(&wg, n->fanout);
	for (int i = 0; i < n->fanout; i++)
		weft_go(grow_on_a_goroutine, &child);
	if (n->fanout == 1)
		grow(&child);
	weft_waitgroup_wait(&wg);
}

/* Breadth first, half of all nodes, 8,000, would have begun, and wait, before the first ends. In depth it is one for each level, and as many
 * more each time that the oldest in the ring has its turn, which is every 10 ms. In a flavour in which a step takes ten times as long, more of
 * them begin in the meantime. */
static void tree(int depth, int fanout)
{
	struct node root = {depth, fanout, NULL};
	int64_t from = weft_now();
	grow(&root);
	int64_t turns = (weft_now() - from) / 10000000;
	CHECK_EQ(begun, 0);
	CHECK(begun_most <= weft_procs() * (2 + turns) * (test_is_slow() ? 4 : 2) * depth);
}

TEST_GO(a_tree_is_gone_through_in_depth)
{
	tree(14, 2);
	CHECK_EQ(leaves, 1 << 14);
	return 0;
}

TEST_GO(a_tree_whose_nodes_do_one_half_themselves_is_too)
{
	tree(14, 1);
	CHECK_EQ(leaves, 1 << 14);
	return 0;
}

TEST_GO(a_tree_of_many_children_loses_none)
{
	struct node root = {3, 40, NULL};
	grow(&root);
	CHECK_EQ(leaves, 40 * 40 * 40);
	CHECK_EQ(begun, 0);
	return 0;
}

/* ---- the others ---- */

static _Atomic long turns;
static weft_waitgroup grown;

static void take_turns(void *yields)
{
	do {
		turns++;
		if (yields)
			weft_yield();
		else
			weft_sleep(1000);
	} while (!stop);
}

static void set_stop(void *unused)
{
	(void)unused;
	stop = true;
}

/* Trees, one after the other, until somebody else has had as many turns. */
static void grow_until_turns(long wanted)
{
	struct node root = {10, 2, NULL};
	while (turns < wanted)
		grow(&root);
}

TEST_GO(trees_starve_nobody_who_yields)
{
	weft_go(take_turns, "");
	weft_go(take_turns, "");
	grow_until_turns(1000);
	stop = true;
	return 0;
}

TEST_GO(trees_starve_nobody_who_is_woken)
{
	weft_go(take_turns, NULL);
	weft_go(take_turns, NULL);
	grow_until_turns(200);
	stop = true;
	return 0;
}

static void grow_until_stopped(void *unused)
{
	struct node root = {60, 2, NULL};
	(void)unused;
	grow(&root);
	weft_waitgroup_done(&grown);
}

static void start_both(void *unused)
{
	(void)unused;
	weft_go(set_stop, NULL);
	weft_go(grow_until_stopped, NULL); /* next; the other one goes into the ring */
}

/* One that nobody waits for, and that lies below the tree in the ring: it begins all the same. */
TEST_GO(trees_starve_nobody_who_has_not_begun)
{
	weft_waitgroup_add(&grown, 1);
	weft_go(start_both, NULL);
	weft_waitgroup_wait(&grown);
	return 0;
}

/* ---- a wait that ends while a child computes ---- */

static _Atomic bool waited;

static void compute_until_waited(void *unused)
{
	(void)unused;
	while (!waited)
		cpu_relax();
}

static weft_waitgroup other;
static weft_chan *go_on;

static void finish_other(void *unused)
{
	(void)unused;
	weft_recv(go_on, NULL);
	weft_waitgroup_done(&other);
}

static void send_soon(void *unused)
{
	(void)unused;
	weft_send(go_on, NULL);
}

/* The youngest child is let run, but it is not of those that are waited for, and does not end before the wait does. */
TEST_GO(a_child_that_computes_does_not_hold_up_a_wait_for_another)
{
	go_on = weft_chan_make(0, 0);
	weft_waitgroup_add(&other, 1);
	weft_go(finish_other, NULL);
	weft_yield();
	weft_after_func(1000000, send_soon, NULL);
	weft_go(compute_until_waited, NULL);
	weft_waitgroup_wait(&other);
	waited = true;
	return 0;
}

static _Atomic bool idle_yields;

static void yield_until_waited(void *unused)
{
	(void)unused;
	idle_yields = true;
	while (!waited)
		weft_yield();
}

/* Taken to the other P, it would be in the way of those that are pinned there. */
static void compute_on_the_first_p(void *unused)
{
	if (m_p(m_self())->index == 0)
		compute_until_waited(unused);
}

/* And neither when the other P is never idle, and no P is taken from who computes: who has stepped aside is found at its looks. */
static int waits_beside_a_busy_p(void)
{
	weft_waitgroup_add(&other, 1);
	go_on = weft_chan_make(0, 0);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 2}, yield_until_waited, NULL), 0);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 2}, finish_other, NULL), 0);
	while (!idle_yields)
		weft_yield();
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 2}, send_soon, NULL), 0);
	weft_go(compute_on_the_first_p, NULL);
	weft_waitgroup_wait(&other);
	waited = true;
	return 0;
}

TEST(a_busy_p_takes_who_waits_behind_a_child_that_computes)
{
	setenv("WEFT_DEBUG", "nopreempt", 1);
	CHECK_EQ(run_weft(2, waits_beside_a_busy_p), 0);
}

/* ---- what a wait for children is ---- */

static weft_chan *gate;
static weft_waitgroup gated;

static void wait_at_gate(void *unused)
{
	(void)unused;
	weft_recv(gate, NULL);
	weft_waitgroup_done(&gated);
}

static void close_gate(void *unused)
{
	(void)unused;
	weft_close(gate);
}

/* The waiter steps aside for a child, which blocks: then it is registered like any other, and woken. */
TEST_GO(children_that_block_are_waited_for)
{
	gate = weft_chan_make(0, 0);
	weft_waitgroup_add(&gated, 300);
	for (int i = 0; i < 300; i++)
		weft_go(wait_at_gate, NULL);
	weft_after_func(2000000, close_gate, NULL);
	weft_waitgroup_wait(&gated);
	weft_chan_free(gate);
	return 0;
}

static void exit_early(void *group)
{
	weft_waitgroup_done(group);
	weft_exit_goroutine();
}

TEST_GO(children_may_leave_by_exit)
{
	for (int i = 0; i < 1000; i++) {
		weft_waitgroup wg = {0};
		weft_waitgroup_add(&wg, 2);
		weft_go(exit_early, &wg);
		weft_go(exit_early, &wg);
		weft_waitgroup_wait(&wg);
	}
	return 0;
}

static void wait_for(void *group)
{
	weft_waitgroup_wait(group);
	weft_waitgroup_done(&gated);
}

/* Several waiters, one of which has the last child. */
TEST_GO(several_may_wait_for_the_same_children)
{
	for (int i = 0; i < 200; i++) {
		static weft_waitgroup wg;
		weft_waitgroup_add(&wg, 3);
		weft_waitgroup_add(&gated, 2);
		weft_go(wait_for, &wg);
		weft_go(wait_for, &wg);
		for (int k = 0; k < 3; k++)
			weft_go(exit_early, &wg);
		weft_waitgroup_wait(&wg);
		weft_waitgroup_wait(&gated);
	}
	return 0;
}

static void dump_it(void *group)
{
	weft_dump(STDERR_FILENO);
	weft_waitgroup_done(group);
}

static int dumps_its_parent(void)
{
	weft_waitgroup wg = {0};
	weft_waitgroup_add(&wg, 1);
	weft_go(dump_it, &wg);
	weft_waitgroup_wait(&wg);
	return 0;
}

static void dumping(void)
{
	exit(run_weft(1, dumps_its_parent));
}

TEST(a_dump_shows_that_the_parent_waits)
{
	static struct test_child child;
	test_in_child(&child, dumping);
	CHECK_EQ(child.status, 0);
	CHECK(strstr(child.err, "goroutine 1 [wait group]"));
}
