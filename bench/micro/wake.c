/* Waking a goroutine that waits on another core, whose P looks for work without ever sleeping.
 *
 * Two goroutines, each on a P of its own, hand a value there and back over unbuffered channels: whenever one sends, the
 * other waits, and its P has nothing else. A round trip is two wakes; the row is about one.
 *
 * Slices of the trips are timed, and all are taken for as long as the median one: when the machine takes a core away
 * for a moment, the other waits too, and what that costs is not what is asked. The floor's rows of two cores do the same.
 */
#include "bench/micro/rows.h"

#include <weft/weft.h>

#include <stdlib.h>

enum { TRIPS = 100000, SLICES = 1000 };

static struct {
	weft_chan *there, *back;
	weft_waitgroup join;
	long sum;
	int64_t slices[SLICES]; /* ns */
} game;

static void serve(void *arg)
{
	(void)arg;
	long i = 0, v = 0, sum = 0;
	for (int slice = 0; slice < SLICES; slice++) {
		int64_t from = weft_now();
		for (; i < (slice + 1) * (TRIPS / SLICES); i++) {
			weft_send(game.there, &i);
			weft_recv(game.back, &v);
			sum += v;
		}
		game.slices[slice] = weft_now() - from;
	}
	game.sum = sum;
	weft_close(game.there);
	weft_waitgroup_done(&game.join);
}

static void give_back(void *arg)
{
	(void)arg;
	for (long v; weft_recv(game.there, &v);)
		weft_send(game.back, &v);
	weft_waitgroup_done(&game.join);
}

static void start_on(int pin, void (*fn)(void *))
{
	weft_go_opts opts = {.pin = pin};
	if (weft_go_with(&opts, fn, NULL) < 0)
		weft_panic("no P for a goroutine pinned to %d", pin);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

void wake_polling(struct batch *b)
{
	game.there = weft_chan_make_leaf(sizeof(long), 0);
	game.back = weft_chan_make_leaf(sizeof(long), 0);
	weft_waitgroup_add(&game.join, 2);
	start_on(1, serve);
	start_on(2, give_back);
	weft_waitgroup_wait(&game.join);
	weft_chan_free(game.there);
	weft_chan_free(game.back);
	qsort(game.slices, SLICES, sizeof game.slices[0], by_size);
	b->ops = 2 * TRIPS;
	b->timed_ns = game.slices[SLICES / 2] * SLICES;
	PROVE(b, "wakes=%d sum=%ld", 2 * TRIPS, game.sum);
}
