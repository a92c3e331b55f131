/* Senders and receivers over a few channels, by every way of sending and receiving, chosen at random. Every value
 * arrives once, and what one sender puts into one channel comes out in its order. */
#include "tests/random.h"
#include "tests/unit/go.h"

#include <errno.h>

enum { CHANNELS = 3, SENDERS_MAX = 6, RECEIVERS_MAX = 6 };

struct value {
	uint32_t sender, number;
};

static weft_chan *ch[CHANNELS], *stop;
static weft_waitgroup sending, receiving;
static uint32_t each;
static uint64_t seed;
static struct sender {
	uint32_t id;
	uint64_t sent; /* sum of numbers */
} sender[SENDERS_MAX];
static struct receiver {
	uint32_t id;
	uint64_t received[SENDERS_MAX]; /* sums */
	uint32_t count;
	uint32_t last[CHANNELS][SENDERS_MAX];
} receiver[RECEIVERS_MAX];

static void relax(uint64_t *random)
{
	uint64_t n = draw_below(random, 200);
	if (n < 10)
		weft_yield();
	else if (n == 10)
		weft_sleep((int64_t)draw_below(random, 20) * WEFT_US);
}

/* One try at sending the value somewhere; true: it has gone. */
static bool send_somehow(struct value *v, uint64_t *random)
{
	weft_chan *c = ch[draw_below(random, CHANNELS)];
	weft_case cases[CHANNELS + 1];
	switch (draw_below(random, 5)) {
	case 0:
		weft_send(c, v);
		return true;
	case 1:
		return weft_try_send(c, v) == 0;
	case 2:
		return weft_send_until(c, v, weft_in((int64_t)draw_below(random, 30) * WEFT_US)) == 0;
	case 3:
		for (int i = 0; i < CHANNELS; i++)
			cases[i] = WEFT_CASE_SEND(ch[i], v);
		cases[CHANNELS] = WEFT_CASE_RECV(NULL, NULL);
		return weft_select(cases, CHANNELS + 1) < CHANNELS;
	default:
		for (int i = 0; i < CHANNELS; i++)
			cases[i] = WEFT_CASE_SEND(ch[i], v);
		return weft_select_until(cases, CHANNELS, weft_in((int64_t)draw_below(random, 30) * WEFT_US)) >= 0;
	}
}

static void run_sender(void *arg)
{
	struct sender *s = arg;
	uint64_t random = seed ^ (s->id + 1) * 7919;
	for (uint32_t n = 1; n <= each; n++) {
		struct value v = {s->id, n};
		while (!send_somehow(&v, &random))
			relax(&random);
		s->sent += n;
		relax(&random);
	}
	weft_waitgroup_done(&sending);
}

static void got(struct receiver *r, int from, const struct value *v)
{
	CHECK(v->sender < SENDERS_MAX && v->number >= 1 && v->number <= each);
	CHECK(v->number > r->last[from][v->sender]);
	r->last[from][v->sender] = v->number;
	r->received[v->sender] += v->number;
	r->count++;
}

/* One try at receiving from somewhere; false: it is over. */
static bool receive_somehow(struct receiver *r, uint64_t *random)
{
	struct value v = {0, 0};
	weft_case cases[CHANNELS + 1];
	int i = (int)draw_below(random, CHANNELS), n;
	switch (draw_below(random, 4)) {
	case 0:
		n = weft_try_recv(ch[i], &v);
		break;
	case 1:
		n = weft_recv_until(ch[i], &v, weft_in((int64_t)draw_below(random, 30) * WEFT_US));
		break;
	default:
		for (int j = 0; j < CHANNELS; j++)
			cases[j] = WEFT_CASE_RECV(ch[j], &v);
		cases[CHANNELS] = WEFT_CASE_RECV(stop, NULL);
		i = weft_select(cases, CHANNELS + 1);
		if (i == CHANNELS)
			return false;
		n = cases[i].ok;
	}
	if (n == 1)
		got(r, i, &v);
	return true;
}

static void run_receiver(void *arg)
{
	struct receiver *r = arg;
	uint64_t random = seed ^ (r->id + 100) * 104729;
	struct value v;
	while (receive_somehow(r, &random))
		relax(&random);
	/* The senders have ended: what is left lies in the buffers. */
	for (int i = 0; i < CHANNELS; i++)
		while (weft_try_recv(ch[i], &v) == 1)
			got(r, i, &v);
	weft_waitgroup_done(&receiving);
}

static void round_of(uint32_t senders, uint32_t receivers, uint64_t *random)
{
	stop = weft_chan_make(0, 0);
	for (int i = 0; i < CHANNELS; i++)
		ch[i] = weft_chan_make(sizeof(struct value), draw_below(random, 3) * draw_below(random, 8));
	weft_waitgroup_add(&sending, senders);
	weft_waitgroup_add(&receiving, receivers);
	for (uint32_t i = 0; i < receivers; i++) {
		receiver[i] = (struct receiver){.id = i};
		weft_go(run_receiver, &receiver[i]);
	}
	for (uint32_t i = 0; i < senders; i++) {
		sender[i] = (struct sender){.id = i};
		weft_go(run_sender, &sender[i]);
	}
	weft_waitgroup_wait(&sending);
	weft_close(stop);
	weft_waitgroup_wait(&receiving);
	uint32_t count = 0;
	for (uint32_t s = 0; s < senders; s++) {
		uint64_t sum = 0;
		for (uint32_t r = 0; r < receivers; r++)
			sum += receiver[r].received[s];
		CHECK_EQ(sum, sender[s].sent);
	}
	for (uint32_t r = 0; r < receivers; r++)
		count += receiver[r].count;
	CHECK_EQ(count, senders * each);
	for (int i = 0; i < CHANNELS; i++) {
		CHECK_EQ(weft_chan_len(ch[i]), 0);
		weft_chan_free(ch[i]);
	}
	weft_chan_free(stop);
}

static int any_way(void)
{
	uint64_t random = seed = random_seed();
	each = 500;
	for (int64_t i = test_rounds(60); i > 0; i--) {
		uint32_t senders = 1 + (uint32_t)draw_below(&random, SENDERS_MAX);
		round_of(senders, 1 + (uint32_t)draw_below(&random, RECEIVERS_MAX), &random);
	}
	return 0;
}

TEST(any_way_of_sending_and_receiving_p1)
{
	CHECK_EQ(run_weft(1, any_way), 0);
}

TEST(any_way_of_sending_and_receiving_p2)
{
	CHECK_EQ(run_weft(2, any_way), 0);
}

/* More Ps than cores: a waker is often preempted half-way. */
TEST(any_way_of_sending_and_receiving_p4)
{
	CHECK_EQ(run_weft(4, any_way), 0);
}

/* ---- closing against waiting ---- */

static _Atomic int64_t woken;

static void wait_for_close(void *arg)
{
	weft_chan *done = arg, *never = NULL;
	weft_case cases[] = {WEFT_CASE_RECV(never, NULL), WEFT_CASE_RECV(done, NULL)};
	CHECK_EQ(weft_select(cases, 2), 1);
	CHECK(!cases[1].ok);
	CHECK(!weft_recv(done, NULL));
	woken++;
	weft_waitgroup_done(&receiving);
}

static int closes(void)
{
	uint64_t random = random_seed();
	int64_t all = 0;
	for (int64_t i = test_rounds(5000); i > 0; i--) {
		weft_chan *done = weft_chan_make(0, 0);
		int64_t n = (int64_t)draw_below(&random, 8);
		weft_waitgroup_add(&receiving, n);
		for (int64_t j = 0; j < n; j++)
			weft_go(wait_for_close, done);
		for (uint64_t j = draw_below(&random, 4); j > 0; j--)
			weft_yield();
		weft_close(done);
		weft_waitgroup_wait(&receiving);
		weft_chan_free(done);
		all += n;
	}
	CHECK_EQ(woken, all);
	return 0;
}

TEST(a_close_wakes_all_p2)
{
	CHECK_EQ(run_weft(2, closes), 0);
}

TEST(a_close_wakes_all_p4)
{
	CHECK_EQ(run_weft(4, closes), 0);
}
