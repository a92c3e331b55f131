/* Memory that holds no object tells on whoever uses it (alloc/poison.h): by what stands there, and to AddressSanitizer. */
#include "alloc/heap.h"
#include "tests/unit/go.h"

#include <string.h>

struct trio {
	struct trio *next;
	uint64_t number[2];
};
WEFT_TYPE(trio, struct trio, next);

struct wide {
	struct wide *next;
	char bytes[1000];
};
WEFT_TYPE(wide, struct wide, next);

/* ---- what stands there ---- */

static struct heap heap;
static struct heap_cache cache;
static const struct shape leaf = {SHAPE_LEAF, 0, 0};

static void mark(const void *object)
{
	struct heap_object o = heap_find(&heap, (uintptr_t)object);
	CHECK(o.span);
	span_mark(o.span, o.slot);
}

static void collect(void)
{
	size_t freed;
	heap_begin_sweeping(&heap);
	heap_flush(&cache);
	while (heap_sweep_one(&heap, &freed))
		;
}

static NOT_INSTRUMENTED bool is_all(const void *at, size_t bytes, uint8_t byte)
{
	const volatile uint8_t *b = at;
	for (size_t i = 0; i < bytes; i++)
		if (b[i] != byte)
			return false;
	return true;
}

TEST(what_an_object_was_is_overwritten_when_it_is_found_dead)
{
	enum { N = 100, SIZE = 48, LARGE = 100000 };
	char *o[N];
	CHECK_EQ(heap_init(&heap, ARENA_PAGES << PAGE_SHIFT), 0);
	heap_cache_init(&cache, &heap, -1);
	uint32_t cell = heap_cell(&heap, SIZE, &leaf);
	for (int i = 0; i < N; i++)
		memset(o[i] = heap_new(&cache, cell, SIZE), 7, SIZE);
	char *large = heap_new_large(&cache, LARGE, &leaf);
	memset(large, 7, LARGE);
	for (int i = 0; i < N; i += 2)
		mark(o[i]);
	collect();
	for (int i = 0; i < N; i++)
		CHECK(is_all(o[i], SIZE, i % 2 ? POISON_BYTE : 7));
	CHECK(is_all(large, LARGE, POISON_BYTE));
	for (int i = 0; i < 2 * N; i++)
		CHECK(is_all(heap_new(&cache, cell, SIZE), SIZE, 0));
	CHECK(is_all(heap_new_large(&cache, LARGE, &leaf), LARGE, 0));
	heap_fini(&heap);
}

/* ---- what AddressSanitizer says ---- */

static struct test_child child;
static int (*use)(void);
static uintptr_t hidden[64]; /* no root: it keeps nothing */

static void run_use(void)
{
	exit(run_weft(1, use));
}

static void must_be_reported(int (*what)(void))
{
	use = what;
	test_in_child(&child, run_use);
	if (child.status == 0 || !strstr(child.err, "AddressSanitizer: use-after-poison"))
		test_fail(__FILE__, __LINE__, "status %d, stderr:\n%s", child.status, child.err);
}

static __attribute__((noinline)) void hide(size_t bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		hidden[i] = ~(uintptr_t)(bytes ? weft_new_bytes(bytes) : weft_new(trio));
}

static __attribute__((noinline)) void clean_stack(void)
{
	char clean[16384];
	memset(clean, 0, sizeof clean);
	weft_keep_alive(clean);
}

/* Most of them are free, whatever stray words say. */
static int use_hidden(size_t bytes)
{
	hide(bytes);
	clean_stack();
	weft_gc();
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		*(volatile char *)~hidden[i] = 1;
	return 0;
}

static int use_small(void)
{
	return use_hidden(0);
}

static int use_large(void)
{
	return use_hidden(100000);
}

TEST(a_use_of_an_object_that_was_freed_is_reported)
{
	must_be_reported(use_small);
}

TEST(a_use_of_a_large_object_that_was_freed_is_reported)
{
	must_be_reported(use_large);
}

static int use_behind_bytes(void)
{
	volatile char *at = weft_new_bytes(13);
	at[12] = 1;
	at[13] = 1;
	return 0;
}

static int use_behind_large_bytes(void)
{
	volatile char *at = weft_new_bytes(40000);
	at[39999] = 1;
	at[40000] = 1;
	return 0;
}

static int use_behind_an_array(void)
{
	volatile struct trio *at = weft_new_array(trio, 11); /* its slot has room for twelve */
	at[10].number[1] = 1;
	at[11].number[0] = 1;
	return 0;
}

static int use_behind_a_wide_one(void)
{
	volatile struct wide *at = weft_new(wide); /* the type's address is behind it */
	at->bytes[999] = 1;
	((volatile char *)at)[sizeof *at] = 1;
	return 0;
}

static int use_what_is_not_allocated_yet(void)
{
	volatile struct trio *at = weft_new(trio);
	at->number[0] = 1;
	at[1].number[0] = 1;
	return 0;
}

TEST(a_use_of_what_is_behind_an_object_is_reported)
{
	must_be_reported(use_behind_bytes);
	must_be_reported(use_behind_large_bytes);
	must_be_reported(use_behind_an_array);
	must_be_reported(use_behind_a_wide_one);
	must_be_reported(use_what_is_not_allocated_yet);
}

static int use_to_the_last_byte(void)
{
	for (int round = 0; round < 3; round++) {
		for (size_t size = 0; size < 3000; size += 7)
			memset(weft_new_bytes(size), 1, size);
		for (size_t n = 1; n < 50; n++) {
			memset(weft_new_array(wide, n), 0, n * sizeof(struct wide));
			memset(weft_new_ptrs(n), 0, n * sizeof(void *));
		}
		weft_gc();
	}
	return 0;
}

TEST(objects_may_be_used_to_their_last_byte)
{
	CHECK_EQ(run_weft(1, use_to_the_last_byte), 0);
}
