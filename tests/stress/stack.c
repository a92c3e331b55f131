/* Many stacks: how many mappings they take, and what is left of them when their goroutines have ended. */
#include "alloc/os.h"
#include "alloc/stack.h"
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

TEST(after_a_peak_of_deep_stacks_their_memory_comes_back_p1)
{
	CHECK_EQ(run_weft(1, peak_and_after), 0);
}

TEST(after_a_peak_of_deep_stacks_their_memory_comes_back_p2)
{
	CHECK_EQ(run_weft(2, peak_and_after), 0);
}
