/* Goroutines of several Ps, and a thread outside, get and put as fast as they can, while another collects, looks at what there is, and makes
 * and frees pools: nobody shares an object, none is dropped twice or while somebody has it, none is lost, and what was done to it
 * before is seen. */
#include "alloc/os.h"
#include "lockfree/atomic.h"
#include "runtime/pool.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <pthread.h>

enum { TASKS = 6, HELD = 40, POOLS = 3, ALIVE = 0x600d };

/* Not atomic: its holder's alone. */
struct object {
	int64_t alive, uses, sum;
};

static weft_pool *pool;
static weft_waitgroup join, others_end;
static _Atomic int64_t made, dropped;
static _Atomic bool stop;

static void *make_object(void *arg)
{
	struct object *o = weft_calloc(1, sizeof *o);
	(void)arg;
	o->alive = ALIVE;
	(void)add_rlx(&made, 1);
	return o;
}

static void drop_object(void *obj, void *arg)
{
	struct object *o = obj;
	(void)arg;
	CHECK_EQ(o->alive, ALIVE);
	CHECK_EQ(o->uses * (o->uses + 1) / 2, o->sum);
	o->alive = 0;
	weft_free(o);
	(void)add_rlx(&dropped, 1);
}

static void use(struct object *o)
{
	CHECK_EQ(o->alive, ALIVE);
	CHECK_EQ(o->uses * (o->uses + 1) / 2, o->sum);
	o->sum += ++o->uses;
}

static void get_and_put(uint64_t random, int64_t times)
{
	struct object *held[HELD];
	int n = 0;
	for (int64_t i = 0; i < times; i++) {
		if (n == HELD || (n > 0 && draw_below(&random, 2))) {
			weft_pool_put(pool, held[--n]);
			continue;
		}
		held[n] = weft_pool_get(pool);
		use(held[n++]);
		if (draw_below(&random, 200) == 0)
			weft_yield();
	}
	while (n)
		weft_pool_put(pool, held[--n]);
}

static void task(void *arg)
{
	get_and_put((uintptr_t)arg, test_rounds(3000000));
	weft_waitgroup_done(&join);
}

static void *thread(void *arg)
{
	get_and_put((uintptr_t)arg, test_rounds(1000000));
	return NULL;
}

/* Made or got here, put there. */
static weft_chan *chain;

static void hand_on(void *arg)
{
	(void)arg;
	for (int64_t i = 0, n = test_rounds(300000); i < n; i++) {
		struct object *o = weft_pool_get(pool);
		use(o);
		weft_send(chain, &o);
	}
	weft_waitgroup_done(&join);
}

static void take_over(void *arg)
{
	(void)arg;
	for (struct object *o; weft_recv(chain, &o);) {
		use(o);
		weft_pool_put(pool, o);
	}
	weft_waitgroup_done(&others_end);
}

static void count(void *arg, uintptr_t word)
{
	CHECK(word != 0);
	++*(int64_t *)arg;
}

static void collect(void *arg)
{
	uint64_t random = 99;
	weft_pool *others[POOLS] = {NULL};
	(void)arg;
	while (!load_rlx(&stop)) {
		weft_pool **other = &others[draw_below(&random, POOLS)];
		int64_t words = 0;
		pool_collect();
		weft_sleep((int64_t)draw_below(&random, 300) * WEFT_US);
		pool_each_word(count, &words);
		if (*other)
			weft_pool_free(*other);
		*other = weft_pool_make(make_object, drop_object, NULL);
		for (int i = 0; i < HELD; i++)
			weft_pool_put(*other, make_object(NULL));
	}
	for (int i = 0; i < POOLS; i++)
		if (others[i])
			weft_pool_free(others[i]);
	weft_waitgroup_done(&others_end);
}

static int all_at_once(void)
{
	pthread_t outside;
	pool = weft_pool_make(make_object, drop_object, NULL);
	chain = weft_chan_make(sizeof(void *), 64);
	CHECK_EQ(pthread_create(&outside, NULL, thread, (void *)77), 0);
	weft_waitgroup_add(&join, TASKS + 1);
	weft_waitgroup_add(&others_end, 2);
	for (uintptr_t i = 1; i <= TASKS; i++)
		weft_go(task, (void *)i);
	weft_go(hand_on, NULL);
	weft_go(take_over, NULL);
	weft_go(collect, NULL);
	weft_waitgroup_wait(&join);
	pthread_join(outside, NULL);
	weft_close(chain);
	store_rlx(&stop, true);
	weft_waitgroup_wait(&others_end);
	weft_chan_free(chain);
	weft_pool_free(pool);
	CHECK_EQ(load_rlx(&made), load_rlx(&dropped));
	return 0;
}

TEST(each_object_is_with_one_at_a_time)
{
	CHECK_EQ(run_weft(2, all_at_once), 0);
}

TEST(each_object_is_with_one_at_a_time_on_more_ps_than_cores)
{
	CHECK_EQ(run_weft(5, all_at_once), 0);
}

TEST(each_object_is_with_one_at_a_time_without_membarrier)
{
	os_fail_at(OS_MEMBARRIER, 1, ENOSYS);
	CHECK_EQ(run_weft(2, all_at_once), 0);
}
