/* A reader never sees an object that has been reclaimed, and everything retired is reclaimed in the end. */
#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "lockfree/epoch.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* liburcu is not instrumented: what it allocates on one thread and frees on another looks like a race. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:liburcu-qsbr.so\n";
}

enum { ALIVE = 0x1f1f1f1f, READERS = 2 };

struct object {
	struct epoch_entry entry;
	int life; /* plain: the grace period orders the reclaimer after all readers */
};

static _Atomic(struct object *) current;
static _Atomic int64_t reclaimed;
static _Atomic bool finished;

static struct object *make(void)
{
	struct object *o = malloc(sizeof *o);
	CHECK(o);
	o->life = ALIVE;
	return o;
}

static void reclaim(struct epoch_entry *entry)
{
	struct object *o = (struct object *)(void *)entry;
	CHECK_EQ(o->life, ALIVE);
	o->life = 0;
	free(o);
	(void)add_seq(&reclaimed, 1);
}

static void look(int times)
{
	struct object *o = load_acq(&current);
	while (times--) {
		CHECK_EQ(o->life, ALIVE);
		cpu_relax();
	}
}

/* A reader that announces quiet points, and goes off-line now and then. */
static void *read_registered(void *arg)
{
	(void)arg;
	epoch_register();
	epoch_online();
	for (unsigned i = 0; !load_acq(&finished); i++) {
		look(20);
		epoch_quiet();
		if (i % 64 == 0) {
			epoch_offline();
			sched_yield();
			epoch_online();
		}
	}
	epoch_offline();
	epoch_unregister();
	return NULL;
}

/* A thread that is a reader for one call at a time. */
static void *read_entered(void *arg)
{
	(void)arg;
	while (!load_acq(&finished)) {
		epoch_enter();
		look(20);
		epoch_leave();
	}
	return NULL;
}

static void against(void *(*reader)(void *))
{
	pthread_t thread[READERS];
	epoch_init();
	store_rel(&current, make());
	for (int i = 0; i < READERS; i++)
		CHECK(!pthread_create(&thread[i], NULL, reader, NULL));
	int64_t n = test_rounds(100000);
	epoch_register();
	epoch_online();
	for (int64_t i = 0; i < n; i++) {
		struct object *old = swap_acqrel(&current, make());
		epoch_retire(&old->entry, reclaim);
		epoch_quiet();
	}
	epoch_offline();
	epoch_unregister();
	store_rel(&finished, true);
	for (int i = 0; i < READERS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	epoch_drain();
	CHECK_EQ(reclaimed, n);
	free(load_acq(&current));
}

TEST(readers_that_announce_quiet_points)
{
	against(read_registered);
}

TEST(readers_for_the_length_of_a_call)
{
	against(read_entered);
}

static _Atomic int step;

static void wait_for(int n)
{
	while (load_acq(&step) < n)
		sched_yield();
}

static void *hold(void *arg)
{
	(void)arg;
	epoch_register();
	epoch_online();
	struct object *o = load_acq(&current);
	store_rel(&step, 1);
	wait_for(2); /* it has been retired */
	for (int i = 0; i < 10000; i++) {
		CHECK_EQ(o->life, ALIVE);
		CHECK_EQ(load_rlx(&reclaimed), 0);
		sched_yield();
	}
	epoch_quiet();
	store_rel(&step, 3);
	wait_for(4); /* on-line, but announcing nothing it holds */
	epoch_offline();
	epoch_unregister();
	return NULL;
}

TEST(an_online_reader_holds_reclamation_up_until_its_quiet_point)
{
	pthread_t thread;
	epoch_init();
	store_rel(&current, make());
	CHECK(!pthread_create(&thread, NULL, hold, NULL));
	wait_for(1);
	struct object *o = swap_acqrel(&current, NULL);
	epoch_enter();
	epoch_retire(&o->entry, reclaim);
	epoch_leave();
	store_rel(&step, 2);
	wait_for(3);
	store_rel(&step, 4);
	CHECK(!pthread_join(thread, NULL));
	epoch_drain();
	CHECK_EQ(reclaimed, 1);
}

static void *sleep_offline(void *arg)
{
	(void)arg;
	epoch_register();
	store_rel(&step, 1);
	wait_for(2);
	epoch_unregister();
	return NULL;
}

TEST(an_offline_reader_holds_nothing_up)
{
	pthread_t thread;
	epoch_init();
	CHECK(!pthread_create(&thread, NULL, sleep_offline, NULL));
	wait_for(1);
	epoch_enter();
	for (int i = 0; i < 10; i++)
		epoch_retire(&make()->entry, reclaim);
	epoch_leave();
	epoch_drain();
	CHECK_EQ(reclaimed, 10);
	store_rel(&step, 2);
	CHECK(!pthread_join(thread, NULL));
}

TEST(draining_nothing_returns)
{
	epoch_init();
	epoch_drain();
	epoch_drain();
}
