/* The floor of the micro rows: what the hardware charges for the work that no scheduler can leave out.
 *
 *   spawn-batch  an object from a free list, put on a queue, taken from it, run, given back
 *   spawn-one    the same, one at a time
 *   fork-join    an object from a free list for each left child, put on a stack, taken from it, run, given back
 *   yield-2      two switches: into a scheduler that knows nothing, and out of it
 *   ping-pong    two direct switches and two copies for a round trip
 *   mutex        two locked operations
 *   rtt          a cache line to another core and back (two cores only)
 *   wake-polling a value to another core that looks for it: half of rtt, and a copy (two cores only)
 *
 * One thread, except for the last two; no locks, no checks. A switch saves what the System V ABI asks a callee
 * to keep, and ends by pop and jmp: a ret would mispredict every time, since the return stack of the
 * CPU still follows the context that was left.
 */
#include "lockfree/atomic.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 1000, SINGLES = 10000, YIELDS = 50000, TRIPS = 10000, LOCKS = 100000, STACK = 16384, DEPTH = 20 };

/* One batch of a row; its work is the same each time, and so is what it proves. */
struct result {
	unsigned long ops;
	char check[64];
	uint64_t timed_ns; /* 0: the whole batch */
};
struct row {
	const char *name;
	void (*run)(struct result *result);
	int procs_min;
};

static uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static unsigned long sum; /* of what came back */

/* Rows of two cores time slices of a batch, and take all for as long as the median one: a thread that loses its core
 * for a moment stops the other too, and what it costs then is not what is asked. */
enum { SLICES = 1000 };
static uint64_t slices[SLICES];

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static uint64_t slices_ns(void)
{
	qsort(slices, SLICES, sizeof slices[0], by_size);
	return slices[SLICES / 2] * SLICES;
}

/* Tasks: a free list, and a queue through the same link. */
struct task {
	struct task *next;
	void (*run)(void *argument);
	void *argument;
};
static struct task tasks[BATCH], *free_tasks;
static struct {
	struct task *head, **tail;
} queue = {NULL, &queue.head};

static void fill_free_list(void)
{
	free_tasks = NULL;
	for (int i = BATCH; i-- > 0;) {
		tasks[i].next = free_tasks;
		free_tasks = &tasks[i];
	}
}

static void spawn(void (*run)(void *), void *argument)
{
	struct task *task = free_tasks;
	free_tasks = task->next;
	*task = (struct task){NULL, run, argument};
	*queue.tail = task;
	queue.tail = &task->next;
}

static void run_one(void)
{
	struct task *task = queue.head;
	queue.head = task->next;
	if (!queue.head)
		queue.tail = &queue.head;
	task->run(task->argument);
	task->next = free_tasks;
	free_tasks = task;
}

static void add_one(void *counter)
{
	++*(volatile unsigned long *)counter;
}

static void spawn_batch(struct result *result)
{
	unsigned long done = 0;
	fill_free_list();
	for (int i = 0; i < BATCH; i++)
		spawn(add_one, &done);
	while (queue.head)
		run_one();
	result->ops = BATCH;
	snprintf(result->check, sizeof result->check, "tasks=%d done=%lu", BATCH, done);
}

static void spawn_one(struct result *result)
{
	unsigned long done = 0;
	fill_free_list();
	for (int i = 0; i < SINGLES; i++) {
		spawn(add_one, &done);
		run_one();
	}
	result->ops = SINGLES;
	snprintf(result->check, sizeof result->check, "tasks=%d done=%lu", SINGLES, done);
}

/* A left child that nobody has begun. Depth first, the newest is always that of the node which joins: no more than
 * DEPTH of them wait. */
struct fork {
	long left;
	int depth;
};
static struct task *newest;

static long sum_of(long node, int depth);

static void do_left(void *argument)
{
	struct fork *fork = argument;
	fork->left = sum_of(fork->left, fork->depth);
}

static __attribute__((noinline)) long sum_of(long node, int depth)
{
	if (depth == 0)
		return node;
	struct fork fork = {2 * node, depth - 1};
	struct task *task = free_tasks;
	free_tasks = task->next;
	*task = (struct task){newest, do_left, &fork};
	newest = task;
	long right = sum_of(2 * node + 1, depth - 1);
	task = newest;
	newest = task->next;
	task->run(task->argument);
	task->next = free_tasks;
	free_tasks = task;
	return fork.left + right;
}

static void fork_join(struct result *result)
{
	fill_free_list();
	long total = sum_of(0, DEPTH);
	result->ops = 1 << DEPTH;
	snprintf(result->check, sizeof result->check, "leaves=%d sum=%ld", 1 << DEPTH, total);
}

#ifdef __x86_64__
void floor_switch(void **save, void *load);
__asm__(".text\n"
	".type floor_switch, @function\n"
	".hidden floor_switch\n"
	".globl floor_switch\n"
	"floor_switch:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	pop %rcx\n"
	"	jmp *%rcx\n"
	".size floor_switch, . - floor_switch\n");

static _Alignas(64) char stacks[2][STACK];
static void *contexts[2], *home;
static volatile unsigned long slot;
static unsigned long yields;

/* Below the first frame: six registers and the entry, then the slot of a return address, so that the
 * entry finds the alignment that a call would have left. */
static void *new_context(int i, void (*entry)(void))
{
	void **top = (void **)(void *)(stacks[i] + STACK) - 2;
	memset(top - 7, 0, 9 * sizeof *top);
	top[-1] = (void *)(uintptr_t)entry;
	return top - 7;
}

static _Noreturn void yielder(int self)
{
	for (;;) {
		yields++;
		floor_switch(&contexts[self], home);
	}
}
static void yielder_0(void) { yielder(0); }
static void yielder_1(void) { yielder(1); }

static void yield_2(struct result *result)
{
	yields = 0;
	contexts[0] = new_context(0, yielder_0);
	contexts[1] = new_context(1, yielder_1);
	for (int i = 0; i < 2 * YIELDS; i++)
		floor_switch(&home, contexts[i & 1]);
	result->ops = 2 * YIELDS;
	snprintf(result->check, sizeof result->check, "tasks=2 yields=%lu", yields);
}

static void echoer(void)
{
	for (;;) {
		unsigned long value = slot;
		slot = value;
		floor_switch(&contexts[0], home);
	}
}

static void ping_pong(struct result *result)
{
	sum = 0;
	contexts[0] = new_context(0, echoer);
	for (unsigned long i = 0; i < TRIPS; i++) {
		slot = i;
		floor_switch(&home, contexts[0]);
		sum += slot;
	}
	result->ops = TRIPS;
	snprintf(result->check, sizeof result->check, "trips=%d sum=%lu", TRIPS, sum);
}
#endif

static void mutex(struct result *result)
{
	static _Atomic uint32_t lock;
	static volatile unsigned long count;
	count = 0;
	for (int i = 0; i < LOCKS; i++) {
		uint32_t open = 0;
		if (!cas_acq(&lock, &open, 1))
			abort();
		++count;
		swap_seq(&lock, 0);
	}
	result->ops = LOCKS;
	snprintf(result->check, sizeof result->check, "locks=%d count=%lu", LOCKS, count);
}

/* Two threads, each on a core of its own, and a cache line that each writes in turn. */
static struct {
	ON_OWN_LINE _Atomic unsigned long ball; /* whose turn it is */
	_Atomic unsigned long value;
} line;

static void stay_on(int nth)
{
	cpu_set_t all, one;
	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof all, &all))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &all) && nth-- == 0) {
			CPU_SET(cpu, &one);
			pthread_setaffinity_np(pthread_self(), sizeof one, &one);
			return;
		}
	}
}

/* Runs there(NULL) on the second core and here(result) on the first, until both have returned. */
static void on_two_cores(void *(*there)(void *), void (*here)(struct result *), struct result *result)
{
	pthread_t other;
	store_rlx(&line.ball, 0);
	int error = pthread_create(&other, NULL, there, NULL);
	if (error) {
		fprintf(stderr, "c-floor: pthread_create: %s\n", strerror(error));
		exit(1);
	}
	static cpu_set_t before;
	sched_getaffinity(0, sizeof before, &before);
	stay_on(0);
	here(result);
	pthread_join(other, NULL);
	sched_setaffinity(0, sizeof before, &before);
}

static void *return_ball(void *nothing)
{
	(void)nothing;
	stay_on(1);
	for (unsigned long i = 0; i < LOCKS; i++) {
		while (load_acq(&line.ball) != 2 * i + 1)
			;
		store_rel(&line.ball, 2 * i + 2);
	}
	return NULL;
}

static void play_ball(struct result *result)
{
	unsigned long i = 0;
	for (unsigned slice = 1; slice <= SLICES; slice++) {
		uint64_t from = clock_ns();
		for (; i < LOCKS / SLICES * slice; i++) {
			store_rel(&line.ball, 2 * i + 1);
			while (load_acq(&line.ball) != 2 * i + 2)
				;
		}
		slices[slice - 1] = clock_ns() - from;
	}
	result->ops = LOCKS;
	result->timed_ns = slices_ns();
	snprintf(result->check, sizeof result->check, "trips=%lu", load_rlx(&line.ball) / 2);
}

static void rtt(struct result *result)
{
	on_two_cores(return_ball, play_ball, result);
}

static void *return_value(void *nothing)
{
	(void)nothing;
	stay_on(1);
	for (unsigned long i = 0; i < LOCKS; i++) {
		while (load_acq(&line.ball) != 2 * i + 1)
			;
		store_rlx(&line.value, load_rlx(&line.value));
		store_rel(&line.ball, 2 * i + 2);
	}
	return NULL;
}

static void send_values(struct result *result)
{
	unsigned long i = 0;
	sum = 0;
	for (unsigned slice = 1; slice <= SLICES; slice++) {
		uint64_t from = clock_ns();
		for (; i < LOCKS / SLICES * slice; i++) {
			store_rlx(&line.value, i);
			store_rel(&line.ball, 2 * i + 1);
			while (load_acq(&line.ball) != 2 * i + 2)
				;
			sum += load_rlx(&line.value);
		}
		slices[slice - 1] = clock_ns() - from;
	}
	result->ops = 2 * LOCKS;
	result->timed_ns = slices_ns();
	snprintf(result->check, sizeof result->check, "wakes=%d sum=%lu", 2 * LOCKS, sum);
}

static void wake_polling(struct result *result)
{
	on_two_cores(return_value, send_values, result);
}

static const struct row rows[] = {
	{"spawn-batch", spawn_batch, 1},   {"spawn-one", spawn_one, 1}, {"fork-join", fork_join, 1},
#ifdef __x86_64__
	{"yield-2", yield_2, 1},	   {"ping-pong", ping_pong, 1},
#endif
	{"mutex", mutex, 1},		   {"rtt", rtt, 2},
	{"wake-polling", wake_polling, 2},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void run(const struct row *row, long procs, double seconds)
{
	struct result result = {0};
	row->run(&result); /* warms caches and predictors; not counted */
	unsigned long ops = 0;
	uint64_t begin = clock_ns(), from = begin, now, spent = 0;
	do {
		row->run(&result);
		ops += result.ops;
		now = clock_ns();
		spent += result.timed_ns ? result.timed_ns : now - from;
		from = now;
	} while ((double)(now - begin) < seconds * 1e9);
	printf("{\"row\":\"%s\",\"procs\":%ld,\"ns_per_op\":%.3f,\"ops\":%lu,\"check\":\"%s\",\"bytes_per_op\":null}\n",
	       row->name, procs, (double)spent / (double)ops, ops, result.check);
}

static _Noreturn void usage(const char *what, const char *value)
{
	fprintf(stderr, "c-floor: %s '%s'\nusage: c-floor ROW --procs N --seconds S | --list | --version\n", what, value);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"procs", required_argument, NULL, 'p'}, {"seconds", required_argument, NULL, 's'},
		{"list", no_argument, NULL, 'l'},	 {"version", no_argument, NULL, 'v'},
		{0},
	};
	long procs = 1;
	double seconds = 1;
	char *end;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (option) {
		case 'p':
			procs = strtol(optarg, &end, 10);
			if (*end || end == optarg || procs < 1)
				usage("not a number of cores:", optarg);
			break;
		case 's':
			seconds = strtod(optarg, &end);
			if (*end || end == optarg || !(seconds > 0))
				usage("not a number of seconds:", optarg);
			break;
		case 'l':
			for (int i = 0; i < ROWS; i++)
				puts(rows[i].name);
			return 0;
		case 'v':
#ifdef __clang__
			printf("c floor clang %d.%d.%d\n", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
			printf("c floor gcc %d.%d.%d\n", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
			return 0;
		default: exit(2); /* getopt_long has said why */
		}
	}
	if (optind != argc - 1)
		usage("exactly one row is needed, not", optind < argc ? argv[argc - 1] : "none");
	if (strcmp(WEFT_FLAVOUR, "release") != 0) {
		fputs("c-floor: a " WEFT_FLAVOUR " build: its numbers would mean nothing\n", stderr);
		return 1;
	}
	for (int i = 0; i < ROWS; i++) {
		if (strcmp(rows[i].name, argv[optind]) != 0)
			continue;
		if (procs < rows[i].procs_min)
			usage("this row needs two cores, --procs 2:", rows[i].name);
		cpu_set_t cpus;
		if (rows[i].procs_min > 1 && (sched_getaffinity(0, sizeof cpus, &cpus) || CPU_COUNT(&cpus) < rows[i].procs_min)) {
			fputs("c-floor: this row needs two cores, and this process may use one\n", stderr);
			return 1;
		}
		run(&rows[i], procs, seconds);
		return 0;
	}
	usage("no such row:", argv[optind]);
}
