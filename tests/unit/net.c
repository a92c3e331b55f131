#include "lockfree/atomic.h"
#include "net/conn.h"
#include "tests/random.h"
#include "tests/unit/sockets.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static weft_waitgroup join;

static void echo(void *arg)
{
	weft_conn *c = arg;
	char bytes[4096];
	ssize_t n;
	while ((n = weft_read(c, bytes, sizeof bytes)) > 0)
		write_whole(c, bytes, (size_t)n);
	CHECK_EQ(n, 0);
	weft_conn_close(c);
	weft_waitgroup_done(&join);
}

/* ---- bytes arrive ---- */

static void echo_at(const char *address)
{
	weft_conn *a, *b;
	connect_pair(address, &a, &b);
	weft_waitgroup_add(&join, 1);
	weft_go(echo, b);
	for (int i = 0; i < 100; i++) {
		char said[64], heard[64] = "";
		int n = snprintf(said, sizeof said, "number %d", i);
		write_whole(a, said, (size_t)n + 1);
		read_whole(a, heard, (size_t)n + 1);
		CHECK_STR(heard, said);
	}
	weft_conn_close(a);
	weft_waitgroup_wait(&join);
}

TEST_GO(what_is_written_comes_back)
{
	everywhere(echo_at);
	return 0;
}

enum { MANY = 200, MESSAGES = 20 };

static char server[ADDRESS_MAX];
static weft_listener *listener;

static void accept_many(void *arg)
{
	for (intptr_t i = (intptr_t)arg; i > 0; i--) {
		weft_conn *c;
		CHECK_EQ(weft_accept(listener, &c), 0);
		weft_go(echo, c);
	}
	weft_waitgroup_done(&join);
}

static void one_of_many(void *arg)
{
	weft_conn *c;
	CHECK_EQ(weft_dial(&c, server, WEFT_NEVER), 0);
	for (intptr_t i = 0; i < MESSAGES; i++) {
		intptr_t said = (intptr_t)arg * MESSAGES + i, heard = -1;
		write_whole(c, &said, sizeof said);
		read_whole(c, &heard, sizeof heard);
		CHECK_EQ(heard, said);
	}
	weft_conn_close(c);
	weft_waitgroup_done(&join);
}

static void many_at(const char *address)
{
	listener = listen_at(address, server);
	weft_waitgroup_add(&join, 1 + 2 * MANY);
	weft_go(accept_many, (void *)(intptr_t)MANY);
	for (intptr_t i = 0; i < MANY; i++)
		weft_go(one_of_many, (void *)i);
	weft_waitgroup_wait(&join);
	weft_listener_close(listener);
	unlink_address(address);
}

TEST_GO(many_connections_at_once)
{
	everywhere(many_at);
	return 0;
}

static void accept_some(void *arg)
{
	weft_conn *c;
	(void)arg;
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(weft_accept(listener, &c), 0);
		weft_go(echo, c);
	}
	weft_waitgroup_done(&join);
}

TEST_GO(several_goroutines_accept)
{
	listener = listen_at("tcp://127.0.0.1:0", server);
	weft_waitgroup_add(&join, 5 + 2 * 50);
	for (int i = 0; i < 5; i++)
		weft_go(accept_some, NULL);
	for (intptr_t i = 0; i < 50; i++)
		weft_go(one_of_many, (void *)i);
	weft_waitgroup_wait(&join);
	weft_listener_close(listener);
	return 0;
}

/* A byte of a stream that says where it stands. */
static uint8_t byte_at(size_t position)
{
	return (uint8_t)(position * 31 + position / 251);
}

struct transfer {
	weft_conn *c;
	size_t total;
	uint64_t random;
};

static void send_stream(void *arg)
{
	struct transfer *t = arg;
	size_t cap = (size_t)1 << 20;
	uint8_t *bytes = weft_malloc(cap);
	for (size_t done = 0; done < t->total;) {
		size_t n = 1 + draw_below(&t->random, cap);
		if (n > t->total - done)
			n = t->total - done;
		for (size_t i = 0; i < n; i++)
			bytes[i] = byte_at(done + i);
		write_whole(t->c, bytes, n);
		done += n;
	}
	CHECK_EQ(weft_close_write(t->c), 0);
	weft_free(bytes);
	weft_waitgroup_done(&join);
}

/* Reads pieces of any size, and now and then not at all for a while, so that the writer has to wait. */
static void receive_stream(void *arg)
{
	struct transfer *t = arg;
	size_t cap = (size_t)1 << 17, done = 0;
	uint8_t *bytes = weft_malloc(cap);
	for (;;) {
		ssize_t n = weft_read(t->c, bytes, 1 + draw_below(&t->random, cap));
		CHECK(n >= 0);
		if (n == 0)
			break;
		for (size_t i = 0; i < (size_t)n; i++)
			if (bytes[i] != byte_at(done + i))
				test_fail(__FILE__, __LINE__, "byte %zu is wrong", done + i);
		done += (size_t)n;
		if (draw_below(&t->random, 64) == 0)
			weft_sleep(WEFT_MS);
	}
	CHECK_EQ(done, t->total);
	weft_free(bytes);
	weft_waitgroup_done(&join);
}

static void transfer_at(const char *address)
{
	size_t total = (size_t)test_rounds(64) << 20;
	uint64_t random = random_seed();
	struct transfer t[4];
	weft_conn *end[2];
	connect_pair(address, &end[0], &end[1]);
	weft_waitgroup_add(&join, 4);
	for (int i = 0; i < 4; i++) {
		t[i] = (struct transfer){end[i / 2], total, draw(&random)};
		weft_go(i % 2 ? receive_stream : send_stream, &t[i]);
	}
	weft_waitgroup_wait(&join);
	weft_conn_close(end[0]);
	weft_conn_close(end[1]);
}

TEST_GO(large_transfers_both_ways)
{
	everywhere(transfer_at);
	return 0;
}

static void short_reads_at(const char *address)
{
	weft_conn *a, *b;
	char piece[4] = "";
	connect_pair(address, &a, &b);
	write_whole(a, "abcdefghij", 10);
	CHECK_EQ(weft_read(b, piece, 0), 0);
	read_whole(b, piece, 3);
	CHECK_STR(piece, "abc");
	read_whole(b, piece, 3);
	read_whole(b, piece, 3);
	CHECK_STR(piece, "ghi");
	CHECK_EQ(weft_read(b, piece, 3), 1);
	CHECK_EQ(piece[0], 'j');
	CHECK_EQ(weft_write(a, "k", 1), 1);
	CHECK_EQ(weft_read(b, piece, 3), 1);
	CHECK_EQ(piece[0], 'k');
	CHECK_EQ(weft_write(a, "", 0), 0);
	weft_conn_close(a);
	weft_conn_close(b);
}

TEST_GO(short_reads_lose_nothing)
{
	everywhere(short_reads_at);
	return 0;
}

/* A read that stops in the middle of what is there is short, and has not emptied the socket. */
static void read_in_two(weft_conn *to)
{
	char buf[16];
	weft_sleep(10 * WEFT_MS); /* all of it has come, and its edges */
	CHECK_EQ(weft_read(to, buf, sizeof buf), 3);
	CHECK(!memcmp(buf, "abc", 3));
	CHECK_EQ(weft_read(to, buf, sizeof buf), 3); /* for ever, if it waits for an edge */
	CHECK(!memcmp(buf, "def", 3));
}

/* It has waited once, so it is registered, and what was there has been read. */
static void pair_that_has_waited(const char *address, weft_conn **from, weft_conn **to)
{
	char c;
	connect_pair(address, from, to);
	weft_set_read_deadline(*to, weft_in(WEFT_MS));
	CHECK_EQ(weft_read(*to, &c, 1), -ETIMEDOUT);
	weft_set_read_deadline(*to, WEFT_NEVER);
}

TEST_GO(a_read_that_stops_at_urgent_data_is_not_the_last)
{
	weft_conn *from, *to;
	pair_that_has_waited("tcp://127.0.0.1:0", &from, &to);
	CHECK_EQ(send(from->ready.fd, "abc", 3, 0), 3);
	CHECK_EQ(send(from->ready.fd, "!", 1, MSG_OOB), 1);
	CHECK_EQ(send(from->ready.fd, "def", 3, 0), 3);
	read_in_two(to);
	weft_conn_close(from);
	weft_conn_close(to);
	return 0;
}

TEST_GO(a_read_that_stops_behind_a_descriptor_is_not_the_last)
{
	weft_conn *from, *to;
	char room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec bytes = {"abc", 3};
	struct msghdr m = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memset(CMSG_DATA(h), 0, sizeof(int)); /* standard input */
	pair_that_has_waited(unix_address(), &from, &to);
	CHECK_EQ(sendmsg(from->ready.fd, &m, 0), 3);
	CHECK_EQ(send(from->ready.fd, "def", 3, 0), 3);
	read_in_two(to);
	weft_conn_close(from);
	weft_conn_close(to);
	return 0;
}

/* ---- ends of streams ---- */

static void write_and_close(void *arg)
{
	struct transfer *t = arg;
	uint8_t *bytes = weft_malloc(t->total + 1);
	for (size_t i = 0; i < t->total; i++)
		bytes[i] = byte_at(i);
	write_whole(t->c, bytes, t->total);
	weft_conn_close(t->c);
	weft_free(bytes);
	weft_waitgroup_done(&join);
}

static void end_with_data_at(const char *address)
{
	static const size_t totals[] = {0, 1, 4095, 4096, 4097, 100000, 1000000};
	for (size_t i = 0; i < 2 * sizeof totals / sizeof *totals; i++) {
		struct transfer w = {.total = totals[i / 2], .random = 1}, r = w;
		char byte;
		connect_pair(address, &w.c, &r.c);
		weft_waitgroup_add(&join, 2);
		weft_go(write_and_close, &w);
		if (i % 2)
			weft_sleep(WEFT_MS); /* all of it is there, and the end too */
		weft_go(receive_stream, &r);
		weft_waitgroup_wait(&join);
		CHECK_EQ(weft_read(r.c, &byte, 1), 0);
		CHECK_EQ(weft_read(r.c, &byte, 1), 0);
		weft_conn_close(r.c);
	}
}

TEST_GO(a_peer_that_writes_and_closes_loses_nothing)
{
	everywhere(end_with_data_at);
	return 0;
}

static void half_close_at(const char *address)
{
	weft_conn *a, *b;
	char bytes[16] = "";
	connect_pair(address, &a, &b);
	write_whole(a, "question", 8);
	CHECK_EQ(weft_close_write(a), 0);
	read_whole(b, bytes, 8);
	CHECK_EQ(weft_read(b, bytes, 1), 0);
	for (int i = 0; i < 3; i++) {
		write_whole(b, "answer", 6);
		weft_sleep(WEFT_MS);
		read_whole(a, bytes, 6);
	}
	CHECK_EQ(weft_write(a, "more", 4), -EPIPE);
	weft_conn_close(b);
	CHECK_EQ(weft_read(a, bytes, 1), 0);
	weft_conn_close(a);
}

TEST_GO(a_half_closed_connection_still_reads)
{
	everywhere(half_close_at);
	return 0;
}

/* The writer has to wait for room, and waits asleep: on one P its reader would not run otherwise. */
static void large_reply_at(const char *address)
{
	struct transfer w = {.total = 8u << 20, .random = 1}, r = w;
	char byte;
	connect_pair(address, &r.c, &w.c);
	CHECK_EQ(weft_close_write(r.c), 0);
	CHECK_EQ(weft_read(w.c, &byte, 1), 0);
	weft_waitgroup_add(&join, 2);
	weft_go(send_stream, &w);
	weft_go(receive_stream, &r);
	weft_waitgroup_wait(&join);
	weft_conn_close(r.c);
	weft_conn_close(w.c);
}

TEST_GO(a_large_reply_to_a_peer_that_has_half_closed)
{
	everywhere(large_reply_at);
	return 0;
}

static void write_to_closed_at(const char *address)
{
	weft_conn *a, *b;
	ssize_t n = 1;
	connect_pair(address, &a, &b);
	weft_conn_close(b);
	for (int i = 0; i < 1000 && n > 0; i++) {
		n = weft_write(a, "x", 1);
		weft_yield();
	}
	CHECK(n == -EPIPE || n == -ECONNRESET);
	weft_conn_close(a);
}

TEST_GO(writing_to_a_closed_peer_fails_without_a_signal)
{
	everywhere(write_to_closed_at);
	return 0;
}

/* ---- deadlines ---- */

static void deadline_at(const char *address)
{
	weft_conn *a, *b;
	char byte;
	connect_pair(address, &a, &b);
	for (int i = 0; i < 3; i++) {
		int64_t before = weft_now();
		weft_set_read_deadline(b, weft_in(2 * WEFT_MS));
		CHECK_EQ(weft_read(b, &byte, 1), -ETIMEDOUT);
		CHECK(weft_now() - before >= 2 * WEFT_MS);
		CHECK_EQ(weft_read(b, &byte, 1), -ETIMEDOUT);
		weft_set_read_deadline(b, WEFT_NEVER);
		write_whole(a, "x", 1);
		CHECK_EQ(weft_read(b, &byte, 1), 1);
	}
	weft_conn_close(a);
	weft_conn_close(b);
}

TEST_GO(a_read_deadline_leaves_the_connection_usable)
{
	everywhere(deadline_at);
	return 0;
}

/* What is there is read, however late it is: such a read does not block. */
static void late_read_at(const char *address)
{
	weft_conn *a, *b;
	char bytes[8];
	connect_pair(address, &a, &b);
	weft_set_read_deadline(b, weft_at(0));
	CHECK_EQ(weft_read(b, bytes, 1), -ETIMEDOUT);
	write_whole(a, "abc", 3);
	CHECK_EQ(weft_read(b, bytes, sizeof bytes), 3);
	CHECK_EQ(weft_read(b, bytes, sizeof bytes), -ETIMEDOUT);
	weft_conn_close(a);
	weft_conn_close(b);
}

TEST_GO(data_that_is_there_wins_over_a_past_deadline)
{
	everywhere(late_read_at);
	return 0;
}

struct call {
	weft_conn *c;
	ssize_t result;
	_Atomic bool ended;
};

static void read_one(void *arg)
{
	struct call *call = arg;
	char byte;
	call->result = weft_read(call->c, &byte, 1);
	call->ended = true;
	weft_waitgroup_done(&join);
}

static void write_much(void *arg)
{
	struct call *call = arg;
	static char bytes[64 << 20];
	call->result = weft_write(call->c, bytes, sizeof bytes);
	call->ended = true;
	weft_waitgroup_done(&join);
}

/* The call has begun, and is blocked by now, or does the same a little later. */
static void start_call(void (*fn)(void *), struct call *call)
{
	int32_t users = load_acq(&call->c->ready.xusers);
	call->ended = false;
	weft_waitgroup_add(&join, 1);
	weft_go(fn, call);
	while (load_acq(&call->c->ready.xusers) == users && !call->ended)
		weft_sleep(WEFT_MS);
	weft_sleep(WEFT_MS);
}

static void blocked_deadline_at(const char *address)
{
	weft_conn *a, *b;
	connect_pair(address, &a, &b);
	struct call call = {.c = b};
	start_call(read_one, &call);
	weft_set_read_deadline(b, weft_in(WEFT_MS));
	weft_waitgroup_wait(&join);
	CHECK_EQ(call.result, -ETIMEDOUT);

	weft_set_read_deadline(b, WEFT_NEVER);
	start_call(read_one, &call);
	weft_set_read_deadline(b, weft_at(1)); /* past */
	weft_waitgroup_wait(&join);
	CHECK_EQ(call.result, -ETIMEDOUT);

	weft_set_read_deadline(b, weft_in(3600 * WEFT_S));
	start_call(read_one, &call);
	weft_set_read_deadline(b, weft_in(WEFT_MS)); /* earlier than the first */
	weft_waitgroup_wait(&join);
	CHECK_EQ(call.result, -ETIMEDOUT);
	weft_conn_close(a);
	weft_conn_close(b);
}

TEST_GO(a_deadline_binds_a_call_that_is_blocked_already)
{
	everywhere(blocked_deadline_at);
	return 0;
}

static void taken_away_at(const char *address)
{
	weft_conn *a, *b;
	connect_pair(address, &a, &b);
	for (int64_t ns = 20 * WEFT_MS;; ns *= 2) {
		struct call call = {.c = b};
		weft_deadline soon = weft_in(ns);
		weft_set_read_deadline(b, soon);
		start_call(read_one, &call);
		weft_set_read_deadline(b, WEFT_NEVER);
		bool in_time = weft_now() < soon.ns;
		if (in_time)
			weft_sleep(2 * ns);
		write_whole(a, "x", 1);
		weft_waitgroup_wait(&join);
		if (in_time) {
			CHECK_EQ(call.result, 1);
			break;
		}
	}
	weft_conn_close(a);
	weft_conn_close(b);
}

TEST_GO(never_takes_a_deadline_away)
{
	everywhere(taken_away_at);
	return 0;
}

static void write_deadline_at(const char *address)
{
	size_t size = (size_t)64 << 20;
	uint8_t *bytes = weft_malloc(size);
	struct transfer r = {.random = 1};
	weft_conn *a;
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(i);
	connect_pair(address, &a, &r.c);
	weft_set_write_deadline(a, weft_in(5 * WEFT_MS));
	ssize_t n = weft_write(a, bytes, size);
	CHECK(n > 0 && (size_t)n < size);
	weft_set_write_deadline(a, WEFT_NEVER);
	CHECK_EQ(weft_write(a, bytes + n, 1), -ETIMEDOUT); /* the first one's error, once */
	r.total = (size_t)n + 100000;
	weft_waitgroup_add(&join, 1);
	weft_go(receive_stream, &r);
	write_whole(a, bytes + n, 100000);
	CHECK_EQ(weft_close_write(a), 0);
	weft_waitgroup_wait(&join);
	weft_free(bytes);
	weft_conn_close(a);
	weft_conn_close(r.c);
}

TEST_GO(a_write_deadline_gives_what_was_written_and_then_the_error_once)
{
	everywhere(write_deadline_at);
	return 0;
}

/* ---- closing ---- */

static void close_under_at(const char *address)
{
	weft_conn *a, *b;
	connect_pair(address, &a, &b);
	struct call r = {.c = b}, w = {.c = b};
	start_call(read_one, &r);
	start_call(write_much, &w);
	weft_conn_close(b);
	weft_waitgroup_wait(&join);
	CHECK_EQ(r.result, -ECANCELED);
	CHECK(w.result > 0 || w.result == -ECANCELED);
	weft_conn_close(a);
}

TEST_GO(closing_cancels_a_blocked_reader_and_writer)
{
	everywhere(close_under_at);
	return 0;
}

/* ---- beyond goroutines ---- */

static void *on_a_thread(void *arg)
{
	weft_conn *c;
	char bytes[8] = "";
	weft_chan *finished = arg;
	CHECK_EQ(weft_dial(&c, server, weft_in(60 * WEFT_S)), 0);
	for (int i = 0; i < 20; i++) {
		write_whole(c, "hello", 6);
		read_whole(c, bytes, 6);
		CHECK_STR(bytes, "hello");
	}
	weft_set_read_deadline(c, weft_in(2 * WEFT_MS));
	CHECK_EQ(weft_read(c, bytes, 1), -ETIMEDOUT);
	weft_conn_close(c);
	weft_send(finished, NULL);
	return NULL;
}

TEST_GO(a_thread_outside_dials_reads_and_writes)
{
	enum { OUTSIDE = 3 };
	pthread_t thread[OUTSIDE];
	weft_chan *finished = weft_chan_make(0, 0);
	listener = listen_at("tcp://127.0.0.1:0", server);
	weft_waitgroup_add(&join, 1 + OUTSIDE);
	weft_go(accept_many, (void *)OUTSIDE);
	for (int i = 0; i < OUTSIDE; i++)
		CHECK(!pthread_create(&thread[i], NULL, on_a_thread, finished));
	for (int i = 0; i < OUTSIDE; i++)
		weft_recv(finished, NULL);
	weft_waitgroup_wait(&join);
	for (int i = 0; i < OUTSIDE; i++)
		CHECK(!pthread_join(thread[i], NULL));
	weft_listener_close(listener);
	weft_chan_free(finished);
	return 0;
}

/* Another process, which comes only when everything here has been asleep for a while. */
static pid_t late_caller(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	strcpy(un.sun_path, unix_address() + 7);
	unlink(un.sun_path);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid)
		return pid;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	usleep(100000);
	while (connect(fd, (struct sockaddr *)&un, sizeof un))
		usleep(1000);
	usleep(100000);
	_exit(write(fd, "x", 1) != 1);
}

static int waits_alone(void)
{
	weft_conn *c;
	char byte;
	CHECK_EQ(weft_listen(&listener, server, NULL), 0);
	CHECK_EQ(weft_accept(listener, &c), 0);
	CHECK_EQ(weft_read(c, &byte, 1), 1);
	weft_conn_close(c);
	weft_listener_close(listener);
	return 0;
}

static void waiting_is_no_deadlock(int procs)
{
	int status;
	strcpy(server, unix_address());
	pid_t pid = late_caller();
	CHECK_EQ(run_weft(procs, waits_alone), 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	unlink_address(server);
}

TEST(waiting_for_a_socket_is_no_deadlock_p1)
{
	waiting_is_no_deadlock(1);
}

TEST(waiting_for_a_socket_is_no_deadlock_p2)
{
	waiting_is_no_deadlock(2);
}

/* ---- connections that somebody else holds a copy of ---- */

/* How often the process's epoll instances name the descriptor. */
static int registrations_of(int fd)
{
	int n = 0;
	char path[64], line[256];
	for (int epoll = 0; epoll < 64; epoll++) {
		snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
		FILE *f = fopen(path, "re");
		for (int tfd; f && fgets(line, sizeof line, f);)
			n += sscanf(line, "tfd: %d", &tfd) == 1 && tfd == fd;
		if (f)
			fclose(f);
	}
	return n;
}

/* A child between fork and exec has all descriptors: closing ours does not end the kernel's registration, which would
 * name memory that is gone. */
TEST_GO(a_connection_that_a_child_holds_open_is_forgotten_by_the_poller)
{
	weft_conn *a, *b;
	char byte;
	int lowest = dup(0);
	close(lowest);
	connect_pair(unix_address(), &a, &b);
	weft_set_read_deadline(a, weft_in(WEFT_MS));
	CHECK_EQ(weft_read(a, &byte, 1), -ETIMEDOUT);
	int registered = 0;
	for (int fd = lowest; fd < 64; fd++)
		registered += registrations_of(fd);
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	weft_conn_close(a);
	int left = 0;
	for (int fd = lowest; fd < 64; fd++)
		left += registrations_of(fd);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(left, registered - 1);
	weft_conn_close(b);
	return 0;
}

/* ---- nothing is left open ---- */

static void some_use(void)
{
	everywhere(echo_at);
	everywhere(deadline_at);
	everywhere(close_under_at);
}

TEST_GO(no_descriptor_is_left_open)
{
	some_use();
	int before = open_descriptors();
	for (int i = 0; i < 3; i++)
		some_use();
	CHECK_EQ(open_descriptors(), before);
	return 0;
}
