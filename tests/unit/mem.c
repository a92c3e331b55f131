#include "tests/random.h"
#include "tests/test.h"

#include <weft/mem.h>

#include <string.h>

static bool all_are(const unsigned char *p, size_t n, unsigned char value)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

TEST(blocks_are_aligned_for_anything)
{
	for (size_t n = 1; n < 5000; n += n / 8 + 1) {
		char *p = weft_malloc(n);
		CHECK(p);
		CHECK_EQ((uintptr_t)p % (n >= 16 ? 16 : 8), 0);
		memset(p, 1, n);
		weft_free(p);
	}
	weft_free(NULL);
}

TEST(aligned_blocks_are_aligned)
{
	for (size_t alignment = 8; alignment <= 65536; alignment *= 2) {
		for (size_t times = 1; times < 5; times++) {
			char *p = weft_aligned_alloc(alignment, alignment * times);
			CHECK(p);
			CHECK_EQ((uintptr_t)p % alignment, 0);
			memset(p, 1, alignment * times);
			weft_free(p);
		}
	}
}

/* Also when the memory has been used before. */
TEST(calloc_zeroes)
{
	for (int round = 0; round < 3; round++) {
		for (size_t n = 1; n < 200000; n += n / 2 + 1) {
			unsigned char *p = weft_calloc(n, 3);
			CHECK(p && all_are(p, 3 * n, 0));
			memset(p, 0xff, 3 * n);
			weft_free(p);
		}
	}
}

/* Asked by the sanitizers, whose allocators end the program where another returns NULL, unless they are told not to. */
#define EXPORTED __attribute__((visibility("default")))
EXPORTED const char *__asan_default_options(void);
EXPORTED const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return __asan_default_options();
}

TEST(calloc_refuses_a_product_that_wraps)
{
	volatile size_t half = SIZE_MAX / 2 + 2;
	CHECK(!weft_calloc(half, 2));
	CHECK(!weft_malloc(half));
}

TEST(realloc_keeps_what_was_there)
{
	uint64_t random = random_seed();
	size_t n = 0;
	unsigned char *p = NULL;
	for (int i = 0; i < 2000; i++) {
		size_t want = 1 + draw_below(&random, draw_below(&random, 8) ? 3000 : 300000);
		p = weft_realloc(p, want);
		CHECK(p);
		CHECK(all_are(p, n < want ? n : want, 7));
		memset(p, 7, want);
		n = want;
	}
	weft_free(p);
}
