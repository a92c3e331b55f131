/* Connections that are opened, used, abandoned and closed at random by many goroutines, with deadlines and closes
 * that race with the calls they end. Nothing hangs, what was promised arrives, and no descriptor is left. */
#include "tests/random.h"
#include "tests/unit/sockets.h"

enum { CLIENTS = 24 };

static weft_listener *listener;
static char server[ADDRESS_MAX];
static weft_waitgroup clients, servers;
static _Atomic int64_t left;
static uint64_t seed;

static bool expected(ssize_t n)
{
	return n >= 0 || n == -ETIMEDOUT || n == -ECANCELED || n == -EPIPE || n == -ECONNRESET;
}

static weft_deadline soon(uint64_t *random)
{
	return weft_in((int64_t)draw_below(random, 300) * WEFT_US);
}

/* Echoes until the end, or until it has had enough. */
static void serve(void *arg)
{
	weft_conn *c = arg;
	uint64_t random = seed ^ (uintptr_t)c;
	char bytes[2048];
	ssize_t n = 1;
	bool fickle = draw_below(&random, 4) == 0;
	while (n > 0 || n == -ETIMEDOUT) {
		if (fickle && draw_below(&random, 4) == 0)
			weft_set_read_deadline(c, soon(&random));
		if (fickle && draw_below(&random, 8) == 0)
			break;
		n = weft_read(c, bytes, 1 + draw_below(&random, sizeof bytes));
		CHECK(expected(n));
		if (n > 0) {
			ssize_t m = weft_write(c, bytes, (size_t)n);
			CHECK(expected(m));
			if (m < n)
				break;
		}
	}
	weft_conn_close(c);
	weft_waitgroup_done(&servers);
}

static void accept_all(void *arg)
{
	weft_conn *c;
	int err;
	(void)arg;
	while ((err = weft_accept(listener, &c)) == 0) {
		weft_waitgroup_add(&servers, 1);
		weft_go(serve, c);
	}
	CHECK_EQ(err, -ECANCELED);
	weft_waitgroup_done(&servers);
}

/* ---- what a client may do with its connection ---- */

static void ask(weft_conn *c, uint64_t *random)
{
	char said[512], heard[512];
	for (uint64_t i = draw_below(random, 8); i > 0; i--) {
		size_t n = 1 + draw_below(random, sizeof said), done = 0;
		memset(said, (int)draw_below(random, 256), n);
		if (weft_write(c, said, n) != (ssize_t)n)
			return;
		while (done < n) {
			ssize_t got = weft_read(c, heard + done, n - done);
			CHECK(expected(got));
			if (got == -ETIMEDOUT) {
				weft_set_read_deadline(c, WEFT_NEVER);
				continue;
			}
			if (got <= 0)
				return; /* a fickle one */
			done += (size_t)got;
		}
		CHECK(!memcmp(said, heard, n));
		weft_set_read_deadline(c, draw_below(random, 4) ? WEFT_NEVER : soon(random));
	}
}

struct blocked {
	weft_conn *c;
	_Atomic bool begun;
	weft_waitgroup ended;
};

static void read_until_cancelled(void *arg)
{
	struct blocked *b = arg;
	char byte;
	b->begun = true;
	ssize_t n = weft_read(b->c, &byte, 1);
	CHECK(expected(n));
	weft_waitgroup_done(&b->ended);
}

static void fill_until_cancelled(void *arg)
{
	static char zeroes[1 << 16];
	struct blocked *b = arg;
	b->begun = true;
	CHECK(expected(weft_write(b->c, zeroes, sizeof zeroes)));
	weft_waitgroup_done(&b->ended);
}

/* Close, or a deadline, under calls of others. */
static void interrupt(weft_conn *c, uint64_t *random)
{
	struct blocked r = {.c = c}, w = {.c = c};
	weft_waitgroup_add(&r.ended, 1);
	weft_waitgroup_add(&w.ended, 1);
	weft_go(read_until_cancelled, &r);
	weft_go(fill_until_cancelled, &w);
	while (!r.begun || !w.begun)
		weft_yield();
	/* A call has begun once its goroutine has waited or gone on: give it the time. */
	for (uint64_t n = 1 + draw_below(random, 4); n > 0; n--)
		weft_yield();
	weft_sleep((int64_t)draw_below(random, 100) * WEFT_US);
	if (draw_below(random, 2)) {
		weft_set_read_deadline(c, soon(random));
		weft_set_write_deadline(c, soon(random));
		weft_waitgroup_wait(&r.ended);
		weft_waitgroup_wait(&w.ended);
		weft_conn_close(c);
	} else {
		weft_conn_close(c);
		weft_waitgroup_wait(&r.ended);
		weft_waitgroup_wait(&w.ended);
	}
}

static void run_client(void *arg)
{
	uint64_t random = seed + (uintptr_t)arg * 7919;
	while (left-- > 0) {
		weft_conn *c;
		weft_deadline deadline = draw_below(&random, 8) ? WEFT_NEVER : soon(&random);
		int err = weft_dial(&c, server, deadline);
		if (err == -ETIMEDOUT && deadline.ns != INT64_MAX)
			continue;
		CHECK_EQ(err, 0);
		switch (draw_below(&random, 4)) {
		case 0:
			weft_conn_close(c);
			break;
		case 1:
			interrupt(c, &random);
			break;
		default:
			ask(c, &random);
			if (draw_below(&random, 2))
				(void)weft_close_write(c);
			weft_conn_close(c);
		}
	}
	weft_waitgroup_done(&clients);
}

static void session(const char *address, int64_t connections)
{
	listener = listen_at(address, server);
	left = connections;
	weft_waitgroup_add(&servers, 2);
	weft_go(accept_all, NULL);
	weft_go(accept_all, NULL);
	weft_waitgroup_add(&clients, CLIENTS);
	for (uintptr_t i = 0; i < CLIENTS; i++)
		weft_go(run_client, (void *)i);
	weft_waitgroup_wait(&clients);
	weft_listener_close(listener);
	weft_waitgroup_wait(&servers);
	unlink_address(address);
}

static int come_and_go(void)
{
	seed = random_seed();
	session("tcp://127.0.0.1:0", 1);
	int before = open_descriptors();
	session("tcp://127.0.0.1:0", test_rounds(4000));
	session(unix_address(), test_rounds(4000));
	CHECK_EQ(open_descriptors(), before);
	return 0;
}

TEST(connections_come_and_go_p1)
{
	CHECK_EQ(run_weft(1, come_and_go), 0);
}

TEST(connections_come_and_go_p2)
{
	CHECK_EQ(run_weft(2, come_and_go), 0);
}

TEST(connections_come_and_go_p4)
{
	CHECK_EQ(run_weft(4, come_and_go), 0);
}
