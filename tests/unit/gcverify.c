/* WEFT_DEBUG=gcverify and gcstw: what is hidden from the collector is named, and nothing else is; and the collector with the world stopped. */
#include "runtime/collect.h"
#include "tests/unit/collected.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TARGETS = 8, TRIES = 2000 };

/* Addresses as nobody looks for them. */
static uintptr_t hidden[TARGETS];

struct fan {
	uint64_t n;
	struct thing *to[TARGETS];
};
WEFT_TYPE(fan, struct fan, to);

struct pair {
	int64_t a, b;
};
WEFT_STRUCT(pair, struct pair, WEFT_FIELD(a), WEFT_FIELD(b));

struct post {
	struct thing *first;
	struct pair inside;
	uintptr_t beside;
};
WEFT_STRUCT_TRACED(post, struct post, (first), WEFT_FIELD_OF(pair, inside), WEFT_FIELD(beside));

struct wide {
	struct thing *first;
	char gap[1000];
	struct thing *hidden;
};
WEFT_TYPE(wide, struct wide, first);

struct plain {
	uint64_t word;
};
WEFT_TYPE_LEAF(plain, struct plain);

static struct thing *root;
WEFT_ROOT(root);
static struct fan *fan_root;
WEFT_ROOT(fan_root);
static void *any_root;
WEFT_ROOT(any_root);

/* ---- what is planted ---- */

static __attribute__((noinline)) void hide_targets(void)
{
	for (int i = 0; i < TARGETS; i++)
		hidden[i] = ~(uintptr_t)weft_new(thing);
	clean_stack();
}

static __attribute__((noinline)) void make_fan(void)
{
	struct fan *f = weft_new(fan);
	weft_set(&fan_root, f);
}

static void collect_on(void *unused)
{
	(void)unused;
	weft_gc();
}

/* Returns in the middle of a cycle, in that phase; false: it was over too soon. */
static bool is_in_phase(enum gc_phase phase)
{
	uint32_t ended = load_acq(&collector.xended);
	weft_go(collect_on, NULL);
	while (gc_phase(&collector) != phase && load_acq(&collector.xended) == ended)
		weft_yield();
	return gc_phase(&collector) == phase;
}

/* All has been marked, and the objects are found by plain stores only. */
static __attribute__((noinline)) void plant_in_members(void)
{
	for (int i = 0; i < TARGETS; i++)
		*(struct thing *volatile *)&fan_root->to[i] = (void *)~hidden[i];
	clean_stack();
}

static int store_plainly_into_a_member(void)
{
	make_fan();
	for (int i = 0; i < TRIES; i++) {
		hide_targets();
		if (is_in_phase(GC_CLOSING))
			plant_in_members();
		while (gc_is_on(&collector))
			weft_yield();
		memset(fan_root->to, 0, sizeof fan_root->to);
	}
	return 0;
}

static __attribute__((noinline)) void plant_in_root(void)
{
	*(struct thing *volatile *)&root = (void *)~hidden[TARGETS / 2];
	clean_stack();
}

static int store_plainly_into_a_root(void)
{
	for (int i = 0; i < TRIES; i++) {
		hide_targets();
		if (is_in_phase(GC_CLOSING))
			plant_in_root();
		while (gc_is_on(&collector))
			weft_yield();
		weft_set(&root, NULL);
	}
	return 0;
}

static __attribute__((noinline)) void plant_in_gap(void)
{
	struct wide *w = weft_new_array(wide, 3);
	w[2].hidden = weft_new(thing);
	weft_set(&any_root, (void *)w);
}

static int hide_in_a_gap(void)
{
	plant_in_gap();
	clean_stack();
	weft_gc();
	return 0;
}

static __attribute__((noinline)) void plant_in_fields(void)
{
	struct post *p = weft_new(post);
	p->inside.b = (int64_t)(intptr_t)weft_new(thing);
	p->beside = (uintptr_t)weft_new(thing);
	weft_set(&any_root, (void *)p);
}

static int hide_in_fields(void)
{
	plant_in_fields();
	clean_stack();
	weft_gc();
	return 0;
}

static __attribute__((noinline)) void plant_in_leaves(void)
{
	struct plain *p = weft_new_array(plain, TARGETS);
	for (int i = 0; i < TARGETS; i++)
		p[i].word = (uintptr_t)weft_new_bytes(100);
	weft_set(&any_root, (void *)p);
}

static int hide_in_leaves(void)
{
	plant_in_leaves();
	clean_stack();
	weft_gc();
	return 0;
}

/* ---- what is said ---- */

static struct test_child child;
static int (*app)(void);

static void run_app(void)
{
	exit(run_weft(2, app));
}

static void run_with(const char *debug, int (*what)(void))
{
	setenv("WEFT_DEBUG", debug, 1);
	app = what;
	test_in_child(&child, run_app);
}

/* A line that has all of these words, in this order; and the end. */
static void must_say(const char *const words[])
{
	bool said = false;
	char *rest, *line = strtok_r(child.err, "\n", &rest);
	char first[1024] = "";
	bool ended = false;
	for (; line; line = strtok_r(NULL, "\n", &rest)) {
		const char *at = line;
		for (int i = 0; at && words[i]; i++)
			at = strstr(at, words[i]) ? strstr(at, words[i]) + strlen(words[i]) : NULL;
		said |= at != NULL;
		ended |= strncmp(line, "fatal: gcverify: ", 17) == 0 && strstr(line, "pointers that the collector was not told of");
		if (!*first && !strncmp(line, "gcverify:", 9))
			snprintf(first, sizeof first, "%s", line);
	}
	if (!said || !ended || child.status != 2)
		test_fail(__FILE__, __LINE__, "status %d (want 2), %s, no line with %s ... %s, but: %s", child.status,
			  ended ? "the end said" : "the end not said", words[0], words[1], first);
}
#define MUST_SAY(...) must_say((const char *const[]){__VA_ARGS__, NULL})

TEST(a_store_without_its_barrier_is_named)
{
	run_with("gcverify=1", store_plainly_into_a_member);
	MUST_SAY("gcverify: cycle=", " fault=barrier holder=fan field=\"to[", "]\" holder_at=0x", " holder_from=\"at gcverify.c:", " in make_fan\"",
		 " object=thing object_at=0x", " object_from=\"at gcverify.c:", " in hide_targets\"");
}

TEST(a_plain_store_into_a_root_is_named)
{
	run_with("gcverify=1", store_plainly_into_a_root);
	MUST_SAY(" fault=barrier holder=root field=\"root+0\"", " holder_from=\"at ", "gcverify.c:", " object=thing ", " in hide_targets\"");
}

TEST(an_undeclared_member_is_named_by_its_offset)
{
	run_with("gcverify=1", hide_in_a_gap);
	MUST_SAY(" fault=field holder=wide field=\"[2].offset 1008\"", " in plant_in_gap\"", " object=thing ", " in plant_in_gap\"");
}

TEST(an_undeclared_field_is_named_as_reflection_has_it)
{
	run_with("gcverify=1", hide_in_fields);
	char copy[sizeof child.err];
	memcpy(copy, child.err, sizeof copy);
	MUST_SAY(" fault=field holder=post field=\"inside.b\"", " in plant_in_fields\"", " object=thing ");
	memcpy(child.err, copy, sizeof copy);
	MUST_SAY(" fault=field holder=post field=\"beside\"", " in plant_in_fields\"", " object=thing ");
}

TEST(a_pointer_in_a_leaf_is_named)
{
	run_with("gcverify=1", hide_in_leaves);
	MUST_SAY(" fault=field holder=plain field=\"[3].offset 0\"", " in plant_in_leaves\"", " object=bytes ", " in plant_in_leaves\"");
}

TEST(what_was_lost_is_kept_until_it_is_named_under_stw_too)
{
	run_with("gcverify=1,gcstw=1", hide_in_leaves);
	MUST_SAY(" fault=field holder=plain");
}

/* ---- what is not said of a program that does as it should ---- */

static weft_chan *chan;
static weft_pool *pool;
static _Atomic int at_work, cleaned;
static _Atomic bool over;

static void count_cleaned(void *arg)
{
	CHECK(((struct thing *)arg)->number == 77);
	cleaned++;
}

static struct thing *new_thing(uint64_t number)
{
	struct thing *t = weft_new(thing);
	t->number = number;
	return t;
}

static void send_some(void *arg)
{
	struct thing *t = arg;
	for (int i = 0; i < 40; i++) {
		struct thing *next = new_thing(t->number + 1);
		next->next = t;
		t = i % 8 ? next : new_thing(1);
		weft_send(chan, &t);
	}
	at_work--;
}

static void receive_some(void *unused)
{
	struct thing *t;
	(void)unused;
	while (weft_recv(chan, &t)) {
		struct thing *old = weft_swap(&root, t);
		weft_pool_put(pool, old ? old : t);
		struct thing *again = weft_pool_get(pool);
		if (again && !weft_cas(&root, t, again))
			weft_yield();
	}
	at_work--;
}

static void see_timer(void *arg)
{
	CHECK(((struct thing *)arg)->number == 5);
	at_work--;
}

/* Only its stack has them, and nobody runs there. */
static __attribute__((noinline)) void hold_in_section(int round)
{
	struct thing *volatile mine[TARGETS];
	for (int i = 0; i < TARGETS; i++)
		mine[i] = new_thing(600 + (uint64_t)i);
	weft_block_begin();
	usleep(round % 2 ? 200 : 2000);
	weft_block_end();
	for (int i = 0; i < TARGETS; i++)
		CHECK_EQ(mine[i]->number, 600 + i);
}

static void block(void *unused)
{
	(void)unused;
	for (int i = 0; i < 40; i++)
		hold_in_section(i);
	at_work--;
}

static void compute(void *arg)
{
	struct thing *t = arg;
	volatile uint64_t sum = 0;
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 1000000; k++)
			sum = sum + 1;
		t->number++;
	}
	CHECK(t->number == 5);
	at_work--;
}

static void watch_weakly(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		struct thing *t = new_thing(9);
		weft_weak *w = weft_weak_make(t);
		weft_cleanup(t, count_cleaned, new_thing(77));
		t = NULL;
		weft_sleep(200 * WEFT_US);
		t = weft_weak_get(w);
		CHECK(!t || t->number == 9);
		weft_weak_free(w);
	}
	at_work--;
}

static void *attached(void *unused)
{
	CHECK_EQ(weft_attach(), 0);
	struct thing *t = new_thing(1);
	for (int i = 0; i < 200; i++) {
		struct thing *next = new_thing(t->number + 1);
		next->next = i % 16 ? t : NULL;
		t = next;
		weft_set(&root, t);
	}
	CHECK(t->number == 201);
	weft_detach();
	at_work--;
	return unused;
}

static __attribute__((noinline)) void fill_fan(void)
{
	for (int i = 0; i < TARGETS; i++)
		weft_set(&fan_root->to[i], new_thing(3));
	struct fan *copy = weft_new(fan);
	weft_copy(fan, copy, fan_root, 1);
	weft_set(&fan_root, copy);
}

/* Pointers change places while marking goes through them: without the barrier some are passed by. */
enum { PLACES = 3000, MOVES = 300 };

static void *places;
WEFT_ROOT(places);

static __attribute__((noinline)) void make_places(void)
{
	weft_set(&places, (void *)weft_new_ptrs(PLACES));
	for (int i = 0; i < PLACES; i++)
		weft_set(&((void **)places)[i], (void *)new_thing(8));
}

static __attribute__((noinline)) void move_some(void)
{
	static unsigned seed = 1;
	void **place = places;
	for (int i = 0; i < MOVES; i++) {
		seed = seed * 1103515245 + 12345;
		void **a = &place[seed / 65536 % PLACES], **b = &place[(seed / 16 + 7) % PLACES];
		void *was = *a, *other = *b;
		weft_set(a, other);
		weft_set(b, was);
	}
}

static int do_as_one_should(void)
{
	static weft_timer timers[4];
	pthread_t thread;
	chan = weft_chan_make(sizeof(struct thing *), 5);
	pool = weft_pool_make(NULL, NULL, NULL);
	make_fan();
	make_places();
	at_work = 4 + 4 + 1 + 1 + 1 + 1;
	for (int i = 0; i < 4; i++) {
		weft_go(send_some, new_thing(1));
		weft_timer_start(&timers[i], (i + 1) * WEFT_MS, see_timer, new_thing(5));
	}
	weft_go(block, NULL);
	weft_go(compute, new_thing(0));
	weft_go(watch_weakly, NULL);
	CHECK_EQ(pthread_create(&thread, NULL, attached, NULL), 0);
	at_work += 2;
	weft_go(receive_some, NULL);
	weft_go(receive_some, NULL);
	while (at_work > 2 || load_acq(&collector.xended) < 20) {
		fill_fan();
		move_some();
		weft_sleep(100 * WEFT_US);
	}
	weft_close(chan);
	while (at_work)
		weft_sleep(WEFT_MS);
	pthread_join(thread, NULL);
	for (int i = 0; i < 3; i++)
		weft_gc();
	CHECK(cleaned > 0);
	return 0;
}

static void must_be_silent(const char *debug)
{
	run_with(debug, do_as_one_should);
	if (child.status || child.err[0])
		test_fail(__FILE__, __LINE__, "%s: status %d, stderr:\n%s", debug, child.status, child.err);
}

TEST(a_program_that_hides_nothing_goes_on)
{
	must_be_silent("gcverify=1,gcstress=20");
	must_be_silent("gcverify=1,gcstress=2");
}

TEST(a_program_goes_on_while_cycles_stop_the_world)
{
	must_be_silent("gcstw=1,gcstress=20");
	must_be_silent("gcstw=1,gcverify=1,gcstress=3");
}

/* ---- gcstw ---- */

static void look_for_marking(void *arg)
{
	bool *seen = arg;
	while (!over)
		*seen |= __atomic_load_n(&weft_marking_, __ATOMIC_RELAXED);
	at_work--;
}

static int collect_and_look(void)
{
	static bool seen;
	at_work = 1;
	weft_go(look_for_marking, &seen);
	for (int i = 0; i < 300; i++) {
		for (int k = 0; k < 200; k++)
			weft_set(&root, new_thing(1));
		weft_gc();
	}
	over = true;
	while (at_work)
		weft_sleep(WEFT_MS);
	return seen ? 1 : 0;
}

TEST(with_gcstw_nobody_sees_marking)
{
	run_with("gctrace=1", collect_and_look);
	CHECK_EQ(child.status, 1); /* it is there to be seen */
	run_with("gcstw=1,gctrace=1", collect_and_look);
	CHECK_EQ(child.status, 0);
	CHECK(strstr(child.err, "gctrace: cycle=300 "));
	const char *assist = child.err;
	while ((assist = strstr(assist, " assist_us=")))
		CHECK(!strncmp(assist++, " assist_us=0 ", 13));
}

/* The collector's own tests, in other programs: their names behind the program's, which comes first. */
static void run_tests(const char *debug, const char *const *tests)
{
	char path[4096];
	const char *argv[32] = {path};
	size_t n = 1;
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
	CHECK(length > 0);
	path[length] = 0;
	snprintf(strrchr(path, '/'), 32, "/%s", tests[0]);
	while ((argv[n] = tests[n]))
		n++;
	setenv("WEFT_DEBUG", debug, 1);
	test_program(&child, argv);
	if (child.status)
		test_fail(__FILE__, __LINE__, "%s: status %d:\n%s\n%s", debug, child.status, child.out, child.err);
	char plan[16];
	snprintf(plan, sizeof plan, "1..%zu\n", n - 1);
	CHECK(strstr(child.out, plan));
}

static void run_those_of_gc(const char *debug)
{
	run_tests(debug, (const char *const[]){"unit_gc", "a_root_keeps_what_can_be_reached_from_it_p2",
					       "types_larger_than_a_map_have_their_pointers_found_p1", "arrays_of_pointers_keep_what_they_point_to_p2",
					       "conservative_types_keep_what_any_word_points_to_p1", "a_pointer_into_an_object_keeps_it_p2", NULL});
	run_tests(debug, (const char *const[]){"unit_gc_places", "ones_own_stack_keeps_p1", "stacks_of_parked_goroutines_keep_p2",
					       "channels_keep_their_elements_p2", "copied_arguments_are_kept_p1", "copied_arguments_are_kept_p2",
					       "arguments_of_deferred_calls_are_kept_p1", "values_of_contexts_are_kept_p1",
					       "arguments_of_flights_are_kept_p2", "pools_keep_what_is_in_them_and_their_arguments_p2",
					       "a_goroutine_in_a_blocking_section_keeps_p1", "a_goroutine_in_a_blocking_section_keeps_p2",
					       "a_goroutine_that_computes_keeps_p1", "a_goroutine_that_computes_keeps_p2",
					       "an_attached_thread_allocates_stores_and_keeps_p1",
					       "an_attached_thread_allocates_stores_and_keeps_p2", NULL});
}

TEST(what_is_to_be_kept_is_kept_while_the_world_stands)
{
	run_those_of_gc("gcstw=1");
}

TEST(what_is_to_be_kept_is_kept_and_nothing_is_found)
{
	run_those_of_gc("gcverify=1");
}
