#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "lockfree/epoch.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

/* liburcu is not instrumented: what it allocates on one thread and frees on another looks like a race. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:liburcu-qsbr.so\n";
}

enum { OBJECTS = 100 };

static struct object {
	int before; /* the entry may be anywhere in it */
	struct epoch_entry entry;
	_Atomic int reclaimed;
} object[OBJECTS];
static pthread_t reclaimer;

static void reclaim(struct epoch_entry *entry)
{
	struct object *o = (struct object *)(void *)((char *)entry - offsetof(struct object, entry));
	reclaimer = pthread_self();
	(void)add_seq(&o->reclaimed, 1);
}

static int how_many_reclaimed(void)
{
	int n = 0;
	for (int i = 0; i < OBJECTS; i++)
		n += load_acq(&object[i].reclaimed);
	return n;
}

static void become_reader(void)
{
	epoch_init();
	epoch_register();
	epoch_online();
}

TEST(each_entry_is_reclaimed_once_by_another_thread)
{
	become_reader();
	for (int i = 0; i < OBJECTS; i++)
		epoch_retire(&object[i].entry, reclaim);
	epoch_offline();
	epoch_drain();
	for (int i = 0; i < OBJECTS; i++)
		CHECK_EQ(object[i].reclaimed, 1);
	CHECK(!pthread_equal(reclaimer, pthread_self()));
	epoch_unregister();
}

/* It would wait for ever: the grace period ends with the caller's own quiet point. */
TEST(retiring_does_not_wait_for_readers)
{
	become_reader();
	for (int i = 0; i < OBJECTS; i++)
		epoch_retire(&object[i].entry, reclaim);
	for (int i = 0; i < 5000; i++) {
		CHECK_EQ(how_many_reclaimed(), 0);
		sched_yield();
	}
	epoch_quiet();
	while (how_many_reclaimed() < OBJECTS) {
		epoch_quiet();
		sched_yield();
	}
	epoch_offline();
	epoch_unregister();
}

TEST(going_off_line_ends_what_a_reader_holds_up)
{
	become_reader();
	epoch_retire(&object[0].entry, reclaim);
	epoch_offline();
	while (how_many_reclaimed() < 1)
		sched_yield();
	epoch_online();
	epoch_retire(&object[1].entry, reclaim);
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(how_many_reclaimed(), 1);
		sched_yield();
	}
	epoch_offline();
	epoch_drain();
	CHECK_EQ(how_many_reclaimed(), 2);
	epoch_unregister();
}

/* Blocked in the kernel, say. */
TEST(a_thread_that_is_off_line_may_retire)
{
	epoch_init();
	epoch_register();
	epoch_retire(&object[0].entry, reclaim);
	while (how_many_reclaimed() < 1)
		sched_yield();
	epoch_unregister();
}

TEST(a_thread_may_enter_and_leave_again_and_again)
{
	epoch_init();
	for (int i = 0; i < OBJECTS; i++) {
		epoch_enter();
		epoch_retire(&object[i].entry, reclaim);
		epoch_looked();
		CHECK_EQ(load_acq(&object[i].reclaimed), 0);
		epoch_leave();
	}
	epoch_drain();
	CHECK_EQ(how_many_reclaimed(), OBJECTS);
}

TEST(a_thread_may_be_a_reader_more_than_once)
{
	epoch_init();
	for (int i = 0; i < 3; i++) {
		epoch_register();
		epoch_online();
		epoch_retire(&object[i].entry, reclaim);
		epoch_offline();
		epoch_unregister();
		epoch_drain();
		CHECK_EQ(how_many_reclaimed(), i + 1);
	}
}

static void reclaim_with_another(struct epoch_entry *entry)
{
	reclaim(entry);
	epoch_retire(&object[1].entry, reclaim);
}

TEST(what_is_retired_by_a_callback_is_reclaimed_too)
{
	epoch_init();
	epoch_enter();
	epoch_retire(&object[0].entry, reclaim_with_another);
	epoch_leave();
	epoch_drain();
	epoch_drain();
	CHECK_EQ(how_many_reclaimed(), 2);
}
