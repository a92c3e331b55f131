#include "tests/unit/waiting.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static weft_flight flight;
static weft_waitgroup join;
static _Atomic int calls, callers, shared;
static _Atomic bool go_on;

static bool is_idle(void)
{
	return !flight.calls && !flight.lock.word && !flight.detached.word;
}

static void wait_until_told(void)
{
	while (!go_on)
		weft_sleep(10 * WEFT_US);
}

static int answer_when_told(const char *key, void *arg, void **value)
{
	CHECK(!*value);
	calls++;
	wait_until_told();
	*value = arg;
	return -(int)strlen(key);
}

static int answer(const char *key, void *arg, void **value)
{
	calls++;
	*value = arg;
	return -(int)strlen(key);
}

static void call(void *key)
{
	weft_flight_result r;
	CHECK_EQ(weft_flight_do(&flight, key, answer_when_told, &calls, &r), -3);
	CHECK_EQ(r.err, -3);
	CHECK(r.value == &calls);
	shared += r.shared;
	callers++;
	weft_waitgroup_done(&join);
}

static void go_and_call(int n)
{
	weft_waitgroup_add(&join, n);
	go_and_wait(WAIT_SLEEP, call, "key");
	for (int i = 1; i < n; i++)
		go_and_wait(WAIT_GROUP, call, "key");
}

static void let_them_go(void)
{
	go_on = true;
	weft_waitgroup_wait(&join);
}

TEST_GO(who_comes_alone_makes_the_call_and_has_its_result)
{
	weft_flight_result r = {.shared = true};
	CHECK_EQ(weft_flight_do(&flight, "abc", answer, &r, &r), -3);
	CHECK_EQ(r.err, -3);
	CHECK(r.value == &r && !r.shared);
	CHECK_EQ(weft_flight_do(&flight, "", answer, &r, NULL), 0);
	CHECK_EQ(calls, 2);
	CHECK(is_idle());
	return 0;
}

TEST_GO(of_those_who_come_together_one_makes_the_call)
{
	go_and_call(20);
	let_them_go();
	CHECK_EQ(calls, 1);
	CHECK_EQ(callers, 20);
	CHECK_EQ(shared, 20);
	CHECK(is_idle());
	return 0;
}

TEST_GO(other_keys_are_other_calls)
{
	char key[8];
	go_and_call(2);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "k%d", i);
		CHECK_EQ(weft_flight_do(&flight, key, answer, NULL, NULL), -(int)strlen(key));
	}
	CHECK_EQ(calls, 101);
	let_them_go();
	CHECK_EQ(calls, 101);
	return 0;
}

static void keep_the_key(void *arg)
{
	char key[] = "key";
	weft_flight_result r;
	(void)arg;
	CHECK_EQ(weft_flight_do_until(&flight, key, answer_when_told, NULL, &r, weft_in(0)), -ETIMEDOUT);
	memset(key, '?', sizeof key);
	weft_waitgroup_done(&join);
}

TEST_GO(keys_are_copied)
{
	weft_waitgroup_add(&join, 1);
	weft_go(keep_the_key, NULL);
	weft_waitgroup_wait(&join);
	go_on = true;
	weft_flight_result r;
	while (weft_flight_do(&flight, "key", answer, &r, &r) != -3 || r.value != &r)
		weft_yield();
	weft_flight_fini(&flight);
	CHECK_EQ(calls, 2);
	return 0;
}

/* ---- giving up ---- */

TEST_GO(who_gives_up_leaves_the_call_and_the_others_alone)
{
	weft_flight_result r = {.value = &r, .err = 1, .shared = true};
	go_and_call(3);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(weft_flight_do_until(&flight, "key", answer, NULL, &r, weft_in(i * WEFT_MS)), -ETIMEDOUT);
	CHECK(!r.value && !r.err && !r.shared);
	let_them_go();
	CHECK_EQ(callers, 3);
	CHECK_EQ(calls, 1);
	CHECK(is_idle());
	return 0;
}

TEST_GO(a_call_that_all_have_given_up_goes_on)
{
	weft_flight_result r;
	CHECK_EQ(weft_flight_do_until(&flight, "key", answer_when_told, &calls, NULL, weft_in(WEFT_MS)), -ETIMEDOUT);
	weft_waitgroup_add(&join, 1);
	go_and_wait(WAIT_GROUP, call, "key");
	let_them_go();
	CHECK_EQ(calls, 1);
	CHECK_EQ(shared, 0);
	CHECK_EQ(weft_flight_do_until(&flight, "key", answer, &r, &r, weft_in(3600 * WEFT_S)), -3);
	CHECK(r.value == &r && !r.shared);
	weft_flight_fini(&flight);
	CHECK(is_idle());
	return 0;
}

static int fail_late(const char *key, void *arg, void **value)
{
	(void)key, (void)value;
	weft_sleep(*(int64_t *)arg);
	return -ETIMEDOUT;
}

TEST_GO(a_call_that_fails_with_the_words_of_a_deadline_says_so_in_its_result)
{
	weft_flight_result r;
	int64_t ns = 0;
	CHECK_EQ(weft_flight_do_until(&flight, "key", fail_late, &ns, &r, weft_in(3600 * WEFT_S)), -ETIMEDOUT);
	CHECK_EQ(r.err, -ETIMEDOUT);
	return 0;
}

TEST_GO(fini_waits_for_those_that_nobody_waits_for)
{
	int64_t ns = 2 * WEFT_MS, began = weft_now();
	CHECK_EQ(weft_flight_do_until(&flight, "a", fail_late, &ns, NULL, weft_in(0)), -ETIMEDOUT);
	CHECK_EQ(weft_flight_do_until(&flight, "b", fail_late, &ns, NULL, weft_in(0)), -ETIMEDOUT);
	weft_flight_fini(&flight);
	CHECK(weft_now() - began >= ns);
	CHECK(is_idle());
	return 0;
}

/* ---- forgetting ---- */

static _Atomic bool end_first;

static int answer_when_told_first(const char *key, void *arg, void **value)
{
	(void)key, (void)arg, (void)value;
	calls++;
	while (!end_first)
		weft_sleep(10 * WEFT_US);
	return 0;
}

static void call_first(void *arg)
{
	(void)arg;
	weft_flight_do(&flight, "key", answer_when_told_first, NULL, NULL);
	weft_waitgroup_done(&join);
}

static void call_second(void *arg)
{
	(void)arg;
	weft_flight_do(&flight, "key", answer_when_told, NULL, NULL);
	weft_waitgroup_done(&join);
}

TEST_GO(the_end_of_a_forgotten_call_leaves_the_newer_one)
{
	weft_waitgroup_add(&join, 1);
	weft_go(call_first, NULL);
	while (calls < 1)
		weft_sleep(10 * WEFT_US);
	weft_flight_forget(&flight, "key");
	weft_waitgroup_add(&join, 2);
	weft_go(call_second, NULL);
	while (calls < 2)
		weft_sleep(10 * WEFT_US);
	end_first = true;
	while (weft_num_goroutine() > 2)
		weft_sleep(10 * WEFT_US);
	weft_go(call_second, NULL);
	await_waiting(WAIT_GROUP, 1);
	go_on = true;
	weft_waitgroup_wait(&join);
	CHECK_EQ(calls, 2);
	return 0;
}

TEST_GO(who_comes_after_forget_makes_a_new_call)
{
	weft_flight_forget(&flight, "key");
	go_and_call(3);
	weft_flight_forget(&flight, "another");
	weft_flight_forget(&flight, "key");
	weft_flight_forget(&flight, "key");
	weft_waitgroup_add(&join, 2);
	go_and_wait(WAIT_SLEEP, call, "key");
	go_and_wait(WAIT_GROUP, call, "key");
	CHECK_EQ(calls, 2);
	let_them_go();
	CHECK_EQ(callers, 5);
	CHECK_EQ(calls, 2);
	CHECK(is_idle());
	return 0;
}

/* ---- whose the value is ---- */

struct counted {
	_Atomic int refs, most;
};

static void ref(void *value)
{
	struct counted *v = value;
	int refs = ++v->refs;
	CHECK(refs > 1);
	v->most++;
}

static void unref(void *value)
{
	struct counted *v = value;
	CHECK(v->refs-- > 0);
}

static int count_when_told(const char *key, void *arg, void **value)
{
	(void)key;
	wait_until_told();
	((struct counted *)arg)->refs = 1;
	*value = arg;
	return 0;
}

static void call_and_hold(void *arg)
{
	weft_flight_result r;
	CHECK_EQ(weft_flight_do(&flight, "key", count_when_told, arg, &r), 0);
	callers++;
	while (callers < 5)
		weft_yield();
	CHECK(((struct counted *)r.value)->refs > 0);
	unref(r.value);
	weft_waitgroup_done(&join);
}

TEST_GO(each_caller_has_a_reference_of_its_own)
{
	static struct counted v;
	flight = (weft_flight){.ref = ref, .unref = unref};
	weft_waitgroup_add(&join, 5);
	go_and_wait(WAIT_SLEEP, call_and_hold, &v);
	for (int i = 0; i < 4; i++)
		go_and_wait(WAIT_GROUP, call_and_hold, &v);
	CHECK_EQ(weft_flight_do_until(&flight, "key", NULL, NULL, NULL, weft_in(0)), -ETIMEDOUT);
	let_them_go();
	CHECK_EQ(v.refs, 0);
	return 0;
}

TEST_GO(who_is_alone_has_the_calls_own_reference)
{
	static struct counted v;
	weft_flight_result r;
	flight = (weft_flight){.ref = ref, .unref = unref};
	go_on = true;
	CHECK_EQ(weft_flight_do(&flight, "key", count_when_told, &v, &r), 0);
	CHECK(v.refs == 1 && v.most == 0);
	CHECK_EQ(weft_flight_do_until(&flight, "key", count_when_told, &v, &r, weft_in(3600 * WEFT_S)), 0);
	CHECK(v.refs == 1 && v.most == 0);
	return 0;
}

TEST_GO(what_nobody_takes_is_given_up)
{
	static struct counted v, w;
	flight = (weft_flight){.ref = ref, .unref = unref};
	CHECK_EQ(weft_flight_do_until(&flight, "given up", count_when_told, &v, NULL, weft_in(0)), -ETIMEDOUT);
	go_on = true;
	CHECK_EQ(weft_flight_do(&flight, "not wanted", count_when_told, &w, NULL), 0);
	CHECK_EQ(w.refs, 0);
	weft_flight_fini(&flight);
	while (v.refs || !flight.ref)
		weft_yield();
	return 0;
}

/* ---- panics and exits ---- */

static int panic_when_told(const char *key, void *arg, void **value)
{
	(void)arg, (void)value;
	calls++;
	wait_until_told();
	weft_panic("no %s", key);
}

static void call_what_panics(void *arg)
{
	(void)arg;
	weft_flight_do(&flight, "key", panic_when_told, NULL, NULL);
}

static void until_what_panics(void *arg)
{
	(void)arg;
	weft_flight_do_until(&flight, "key", panic_when_told, NULL, NULL, weft_in(3600 * WEFT_S));
}

static void see_the_panic(void *fn)
{
	weft_panic_info info;
	CHECK(weft_protect((void (*)(void *))(intptr_t)fn, NULL, &info));
	CHECK_STR(info.message, "no key");
	callers++;
	weft_waitgroup_done(&join);
}

static void all_see_the_panic(enum wait_reason of_the_first, void (*fn)(void *))
{
	weft_waitgroup_add(&join, 6);
	go_and_wait(of_the_first, see_the_panic, (void *)(intptr_t)fn);
	for (int i = 0; i < 5; i++)
		go_and_wait(WAIT_GROUP, see_the_panic, (void *)(intptr_t)(i < 3 ? fn : call_what_panics));
	while (!calls)
		weft_yield();
	let_them_go();
	CHECK_EQ(callers, 6);
	CHECK_EQ(calls, 1);
	weft_flight_fini(&flight);
	CHECK(is_idle());
}

TEST_GO(a_panic_is_everybodys)
{
	all_see_the_panic(WAIT_SLEEP, call_what_panics);
	return 0;
}

TEST_GO(a_panic_on_a_goroutine_of_the_calls_own_is_everybodys)
{
	all_see_the_panic(WAIT_GROUP, until_what_panics);
	return 0;
}

static int exit_when_told(const char *key, void *arg, void **value)
{
	(void)key, (void)arg, (void)value;
	wait_until_told();
	weft_exit_goroutine();
}

static void count_end(void *arg)
{
	(void)arg;
	callers++;
	weft_waitgroup_done(&join);
}

static void call_what_exits(void *until)
{
	WEFT_DEFER(count_end, NULL);
	if (until)
		weft_flight_do_until(&flight, "key", exit_when_told, NULL, NULL, weft_in(3600 * WEFT_S));
	else
		weft_flight_do(&flight, "key", exit_when_told, NULL, NULL);
	CHECK(!"it has come back");
}

TEST_GO(who_waits_for_one_that_exits_its_goroutine_exits_too)
{
	for (int until = 0; until < 2; until++) {
		go_on = false;
		weft_waitgroup_add(&join, 4);
		go_and_wait(until ? WAIT_GROUP : WAIT_SLEEP, call_what_exits, until ? "until" : NULL);
		for (int i = 0; i < 3; i++)
			go_and_wait(WAIT_GROUP, call_what_exits, i ? "until" : NULL);
		let_them_go();
		weft_flight_fini(&flight);
		CHECK(is_idle());
	}
	CHECK_EQ(callers, 8);
	return 0;
}

static __attribute__((noinline)) int panic_in_it(const char *key, void *arg, void **value)
{
	(void)value;
	weft_yield();
	if (arg)
		wait_until_told();
	weft_panic("no %s", key);
}

static void call_unprotected(void *arg)
{
	(void)arg;
	weft_flight_do(&flight, "key", panic_in_it, NULL, NULL);
}

static int panic_of_all(void)
{
	for (int i = 0; i < 4; i++)
		weft_go(call_unprotected, NULL);
	weft_sleep(3600 * WEFT_S);
	return 0;
}

static int panic_of_nobody(void)
{
	CHECK_EQ(weft_flight_do_until(&flight, "key", panic_in_it, "later", NULL, weft_in(0)), -ETIMEDOUT);
	go_on = true;
	weft_sleep(3600 * WEFT_S);
	return 0;
}

static int panic_behind_a_channel(void)
{
	weft_recv(weft_flight_chan(&flight, "key", panic_in_it, NULL), NULL);
	return 0;
}

static void call_and_panic_late(void *arg)
{
	(void)arg;
	weft_flight_do(&flight, "key", panic_in_it, "later", NULL);
}

static void recover(void *arg)
{
	(void)arg;
	weft_protect(call_and_panic_late, NULL, NULL);
}

/* The call is another goroutine's, which would recover. */
static int panic_behind_a_channel_that_joined(void)
{
	weft_go(recover, NULL);
	while (!flight.calls)
		weft_sleep(10 * WEFT_US);
	weft_chan *result = weft_flight_chan(&flight, "key", panic_in_it, NULL);
	go_on = true;
	weft_recv(result, NULL);
	weft_sleep(3600 * WEFT_S);
	return 0;
}

static int half_of_two(void)
{
	flight.ref = ref;
	weft_flight_do(&flight, "key", answer, NULL, NULL);
	return 0;
}

static int (*app)(void);

static void run_app(void)
{
	_exit(run_weft(2, app));
}

static void dies_in_its_function(int (*what)(void))
{
	static struct test_child child;
	app = what;
	for (int i = 0; i < 10; i++) {
		test_in_child(&child, run_app);
		CHECK_EQ(child.status, 2);
		CHECK(strstr(child.err, "panic: no key\n"));
		CHECK(strstr(child.err, "  panic_in_it+"));
	}
}

TEST(the_trace_of_a_panic_that_nobody_stops_shows_the_call)
{
	dies_in_its_function(panic_of_all);
}

TEST(a_panic_that_finds_nobody_waiting_ends_the_program)
{
	dies_in_its_function(panic_of_nobody);
}

TEST(a_panic_whose_result_was_to_come_by_a_channel_ends_the_program)
{
	dies_in_its_function(panic_behind_a_channel);
	dies_in_its_function(panic_behind_a_channel_that_joined);
}

static void run_half_of_two(void)
{
	run_weft(1, half_of_two);
}

TEST(ref_without_unref_panics)
{
	test_dies(run_half_of_two, "panic: flight with one of ref and unref");
}

/* ---- channels ---- */

TEST_GO(the_result_arrives_on_a_channel)
{
	weft_chan *first = weft_flight_chan(&flight, "key", answer_when_told, &calls);
	weft_chan *second = weft_flight_chan(&flight, "key", NULL, NULL);
	weft_flight_result r;
	CHECK_EQ(weft_try_recv(first, &r), -EAGAIN);
	weft_waitgroup_add(&join, 1);
	go_and_wait(WAIT_GROUP, call, "key");
	let_them_go();
	for (int i = 0; i < 2; i++) {
		CHECK(weft_recv(i ? second : first, &r));
		CHECK(r.value == &calls && r.err == -3 && r.shared);
	}
	weft_chan_free(first);
	weft_chan_free(second);
	CHECK_EQ(calls, 1);
	weft_flight_fini(&flight);
	CHECK(is_idle());
	return 0;
}

TEST_GO(a_channel_may_be_freed_before_and_after_the_result_has_come)
{
	static struct counted v;
	flight = (weft_flight){.ref = ref, .unref = unref};
	weft_chan *ch[3];
	for (int i = 0; i < 3; i++)
		ch[i] = weft_flight_chan(&flight, "key", count_when_told, &v);
	weft_chan_free(ch[0]);
	go_on = true;
	while (weft_chan_len(ch[1]) == 0 || weft_chan_len(ch[2]) == 0)
		weft_yield();
	weft_flight_fini(&flight);
	weft_flight_result r;
	weft_recv(ch[1], &r);
	CHECK_EQ(v.refs, 2);
	weft_chan_free(ch[1]);
	CHECK_EQ(v.refs, 2);
	weft_chan_free(ch[2]);
	CHECK_EQ(v.refs, 1);
	unref(r.value);
	return 0;
}

TEST_GO(a_channel_is_closed_when_the_call_exits_its_goroutine)
{
	weft_chan *ch = weft_flight_chan(&flight, "key", exit_when_told, NULL);
	weft_flight_result r;
	go_on = true;
	CHECK(!weft_recv(ch, &r));
	weft_chan_free(ch);
	return 0;
}

/* ---- threads outside ---- */

static void *call_from_outside(void *arg)
{
	call("key");
	return arg;
}

static void *panic_outside(void *arg)
{
	see_the_panic((void *)(intptr_t)call_what_panics);
	return arg;
}

static void with_threads(void *(*fn)(void *))
{
	pthread_t thread[3];
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, fn, NULL), 0);
	await_waiting(WAIT_GROUP, 3);
	go_on = true;
	weft_block_begin();
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	weft_block_end();
	weft_waitgroup_wait(&join);
	CHECK_EQ(callers, 4);
	CHECK_EQ(calls, 1);
}

TEST_GO(threads_outside_share_calls_too)
{
	weft_waitgroup_add(&join, 4);
	go_and_wait(WAIT_SLEEP, call, "key");
	with_threads(call_from_outside);
	return 0;
}

TEST_GO(a_panic_is_everybodys_on_threads_outside_too)
{
	weft_waitgroup_add(&join, 4);
	go_and_wait(WAIT_SLEEP, see_the_panic, (void *)(intptr_t)call_what_panics);
	with_threads(panic_outside);
	return 0;
}
