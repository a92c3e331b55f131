#include "tests/unit/go.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

/* ---- workers ---- */

static _Atomic int done_jobs, at_work, most;
static weft_waitgroup join;

static void work(void *arg)
{
	(void)arg;
	int now = ++at_work, before = most;
	while (before < now && !atomic_compare_exchange_weak(&most, &before, now))
		;
	weft_yield();
	at_work--;
	done_jobs++;
}

TEST_GO(all_jobs_are_done_by_so_many_at_a_time)
{
	weft_workers *w = weft_workers_make(4, 8);
	for (int i = 0; i < 1000; i++)
		weft_workers_submit(w, work, NULL);
	weft_workers_wait(w);
	CHECK_EQ(done_jobs, 1000);
	CHECK(most <= 4);
	weft_workers_wait(weft_workers_make(3, 0));
	CHECK_EQ(weft_num_goroutine(), 1);
	return 0;
}

static void wait_for_the_end(void *ch)
{
	weft_recv(ch, NULL);
	done_jobs++;
}

TEST_GO(a_job_that_finds_no_place_is_refused)
{
	weft_chan *ch = weft_chan_make(0, 0);
	weft_workers *w = weft_workers_make(1, 1);
	weft_workers_submit(w, wait_for_the_end, ch);
	weft_workers_submit(w, wait_for_the_end, ch); /* waits for the worker to take the first */
	while (!weft_workers_try_submit(w, wait_for_the_end, ch))
		;
	CHECK_EQ(weft_workers_submit_until(w, wait_for_the_end, ch, weft_in(WEFT_MS)), -ETIMEDOUT);
	weft_close(ch);
	weft_workers_wait(w);
	CHECK(done_jobs == 2 || done_jobs == 3);
	weft_chan_free(ch);
	return 0;
}

static weft_workers *workers;

static void submit_more(void *depth)
{
	done_jobs++;
	if ((intptr_t)depth > 0)
		CHECK_EQ(weft_workers_try_submit(workers, submit_more, (void *)((intptr_t)depth - 1)), 0);
}

TEST_GO(wait_waits_for_jobs_that_jobs_have_submitted)
{
	workers = weft_workers_make(2, 2);
	weft_workers_submit(workers, submit_more, (void *)(intptr_t)100);
	weft_workers_wait(workers);
	CHECK_EQ(done_jobs, 101);
	return 0;
}

static void leave(void *arg)
{
	(void)arg;
	done_jobs++;
	weft_exit_goroutine();
}

TEST_GO(a_job_that_exits_its_goroutine_takes_no_worker_along)
{
	weft_workers *w = weft_workers_make(2, 0);
	for (int i = 0; i < 10; i++)
		weft_workers_submit(w, leave, NULL);
	weft_workers_wait(w);
	CHECK_EQ(done_jobs, 10);
	return 0;
}

/* ---- the queue ---- */

static weft_queue *queue_of(int n, weft_queue_policy policy)
{
	weft_queue *q = weft_queue_make(sizeof(int), (size_t)n, policy);
	for (int i = 0; i < n; i++)
		CHECK_EQ(weft_queue_put(q, &i), 0);
	return q;
}

static void put_one(void *q)
{
	int four = 4;
	CHECK_EQ(weft_queue_put(q, &four), 0);
	weft_waitgroup_done(&join);
}

TEST_GO(who_puts_waits_for_room)
{
	int got;
	weft_queue *q = queue_of(4, WEFT_QUEUE_BLOCK);
	weft_waitgroup_add(&join, 1);
	weft_go(put_one, q);
	CHECK_EQ(weft_queue_put_until(q, &(int){5}, weft_in(WEFT_MS)), -ETIMEDOUT);
	for (int i = 0; i < 5; i++) {
		CHECK(weft_queue_get(q, &got));
		CHECK_EQ(got, i);
	}
	weft_waitgroup_wait(&join);
	CHECK_EQ(weft_queue_get_until(q, &got, weft_at(0)), -ETIMEDOUT);
	weft_queue_free(q);
	return 0;
}

TEST_GO(what_finds_no_room_is_refused)
{
	int got;
	weft_queue_stats s;
	weft_queue *q = queue_of(2, WEFT_QUEUE_REJECT);
	CHECK_EQ(weft_queue_put(q, &(int){2}), -EAGAIN);
	CHECK(weft_queue_get(q, &got) && got == 0);
	CHECK_EQ(weft_queue_put(q, &(int){3}), 0);
	weft_queue_look(q, &s);
	CHECK(s.put == 3 && s.rejected == 1 && s.shed == 0 && s.len == 2 && s.room == 2);
	weft_queue_free(q);
	return 0;
}

TEST_GO(the_oldest_makes_room)
{
	int got;
	weft_queue_stats s;
	weft_queue *q = queue_of(3, WEFT_QUEUE_SHED);
	CHECK_EQ(weft_queue_put(q, &(int){3}), 1);
	CHECK_EQ(weft_queue_put(q, &(int){4}), 1);
	for (int i = 2; i < 5; i++)
		CHECK(weft_queue_get(q, &got) && got == i);
	weft_queue_look(q, &s);
	CHECK(s.put == 5 && s.shed == 2 && s.rejected == 0 && s.len == 0);
	weft_queue_free(q);
	return 0;
}

static void put_until_told(void *q)
{
	CHECK_EQ(weft_queue_put(q, &(int){9}), -EPIPE);
	weft_waitgroup_done(&join);
}

TEST_GO(closed_it_gives_what_it_has_and_takes_no_more)
{
	int got;
	weft_queue *q = queue_of(2, WEFT_QUEUE_BLOCK);
	weft_waitgroup_add(&join, 1);
	weft_go(put_until_told, q);
	weft_yield();
	weft_queue_close(q);
	weft_queue_close(q);
	weft_waitgroup_wait(&join);
	CHECK_EQ(weft_queue_put(q, &(int){9}), -EPIPE);
	CHECK(weft_queue_get(q, &got) && got == 0);
	CHECK_EQ(weft_queue_get_until(q, &got, weft_at(0)), 1);
	CHECK_EQ(got, 1);
	CHECK(!weft_queue_get(q, &got));
	CHECK_EQ(weft_queue_get_until(q, &got, WEFT_NEVER), 0);
	weft_queue_free(q);
	return 0;
}

static weft_queue *busy;
static _Atomic long sum_put, sum_got;

static void put_many(void *arg)
{
	(void)arg;
	for (int i = 1; i <= 5000; i++) {
		CHECK_EQ(weft_queue_put(busy, &i), 0);
		sum_put += i;
	}
	weft_waitgroup_done(&join);
}

static void get_many(void *arg)
{
	for (int got; weft_queue_get(busy, &got);)
		sum_got += got;
	weft_waitgroup_done(arg);
}

TEST_GO(nothing_is_lost_between_many)
{
	weft_waitgroup getters = {0};
	busy = weft_queue_make(sizeof(int), 7, WEFT_QUEUE_BLOCK);
	weft_waitgroup_add(&join, 4);
	weft_waitgroup_add(&getters, 4);
	for (int i = 0; i < 4; i++) {
		weft_go(put_many, NULL);
		weft_go(get_many, &getters);
	}
	weft_waitgroup_wait(&join);
	weft_queue_close(busy);
	weft_waitgroup_wait(&getters);
	CHECK_EQ(sum_got, sum_put);
	weft_queue_free(busy);
	return 0;
}

/* ---- misuse ---- */

static int no_workers(void)
{
	weft_workers_make(0, 1);
	return 0;
}

static int no_room(void)
{
	weft_queue_make(4, 0, WEFT_QUEUE_BLOCK);
	return 0;
}

static int (*misuse)(void);

static void run_misuse(void)
{
	run_weft(1, misuse);
}

TEST(misuse_is_told)
{
	misuse = no_workers;
	test_dies(run_misuse, "panic: 0 workers: at least 1");
	misuse = no_room;
	test_dies(run_misuse, "panic: queue without room");
}
