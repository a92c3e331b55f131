/* Many goroutines that panic, protect, exit and defer at random depths, while they wait and move between threads: every deferred
 * call runs once, in order, and each panic comes to the innermost protect around it. */
#include "tests/random.h"
#include "tests/unit/go.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

enum { TASKS = 64, DEEPEST = 12 };

static weft_waitgroup join;
static weft_chan *closed;
static weft_mutex lock;
static int64_t guarded, locked;
static _Atomic int64_t panics, caught, exits, ended;
static uint64_t seed;

struct task {
	uint64_t random;
	long deferred, run; /* a stack of numbers: the last one deferred is the first to run */
	bool exiting;
};

struct step {
	struct task *task;
	int depth;
	long number;
};

static void move_about(struct task *t)
{
	switch (draw_below(&t->random, 6)) {
	case 0:
		weft_yield();
		return;
	case 1:
		weft_sleep((int64_t)draw_below(&t->random, 20) * WEFT_US);
		return;
	case 2:
		weft_block_begin();
		sched_yield();
		weft_block_end();
		return;
	default:
		return;
	}
}

static void undo(void *step)
{
	struct step *s = step;
	CHECK_EQ(s->number, s->task->deferred);
	s->task->deferred--;
	s->task->run++;
	move_about(s->task);
}

static void unlock(void *mutex)
{
	guarded++;
	weft_mutex_unlock(mutex);
}

static void raise_it(struct task *t)
{
	panics++;
	switch (draw_below(&t->random, 4)) {
	case 0:
		weft_send(closed, NULL);
		return;
	case 1:
		weft_close(closed);
		return;
	case 2:
		weft_block_begin();
		weft_panic("of %d", 1);
	default:
		weft_panic("of %p", (void *)t);
	}
}

static void go_deeper(void *step);

static void go_on(struct step *next)
{
	weft_panic_info info;
	struct task *t = next->task;
	long before = t->deferred;
	if (draw_below(&t->random, 3)) {
		go_deeper(next);
		return;
	}
	if (weft_protect(go_deeper, next, &info)) {
		caught++;
		CHECK(!t->exiting);
		CHECK_EQ(info.goroutine, weft_goroutine_id());
	}
	CHECK_EQ(t->deferred, before);
}

static void go_deeper(void *step)
{
	struct step *s = step;
	struct task *t = s->task;
	s->number = ++t->deferred;
	WEFT_DEFER(undo, s);
	move_about(t);
	if (draw_below(&t->random, 4) == 0) {
		weft_mutex_lock(&lock);
		locked++;
		WEFT_DEFER(unlock, &lock);
		if (draw_below(&t->random, 2))
			raise_it(t);
	}
	if (draw_below(&t->random, 8) == 0)
		raise_it(t);
	if (draw_below(&t->random, 40) == 0) {
		t->exiting = true;
		exits++;
		weft_exit_goroutine();
	}
	if (s->depth < DEEPEST)
		go_on(&(struct step){.task = t, .depth = s->depth + 1});
}

static void end(void *task)
{
	struct task *t = task;
	CHECK_EQ(t->deferred, 0);
	CHECK(t->run > 0);
	ended++;
	weft_waitgroup_done(&join);
}

static void run_task(void *number)
{
	struct task t = {.random = seed + (uint64_t)(uintptr_t)number * 977};
	WEFT_DEFER(end, &t);
	for (int i = 0; i < 20; i++)
		if (weft_protect(go_deeper, &(struct step){.task = &t}, NULL))
			caught++;
}

TEST_GO(panics_find_their_protects_and_deferred_calls_run_once)
{
	int64_t rounds = test_rounds(60);
	seed = random_seed();
	closed = weft_chan_make(0, 1);
	weft_close(closed);
	for (int64_t round = 0; round < rounds; round++) {
		weft_waitgroup_add(&join, TASKS);
		for (uintptr_t i = 0; i < TASKS; i++)
			weft_go(run_task, (void *)((uintptr_t)round * TASKS + i));
		weft_waitgroup_wait(&join);
	}
	CHECK_EQ(ended, rounds * TASKS);
	CHECK_EQ(guarded, locked);
	CHECK_EQ(weft_mutex_try_lock(&lock), 0);
	CHECK(panics == caught && exits > 0);
	printf("# races=%lld\n", (long long)panics);
	return 0;
}
