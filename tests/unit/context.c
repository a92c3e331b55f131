#include "tests/unit/go.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static weft_waitgroup join;

static bool is_closed(weft_chan *ch)
{
	return weft_try_recv(ch, NULL) == 0;
}

/* ---- one context ---- */

TEST_GO(the_background_is_never_cancelled)
{
	weft_ctx *b = weft_ctx_background();
	CHECK(!weft_ctx_done(b));
	CHECK_EQ(weft_ctx_err(b), 0);
	CHECK(!weft_ctx_cause(b));
	CHECK(!weft_ctx_value(b, &join));
	CHECK_EQ(weft_ctx_deadline(b).ns, INT64_MAX);
	weft_ctx_free(weft_ctx_ref(b));
	weft_ctx_free(b);
	weft_ctx_free(b);
	weft_ctx_free(NULL);
	return 0;
}

TEST_GO(cancel_closes_the_channel_and_says_why)
{
	weft_ctx *c = weft_ctx_with_cancel(weft_ctx_background());
	weft_chan *done = weft_ctx_done(c);
	CHECK(done == weft_ctx_done(c));
	CHECK(!is_closed(done));
	CHECK_EQ(weft_ctx_err(c), 0);
	CHECK(!weft_ctx_cause(c));
	char why[] = "the client is gone";
	weft_ctx_cancel(c, why);
	why[0] = 0;
	CHECK(is_closed(done));
	CHECK_EQ(weft_ctx_err(c), -ECANCELED);
	CHECK_STR(weft_ctx_cause(c), "the client is gone");
	weft_ctx_cancel(c, "another cause");
	weft_ctx_cancel(c, NULL);
	CHECK_STR(weft_ctx_cause(c), "the client is gone");
	weft_ctx_free(c);
	return 0;
}

TEST_GO(a_channel_that_is_asked_for_after_the_cancellation_is_closed)
{
	weft_ctx *c = weft_ctx_with_cancel(weft_ctx_background());
	weft_ctx_cancel(c, NULL);
	CHECK(is_closed(weft_ctx_done(c)));
	CHECK_STR(weft_ctx_cause(c), "context canceled");
	weft_ctx_free(c);
	return 0;
}

/* ---- the tree ---- */

TEST_GO(cancel_goes_down_and_not_up)
{
	weft_ctx *root = weft_ctx_with_cancel(weft_ctx_background());
	weft_ctx *left = weft_ctx_with_cancel(root), *right = weft_ctx_with_cancel(root);
	weft_ctx *leaf = weft_ctx_with_value(left, &join, &join);
	weft_chan *done = weft_ctx_done(leaf);
	weft_ctx_cancel(left, "left");
	CHECK_EQ(weft_ctx_err(leaf), -ECANCELED);
	CHECK_STR(weft_ctx_cause(leaf), "left");
	CHECK(is_closed(done));
	CHECK_EQ(weft_ctx_err(root), 0);
	CHECK_EQ(weft_ctx_err(right), 0);
	weft_ctx_cancel(root, "root");
	CHECK_STR(weft_ctx_cause(right), "root");
	CHECK_STR(weft_ctx_cause(left), "left");
	weft_ctx *late = weft_ctx_with_cancel(leaf);
	CHECK_STR(weft_ctx_cause(late), "left");
	CHECK(is_closed(weft_ctx_done(late)));
	weft_ctx_free(root); /* in no order */
	weft_ctx_free(late);
	weft_ctx_free(left);
	weft_ctx_free(leaf);
	weft_ctx_free(right);
	return 0;
}

TEST_GO(children_keep_their_parents)
{
	static const int outer_key, inner_key;
	int outer = 1, inner = 2;
	weft_ctx *a = weft_ctx_with_value(weft_ctx_background(), &outer_key, &outer);
	weft_ctx *b = weft_ctx_with_value(a, &inner_key, &inner);
	weft_ctx *c = weft_ctx_with_cancel(b);
	weft_ctx_free(a);
	weft_ctx_free(b);
	CHECK_EQ(weft_ctx_err(c), 0);
	CHECK(weft_ctx_value(c, &outer_key) == &outer);
	CHECK(weft_ctx_value(c, &inner_key) == &inner);
	CHECK(!weft_ctx_value(c, &join));
	weft_ctx_free(c);
	return 0;
}

TEST_GO(an_inner_value_hides_an_outer_one)
{
	static const int key;
	int outer, inner;
	weft_ctx *a = weft_ctx_with_value(weft_ctx_background(), &key, &outer), *b = weft_ctx_with_value(a, &key, &inner);
	CHECK(weft_ctx_value(b, &key) == &inner);
	CHECK(weft_ctx_value(a, &key) == &outer);
	weft_ctx_free(a);
	weft_ctx_free(b);
	return 0;
}

static void wait_for_the_end(void *done)
{
	CHECK(!weft_recv(done, NULL));
	weft_waitgroup_done(&join);
}

TEST_GO(the_last_reference_cancels)
{
	weft_ctx *c = weft_ctx_with_cancel(weft_ctx_background());
	weft_waitgroup_add(&join, 1);
	weft_go(wait_for_the_end, weft_ctx_done(c));
	while (weft_num_goroutine() < 2)
		weft_yield();
	weft_yield();
	weft_ctx *again = weft_ctx_ref(c);
	weft_ctx_free(c);
	CHECK_EQ(weft_ctx_err(again), 0);
	weft_ctx_free(again);
	weft_waitgroup_wait(&join);
	return 0;
}

enum { DEEP = 100000 };

/* Neither to cancel nor to free may take a stack that grows with the depth. */
TEST_GO(a_chain_of_a_hundred_thousand)
{
	weft_ctx *root = weft_ctx_with_cancel(weft_ctx_background()), *last = root;
	for (int i = 0; i < DEEP; i++) {
		weft_ctx *next = weft_ctx_with_cancel(last);
		if (last != root)
			weft_ctx_free(last); /* the child keeps it */
		last = next;
	}
	weft_ctx_cancel(root, "all");
	CHECK_STR(weft_ctx_cause(last), "all");
	weft_ctx_free(root);
	weft_ctx_free(last);
	return 0;
}

TEST_GO(a_hundred_thousand_children)
{
	weft_ctx *root = weft_ctx_with_cancel(weft_ctx_background());
	weft_ctx **child = weft_calloc(DEEP, sizeof *child);
	for (int i = 0; i < DEEP; i++)
		child[i] = weft_ctx_with_cancel(root);
	weft_ctx_cancel(root, NULL);
	for (int i = 0; i < DEEP; i++) {
		CHECK_EQ(weft_ctx_err(child[i]), -ECANCELED);
		weft_ctx_free(child[i]);
	}
	weft_free(child);
	weft_ctx_free(root);
	return 0;
}

/* ---- deadlines ---- */

TEST_GO(a_deadline_cancels_with_its_own_error)
{
	weft_ctx *c = weft_ctx_with_timeout(weft_ctx_background(), 2 * WEFT_MS);
	weft_ctx *child = weft_ctx_with_cancel(c);
	CHECK_EQ(weft_ctx_deadline(child).ns, weft_ctx_deadline(c).ns);
	CHECK(!weft_recv(weft_ctx_done(child), NULL));
	CHECK_EQ(weft_ctx_err(child), -ETIMEDOUT);
	CHECK(weft_now() >= weft_ctx_deadline(c).ns);
	CHECK_STR(weft_ctx_cause(child), "context deadline exceeded");
	weft_ctx_cancel(c, "later");
	CHECK_STR(weft_ctx_cause(c), "context deadline exceeded");
	weft_ctx_free(c);
	weft_ctx_free(child);
	return 0;
}

TEST_GO(a_deadline_that_is_past_cancels_at_once)
{
	weft_ctx *c = weft_ctx_with_timeout(weft_ctx_background(), 0);
	CHECK_EQ(weft_ctx_err(c), -ETIMEDOUT);
	weft_ctx *d = weft_ctx_with_deadline(weft_ctx_background(), (weft_deadline){0});
	CHECK_EQ(weft_ctx_err(d), -ETIMEDOUT);
	weft_ctx *e = weft_ctx_with_deadline(weft_ctx_background(), weft_at(INT64_MIN));
	CHECK_EQ(weft_ctx_err(e), -ETIMEDOUT);
	weft_ctx_free(c);
	weft_ctx_free(d);
	weft_ctx_free(e);
	return 0;
}

TEST_GO(the_earlier_deadline_holds)
{
	weft_ctx *c = weft_ctx_with_timeout(weft_ctx_background(), WEFT_MS);
	weft_ctx *longer = weft_ctx_with_timeout(c, 3600 * WEFT_S), *never = weft_ctx_with_deadline(c, WEFT_NEVER);
	CHECK_EQ(weft_ctx_deadline(longer).ns, weft_ctx_deadline(c).ns);
	CHECK_EQ(weft_ctx_deadline(never).ns, weft_ctx_deadline(c).ns);
	CHECK(!weft_recv(weft_ctx_done(longer), NULL));
	CHECK_EQ(weft_ctx_err(longer), -ETIMEDOUT);
	weft_ctx_free(c);
	weft_ctx_free(longer);
	weft_ctx_free(never);
	return 0;
}

TEST_GO(a_context_that_ends_takes_its_timer_along)
{
	weft_ctx *c = weft_ctx_with_timeout(weft_ctx_background(), 3600 * WEFT_S);
	weft_ctx_free(c);
	c = weft_ctx_with_timeout(weft_ctx_background(), 3600 * WEFT_S);
	weft_ctx_cancel(c, NULL);
	CHECK_EQ(weft_ctx_err(c), -ECANCELED);
	weft_ctx_free(c);
	return 0;
}

/* ---- all at once ---- */

static weft_ctx *shared;
static _Atomic int ended;

static void make_cancel_and_free(void *arg)
{
	long n = test_rounds(2000);
	for (long i = 0; i < n; i++) {
		weft_ctx *c = (i & 1) ? weft_ctx_with_timeout(shared, 20 * WEFT_US) : weft_ctx_with_cancel(shared);
		weft_ctx *child = weft_ctx_with_cancel(c);
		if (i & 2)
			weft_ctx_cancel(c, "race");
		if (i & 4)
			CHECK(!(i & 2) || is_closed(weft_ctx_done(child)));
		if (i % 64 == 0)
			weft_sleep(30 * WEFT_US);
		weft_ctx_free(c);
		CHECK(!(i & 2) || weft_ctx_err(child));
		weft_ctx_free(child);
	}
	(void)arg;
	ended++;
	weft_waitgroup_done(&join);
}

/* Children come and go, time out and are cancelled while their parent is cancelled from several sides. */
TEST_GO(cancelled_from_all_sides)
{
	for (int round = 0; round < 5; round++) {
		shared = weft_ctx_with_cancel(weft_ctx_background());
		weft_waitgroup_add(&join, 4);
		for (int i = 0; i < 4; i++)
			weft_go(make_cancel_and_free, NULL);
		weft_sleep(WEFT_MS);
		weft_ctx_cancel(shared, "the end");
		CHECK_STR(weft_ctx_cause(shared), "the end");
		weft_waitgroup_wait(&join);
		weft_ctx_free(shared);
	}
	CHECK_EQ(ended, 20);
	return 0;
}

static weft_ctx *leaves[64];

static void cancel_shared(void *arg)
{
	(void)arg;
	weft_ctx_cancel(shared, NULL);
	for (int i = 0; i < 64; i++)
		CHECK(weft_ctx_err(leaves[i]));
	weft_waitgroup_done(&join);
}

/* Whoever comes second returns no sooner than all is cancelled. */
TEST_GO(cancel_is_done_when_it_returns_whoever_did_it)
{
	for (int round = 0; round < test_rounds(200); round++) {
		shared = weft_ctx_with_cancel(weft_ctx_background());
		for (int i = 0; i < 64; i++)
			leaves[i] = weft_ctx_with_cancel(i % 8 ? leaves[i - 1] : shared);
		weft_waitgroup_add(&join, 3);
		for (int i = 0; i < 3; i++)
			weft_go(cancel_shared, NULL);
		weft_waitgroup_wait(&join);
		for (int i = 0; i < 64; i++)
			weft_ctx_free(leaves[i]);
		weft_ctx_free(shared);
	}
	return 0;
}

static void look_at_shared(void *arg)
{
	(void)arg;
	while (!weft_ctx_err(shared))
		if (weft_procs() == 1)
			weft_yield();
	CHECK(is_closed(weft_ctx_done(shared)));
	weft_waitgroup_done(&join);
}

static void wait_for_shared(void *arg)
{
	(void)arg;
	CHECK(!weft_recv(weft_ctx_done(shared), NULL));
	CHECK_EQ(weft_ctx_err(shared), -ECANCELED);
	CHECK_STR(weft_ctx_cause(shared), "context canceled");
	weft_waitgroup_done(&join);
}

TEST_GO(the_error_and_the_closed_channel_come_together)
{
	for (int round = 0; round < test_rounds(2000); round++) {
		shared = weft_ctx_with_cancel(weft_ctx_background());
		if (round % 2)
			weft_ctx_done(shared);
		weft_waitgroup_add(&join, 2);
		weft_go(look_at_shared, NULL);
		weft_go(wait_for_shared, NULL);
		weft_yield();
		weft_ctx_cancel(shared, NULL);
		weft_waitgroup_wait(&join);
		weft_ctx_free(shared);
	}
	return 0;
}

/* ---- misuse ---- */

static int cancel_the_background(void)
{
	weft_ctx_cancel(weft_ctx_background(), NULL);
	return 0;
}

static int derive_from_null(void)
{
	weft_ctx_with_cancel(NULL);
	return 0;
}

static int value_by_null(void)
{
	weft_ctx_with_value(weft_ctx_background(), NULL, NULL);
	return 0;
}

static int (*misuse)(void);

static void run_misuse(void)
{
	run_weft(1, misuse);
}

TEST(misuse_is_told)
{
	misuse = cancel_the_background;
	test_dies(run_misuse, "panic: cancel of the background context");
	misuse = derive_from_null;
	test_dies(run_misuse, "panic: context of a nil parent");
	misuse = value_by_null;
	test_dies(run_misuse, "panic: context value by a nil key");
}
