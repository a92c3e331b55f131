/* Readers against writers, deadlines against hand-overs, moving Ps against records: exclusion, and nobody is forgotten. And
 * a lock on a stack, which goes as soon as the one that was let in last has done with it. */
#include "lockfree/atomic.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <errno.h>

static weft_waitgroup join;

/* ---- exclusion ---- */

enum { LOCKS = 3, TASKS = 12 };

static struct shared {
	weft_rwmutex lock;
	int64_t left, right; /* equal, but for a writer */
} shared[LOCKS];

static _Atomic int64_t reads, writes, refusals;

static void stay(uint64_t *random)
{
	uint64_t how = draw_below(random, 64);
	if (how == 0)
		weft_sleep((int64_t)draw_below(random, 20000));
	else if (how < 4)
		weft_yield();
	for (uint64_t n = draw_below(random, 20); n > 0; n--)
		cpu_relax();
}

static int enter_to_read(weft_rwmutex *lock, uint64_t *random)
{
	switch (draw_below(random, 4)) {
	case 0:
		return weft_rwmutex_try_rlock(lock);
	case 1:
		return weft_rwmutex_rlock_until(lock, weft_in((int64_t)draw_below(random, 20000)));
	default:
		weft_rwmutex_rlock(lock);
		return 0;
	}
}

static int enter_to_write(weft_rwmutex *lock, uint64_t *random)
{
	switch (draw_below(random, 4)) {
	case 0:
		return weft_rwmutex_try_lock(lock);
	case 1:
		return weft_rwmutex_lock_until(lock, weft_in((int64_t)draw_below(random, 20000)));
	default:
		weft_rwmutex_lock(lock);
		return 0;
	}
}

static void read_it(struct shared *s, uint64_t *random)
{
	int err = enter_to_read(&s->lock, random);
	if (err) {
		CHECK(err == -EAGAIN || err == -ETIMEDOUT);
		(void)add_rlx(&refusals, 1);
		return;
	}
	int64_t seen = s->left;
	stay(random);
	CHECK_EQ(s->right, seen);
	weft_rwmutex_runlock(&s->lock);
	(void)add_rlx(&reads, 1);
}

static void write_it(struct shared *s, uint64_t *random)
{
	int err = enter_to_write(&s->lock, random);
	if (err) {
		CHECK(err == -EAGAIN || err == -ETIMEDOUT);
		(void)add_rlx(&refusals, 1);
		return;
	}
	CHECK_EQ(s->left, s->right);
	s->left++;
	stay(random);
	s->right++;
	weft_rwmutex_unlock(&s->lock);
	(void)add_rlx(&writes, 1);
}

/* From once in four to hardly ever, so that the bias comes and goes in every rhythm. */
static void use_them(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg, rarely = 4;
	for (int64_t i = test_rounds(60000); i > 0; i--) {
		struct shared *s = &shared[draw_below(&random, LOCKS)];
		if (i % 1000 == 0)
			rarely = (uint64_t)4 << draw_below(&random, 9);
		if (draw_below(&random, rarely) == 0)
			write_it(s, &random);
		else
			read_it(s, &random);
	}
	weft_waitgroup_done(&join);
}

static int exclusion(void)
{
	weft_waitgroup_add(&join, TASKS);
	for (uintptr_t i = 1; i <= TASKS; i++)
		weft_go(use_them, (void *)i);
	weft_waitgroup_wait(&join);
	int64_t sum = 0;
	for (int i = 0; i < LOCKS; i++) {
		CHECK_EQ(weft_rwmutex_try_lock(&shared[i].lock), 0); /* no waiter is left in the way, no record */
		sum += shared[i].left;
	}
	CHECK_EQ(sum, writes);
	CHECK_EQ(reads + writes + refusals, TASKS * test_rounds(60000));
	CHECK(reads > 0 && refusals > 0);
	return 0;
}

TEST(a_writer_is_alone)
{
	CHECK_EQ(run_weft(2, exclusion), 0);
}

TEST(a_writer_is_alone_on_more_ps_than_cores)
{
	CHECK_EQ(run_weft(5, exclusion), 0);
}

/* ---- a lock that goes ---- */

static struct turn {
	_Atomic(weft_rwmutex *) lock; /* NULL: none */
	_Atomic bool entered;
	bool writes;
} turn;

/* Enters, says so, and leaves: its last touch lets the owner in, who has the lock vanish. */
static void use_what_goes(void *arg)
{
	uint64_t random = 7;
	(void)arg;
	for (int64_t i = test_rounds(100000); i > 0; i--) {
		weft_rwmutex *lock;
		while (!(lock = load_acq(&turn.lock)))
			weft_yield();
		store_rlx(&turn.lock, NULL);
		bool wrote = turn.writes;
		(wrote ? weft_rwmutex_lock : weft_rwmutex_rlock)(lock);
		store_rel(&turn.entered, true);
		if (draw_below(&random, 4) == 0)
			weft_yield();
		(wrote ? weft_rwmutex_unlock : weft_rwmutex_runlock)(lock);
	}
	weft_waitgroup_done(&join);
}

static __attribute__((noinline)) void own_one(uint64_t *random)
{
	weft_rwmutex lock = {0};
	bool biased = draw_below(random, 2), wrote = draw_below(random, 2), writes_then = !wrote || draw_below(random, 2);
	if (biased) {
		weft_rwmutex_rlock(&lock);
		weft_rwmutex_runlock(&lock);
	}
	turn.writes = wrote;
	store_rlx(&turn.entered, false);
	store_rel(&turn.lock, &lock);
	while (!load_acq(&turn.entered))
		weft_yield();
	(writes_then ? weft_rwmutex_lock : weft_rwmutex_rlock)(&lock);
	(writes_then ? weft_rwmutex_unlock : weft_rwmutex_runlock)(&lock);
}

/* Over where the lock was. */
static __attribute__((noinline)) void scribble(void)
{
	volatile char junk[1024];
	for (size_t i = 0; i < sizeof junk; i++)
		junk[i] = 0x5a;
	for (int i = 0; i < 50; i++)
		cpu_relax();
	for (size_t i = 0; i < sizeof junk; i++)
		CHECK_EQ(junk[i], 0x5a);
}

static int own_many(void)
{
	uint64_t random = 3;
	weft_waitgroup_add(&join, 1);
	weft_go(use_what_goes, NULL);
	for (int64_t i = test_rounds(100000); i > 0; i--) {
		own_one(&random);
		scribble();
	}
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(it_may_vanish_when_the_last_one_has_left)
{
	CHECK_EQ(run_weft(2, own_many), 0);
}
