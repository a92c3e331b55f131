/* Pools without memory: what cannot be kept is dropped, at once and once, and the pool goes on. The linker puts what is here in front of the
 * library's allocator. */
#include "runtime/pool.h"
#include "tests/unit/go.h"

#include <string.h>

void *__real_weft_aligned_alloc(size_t, size_t);
void *__wrap_weft_aligned_alloc(size_t, size_t);

static bool fails;

void *__wrap_weft_aligned_alloc(size_t align, size_t size)
{
	return fails ? NULL : __real_weft_aligned_alloc(align, size);
}

enum { OBJECTS = 200, CHUNK = 27 };

static char objects[OBJECTS];
static int dropped[OBJECTS];

static void drop(void *obj, void *arg)
{
	(void)arg;
	dropped[(char *)obj - objects]++;
}

static void put(weft_pool *pool, int from, int to)
{
	for (int i = from; i < to; i++)
		weft_pool_put(pool, &objects[i]);
}

static void check_dropped(int from, int to)
{
	for (int i = 0; i < OBJECTS; i++)
		CHECK_EQ(dropped[i], i >= from && i < to);
}

TEST_GO(what_cannot_be_kept_is_dropped_at_once)
{
	weft_pool *pool = weft_pool_make(NULL, drop, NULL);
	fails = true;
	put(pool, 0, 10);
	check_dropped(0, 10);
	fails = false;
	put(pool, 10, 10 + CHUNK);
	fails = true;
	put(pool, 10 + CHUNK, 50);
	fails = false;
	for (int i = 0; i < 10; i++)
		dropped[i] = 0;
	check_dropped(10 + CHUNK, 50);
	for (int i = 10 + CHUNK - 1; i >= 10; i--)
		CHECK(weft_pool_get(pool) == &objects[i]);
	CHECK(!weft_pool_get(pool));
	weft_pool_free(pool);
	check_dropped(10 + CHUNK, 50);
	return 0;
}

TEST_GO(without_drop_it_is_gone)
{
	weft_pool *pool = weft_pool_make(NULL, NULL, NULL);
	fails = true;
	put(pool, 0, OBJECTS);
	CHECK(!weft_pool_get(pool));
	fails = false;
	weft_pool_free(pool);
	return 0;
}

static int make_in_vain(void)
{
	fails = true;
	weft_pool_make(NULL, NULL, NULL);
	return 0;
}

static void make_without_memory(void)
{
	run_weft(1, make_in_vain);
}

TEST(no_memory_for_a_pool_is_fatal)
{
	test_dies(make_without_memory, "out of memory for a pool");
}
