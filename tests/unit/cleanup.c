#include "tests/unit/collected.h"

static _Atomic int called;

static void call(void *arg)
{
	CHECK(arg == NULL || ((struct thing *)arg)->number == 5);
	called++;
}

static __attribute__((noinline)) void make_with_cleanups(void)
{
	for (int i = 0; i < WATCHED; i++) {
		struct thing *arg = weft_new(thing), *t = watch_new(i);
		arg->number = 5;
		weft_cleanup(t, call, arg);
		weft_cleanup(t, call, NULL);
	}
}

static void await_called(int n)
{
	for (int i = 0; i < 2000 && called < n; i++)
		weft_sleep(WEFT_MS);
}

TEST_GO(cleanups_are_called_once_when_the_object_is_dead)
{
	make_with_cleanups();
	clean_stack();
	CHECK_EQ(called, 0);
	for (int i = 0; i < 3; i++)
		alive_after_gc();
	await_called(2 * (WATCHED - STRAY));
	CHECK(called >= 2 * (WATCHED - STRAY));
	CHECK(called <= 2 * WATCHED);
	CHECK_EQ(called % 2, 0);
	return 0;
}

static struct thing *kept;
WEFT_ROOT(kept);

static __attribute__((noinline)) void keep_with_cleanup(void)
{
	weft_set(&kept, watch_new(0));
	weft_cleanup(kept, call, NULL);
	for (int i = 1; i < WATCHED; i++)
		watch_new(i);
}

TEST_GO(a_cleanup_that_is_taken_back_is_not_called)
{
	keep_with_cleanup();
	alive_after_gc();
	CHECK_EQ(called, 0);
	CHECK(!weft_cleanup_cancel(kept, call, kept));
	CHECK(weft_cleanup_cancel(kept, call, NULL));
	CHECK(!weft_cleanup_cancel(kept, call, NULL));
	weft_set(&kept, NULL);
	alive_after_gc();
	alive_after_gc();
	weft_sleep(5 * WEFT_MS);
	CHECK_EQ(called, 0);
	return 0;
}

static void leave(void *unused)
{
	(void)unused;
	called++;
	weft_exit_goroutine();
}

static __attribute__((noinline)) void make_leaving(void)
{
	for (int i = 0; i < WATCHED; i++)
		weft_cleanup(watch_new(i), leave, NULL);
}

TEST_GO(a_cleanup_that_exits_leaves_the_others_their_turn)
{
	make_leaving();
	alive_after_gc();
	alive_after_gc();
	await_called(WATCHED - STRAY);
	CHECK(called >= WATCHED - STRAY);
	return 0;
}

static __attribute__((noinline)) void watch_all(void)
{
	for (int i = 0; i < WATCHED; i++)
		watch_new(i);
}

TEST_GO(weak_pointers_say_when_their_object_is_dead)
{
	watch_all();
	CHECK_MOSTLY_DEAD();
	for (int i = 0; i < WATCHED; i++)
		weft_weak_free(watched[i]);
	weft_weak_free(NULL);
	return 0;
}

static int of_manual_memory(void)
{
	static int not_collected;
	weft_weak_make(&not_collected);
	return 0;
}

static void run_of_manual_memory(void)
{
	exit(run_weft(1, of_manual_memory));
}

TEST(a_weak_pointer_to_manual_memory_panics)
{
	test_dies(run_of_manual_memory, "weft_weak_make of what is no collected object");
}

/* Strong again while the collector is at it: who has got the object has it whole. */
static _Atomic bool stop;

static void get_again_and_again(void *unused)
{
	(void)unused;
	while (!stop) {
		for (int i = 0; i < WATCHED; i++) {
			struct thing *t = weft_weak_get(watched[i]);
			if (t)
				CHECK_EQ(t->number, 1000 + i);
		}
		weft_yield();
	}
}

TEST_GO(objects_got_from_weak_pointers_during_cycles_are_whole)
{
	watch_all();
	weft_go(get_again_and_again, NULL);
	for (int i = 0; i < 30; i++) {
		weft_gc();
		use_memory_again();
	}
	stop = true;
	while (weft_num_goroutine() > 1)
		weft_yield();
	return 0;
}
