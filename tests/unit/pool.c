#include "alloc/os.h"
#include "lockfree/atomic.h"
#include "runtime/pool.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { MANY = 1000, OWN = 27 }; /* a P keeps up to OWN from others */

static struct object {
	_Atomic int dropped;
	int got;
} objects[MANY];

/* Whoever puts and gets without a yield in between stays on a P. */
__attribute__((constructor)) static void keep_ps(void)
{
	setenv("WEFT_DEBUG", "nopreempt", 1);
}

static _Atomic int made, dropped;
static char argument;

static void *make_object(void *arg)
{
	CHECK(arg == &argument);
	return &objects[add_rlx(&made, 1)];
}

static void drop_object(void *obj, void *arg)
{
	struct object *o = obj;
	CHECK(arg == &argument && o >= objects && o < objects + MANY);
	(void)add_rlx(&o->dropped, 1);
	(void)add_acqrel(&dropped, 1);
}

static weft_pool *pool_of_objects(void)
{
	return weft_pool_make(make_object, drop_object, &argument);
}

static void put_objects(weft_pool *pool, int from, int to)
{
	for (int i = from; i < to; i++)
		weft_pool_put(pool, &objects[i]);
}

/* One of so many that were put, and none twice. */
static struct object *get_object(weft_pool *pool)
{
	struct object *o = weft_pool_get(pool);
	CHECK(o >= objects && o < objects + MANY);
	CHECK_EQ(o->got++, 0);
	return o;
}

static void await_dropped(int n)
{
	while (load_acq(&dropped) < n)
		weft_yield();
}

static void check_dropped_once(int from, int to)
{
	for (int i = from; i < to; i++)
		CHECK_EQ(load_rlx(&objects[i].dropped), 1);
}

TEST_GO(what_was_put_is_got_before_anything_is_made)
{
	weft_pool *pool = pool_of_objects();
	put_objects(pool, 0, MANY);
	for (int i = 0; i < MANY; i++)
		get_object(pool);
	CHECK_EQ(made, 0);
	weft_pool_get(pool);
	CHECK_EQ(made, 1);
	weft_pool_free(pool);
	CHECK_EQ(dropped, 0);
	return 0;
}

TEST_GO(the_last_one_put_is_the_first_one_got)
{
	weft_pool *pool = pool_of_objects();
	put_objects(pool, 0, 10);
	for (int i = 9; i >= 0; i--)
		CHECK(get_object(pool) == &objects[i]);
	weft_pool_free(pool);
	return 0;
}

TEST_GO(without_functions_a_get_may_give_nothing)
{
	weft_pool *pool = weft_pool_make(NULL, NULL, NULL);
	CHECK(!weft_pool_get(pool));
	weft_pool_put(pool, NULL);
	CHECK(!weft_pool_get(pool));
	put_objects(pool, 0, 100);
	get_object(pool);
	for (int i = 0; i < 3; i++)
		pool_collect();
	weft_yield();
	CHECK(!weft_pool_get(pool));
	put_objects(pool, 0, 100);
	weft_pool_free(pool);
	weft_pool_free(NULL);
	return 0;
}

TEST_GO(two_collections_empty_it_and_one_does_not)
{
	weft_pool *pool = pool_of_objects();
	put_objects(pool, 0, MANY);
	pool_collect();
	for (int i = 0; i < 10; i++)
		get_object(pool);
	CHECK_EQ(made, 0);
	CHECK_EQ(dropped, 0);
	pool_collect();
	await_dropped(MANY - 10);
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(objects[i].dropped + objects[i].got, 1);
	weft_pool_get(pool);
	CHECK_EQ(made, 1);
	weft_pool_free(pool);
	CHECK_EQ(dropped, MANY - 10);
	return 0;
}

TEST_GO(what_is_used_between_collections_stays)
{
	weft_pool *pool = pool_of_objects();
	put_objects(pool, 0, 3);
	for (int i = 0; i < 20; i++) {
		struct object *o[3];
		for (int k = 0; k < 3; k++)
			o[k] = weft_pool_get(pool);
		for (int k = 0; k < 3; k++)
			weft_pool_put(pool, o[k]);
		pool_collect();
	}
	CHECK_EQ(made, 0);
	CHECK_EQ(dropped, 0);
	weft_pool_free(pool);
	check_dropped_once(0, 3);
	return 0;
}

TEST_GO(a_get_of_what_is_old_does_not_make_the_rest_young)
{
	weft_pool *pool = pool_of_objects();
	put_objects(pool, 0, 100);
	pool_collect();
	get_object(pool);
	pool_collect();
	await_dropped(99);
	weft_pool_free(pool);
	return 0;
}

TEST_GO(a_pool_that_is_freed_drops_what_it_has)
{
	weft_pool *pool = pool_of_objects();
	put_objects(pool, 0, 300);
	pool_collect();
	put_objects(pool, 300, 600);
	weft_pool_free(pool);
	check_dropped_once(0, 600);
	CHECK_EQ(dropped, 600);
	return 0;
}

/* ---- Ps ---- */

static weft_waitgroup join;
static weft_pool *shared;

static void put_all_here(void *arg)
{
	put_objects(shared, 0, *(int *)arg);
	weft_waitgroup_done(&join);
}

static void on_p(int p, void (*fn)(void *), void *arg)
{
	const weft_go_opts opts = {.pin = p + 1};
	weft_waitgroup_add(&join, 1);
	CHECK_EQ(weft_go_with(&opts, fn, arg), 0);
}

static void get_what_another_has_put(void *arg)
{
	int n = 0;
	while (weft_pool_get(shared))
		n++;
	CHECK(n >= MANY - OWN && n < MANY); /* the last ones are in the other P's hand */
	*(int *)arg = n;
	weft_waitgroup_done(&join);
}

static int other_ps_get(void)
{
	int n = MANY;
	shared = weft_pool_make(NULL, drop_object, &argument);
	on_p(0, put_all_here, &n);
	weft_waitgroup_wait(&join);
	on_p(1, get_what_another_has_put, &n);
	weft_waitgroup_wait(&join);
	weft_pool_free(shared);
	CHECK_EQ(dropped, MANY - n);
	return 0;
}

TEST(other_ps_get_what_one_has_put)
{
	CHECK_EQ(run_weft(2, other_ps_get), 0);
}

static void collect_twice(void *arg)
{
	(void)arg;
	pool_collect();
	pool_collect();
	weft_waitgroup_done(&join);
}

static int idle_ps(void)
{
	int n = MANY;
	shared = pool_of_objects();
	on_p(1, put_all_here, &n);
	weft_waitgroup_wait(&join);
	on_p(0, collect_twice, NULL);
	weft_waitgroup_wait(&join);
	await_dropped(MANY);
	check_dropped_once(0, MANY);
	weft_pool_free(shared);
	CHECK_EQ(dropped, MANY);
	return 0;
}

TEST(a_p_that_never_comes_again_keeps_nothing)
{
	CHECK_EQ(run_weft(2, idle_ps), 0);
}

static int without_membarrier(void)
{
	shared = pool_of_objects();
	put_objects(shared, 0, MANY);
	for (int i = 0; i < 100; i++)
		get_object(shared);
	pool_collect();
	for (int i = 0; i < 100; i++)
		get_object(shared);
	pool_collect();
	await_dropped(MANY - 200);
	CHECK_EQ(made, 0);
	weft_pool_free(shared);
	return 0;
}

TEST(it_does_without_membarrier)
{
	os_fail_at(OS_MEMBARRIER, 1, ENOSYS);
	CHECK_EQ(run_weft(2, without_membarrier), 0);
}

/* ---- threads outside ---- */

static void *thread_uses_it(void *arg)
{
	for (int i = 0; i < 200; i++)
		weft_pool_put(arg, &objects[i]);
	for (int i = 0; i < 100; i++)
		get_object(arg);
	return NULL;
}

TEST_GO(threads_outside_may_use_it)
{
	pthread_t thread;
	weft_pool *pool = pool_of_objects();
	CHECK_EQ(pthread_create(&thread, NULL, thread_uses_it, pool), 0);
	pthread_join(thread, NULL);
	for (int i = 0; i < 50; i++)
		get_object(pool); /* what the thread has left, but for its own chunk */
	pool_collect();
	pool_collect();
	await_dropped(50);
	CHECK_EQ(made, 0);
	weft_pool_free(pool);
	CHECK_EQ(dropped, 50);
	return 0;
}

static int use_it_inside(void)
{
	put_objects(shared, 0, 100);
	pool_collect();
	put_objects(shared, 100, 200);
	pool_collect();
	return 0; /* perhaps before anything is dropped */
}

TEST(one_may_be_made_before_the_runtime_starts_and_freed_after_its_end)
{
	shared = pool_of_objects();
	put_objects(shared, 200, 300);
	get_object(shared);
	CHECK_EQ(run_weft(2, use_it_inside), 0);
	put_objects(shared, 300, 400);
	weft_pool_free(shared);
	CHECK_EQ(dropped, 399);
}

/* ---- functions that do not return, or not soon ---- */

static void *make_panics(void *arg)
{
	(void)arg;
	weft_panic("no object");
}

static void get_in_vain(void *pool)
{
	weft_pool_get(pool);
	CHECK(false);
}

TEST_GO(a_panic_in_make_is_the_callers)
{
	weft_panic_info info;
	weft_pool *pool = weft_pool_make(make_panics, drop_object, &argument);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(weft_protect(get_in_vain, pool, &info), 1);
		CHECK_STR(info.message, "no object");
	}
	put_objects(pool, 0, 1);
	CHECK(get_object(pool) == &objects[0]);
	weft_pool_free(pool);
	return 0;
}

static void *make_exits(void *arg)
{
	(void)arg;
	weft_waitgroup_done(&join);
	weft_exit_goroutine();
}

TEST_GO(make_may_exit_its_goroutine)
{
	weft_pool *pool = weft_pool_make(make_exits, NULL, NULL);
	weft_waitgroup_add(&join, 3);
	for (int i = 0; i < 3; i++)
		weft_go(get_in_vain, pool);
	weft_waitgroup_wait(&join);
	put_objects(pool, 0, 1);
	CHECK(get_object(pool) == &objects[0]);
	weft_pool_free(pool);
	return 0;
}

static void drop_and_panic_sometimes(void *obj, void *arg)
{
	drop_object(obj, arg);
	if ((struct object *)obj - objects == 10 || (struct object *)obj - objects == 50)
		weft_panic("dropped %d", (int)((struct object *)obj - objects));
}

static void free_pool(void *pool)
{
	weft_pool_free(pool);
}

TEST_GO(a_panic_in_drop_comes_out_of_free_when_all_are_dropped)
{
	weft_panic_info info;
	weft_pool *pool = weft_pool_make(make_object, drop_and_panic_sometimes, &argument);
	put_objects(pool, 0, 100);
	CHECK_EQ(weft_protect(free_pool, pool, &info), 1);
	CHECK(!strncmp(info.message, "dropped ", 8));
	CHECK_EQ(dropped, 100);
	check_dropped_once(0, 100);
	return 0;
}

static int panic_in_dropper(void)
{
	weft_pool *pool = weft_pool_make(make_object, drop_and_panic_sometimes, &argument);
	put_objects(pool, 0, 100);
	pool_collect();
	pool_collect();
	await_dropped(MANY);
	return 0;
}

static void panic_after_collections(void)
{
	run_weft(2, panic_in_dropper);
}

TEST(a_panic_in_drop_after_a_collection_ends_the_program)
{
	test_dies(panic_after_collections, "panic: dropped 50");
}

static void drop_and_exit(void *obj, void *arg)
{
	drop_object(obj, arg);
	weft_exit_goroutine();
}

TEST_GO(drop_may_exit_its_goroutine)
{
	weft_pool *pool = weft_pool_make(make_object, drop_and_exit, &argument);
	put_objects(pool, 0, 100);
	pool_collect();
	pool_collect();
	await_dropped(100);
	check_dropped_once(0, 100);
	weft_pool_free(pool);
	CHECK_EQ(dropped, 100);
	return 0;
}

static weft_chan *gate;

static void drop_when_told(void *obj, void *arg)
{
	weft_recv(gate, NULL);
	drop_object(obj, arg);
}

TEST_GO(gets_and_puts_do_not_wait_for_drop_but_free_does)
{
	gate = weft_chan_make_leaf(0, 0);
	weft_pool *pool = weft_pool_make(make_object, drop_when_told, &argument);
	put_objects(pool, 0, 200);
	for (int i = 0; i < 5; i++) {
		pool_collect();
		weft_yield();
	}
	put_objects(pool, 200, 300);
	for (int i = 0; i < 100; i++)
		get_object(pool);
	CHECK_EQ(made, 0);
	CHECK_EQ(dropped, 0);
	put_objects(pool, 300, 400);
	weft_close(gate);
	weft_pool_free(pool);
	CHECK_EQ(dropped, 300);
	for (int i = 0; i < 400; i++)
		CHECK_EQ(objects[i].dropped + objects[i].got, 1);
	weft_chan_free(gate);
	return 0;
}

static void drop_and_use(void *obj, void *arg)
{
	drop_object(obj, arg);
	if ((struct object *)obj - objects < MANY / 2)
		weft_pool_put(shared, (struct object *)obj + MANY / 2);
}

TEST_GO(drop_may_use_the_pool)
{
	shared = weft_pool_make(NULL, drop_and_use, &argument);
	put_objects(shared, 0, MANY / 2);
	while (load_acq(&dropped) < MANY) {
		pool_collect();
		weft_yield();
	}
	check_dropped_once(0, MANY);
	weft_pool_free(shared);
	return 0;
}

/* ---- what a collector sees ---- */

static struct {
	weft_pool *made_meanwhile;
	int seen[MANY];
} sight;

static void see(void *arg, uintptr_t word)
{
	struct object *o = (struct object *)word;
	CHECK(arg == &sight && o >= objects && o < objects + MANY);
	sight.seen[o - objects]++;
}

static void check_seen(int from, int to)
{
	memset(sight.seen, 0, sizeof sight.seen);
	pool_each_word(see, &sight);
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(sight.seen[i], i >= from && i < to && !objects[i].got && !objects[i].dropped);
}

TEST_GO(a_collector_sees_all_that_pools_hold)
{
	gate = weft_chan_make_leaf(0, 0);
	weft_pool *pool = weft_pool_make(make_object, drop_when_told, &argument), *other = pool_of_objects();
	check_seen(0, 0);
	put_objects(pool, 0, 500);
	put_objects(other, 500, 600);
	check_seen(0, 600);
	for (int i = 0; i < 50; i++)
		get_object(pool);
	check_seen(0, 600);
	pool_collect();
	put_objects(pool, 600, 800);
	check_seen(0, 800);
	for (int i = 0; i < 300; i++)
		get_object(pool);
	check_seen(0, 800);
	weft_pool_free(other);
	check_seen(0, 800);
	for (int i = 0; i < 300; i++)
		weft_pool_get(pool);
	weft_close(gate);
	weft_pool_free(pool);
	check_seen(0, 0);
	weft_chan_free(gate);
	return 0;
}

/* One chunk's objects are seen at a time, and a pool is freed behind each. */
TEST_GO(a_look_at_a_few_objects_at_a_time_sees_all_though_pools_are_freed)
{
	enum { FREED = 6 };
	gate = weft_chan_make_leaf(0, 0);
	weft_pool *pool = weft_pool_make(make_object, drop_when_told, &argument), *others[FREED];
	put_objects(pool, 0, 300);
	for (int i = 0; i < FREED; i++) {
		others[i] = pool_of_objects();
		put_objects(others[i], 300 + 50 * i, 350 + 50 * i);
	}
	memset(sight.seen, 0, sizeof sight.seen);
	struct pool_look l = {0};
	int steps = 0;
	for (; pool_look(&l, 1, see, &sight); steps++)
		if (steps < FREED)
			weft_pool_free(others[steps]);
	CHECK(steps > 1);
	for (int i = 0; i < 300; i++)
		CHECK(sight.seen[i] > 0);
	for (; steps < FREED; steps++)
		weft_pool_free(others[steps]);
	weft_close(gate);
	weft_pool_free(pool);
	weft_chan_free(gate);
	return 0;
}

static int hold_dropped(void)
{
	int seen = 0;
	gate = weft_chan_make_leaf(0, 0);
	weft_pool *pool = weft_pool_make(make_object, drop_when_told, &argument);
	put_objects(pool, 0, 100);
	pool_collect();
	pool_collect();
	pool_collect();
	memset(sight.seen, 0, sizeof sight.seen);
	pool_each_word(see, &sight);
	for (int i = 0; i < 100; i++)
		seen += sight.seen[i];
	CHECK(seen >= 99 && seen <= 100); /* one may be with drop already */
	weft_close(gate);
	weft_pool_free(pool);
	check_dropped_once(0, 100);
	return 0;
}

TEST(it_sees_what_waits_to_be_dropped)
{
	CHECK_EQ(run_weft(2, hold_dropped), 0);
}
