/* Where a collected pointer may stand: stacks, registers, and whatever the runtime holds for later; and goroutines and threads in unusual places. */
#include "alloc/os.h"
#include "tests/unit/still.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { SIGNAL_STACK = 64 * 1024 };

static struct thing *root;
WEFT_ROOT(root);

/* ---- stacks, and what the runtime holds ---- */

static __attribute__((noinline)) void hold_on_stack(int depth)
{
	struct thing *mine[WATCHED];
	if (depth) {
		hold_on_stack(depth - 1);
		return;
	}
	for (int i = 0; i < WATCHED; i++)
		mine[i] = watch_new(i);
	CHECK_ALL_ALIVE();
	weft_keep_alive(mine);
}

TEST_GO(ones_own_stack_keeps)
{
	hold_on_stack(0);
	CHECK_MOSTLY_DEAD();
	hold_on_stack(100);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static weft_chan *told;

static void hold_parked(void *arg)
{
	struct thing *mine = watch_new((int)(intptr_t)arg);
	weft_recv(told, NULL);
	CHECK(mine->number >= 1000);
}

static void tell_all(void)
{
	for (int i = 0; i < WATCHED; i++)
		weft_send(told, NULL);
}

TEST_GO(stacks_of_parked_goroutines_keep)
{
	told = weft_chan_make(0, 0);
	for (int i = 0; i < WATCHED; i++)
		weft_go(hold_parked, (void *)(intptr_t)i);
	await_waiting(WAIT_RECV, WATCHED);
	CHECK_ALL_ALIVE();
	tell_all();
	while (weft_num_goroutine() > 1)
		weft_yield();
	CHECK_MOSTLY_DEAD();
	return 0;
}

static __attribute__((noinline)) void send_all(weft_chan *c)
{
	for (int i = 0; i < WATCHED; i++) {
		struct thing *t = watch_new(i);
		weft_send(c, &t);
	}
}

static __attribute__((noinline)) void receive_all(weft_chan *c)
{
	struct thing *t;
	for (int i = 0; i < WATCHED; i++)
		CHECK(weft_recv(c, &t) && t->number == 1000 + (uint64_t)i);
}

TEST_GO(channels_keep_their_elements)
{
	weft_chan *c = weft_chan_make(sizeof(struct thing *), WATCHED + 3);
	for (int round = 0; round < 3; round++) { /* around the buffer's end */
		send_all(c);
		CHECK_ALL_ALIVE();
		receive_all(c);
		CHECK_MOSTLY_DEAD();
	}
	send_all(c);
	weft_chan_free(c);
	CHECK_MOSTLY_DEAD();
	return 0;
}

TEST_GO(leaf_channels_keep_nothing)
{
	weft_chan *c = weft_chan_make_leaf(sizeof(struct thing *), WATCHED);
	send_all(c);
	CHECK_MOSTLY_DEAD();
	weft_chan_free(c);
	return 0;
}

static _Atomic int seen;

static void see(void *arg)
{
	struct thing *t = arg;
	CHECK(t->number >= 1000);
	seen++;
}

static _Atomic bool computes, stop_computing;

static void compute(void *arg)
{
	uint64_t *sum = arg;
	computes = true;
	while (!stop_computing)
		++*sum;
}

static __attribute__((noinline)) void start_on_the_second_p(void (*fn)(void *))
{
	weft_go_opts opts = {.pin = 2};
	for (int i = 0; i < WATCHED; i++)
		CHECK_EQ(weft_go_with(&opts, fn, watch_new(i)), 0);
}

static int keep_arguments_of_what_has_not_begun(void)
{
	static uint64_t sum;
	weft_go_opts opts = {.pin = 2};
	CHECK_EQ(weft_go_with(&opts, compute, &sum), 0);
	while (!computes)
		weft_yield();
	start_on_the_second_p(see);
	CHECK_ALL_ALIVE();
	CHECK_EQ(seen, 0);
	stop_computing = true;
	while (seen < WATCHED)
		weft_sleep(100 * WEFT_US);
	CHECK_MOSTLY_DEAD();
	return 0;
}

TEST(arguments_of_goroutines_that_have_not_begun_are_kept)
{
	setenv("WEFT_DEBUG", "nopreempt", 1); /* the second P's goroutine computes on, and is looked at by a signal */
	CHECK_EQ(run_weft(2, keep_arguments_of_what_has_not_begun), 0);
}

struct copied {
	char gap[100];
	struct thing *thing;
};

static void see_copied(void *arg)
{
	struct copied *c = arg;
	weft_recv(told, NULL);
	see(c->thing);
}

static void see_short_copy(void *arg)
{
	struct thing **t = arg;
	weft_recv(told, NULL);
	see(*t);
}

static __attribute__((noinline)) void start_with_copies(void)
{
	for (int i = 0; i < WATCHED; i += 2) {
		struct copied c = {.thing = watch_new(i)};
		struct thing *t = watch_new(i + 1);
		CHECK_EQ(weft_go_with(&(weft_go_opts){.arg_size = sizeof c}, see_copied, &c), 0);
		CHECK_EQ(weft_go_with(&(weft_go_opts){.arg_size = sizeof t}, see_short_copy, &t), 0);
	}
}

TEST_GO(copied_arguments_are_kept)
{
	told = weft_chan_make(0, 0);
	start_with_copies();
	CHECK_ALL_ALIVE();
	tell_all();
	while (weft_num_goroutine() > 1)
		weft_yield();
	CHECK_EQ(seen, WATCHED);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static weft_timer timers[WATCHED];

static __attribute__((noinline)) void start_timers(int64_t ns)
{
	for (int i = 0; i < WATCHED; i++)
		weft_timer_start(&timers[i], ns << i % 24, see, watch_new(i)); /* on many levels of the wheel */
}

TEST_GO(arguments_of_timers_are_kept)
{
	start_timers(WEFT_S);
	CHECK_ALL_ALIVE();
	for (int i = 0; i < WATCHED; i++)
		weft_timer_reset(&timers[i], WEFT_S);
	CHECK_ALL_ALIVE();
	for (int i = 0; i < WATCHED; i++)
		weft_timer_stop(&timers[i]);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static __attribute__((noinline)) void start_after_funcs(void)
{
	for (int i = 0; i < WATCHED; i++)
		weft_after_func(100 * WEFT_MS, see, watch_new(i));
}

TEST_GO(arguments_of_timers_that_nobody_can_stop_are_kept)
{
	start_after_funcs();
	CHECK_ALL_ALIVE();
	while (seen < WATCHED)
		weft_sleep(WEFT_MS);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static int see_of_group(weft_ctx *ctx, void *arg)
{
	(void)ctx;
	weft_recv(told, NULL);
	see(arg);
	return 0;
}

static __attribute__((noinline)) void start_group(weft_group *g)
{
	for (int i = 0; i < WATCHED; i++)
		weft_group_go(g, see_of_group, watch_new(i));
}

TEST_GO(arguments_of_groups_are_kept)
{
	told = weft_chan_make(0, 0);
	weft_group *g = weft_group_make(NULL);
	start_group(g);
	CHECK_ALL_ALIVE();
	tell_all();
	CHECK_EQ(weft_group_wait(g), 0);
	CHECK_EQ(seen, WATCHED);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static __attribute__((noinline)) void defer_from(int i)
{
	WEFT_DEFER(see, watch_new(i));
	if (i + 1 < WATCHED)
		defer_from(i + 1);
	else
		CHECK_ALL_ALIVE();
}

TEST_GO(arguments_of_deferred_calls_are_kept)
{
	defer_from(0);
	CHECK_EQ(seen, WATCHED);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static __attribute__((noinline)) weft_ctx *make_contexts(void)
{
	weft_ctx *c = weft_ctx_background();
	for (int i = 0; i < WATCHED; i++) {
		weft_ctx *parent = c;
		c = weft_ctx_with_value(parent, &watched[i], watch_new(i));
		weft_ctx_free(parent);
	}
	return c;
}

TEST_GO(values_of_contexts_are_kept)
{
	weft_ctx *c = make_contexts();
	CHECK_ALL_ALIVE();
	weft_ctx_free(c);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static int see_of_flight(const char *key, void *arg, void **value)
{
	(void)key, (void)value;
	weft_recv(told, NULL);
	see(arg);
	return 0;
}

static __attribute__((noinline)) void start_flights(weft_flight *f, weft_chan **results)
{
	for (int i = 0; i < WATCHED; i++) {
		char key[8];
		snprintf(key, sizeof key, "%d", i);
		results[i] = weft_flight_chan(f, key, see_of_flight, watch_new(i));
	}
}

TEST_GO(arguments_of_flights_are_kept)
{
	static weft_flight f;
	weft_chan *results[WATCHED];
	told = weft_chan_make(0, 0);
	start_flights(&f, results);
	CHECK_ALL_ALIVE();
	tell_all();
	for (int i = 0; i < WATCHED; i++) {
		CHECK(weft_recv(results[i], NULL));
		weft_chan_free(results[i]);
	}
	weft_flight_fini(&f);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static void *make_nothing(void *arg)
{
	CHECK(((struct thing *)arg)->number >= 1000);
	seen++;
	return NULL;
}

static __attribute__((noinline)) void make_pools(weft_pool **pools)
{
	for (int i = 0; i < WATCHED; i++)
		pools[i] = weft_pool_make(make_nothing, NULL, watch_new(i));
}

static __attribute__((noinline)) void put_all(weft_pool *pool)
{
	for (int i = 0; i < WATCHED; i++)
		weft_pool_put(pool, watch_new(i));
}

TEST_GO(pools_keep_what_is_in_them_and_their_arguments)
{
	weft_pool *pools[WATCHED], *pool = weft_pool_make(NULL, NULL, NULL);
	make_pools(pools);
	CHECK_ALL_ALIVE();
	for (int i = 0; i < WATCHED; i++)
		weft_pool_get(pools[i]);
	CHECK_EQ(seen, WATCHED);
	for (int i = 0; i < WATCHED; i++)
		weft_pool_free(pools[i]);
	CHECK_MOSTLY_DEAD();
	put_all(pool);
	CHECK_ALL_ALIVE(); /* one collection does not empty it */
	for (int i = 0; i < 3; i++)
		alive_after_gc();
	CHECK_MOSTLY_DEAD();
	weft_pool_free(pool);
	return 0;
}

/* ---- goroutines in unusual places ---- */

static __attribute__((noinline)) void hold_in_section(void)
{
	struct thing *mine[WATCHED];
	for (int i = 0; i < WATCHED; i++)
		mine[i] = watch_new(i);
	weft_block_begin();
	computes = true;
	while (!stop_computing)
		usleep(100);
	weft_block_end();
	for (int i = 0; i < WATCHED; i++)
		see(mine[i]);
}

static void hold_in_section_on_goroutine(void *unused)
{
	(void)unused;
	hold_in_section();
}

TEST_GO(a_goroutine_in_a_blocking_section_keeps)
{
	weft_go(hold_in_section_on_goroutine, NULL);
	while (!computes)
		weft_sleep(WEFT_MS);
	CHECK_ALL_ALIVE();
	CHECK_ALL_ALIVE();
	stop_computing = true;
	while (seen < WATCHED)
		weft_sleep(WEFT_MS);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static __attribute__((noinline)) void hold_and_compute(void)
{
	struct thing *mine[WATCHED];
	for (int i = 0; i < WATCHED; i++)
		mine[i] = watch_new(i);
	computes = true;
	while (!stop_computing)
		weft_keep_alive(mine);
	for (int i = 0; i < WATCHED; i++) {
		struct thing *t = weft_new(thing); /* perhaps without a P */
		t->number = 1000;
		see(t);
		see(mine[i]);
	}
}

static void hold_and_compute_on_goroutine(void *unused)
{
	(void)unused;
	hold_and_compute();
	weft_yield();
	seen = -1;
}

/* It keeps its P at first, and loses it then: what waits for it is this one, on one P. */
TEST_GO(a_goroutine_that_computes_keeps)
{
	weft_go(hold_and_compute_on_goroutine, NULL);
	while (!computes)
		weft_yield();
	for (int i = 0; i < 3; i++) {
		CHECK_ALL_ALIVE();
		weft_sleep(15 * WEFT_MS);
	}
	stop_computing = true;
	while (seen >= 0)
		weft_sleep(WEFT_MS);
	CHECK_MOSTLY_DEAD();
	return 0;
}

static weft_chan *to_thread;

static __attribute__((noinline)) void hold_on_thread(void)
{
	struct thing *mine[WATCHED];
	for (int i = 0; i < WATCHED; i++)
		mine[i] = watch_new(i);
	weft_set(&root, mine[0]);
	computes = true;
	while (!stop_computing)
		weft_keep_alive(mine);
	computes = false;
	weft_recv(to_thread, NULL); /* and while it waits in a call */
	for (int i = 0; i < WATCHED; i++)
		see(mine[i]);
}

static void *attached_thread(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	hold_on_thread();
	weft_detach();
	return unused;
}

TEST_GO(an_attached_thread_allocates_stores_and_keeps)
{
	pthread_t thread;
	to_thread = weft_chan_make(0, 0);
	CHECK_EQ(pthread_create(&thread, NULL, attached_thread, NULL), 0);
	while (!computes)
		weft_sleep(WEFT_MS);
	CHECK_ALL_ALIVE();
	stop_computing = true;
	while (computes)
		weft_sleep(WEFT_MS);
	weft_sleep(2 * WEFT_MS);
	CHECK_ALL_ALIVE();
	weft_send(to_thread, NULL);
	while (seen < WATCHED)
		weft_sleep(WEFT_MS);
	pthread_join(thread, NULL);
	weft_set(&root, NULL);
	CHECK_MOSTLY_DEAD();
	return 0;
}

/* Neither its stack nor its objects have been seen by who has looked at all stacks before it came. */
static _Atomic bool may_attach;
static _Atomic int attached_late, kept_late;

static bool marks(void)
{
	return __atomic_load_n(&weft_marking_, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void keep_on_thread(void)
{
	struct thing *volatile mine[WATCHED];
	for (int i = 0; i < WATCHED; i++) {
		mine[i] = weft_new(thing);
		mine[i]->number = 1000 + (uint64_t)i;
	}
	attached_late++;
	while (may_attach)
		usleep(1000);
	for (int i = 0; i < WATCHED; i++)
		CHECK_EQ(mine[i]->number, 1000 + i);
	kept_late++;
}

static void *attach_late(void *unused)
{
	while (!may_attach)
		usleep(200);
	CHECK_EQ(weft_attach(), 0);
	keep_on_thread();
	weft_detach();
	return unused;
}

static void collect_once(void *unused)
{
	(void)unused;
	weft_gc();
}

TEST_GO(a_thread_that_attaches_while_the_collector_marks_keeps_what_it_allocates)
{
	enum { THREADS = 4, LONG = 300000 };
	pthread_t thread[THREADS];
	weft_gc_percent(WEFT_OFF);
	for (int i = 0; i < LONG; i++) { /* one after the other: marking takes a while, in which all stacks have been looked at */
		struct thing *t = weft_new(thing);
		t->next = root;
		weft_set(&root, t);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, attach_late, NULL), 0);
	weft_go(collect_once, NULL);
	while (!marks())
		weft_yield();
	weft_sleep(8 * WEFT_MS);
	may_attach = true;
	while (marks() || attached_late < THREADS)
		weft_sleep(WEFT_MS);
	for (int i = 0; i < 20; i++) {
		weft_sleep(WEFT_MS); /* it is swept */
		use_memory_again();
	}
	may_attach = false;
	while (kept_late < THREADS)
		weft_sleep(WEFT_MS);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	weft_set(&root, NULL);
	return 0;
}

/* The collector's signal is taken there, and the thread's own stack looked at from where it stood. */
static void *attached_with_a_signal_stack(void *its)
{
	stack_t s = {.ss_sp = its, .ss_size = SIGNAL_STACK};
	CHECK_EQ(sigaltstack(&s, NULL), 0);
	CHECK_EQ(weft_attach(), 0);
	struct thing *volatile mine = weft_new(thing);
	mine->number = 1000;
	computes = true;
	while (!stop_computing)
		;
	CHECK_EQ(mine->number, 1000);
	weft_detach();
	s.ss_flags = SS_DISABLE;
	CHECK_EQ(sigaltstack(&s, NULL), 0);
	computes = false;
	return NULL;
}

TEST_GO(an_attached_thread_may_have_a_stack_for_signals)
{
	pthread_t thread;
	void *its = malloc(SIGNAL_STACK);
	computes = stop_computing = false;
	CHECK_EQ(pthread_create(&thread, NULL, attached_with_a_signal_stack, its), 0);
	while (!computes)
		weft_sleep(WEFT_MS);
	for (int i = 0; i < 3; i++) {
		weft_gc();
		use_memory_again();
	}
	stop_computing = true;
	while (computes)
		weft_sleep(WEFT_MS);
	pthread_join(thread, NULL);
	free(its);
	return 0;
}

/* Looked at in many steps. */
static struct thing *large_root[20000];
WEFT_ROOT(large_root);

static __attribute__((noinline)) void set_in_large_root(bool there)
{
	for (int i = 0; i < WATCHED; i++)
		weft_set(&large_root[i * ((int)ARRAY_LEN(large_root) - 1) / (WATCHED - 1)], there ? watch_new(i) : NULL);
}

TEST_GO(a_large_root_keeps)
{
	set_in_large_root(true);
	CHECK_ALL_ALIVE();
	set_in_large_root(false);
	CHECK_MOSTLY_DEAD();
	return 0;
}

/* As a library that goes, with its memory, after so many steps of the look. */
static void drop_after(int steps)
{
	enum { BYTES = 64 * 1024, BUDGET = 4096 };
	char *gone = os_map(BYTES + OS_PAGE);
	struct weft_root_ *r = (struct weft_root_ *)(void *)(gone + BYTES);
	*r = (struct weft_root_){.at = gone, .bytes = BYTES, .name = "gone", .where = __FILE__};
	weft_root_add_(r);
	stand_still();
	bool outermost = call_begin();
	for (int i = 0; i < steps; i++)
		gc_roots_look(BUDGET);
	call_end(outermost);
	weft_root_drop_(r);
	os_unmap(gone, BYTES + OS_PAGE);
	go_on();
}

TEST_GO(a_root_goes_while_it_is_looked_at)
{
	set_in_large_root(true);
	for (int steps = 0; steps < 24; steps++)
		drop_after(steps);
	CHECK_ALL_ALIVE();
	set_in_large_root(false);
	return 0;
}
