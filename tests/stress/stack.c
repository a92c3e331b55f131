/* Many stacks: how many mappings they take, and what is left of them when their goroutines have ended. */
#include "alloc/os.h"
#include "alloc/stack.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <stdio.h>
#include <string.h>

static weft_waitgroup join, parked;
static weft_chan *gate;

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	CHECK(f);
	int n = 0;
	for (int c; (c = getc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

static int64_t resident_bytes(void)
{
	long long total, resident;
	FILE *f = fopen("/proc/self/statm", "re");
	CHECK(f && fscanf(f, "%lld %lld", &total, &resident) == 2);
	fclose(f);
	return resident * OS_PAGE;
}

static void wait_at_gate(void *arg)
{
	(void)arg;
	weft_waitgroup_done(&parked);
	weft_recv(gate, NULL);
	weft_waitgroup_done(&join);
}

/* A million takes some 6 GB, and is for a soak. */
static int many_live_ones(void)
{
	enum { MILLION = 1000000 };
	int64_t many = test_rounds(MILLION / 10);
	if (many > MILLION)
		many = MILLION;
	int before = mappings();
	int64_t resident = resident_bytes(), began = weft_now();
	gate = weft_chan_make(0, 0);
	weft_waitgroup_add(&join, many);
	weft_waitgroup_add(&parked, many);
	for (int64_t i = 0; i < many; i++)
		weft_go(wait_at_gate, NULL);
	weft_waitgroup_wait(&parked);
	int64_t more = mappings() - before;
	int64_t each = (resident_bytes() - resident) / many;
	fprintf(stderr, "# %lld live: %lld mappings more, %lld bytes each, %lld ms\n", (long long)many, (long long)more,
		(long long)each, (long long)((weft_now() - began) / WEFT_MS));
	/* Where guards are made with mprotect, each splits a mapping. */
	int64_t split = strcmp(os_guard_way(), "guard regions") ? 2 * many : 0;
	/* ThreadSanitizer maps memory of its own for each goroutine. */
	CHECK(more <= many * 2000 / MILLION + 100 + split || !strcmp(WEFT_FLAVOUR, "tsan"));
	CHECK(test_is_slow() || each < 8192);
	weft_close(gate);
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(many_live_stacks_are_few_mappings)
{
	CHECK_EQ(run_weft(2, many_live_ones), 0);
}

enum { PEAK = 1000, DEEP = 100 * 1024 };

static __attribute__((noinline)) void touch(void)
{
	volatile char deep[DEEP];
	for (size_t i = 0; i < sizeof deep; i += 512)
		deep[i] = 1;
}

static void touch_and_wait(void *arg)
{
	touch();
	wait_at_gate(arg);
}

static int64_t resident_at_peak(void)
{
	gate = weft_chan_make(0, 0);
	weft_waitgroup_add(&join, PEAK);
	weft_waitgroup_add(&parked, PEAK);
	for (int i = 0; i < PEAK; i++)
		weft_go(touch_and_wait, NULL);
	weft_waitgroup_wait(&parked);
	int64_t at_peak = resident_bytes();
	weft_close(gate);
	weft_waitgroup_wait(&join);
	weft_chan_free(gate);
	return at_peak;
}

/* What a stack keeps of what it had grown to, with room for other things. */
static int peak_and_after(void)
{
	if (test_is_slow()) { /* a sanitizer's shadow memory does not come back */
		resident_at_peak();
		resident_at_peak();
		return 0;
	}
	const int64_t kept = (int64_t)PEAK * (STACK_KEPT + OS_PAGE) + (8 << 20);
	int64_t before = resident_bytes(), at_peak = resident_at_peak();
	CHECK(at_peak - before >= (int64_t)PEAK * DEEP);
	while (resident_bytes() - before > kept)
		weft_sleep(5 * WEFT_MS);
	CHECK(resident_at_peak() >= at_peak - kept); /* and they can be used again */
	return 0;
}

/* ---- of all sizes ---- */

enum { SIZES = 6, LARGEST = 512 << 10, AT_ONCE = 200, LEFT_FREE = 6 * 1024 };

static const size_t size_of[SIZES] = {16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, LARGEST};
static uint64_t seed;

/* Down to what a switch and a check need. */
static __attribute__((noinline)) void fill(size_t left, unsigned char mark)
{
	volatile unsigned char frame[1024];
	for (size_t i = 0; i < sizeof frame; i += 64)
		frame[i] = mark;
	if (left > 2 * sizeof frame)
		fill(left - sizeof frame - 256, mark); /* with what a frame has besides */
	else if (mark % 2)
		weft_yield();
	for (size_t i = 0; i < sizeof frame; i += 64)
		CHECK(frame[i] == mark);
}

static void fill_own_stack(void *n)
{
	unsigned i = *(unsigned *)n;
	size_t size = size_of[i % SIZES];
	unsigned char mark = (unsigned char)(i / SIZES + 1);
	if (mark % 2) /* the others leave their stacks to whoever comes next */
		weft_yield();
	fill(test_is_slow() ? size / 4 : size - LEFT_FREE, mark);
	weft_waitgroup_done(&join);
}

/* Each has its stack to itself, as far down as it asked, and stacks are used again. */
static int all_sizes(void)
{
	int64_t rounds = test_rounds(100);
	size_t reserved = 0;
	for (int64_t r = 0; r < rounds; r++) {
		weft_waitgroup_add(&join, AT_ONCE);
		for (int i = 0; i < AT_ONCE; i++) {
			unsigned n = (unsigned)draw_below(&seed, SIZES * 255);
			weft_go_opts opts = {.stack_size = size_of[n % SIZES], .arg_size = sizeof n};
			CHECK_EQ(weft_go_with(&opts, fill_own_stack, &n), 0);
		}
		weft_waitgroup_wait(&join);
		if (r == rounds / 2)
			reserved = stack_bytes_reserved();
	}
	CHECK(stack_bytes_reserved() <= reserved + reserved / 2 + AT_ONCE * (size_t)(LARGEST + STACK_GUARD));
	return 0;
}

TEST(stacks_of_all_sizes_come_and_go_p1)
{
	seed = random_seed();
	CHECK_EQ(run_weft(1, all_sizes), 0);
}

TEST(stacks_of_all_sizes_come_and_go_p2)
{
	seed = random_seed();
	CHECK_EQ(run_weft(2, all_sizes), 0);
}

TEST(after_a_peak_of_deep_stacks_their_memory_comes_back_p1)
{
	CHECK_EQ(run_weft(1, peak_and_after), 0);
}

TEST(after_a_peak_of_deep_stacks_their_memory_comes_back_p2)
{
	CHECK_EQ(run_weft(2, peak_and_after), 0);
}
