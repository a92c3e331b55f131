/* A goroutine with a big stack that stays as it is for some cycles, or of which others, or it itself, change a part. */
#include "alloc/os.h"
#include "runtime/gckept.h"
#include "tests/random.h"
#include "tests/unit/collected.h"

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

static __attribute__((noinline)) void descend(int depth)
{
	char room[ROOM];
	struct thing *t = watch_new(depth);
	memset(room, 0, sizeof room); /* what calls have left there */
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
	int err = os_written(page, page + OS_PAGE, true, &end);
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
