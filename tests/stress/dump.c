/* Dumps while goroutines start, run, park, move and end, with stacks that are unmapped behind them: each dump must be whole, line
 * by line, and nothing may be read that is not there. */
#include "tests/unit/go.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS = 16, LARGE = 1 << 20 };

static _Atomic bool enough;
static weft_waitgroup all;
static weft_chan *exchange;

static void leaf(void *arg)
{
	(void)arg;
	weft_yield();
	weft_waitgroup_done(&all);
}

/* Deep enough that a stale stack pointer leads somewhere else. */
static __attribute__((noinline)) void exchange_at(int depth)
{
	int v = depth;
	if (depth)
		exchange_at(depth - 1);
	else if (weft_try_send(exchange, &v) && weft_try_recv(exchange, &v) < 0)
		weft_sleep(10 * WEFT_US);
	__asm__ volatile("" ::: "memory");
}

static void large(void *arg)
{
	(void)arg;
	exchange_at(30);
	weft_yield();
	weft_waitgroup_done(&all);
}

static void worker(void *arg)
{
	static const weft_go_opts opts = {.name = "large", .stack_size = LARGE};
	unsigned n = (unsigned)(uintptr_t)arg;
	while (!atomic_load(&enough)) {
		weft_waitgroup_add(&all, 2);
		weft_go(leaf, NULL);
		CHECK_EQ(weft_go_with(&opts, large, NULL), 0);
		exchange_at((int)(n++ % 40));
		if (n % 8 == 0)
			weft_sleep(WEFT_US * (n % 100));
		weft_yield();
	}
	weft_waitgroup_done(&all);
}

/* Every line is one of those that API has. */
static void check_lines(char *words)
{
	for (char *rest = words, *line; (line = strsep(&rest, "\n"));)
		CHECK(!*line || !strncmp(line, "goroutine ", 10) || !strncmp(line, "  ", 2) || !strncmp(line, "created by ", 11));
}

static void check_dump(FILE *file)
{
	static char words[1 << 16];
	CHECK(fseek(file, 0, SEEK_SET) == 0);
	size_t n = fread(words, 1, sizeof words - 1, file);
	words[n] = 0;
	char *cut = strrchr(words, '\n'); /* more than fits: the rest is like it */
	CHECK(cut);
	*cut = 0;
	CHECK(!strncmp(words, "\ngoroutine 1 [running]:\n", 24));
	check_lines(words);
}

TEST_GO(dumps_while_goroutines_come_and_go)
{
	FILE *file = tmpfile();
	CHECK(file);
	exchange = weft_chan_make_leaf(sizeof(int), 4);
	weft_waitgroup_add(&all, WORKERS);
	for (uintptr_t i = 0; i < WORKERS; i++)
		weft_go(worker, (void *)i);
	for (int64_t i = test_rounds(60); i > 0; i--) {
		CHECK(ftruncate(fileno(file), 0) == 0 && fseek(file, 0, SEEK_SET) == 0);
		weft_dump(fileno(file));
		check_dump(file);
		weft_sleep(WEFT_MS);
	}
	atomic_store(&enough, true);
	weft_waitgroup_wait(&all);
	fclose(file);
	return 0;
}

static void dump_often(void *arg)
{
	for (int i = 0; i < 10; i++) {
		weft_dump(*(int *)arg);
		weft_yield();
	}
	weft_waitgroup_done(&all);
}

TEST_GO(several_dump_at_once)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	CHECK(null >= 0);
	weft_waitgroup_add(&all, 4);
	for (int i = 0; i < 4; i++)
		weft_go(dump_often, &null);
	weft_waitgroup_wait(&all);
	return 0;
}
