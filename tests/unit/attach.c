#include "runtime/sched.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static weft_chan *from_thread, *to_thread;

static void start(void *(*fn)(void *))
{
	pthread_t thread;
	from_thread = weft_chan_make(sizeof(int), 0);
	to_thread = weft_chan_make(sizeof(int), 0);
	CHECK_EQ(pthread_create(&thread, NULL, fn, NULL), 0);
	pthread_detach(thread);
}

/* The number of threads no longer tells of the one that is there. */
static void hide_a_thread(void)
{
	add_seq(&sched.own_threads, 1);
}

static int expect(int value)
{
	int v = -1;
	CHECK(weft_recv(from_thread, &v));
	CHECK_EQ(v, value);
	return 0;
}

static void tell(int value)
{
	weft_send(from_thread, &value);
}

/* ---- what it returns ---- */

static void *attach_and_again(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	CHECK_EQ(weft_attach(), -EALREADY);
	weft_detach();
	CHECK_EQ(weft_attach(), 0);
	weft_detach();
	tell(1);
	return unused;
}

TEST_GO(a_thread_is_attached_once)
{
	start(attach_and_again);
	expect(1);
	CHECK_EQ(weft_attach(), -EINVAL);
	return 0;
}

static int do_nothing(void)
{
	return 0;
}

TEST(there_is_nothing_to_attach_to_before_and_after)
{
	CHECK_EQ(weft_attach(), -EINVAL);
	CHECK_EQ(run_weft(2, do_nothing), 0);
	CHECK_EQ(weft_attach(), -EINVAL);
}

static void detach_at_once(void)
{
	weft_detach();
}

static int app_detach_on_a_goroutine(void)
{
	weft_detach();
	return 0;
}

static void detach_on_a_goroutine(void)
{
	run_weft(1, app_detach_on_a_goroutine);
}

TEST(detaching_what_is_not_attached_panics)
{
	test_dies(detach_at_once, "panic: weft_detach of a thread that is not attached\n");
	test_dies(detach_on_a_goroutine, "panic: weft_detach of a thread that is not attached\n");
}

/* ---- its stand-in ---- */

static void count_stand_in(void *object, void *count)
{
	struct g *g = object;
	*(int *)count += load_rlx(&g->is_thread);
}

static int stand_ins(void)
{
	int n = 0;
	slab_each(&sched.gs, count_stand_in, &n);
	return n;
}

static void *attach_often(void *unused)
{
	int v;
	struct g *mine = NULL;
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(stand_ins(), 0);
		CHECK_EQ(weft_attach(), 0);
		CHECK_EQ(stand_ins(), 1);
		mine = stand_in();
		tell(i);
		CHECK(weft_recv(to_thread, &v) && v == i);
		CHECK(stand_in() == mine);
		weft_detach();
	}
	CHECK_EQ(stand_ins(), 0);
	weft_sleep(1); /* without: one is made for it, to wait with */
	CHECK_EQ(stand_ins(), 1);
	tell(100);
	CHECK_EQ(weft_attach(), 0); /* and kept */
	CHECK_EQ(stand_ins(), 1);
	return unused; /* attached */
}

TEST_GO(a_stand_in_lives_from_attaching_to_detaching)
{
	start(attach_often);
	for (int i = 0; i < 100; i++) {
		expect(i);
		weft_send(to_thread, &i);
	}
	expect(100);
	while (stand_ins() || load_seq(&sched.xoutside))
		weft_sleep(WEFT_MS);
	return 0;
}

/* ---- deadlocks ---- */

static void *send_late(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	tell(1);
	usleep(100000); /* everything sleeps meanwhile */
	tell(2);
	weft_detach();
	return unused;
}

TEST_GO(an_attached_thread_may_still_do_something)
{
	start(send_late);
	expect(1);
	hide_a_thread();
	return expect(2);
}

static void *detach_late(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	tell(1);
	usleep(50000);
	weft_detach();
	for (;;)
		pause();
	return unused;
}

static void *end_late(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	tell(1);
	usleep(50000);
	return unused;
}

static void *(*leaves)(void *);

static int app_is_left(void)
{
	start(leaves);
	expect(1);
	hide_a_thread();
	return expect(2);
}

static void is_left_p1(void)
{
	run_weft(1, app_is_left);
}

static void is_left_p2(void)
{
	run_weft(2, app_is_left);
}

TEST(the_last_attached_thread_leaves_a_deadlock_behind)
{
	leaves = detach_late;
	test_dies(is_left_p1, "deadlock!\n");
	test_dies(is_left_p2, "deadlock!\n");
}

TEST(a_thread_that_ends_is_detached)
{
	leaves = end_late;
	test_dies(is_left_p1, "deadlock!\n");
	test_dies(is_left_p2, "deadlock!\n");
}
