/* A goroutine with a big stack that stays as it is for some cycles, or of which others, or it itself, change a part. */
#include "alloc/os.h"
#include "runtime/gckept.h"
#include "tests/random.h"
#include "tests/unit/collected.h"

#include <alloca.h>
#include <errno.h>
#include <unistd.h>

enum {
	ROOM = 3 * 1024, /* of a frame: the deepest has 120 KiB above it */
	CYCLES = 3,	 /* after which what has stayed as it was is kept */
	LEAST = 64 * 1024,
};

/* A frame for each number up to `target`, each with the thing of its number. */
static struct {
	_Atomic int target;
	_Atomic int at; /* where it waits; -1: nowhere */
	struct thing **place[WATCHED];
	weft_chan *told;
	_Atomic bool in_section;
} walk;

static void wait_to_be_told(int depth)
{
	int target;
	store_rel(&walk.at, depth);
	if (walk.in_section) {
		weft_block_begin();
		while (load_acq(&walk.target) == depth)
			usleep(100);
		weft_block_end();
	} else if (weft_recv(walk.told, &target)) {
		store_rel(&walk.target, target);
	}
}

/* The caller has it nowhere else. */
static __attribute__((noinline)) void put_new(struct thing **at, int i)
{
	*at = watch_new(i);
}

/* What they have left below, which frames to come need not overwrite. AddressSanitizer would have some of that between this array and the frame. */
static __attribute__((noinline, no_sanitize_address)) void forget_calls(void)
{
	volatile char left[2048];
	for (size_t i = 0; i < sizeof left; i++)
		left[i] = 0;
}

static __attribute__((noinline)) void descend(int depth)
{
	char room[ROOM];
	struct thing *t;
	put_new(&t, depth);
	memset(room, 0, sizeof room);
	forget_calls();
	__asm__ volatile("" : : "r"(room), "r"(&t) : "memory");
	walk.place[depth] = &t;
	while (load_acq(&walk.target) >= depth) {
		if (load_acq(&walk.target) > depth)
			descend(depth + 1);
		else
			wait_to_be_told(depth);
	}
	CHECK(!t || t->number == 1000 + (uint64_t)depth);
	walk.place[depth] = NULL;
}

static void walker(void *unused)
{
	(void)unused;
	descend(0);
	store_rel(&walk.at, -2);
}

/* It has come there, and waits. */
static void await_at(int target)
{
	while (load_acq(&walk.at) != target || (target >= 0 && !walk.in_section && waiting(WAIT_RECV) != 1))
		weft_yield();
}

static void go_to(int target)
{
	store_rel(&walk.at, -1);
	if (walk.in_section)
		store_rel(&walk.target, target);
	else
		weft_send(walk.told, &target);
	await_at(target < 0 ? -2 : target);
}

static void start_walk(int target)
{
	walk.told = weft_chan_make(sizeof(int), 0);
	store_rlx(&walk.target, target);
	store_rlx(&walk.at, -1);
	weft_go(walker, NULL);
	await_at(target);
}

static void end_walk(void)
{
	go_to(-1);
	weft_chan_free(walk.told);
	walk.in_section = false;
}

static void need_marks(void)
{
	const void *end;
	char *page = os_reserve(OS_PAGE);
	int err = os_written(page, page + OS_PAGE, OS_MARK, &end);
	os_release(page, OS_PAGE);
	if (err)
		test_skip("the system does not tell which pages have been written to");
}

static void stay_for_some_cycles(void)
{
	for (int i = 0; i < CYCLES; i++)
		CHECK_ALL_ALIVE();
}

static void start_and_stay(void)
{
	need_marks();
	start_walk(WATCHED - 1);
	stay_for_some_cycles();
	CHECK(gc_kept_bytes() >= LEAST);
}

TEST_GO(a_big_stack_that_stays_as_it_is_is_not_looked_at_again)
{
	start_and_stay();
	CHECK(load_rlx(&collector.xstacks) - gc_kept_bytes() < LEAST);
	end_walk();
	CHECK_MOSTLY_DEAD();
	CHECK_EQ(gc_kept_bytes(), 0);
	return 0;
}

/* Nobody shades while nothing is collected. */
static __attribute__((noinline)) void put_others_there(void)
{
	for (int i = 0; i < WATCHED; i++)
		weft_set(walk.place[i], watch_new(i));
}

static __attribute__((noinline)) void put_nothing_there(void)
{
	for (int i = 0; i < WATCHED; i++)
		weft_set(walk.place[i], NULL);
}

TEST_GO(what_another_puts_there_is_kept)
{
	start_and_stay();
	put_others_there();
	CHECK_ALL_ALIVE();
	stay_for_some_cycles();
	CHECK(gc_kept_bytes() >= LEAST);
	end_walk();
	return 0;
}

TEST_GO(what_another_overwrites_there_is_not)
{
	start_and_stay();
	put_nothing_there();
	CHECK_MOSTLY_DEAD();
	end_walk();
	return 0;
}

TEST_GO(one_page_that_changes_is_looked_at_with_those_below)
{
	start_and_stay();
	weft_set(walk.place[WATCHED / 2], watch_new(WATCHED / 2));
	CHECK_ALL_ALIVE();
	CHECK(gc_kept_bytes() >= (WATCHED / 2 - 3) * ROOM);
	CHECK(gc_kept_bytes() < (WATCHED / 2 + 8) * (ROOM + 1024));
	end_walk();
	return 0;
}

TEST_GO(a_stack_in_a_blocking_section_is_kept)
{
	walk.in_section = true;
	start_and_stay();
	put_others_there();
	stay_for_some_cycles();
	end_walk();
	return 0;
}

TEST_GO(a_goroutine_that_goes_up_and_down_keeps_what_it_has)
{
	start_and_stay();
	for (int to = WATCHED - 2; to >= 0; to -= 3) {
		go_to(to);
		go_to(WATCHED - 1);
		CHECK_ALL_ALIVE();
	}
	go_to(WATCHED / 4);
	CHECK(alive_after_gc() <= WATCHED / 4 + 1 + STRAY);
	end_walk();
	return 0;
}

TEST_GO(a_stack_passes_to_another_goroutine)
{
	for (int i = 0; i < 3; i++) {
		start_and_stay();
		end_walk();
		start_walk(WATCHED - 1);
		CHECK_ALL_ALIVE();
		end_walk();
		CHECK_MOSTLY_DEAD();
	}
	return 0;
}

static void do_anything(uint64_t *random)
{
	int at = load_acq(&walk.at), i = (int)draw_below(random, (uint64_t)at + 1);
	switch (draw_below(random, 4)) {
	case 0:
		go_to((int)draw_below(random, WATCHED));
		break;
	case 1:
		weft_set(walk.place[i], watch_new(i));
		break;
	default:
		clean_stack();
		weft_gc();
		use_memory_again();
	}
	for (i = 0; i <= load_acq(&walk.at); i++) {
		struct thing *t = weft_weak_get(watched[i]);
		CHECK(t && t->number == 1000 + (uint64_t)i);
	}
}

TEST_GO(whatever_happens_to_it_a_stack_keeps_what_it_has)
{
	uint64_t random = random_seed(), kept = 0;
	start_and_stay();
	for (int i = 0; i < 150; i++) {
		do_anything(&random);
		kept += gc_kept_bytes();
	}
	CHECK(kept > 0);
	end_walk();
	return 0;
}

TEST_GO(a_system_that_does_not_tell_makes_no_difference)
{
	need_marks();
	for (int nth = 1; nth <= 4; nth++) {
		start_walk(WATCHED - 1);
		os_fail_at(OS_WRITTEN, nth, EPERM);
		stay_for_some_cycles();
		put_others_there();
		os_fail_at(OS_WRITTEN, 0, 0);
		stay_for_some_cycles();
		CHECK(gc_kept_bytes() >= LEAST);
		end_walk();
	}
	return 0;
}

enum { MANY = LEAST / sizeof(struct thing *) * 2 };

static void have_many(void *told)
{
	struct thing *many[MANY];
	for (int i = 0; i < MANY; i++)
		many[i] = i < WATCHED ? watch_new(i) : many[i - 1];
	__asm__ volatile("" : : "r"(many) : "memory");
	weft_recv(told, NULL);
	for (int i = 0; i < WATCHED; i++)
		CHECK_EQ(many[i]->number, 1000 + i);
}

TEST_GO(a_stack_full_of_pointers_is_looked_at_each_time)
{
	need_marks();
	weft_chan *told = weft_chan_make(0, 0);
	go_and_wait(WAIT_RECV, have_many, told);
	stay_for_some_cycles();
	stay_for_some_cycles();
	CHECK_EQ(gc_kept_bytes(), 0);
	weft_send(told, NULL);
	weft_chan_free(told);
	return 0;
}

/* ---- stacks that others had ---- */

/* With so much of the stack above it. */
static __attribute__((noinline)) void call_deep(void (*fn)(weft_chan *), weft_chan *told)
{
	char room[200 * 1024];
	memset(room, 0, sizeof room);
	__asm__ volatile("" : : "r"(room) : "memory");
	fn(told);
	__asm__ volatile("" : : "r"(room) : "memory");
}

static void wait(weft_chan *told)
{
	weft_recv(told, NULL);
}

static void wait_deep(void *told)
{
	call_deep(wait, told);
}

static void stay_deep(size_t stack_size)
{
	weft_go_opts opts = {.stack_size = stack_size};
	weft_chan *told = weft_chan_make(0, 0);
	int before = waiting(WAIT_RECV);
	CHECK_EQ(weft_go_with(&opts, wait_deep, told), 0);
	await_waiting(WAIT_RECV, before + 1);
	for (int i = 0; i < CYCLES; i++)
		weft_gc();
	CHECK(gc_kept_bytes() >= LEAST);
	weft_send(told, NULL);
	while (weft_num_goroutine() > 1)
		weft_yield();
	weft_chan_free(told);
}

TEST_GO(the_descriptor_of_a_large_stack_passes_to_another)
{
	need_marks();
	for (int i = 0; i < 4; i++)
		stay_deep(i % 2 ? 1024 * 1024 : 512 * 1024);
	return 0;
}

/* ---- a frame that is begun in a section, and lives on ---- */

static _Atomic bool in_section, go_on;
static _Atomic(void *) outside;

/* Those that calls keep, in which a caller may have what its callee was given. */
static inline __attribute__((always_inline)) void use_registers(void)
{
#if defined(__x86_64__)
	__asm__ volatile("xor %%ebx, %%ebx\n xor %%r12d, %%r12d\n xor %%r13d, %%r13d\n xor %%r14d, %%r14d\n xor %%r15d, %%r15d"
			 : : : "rbx", "r12", "r13", "r14", "r15");
#endif
}

/* What it was given is in the page of the section's sp, below that. */
static __attribute__((noinline)) void end_section_in_a_callee(struct thing *given, weft_chan *told)
{
	char *room = alloca(16 * 1024);
	struct thing *volatile *at = (struct thing *volatile *)(void *)(room + 16 * 1024 - 64);
	*at = given;
	given = NULL;
	store_rlx(&outside, (void *)room);
	store_rel(&in_section, true);
	while (!load_acq(&go_on))
		usleep(100);
	weft_block_end();
	use_registers();
	memset(room, 0, 8 * 1024);
	weft_recv(told, NULL);
	CHECK_EQ((*at)->number, 1000);
}

static size_t shift;

static __attribute__((noinline)) void begin_section(weft_chan *told)
{
	char *room = alloca(shift);
	memset(room, 0, shift);
	store_rlx(&outside, (void *)room);
	struct thing *t = watch_new(0);
	weft_block_begin();
	end_section_in_a_callee(t, told);
	store_rlx(&outside, (void *)room);
}

static void begin_section_deep(void *told)
{
	call_deep(begin_section, told);
}

TEST_GO(a_frame_that_is_begun_in_a_section_lives_on)
{
	for (shift = 16; shift < OS_PAGE; shift += 512) {
		weft_chan *told = weft_chan_make(0, 0);
		in_section = go_on = false;
		weft_go(begin_section_deep, told);
		while (!load_acq(&in_section))
			weft_yield();
		for (int i = 0; i < CYCLES; i++)
			weft_gc();
		store_rel(&go_on, true);
		await_waiting(WAIT_RECV, 1);
		clean_stack();
		weft_gc();
		use_memory_again();
		weft_send(told, NULL);
		while (weft_num_goroutine() > 1)
			weft_yield();
		weft_chan_free(told);
	}
	return 0;
}

static size_t chunks_in_use(void)
{
	size_t n = 0;
	for (struct slab_chunk *c = load_acq(&collector.words.chunks.newest); c; c = c->older)
		n += load_acq(&c->used) / collector.words.chunks.object_size;
	return n - collector.words.chunks.nfree;
}

TEST_GO(nothing_is_kept_of_a_stack_that_nobody_has_used_for_long)
{
	size_t before = chunks_in_use();
	start_and_stay();
	CHECK(chunks_in_use() > before);
	end_walk();
	for (int i = 0; i < 4; i++)
		weft_gc();
	while (chunks_in_use() > before) /* by the watch */
		weft_sleep(WEFT_MS);
	return 0;
}
