#include "bench/micro/rows.h"

#include <weft/weft.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Sizes of a batch, the same in every peer: they are part of what the checks prove. */
enum {
	BATCH = 1000,
	SINGLES = 10000,
	YIELDS = 100000, /* of all tasks together */
	TRIPS = 10000,
	ELEMENTS = 100000,
	LOCKS = 100000,
	CAPACITY = 128,
	PENDING = 100000,
	PAIRS = 10000,
	RESETS = 10000,
	CALLS = 100000,
	PANICS = 10000,
};

static weft_waitgroup join;
static _Atomic long parked, done;

/* ---- starting goroutines ---- */

static void task(void *arg)
{
	(void)arg;
	atomic_fetch_add(&done, 1);
	weft_waitgroup_done(&join);
}

static void spawn_batch(struct batch *b)
{
	atomic_store(&done, 0);
	weft_waitgroup_add(&join, BATCH);
	for (int i = 0; i < BATCH; i++)
		weft_go(task, NULL);
	weft_waitgroup_wait(&join);
	b->ops = BATCH;
	PROVE(b, "tasks=%d done=%ld", BATCH, atomic_load(&done));
}

static void single(void *count)
{
	++*(long *)count;
	weft_waitgroup_done(&join);
}

static void spawn_one(struct batch *b)
{
	long count = 0;
	for (int i = 0; i < SINGLES; i++) {
		weft_waitgroup_add(&join, 1);
		weft_go(single, &count);
		weft_waitgroup_wait(&join);
	}
	b->ops = SINGLES;
	PROVE(b, "tasks=%d done=%ld", SINGLES, count);
}

static weft_chan *gate;
static weft_waitgroup all_parked;

static void parking_task(void *arg)
{
	(void)arg;
	atomic_fetch_add(&parked, 1);
	weft_waitgroup_done(&all_parked);
	weft_recv(gate, NULL);
	atomic_fetch_add(&done, 1);
	weft_waitgroup_done(&join);
}

static void park_tasks(long tasks)
{
	atomic_store(&parked, 0);
	atomic_store(&done, 0);
	gate = weft_chan_make_leaf(0, 0);
	weft_waitgroup_add(&all_parked, tasks);
	weft_waitgroup_add(&join, tasks);
	for (long i = 0; i < tasks; i++)
		weft_go(parking_task, NULL);
	weft_waitgroup_wait(&all_parked);
}

static void release_tasks(struct batch *b, long tasks)
{
	weft_close(gate);
	weft_waitgroup_wait(&join);
	weft_chan_free(gate);
	b->ops = tasks;
	PROVE(b, "tasks=%ld parked=%ld done=%ld", tasks, atomic_load(&parked), atomic_load(&done));
}

static void spawn_park(struct batch *b)
{
	park_tasks(BATCH);
	release_tasks(b, BATCH);
}

/* ---- yielding ---- */

static _Atomic long yielded;

static void yielder(void *times)
{
	long n = *(const long *)times;
	for (long i = 0; i < n; i++)
		weft_yield();
	atomic_fetch_add(&yielded, n);
	weft_waitgroup_done(&join);
}

static void yield_among(struct batch *b, long tasks)
{
	long each = YIELDS / tasks;
	atomic_store(&yielded, 0);
	weft_waitgroup_add(&join, tasks);
	for (long i = 0; i < tasks; i++)
		weft_go(yielder, &each);
	weft_waitgroup_wait(&join);
	b->ops = YIELDS;
	PROVE(b, "tasks=%ld yields=%ld", tasks, atomic_load(&yielded));
}

static void yield_2(struct batch *b)
{
	yield_among(b, 2);
}

static void yield_1000(struct batch *b)
{
	yield_among(b, 1000);
}

/* ---- channels ---- */

struct pair {
	weft_chan *there, *back;
};

static void ponger(void *arg)
{
	const struct pair *p = arg;
	for (long v; weft_recv(p->there, &v);)
		weft_send(p->back, &v);
	weft_waitgroup_done(&join);
}

static void ping_pong(struct batch *b)
{
	struct pair p = {weft_chan_make_leaf(sizeof(long), 0), weft_chan_make_leaf(sizeof(long), 0)};
	long sum = 0;
	weft_waitgroup_add(&join, 1);
	weft_go(ponger, &p);
	for (long i = 0, v = 0; i < TRIPS; i++) {
		weft_send(p.there, &i);
		weft_recv(p.back, &v);
		sum += v;
	}
	weft_close(p.there);
	weft_waitgroup_wait(&join);
	weft_chan_free(p.there);
	weft_chan_free(p.back);
	b->ops = TRIPS;
	PROVE(b, "trips=%d sum=%ld", TRIPS, sum);
}

/* The values first, first + step, ... up to last. */
struct stream {
	weft_chan *ch;
	weft_waitgroup *senders;
	long first, step, last;
};

static void produce(void *arg)
{
	const struct stream *s = arg;
	for (long v = s->first; v <= s->last; v += s->step)
		weft_send(s->ch, &v);
	weft_waitgroup_done(s->senders);
}

static void produce_and_close(void *arg)
{
	const struct stream *s = arg;
	for (long v = s->first; v <= s->last; v += s->step)
		weft_send(s->ch, &v);
	weft_close(s->ch);
}

static void spsc(struct batch *b)
{
	struct stream s = {weft_chan_make_leaf(sizeof(long), CAPACITY), NULL, 1, 1, ELEMENTS};
	long sum = 0;
	weft_go(produce_and_close, &s);
	for (long v; weft_recv(s.ch, &v);)
		sum += v;
	weft_chan_free(s.ch);
	b->ops = ELEMENTS;
	PROVE(b, "elements=%d sum=%ld", ELEMENTS, sum);
}

/* What does not block: one goroutine puts in and takes out. */
static void try_both(struct batch *b)
{
	weft_chan *ch = weft_chan_make_leaf(sizeof(long), CAPACITY);
	long n = 0, sum = 0;
	for (long i = 1; i <= ELEMENTS; i++) {
		long v = 0;
		if (weft_try_send(ch, &i) == 0 && weft_try_recv(ch, &v) == 1)
			n++;
		sum += v;
	}
	weft_chan_free(ch);
	b->ops = 2 * ELEMENTS;
	PROVE(b, "elements=%ld sum=%ld", n, sum);
}

static _Atomic long received, total;

static void consume(void *ch)
{
	long n = 0, sum = 0;
	for (long v; weft_recv(ch, &v); n++)
		sum += v;
	atomic_fetch_add(&received, n);
	atomic_fetch_add(&total, sum);
	weft_waitgroup_done(&join);
}

static void mpmc(struct batch *b)
{
	enum { EACH = 4 };
	weft_chan *ch = weft_chan_make_leaf(sizeof(long), CAPACITY);
	weft_waitgroup senders = {0};
	struct stream streams[EACH];
	atomic_store(&received, 0);
	atomic_store(&total, 0);
	weft_waitgroup_add(&senders, EACH);
	weft_waitgroup_add(&join, EACH);
	for (int i = 0; i < EACH; i++) {
		streams[i] = (struct stream){ch, &senders, i + 1, EACH, ELEMENTS};
		weft_go(produce, &streams[i]);
		weft_go(consume, ch);
	}
	weft_waitgroup_wait(&senders);
	weft_close(ch);
	weft_waitgroup_wait(&join);
	weft_chan_free(ch);
	b->ops = ELEMENTS;
	PROVE(b, "elements=%ld sum=%ld", atomic_load(&received), atomic_load(&total));
}

static void select_2(struct batch *b)
{
	weft_waitgroup senders = {0};
	struct stream streams[2];
	weft_case cases[2];
	long v = 0, sum = 0;
	weft_waitgroup_add(&senders, 2);
	for (int i = 0; i < 2; i++) {
		streams[i] = (struct stream){weft_chan_make_leaf(sizeof v, 0), &senders, 1, 1, ELEMENTS / 2};
		cases[i] = WEFT_CASE_RECV(streams[i].ch, &v);
		weft_go(produce, &streams[i]);
	}
	for (int i = 0; i < ELEMENTS; i++) {
		weft_select(cases, 2);
		sum += v;
	}
	weft_waitgroup_wait(&senders);
	weft_chan_free(streams[0].ch);
	weft_chan_free(streams[1].ch);
	b->ops = ELEMENTS;
	PROVE(b, "elements=%d sum=%ld", ELEMENTS, sum);
}

/* ---- locks ---- */

static weft_mutex lock;
static long count;

static void lock_often(int times)
{
	for (int i = 0; i < times; i++) {
		weft_mutex_lock(&lock);
		count++;
		weft_mutex_unlock(&lock);
	}
}

static void mutex(struct batch *b)
{
	count = 0;
	lock_often(LOCKS);
	b->ops = LOCKS;
	PROVE(b, "locks=%d count=%ld", LOCKS, count);
}

enum { LOCKERS = 4 };

static void locker(void *arg)
{
	(void)arg;
	lock_often(LOCKS / LOCKERS);
	weft_waitgroup_done(&join);
}

static void mutex_contended(struct batch *b)
{
	count = 0;
	weft_waitgroup_add(&join, LOCKERS);
	for (int i = 0; i < LOCKERS; i++)
		weft_go(locker, NULL);
	weft_waitgroup_wait(&join);
	b->ops = LOCKS;
	PROVE(b, "locks=%d count=%ld", LOCKS, count);
}

static weft_rwmutex shared_lock;
static _Atomic long reads;

/* One turn in so many writes. */
enum { READERS = 2, TURNS_PER_WRITE = 1000 };

static void reader(void *arg)
{
	long seen = 0, before = 0;
	(void)arg;
	for (int i = 1; i <= LOCKS / READERS; i++) {
		if (i % TURNS_PER_WRITE == 0) {
			weft_rwmutex_lock(&shared_lock);
			count++;
			weft_rwmutex_unlock(&shared_lock);
			continue;
		}
		weft_rwmutex_rlock(&shared_lock);
		seen += count >= before;
		before = count;
		weft_rwmutex_runlock(&shared_lock);
	}
	atomic_fetch_add(&reads, seen);
	weft_waitgroup_done(&join);
}

static void rwmutex_read(struct batch *b)
{
	count = 0;
	atomic_store(&reads, 0);
	weft_waitgroup_add(&join, READERS);
	for (int i = 0; i < READERS; i++)
		weft_go(reader, NULL);
	weft_waitgroup_wait(&join);
	b->ops = LOCKS;
	PROVE(b, "reads=%ld writes=%ld", atomic_load(&reads), count);
}

static void run_once(void *arg)
{
	(void)arg;
	count++;
}

static void once(struct batch *b)
{
	weft_once o = {0};
	count = 0;
	for (int i = 0; i < LOCKS; i++)
		weft_once_do(&o, run_once, NULL);
	b->ops = LOCKS;
	PROVE(b, "calls=%d ran=%ld", LOCKS, count);
}

static void semaphore(struct batch *b)
{
	enum { PERMITS = 3 };
	weft_sem s;
	int left = 0;
	weft_sem_init(&s, PERMITS);
	for (int i = 0; i < LOCKS; i++) {
		weft_sem_acquire(&s, 1);
		weft_sem_release(&s, 1);
	}
	while (weft_sem_try_acquire(&s, 1) == 0)
		left++;
	b->ops = LOCKS;
	PROVE(b, "acquired=%d left=%d", LOCKS, left);
}

/* ---- interfaces ---- */

#define adder_methods(METHOD, of) METHOD(of, long, add, long)
WEFT_INTERFACE(adder);

struct plus {
	long by;
};

struct minus {
	long by;
};

WEFT_TYPE_LEAF(plus, struct plus);
WEFT_TYPE_LEAF(minus, struct minus);

static long plus_add(const struct plus *p, long to)
{
	return to + p->by;
}

static long minus_add(const struct minus *m, long to)
{
	return to - m->by;
}

WEFT_IMPLEMENTS(plus, adder);
WEFT_IMPLEMENTS(minus, adder);

static void assert_row(struct batch *b)
{
	enum { ASSERTIONS = 100000 };
	struct plus three = {3};
	struct minus one = {1};
	const weft_any held[] = {weft_any_of(plus, &three), weft_any_of(minus, &one)};
	long sum = 0;
	for (int i = 0; i < ASSERTIONS; i++)
		sum = adder_add(weft_assert_to(adder, held[i % 2]), sum);
	b->ops = ASSERTIONS;
	PROVE(b, "asserts=%d sum=%ld", ASSERTIONS, sum);
}

/* ---- deferred calls and panics ---- */

static void count_one(void *n)
{
	++*(long *)n;
}

static __attribute__((noinline)) void leave_a_block(long *n)
{
	WEFT_DEFER(count_one, n);
	__asm__ volatile("" ::: "memory");
}

static void defer(struct batch *b)
{
	long n = 0;
	for (int i = 0; i < CALLS; i++)
		leave_a_block(&n);
	b->ops = CALLS;
	PROVE(b, "calls=%d run=%ld", CALLS, n);
}

static void protect(struct batch *b)
{
	long n = 0;
	int panicked = 0;
	for (int i = 0; i < CALLS; i++)
		panicked += weft_protect(count_one, &n, NULL);
	b->ops = CALLS;
	PROVE(b, "calls=%ld panics=%d", n, panicked);
}

static void raise_one(void *n)
{
	WEFT_DEFER(count_one, n);
	weft_panic("one");
}

static void panic(struct batch *b)
{
	long n = 0;
	int panicked = 0;
	for (int i = 0; i < PANICS; i++)
		panicked += weft_protect(raise_one, &n, NULL);
	b->ops = PANICS;
	PROVE(b, "deferred=%ld panics=%d", n, panicked);
}

/* ---- timers ---- */

static weft_timer others[PENDING];

static void never(void *arg)
{
	(void)arg;
}

/* They fall due evenly over an hour that begins in an hour; the one that is set and stopped, or reset, falls among
 * them. */
static void set_others(void)
{
	for (int64_t i = 0; i < PENDING; i++)
		weft_timer_start(&others[i], 3600 * WEFT_S + i * 3600 * WEFT_S / PENDING, never, NULL);
}

static void timer(struct batch *b)
{
	int stopped = 0;
	for (int i = 0; i < PAIRS; i++) {
		weft_timer t = {0};
		weft_timer_start(&t, 5400 * WEFT_S, never, NULL);
		stopped += weft_timer_stop(&t);
	}
	b->ops = PAIRS;
	PROVE(b, "pending=%d stopped=%d", PENDING, stopped);
}

/* By turns into the first and into the third quarter of the others: what makes a deadline later may cost less than
 * what makes it earlier. */
static void timer_reset(struct batch *b)
{
	static const int64_t ahead[] = {4500 * WEFT_S, 6300 * WEFT_S};
	int pending = 0;
	weft_timer t = {0};
	weft_timer_start(&t, 5400 * WEFT_S, never, NULL);
	for (int i = 0; i < RESETS; i++)
		pending += weft_timer_reset(&t, ahead[i & 1]);
	weft_timer_stop(&t);
	b->ops = RESETS;
	PROVE(b, "pending=%d reset=%d", PENDING, pending);
}

/* ---- goroutines that wait ---- */

/* Bytes of the process that are resident, and of its page tables. */
static long resident(void)
{
	char line[256];
	long kib, sum = 0;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1 || sscanf(line, "VmPTE: %ld", &kib) == 1)
			sum += kib;
	if (f)
		fclose(f);
	return sum * 1024;
}

static void park_many(struct batch *b, long tasks)
{
	long before = resident();
	int64_t from = weft_now();
	park_tasks(tasks);
	b->timed_ns = weft_now() - from;
	b->bytes_per_op = (double)(resident() - before) / (double)tasks;
	release_tasks(b, tasks);
}

static void park_100k(struct batch *b)
{
	park_many(b, 100000);
}

static void park_1m(struct batch *b)
{
	park_many(b, 1000000);
}

const struct row rows[] = {
	{"spawn-batch", NULL, spawn_batch, REPEATED, 1, NULL},
	{"spawn-one", NULL, spawn_one, REPEATED, 1, NULL},
	{"spawn-park", NULL, spawn_park, REPEATED, 1, NULL},
	{"fork-join", NULL, fork_join, REPEATED, 1, NULL},
	{"yield-2", NULL, yield_2, REPEATED, 1, NULL},
	{"yield-1000", NULL, yield_1000, REPEATED, 1, NULL},
	{"ping-pong", NULL, ping_pong, REPEATED, 1, NULL},
	{"wake-polling", NULL, wake_polling, ONCE, 2, "poll"},
	{"chan-spsc", NULL, spsc, REPEATED, 1, NULL},
	{"chan-mpmc", NULL, mpmc, REPEATED, 1, NULL},
	{"select-2", NULL, select_2, REPEATED, 1, NULL},
	{"chan-try", NULL, try_both, REPEATED, 1, NULL},
	{"mutex", NULL, mutex, REPEATED, 1, NULL},
	{"mutex-contended", NULL, mutex_contended, REPEATED, 1, NULL},
	{"rwmutex-read", NULL, rwmutex_read, REPEATED, 1, NULL},
	{"once", NULL, once, REPEATED, 1, NULL},
	{"assert", NULL, assert_row, REPEATED, 1, NULL},
	{"semaphore", NULL, semaphore, REPEATED, 1, NULL},
	{"defer", NULL, defer, REPEATED, 1, NULL},
	{"protect", NULL, protect, REPEATED, 1, NULL},
	{"panic", NULL, panic, REPEATED, 1, NULL},
	{"timer", set_others, timer, REPEATED, 1, NULL},
	{"timer-reset", set_others, timer_reset, REPEATED, 1, NULL},
	{"map-insert", NULL, map_insert, REPEATED, 1, NULL},
	{"map-hit", map_fill, map_hit, REPEATED, 1, NULL},
	{"map-miss", map_fill, map_miss, REPEATED, 1, NULL},
	{"map-worst", NULL, map_worst, ONCE, 1, NULL},
	{"map-sync-load", map_sync_fill, map_sync_load, REPEATED, 1, NULL},
	{"map-sync-store", NULL, map_sync_store, REPEATED, 1, NULL},
	{"pool-get-put", pool_make, pool_get_put, REPEATED, 1, NULL},
	{"json-decode", json_make, json_decode, REPEATED, 1, NULL},
	{"json-encode", json_value, json_encode, REPEATED, 1, NULL},
	{"sched-latency", NULL, sched_latency, ONCE, 2, NULL},
	{"park-100k", NULL, park_100k, ONCE, 1, NULL},
	{"park-1m", NULL, park_1m, ONCE, 1, NULL},
	{NULL, NULL, NULL, ONCE, 0, NULL},
};
