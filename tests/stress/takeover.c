/* Goroutines that compute for long, in libc and out of it, and come back to weft from the middle of things: whatever they
 * do meanwhile comes out right, and there are never more threads than are allowed. */
#include "tests/random.h"
#include "tests/unit/go.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

enum { THREADS_MOST = 12 };

static weft_waitgroup join;
static weft_chan *meeting;
static weft_mutex lock;
static int64_t guarded;
static uint64_t seed;
static FILE *null;
static _Atomic bool done;

/* A few milliseconds, or long enough to lose the P. */
static int64_t some_time(uint64_t *random)
{
	return (int64_t)(draw_below(random, 16) ? draw_below(random, 300) : 15000) * WEFT_US;
}

static void compute_malloc(uint64_t *random, int64_t until)
{
	do {
		size_t size = draw_below(random, 5000) + 1;
		unsigned char *p = malloc(size);
		CHECK(p);
		memset(p, 0x5a, size);
		CHECK(p[size - 1] == 0x5a);
		free(p);
	} while (weft_now() < until);
}

static void compute_printf(uint64_t *random, int64_t until)
{
	do {
		char text[64];
		unsigned n = (unsigned)draw_below(random, 1000000);
		snprintf(text, sizeof text, "%u %.3f", n, n / 7.0);
		CHECK(strtoul(text, NULL, 10) == n);
		fprintf(null, "%s\n", text);
	} while (weft_now() < until);
}

static void compute_libm(uint64_t *random, int64_t until)
{
	do {
		double x = (double)draw_below(random, 1000000) / 1000;
		CHECK(fabs(sin(x) * sin(x) + cos(x) * cos(x) - 1) < 1e-9);
		CHECK(fabs(exp(log(x + 1)) - (x + 1)) < 1e-6 * (x + 1));
	} while (weft_now() < until);
}

/* Comparing, it may wait for a P, and go on on another thread in the middle of libc's sort. */
static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (x % 16 == 0)
		weft_yield();
	else if (x % 16 == 1)
		weft_try_send(meeting, NULL);
	else if (x % 64 == 2)
		weft_sleep(WEFT_US);
	return x < y ? -1 : x > y;
}

static void compute_qsort(uint64_t *random, int64_t until)
{
	uint32_t v[200];
	do {
		for (int i = 0; i < 200; i++)
			v[i] = (uint32_t)draw(random);
		qsort(v, 200, sizeof *v, compare);
		for (int i = 1; i < 200; i++)
			CHECK(v[i - 1] <= v[i]);
	} while (weft_now() < until);
}

static void compute_longjmp(uint64_t *random, int64_t until)
{
	jmp_buf back;
	volatile int jumps = 0;
	int want = (int)draw_below(random, 10) + 1;
	setjmp(back);
	if (jumps++ < want) {
		if (draw_below(random, 4) == 0)
			weft_yield();
		longjmp(back, 1);
	}
	CHECK_EQ(jumps, want + 1);
	while (weft_now() < until)
		;
}

static void (*const kinds[])(uint64_t *, int64_t) = {compute_malloc, compute_printf, compute_libm, compute_qsort,
						     compute_longjmp};

static void work(void *arg)
{
	uint64_t random = seed + (uintptr_t)arg;
	kinds[draw_below(&random, 5)](&random, weft_now() + some_time(&random));
	weft_mutex_lock(&lock);
	guarded++;
	weft_mutex_unlock(&lock);
	weft_try_recv(meeting, NULL);
	weft_waitgroup_done(&join);
}

static void watch_threads(void *watcher)
{
	while (!done) {
		weft_schedstats s;
		weft_sched_stats(&s);
		CHECK(s.threads <= (uint64_t)weft_procs() + THREADS_MOST);
		weft_sleep(WEFT_MS);
	}
	weft_waitgroup_done(watcher);
}

static int many(void)
{
	static weft_waitgroup watcher;
	int64_t n = test_rounds(10000);
	weft_schedstats s;
	null = fopen("/dev/null", "w");
	CHECK(null);
	meeting = weft_chan_make(0, 8);
	weft_waitgroup_add(&watcher, 1);
	weft_go(watch_threads, &watcher);
	weft_waitgroup_add(&join, n);
	for (int64_t i = 0; i < n; i++)
		weft_go(work, (void *)(intptr_t)i);
	weft_waitgroup_wait(&join);
	CHECK_EQ(guarded, n);
	done = true;
	weft_waitgroup_wait(&watcher);
	weft_sched_stats(&s);
	CHECK(s.taken + s.given_up + s.asked > 0);
	fclose(null);
	weft_chan_free(meeting);
	return 0;
}

static void run_on(int procs)
{
	char text[16];
	snprintf(text, sizeof text, "%d", THREADS_MOST);
	setenv("WEFT_MAXTHREADS", text, 1);
	seed = random_seed();
	CHECK_EQ(run_weft(procs, many), 0);
}

TEST(ten_thousand_on_one_p)
{
	run_on(1);
}

TEST(ten_thousand_on_two_ps)
{
	run_on(2);
}

TEST(ten_thousand_on_four_ps)
{
	run_on(4);
}
