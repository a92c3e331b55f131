/* `weft load` from outside, against a small server in this process that behaves as each test wants.
 * The server is one thread over all connections, so that when it stalls, all of them wait.
 */
#include "lockfree/histogram.h"
#include "lockfree/tsc.h"
#include "tests/test.h"
#include "tests/weft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum behaviour {
	ANSWER,	     /* HTTP */
	ECHO,	     /* tcp or udp */
	ECHO_TWICE,  /* udp */
	NEVER,	     /* answers nothing */
	HANG_UP,     /* closes instead of answering */
	CLOSE_EACH,  /* answers with Connection: close, and closes */
	UNTIL_CLOSE, /* answers without a length, and closes */
	BYTEWISE,    /* answers byte by byte */
	GARBAGE,
	FAIL, /* status 500 */
	TWO_ANSWERS,
	FLOOD,	    /* a body without end, faster than anybody reads */
	SPOIL,	    /* echoes other bytes */
	STALL_ONCE, /* answers, but stands still once */
	DIE,	    /* answers for a while, then all is closed */
};

enum { CONNS_MAX = 256, STALL_MS = 200 };

static const char hello[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

static struct {
	enum behaviour behaviour;
	int port, datagrams;
	struct pollfd fds[CONNS_MAX]; /* the first listens */
	int count;
	uint64_t begun; /* first request */
	bool stalled;
	_Atomic int stop;
	pthread_t thread;
} server;

static void put(int fd, const char *text)
{
	ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL);
	(void)n; /* the peer may have gone */
}

/* False: the connection is to be closed. */
static bool answer(int fd, const char *request, size_t n)
{
	char other[65536];
	switch (server.behaviour) {
	case NEVER:
		return true;
	case HANG_UP:
		return false;
	case ECHO:
		return send(fd, request, n, MSG_NOSIGNAL) == (ssize_t)n;
	case SPOIL:
		memcpy(other, request, n);
		other[n - 1] ^= 1;
		return send(fd, other, n, MSG_NOSIGNAL) == (ssize_t)n;
	case CLOSE_EACH:
		put(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\nHello, "
			"World!");
		return false;
	case UNTIL_CLOSE:
		put(fd, "HTTP/1.1 200 OK\r\n\r\nHello, World!");
		return false;
	case BYTEWISE:
		for (const char *p = hello; *p; p++)
			if (send(fd, p, 1, MSG_NOSIGNAL) != 1)
				return false;
		return true;
	case GARBAGE:
		put(fd, "220 mail.example.org ready\r\n");
		return true;
	case FAIL:
		put(fd, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
		return true;
	case TWO_ANSWERS:
		put(fd, hello);
		put(fd, hello);
		return true;
	case FLOOD:
		put(fd, "HTTP/1.1 200 OK\r\n\r\n");
		memset(other, 'x', sizeof other);
		while (send(fd, other, sizeof other, MSG_NOSIGNAL) > 0)
			continue;
		return false;
	default:
		put(fd, hello);
		return true;
	}
}

static void note_request(void)
{
	uint64_t now = tsc_monotonic_ns();
	if (!server.begun)
		server.begun = now;
	if (server.behaviour == STALL_ONCE && !server.stalled && now - server.begun > 700000000) {
		server.stalled = true;
		usleep(STALL_MS * 1000);
	}
	if (server.behaviour == DIE && now - server.begun > 300000000)
		store_rlx(&server.stop, 1);
}

static void serve_stream(struct pollfd *p)
{
	char buf[65536];
	ssize_t n = recv(p->fd, buf, sizeof buf, 0);
	if (n > 0)
		note_request();
	if (n <= 0 || !answer(p->fd, buf, (size_t)n)) {
		close(p->fd);
		*p = server.fds[--server.count];
	}
}

static void serve_datagram(int fd)
{
	char buf[65536];
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	ssize_t n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
	if (n <= 0 || server.behaviour == NEVER)
		return;
	if (server.behaviour == SPOIL)
		buf[n - 1] ^= 1;
	for (int i = server.behaviour == ECHO_TWICE ? 2 : 1; i > 0; i--) {
		ssize_t sent = sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
		(void)sent;
	}
}

static void *serve(void *arg)
{
	while (!load_rlx(&server.stop)) {
		if (poll(server.fds, (nfds_t)server.count, 20) <= 0)
			continue;
		for (int i = server.count - 1; i > 0; i--)
			if (server.fds[i].revents)
				serve_stream(&server.fds[i]);
		if (!server.fds[0].revents)
			continue;
		if (server.datagrams)
			serve_datagram(server.fds[0].fd);
		else if (server.count < CONNS_MAX)
			server.fds[server.count++] = (struct pollfd){
			    .fd = accept(server.fds[0].fd, NULL, NULL), .events = POLLIN};
	}
	for (int i = 0; i < server.count; i++)
		close(server.fds[i].fd);
	return arg;
}

/* Starts it on a free port, which stays in server.port. */
static void start(enum behaviour behaviour, int type)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof addr;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
	CHECK(type == SOCK_DGRAM || listen(fd, CONNS_MAX) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
	server.behaviour = behaviour;
	server.datagrams = type == SOCK_DGRAM;
	server.port = ntohs(addr.sin_port);
	server.fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
	server.count = 1;
	CHECK(pthread_create(&server.thread, NULL, serve, NULL) == 0);
}

static void stop(void)
{
	store_rlx(&server.stop, 1);
	pthread_join(server.thread, NULL);
}

static const char *url(const char *scheme)
{
	static char text[64];
	snprintf(text, sizeof text, "%s://127.0.0.1:%d", scheme, server.port);
	return text;
}

static struct test_child child;

enum { ANY_STATUS = -1 };

/* Runs with --json and the arguments; the status must be as said. */
#define LOAD(status_, scheme, ...) load_json(status_, scheme, (const char *[]){__VA_ARGS__, NULL})
static json_t *load_json(int status, const char *scheme, const char *const args[])
{
	const char *argv[32] = {weft_path(), "load", url(scheme), "--json", "--warmup", "0.1"};
	for (int i = 0; args[i]; i++)
		argv[6 + i] = args[i];
	if (!strcmp(WEFT_FLAVOUR, "debug"))
		test_skip("an unoptimised build prints no numbers");
	test_program(&child, argv);
	json_t *o = json_loads(child.out, 0, NULL);
	if ((child.status != status && status != ANY_STATUS) || !o)
		test_fail(__FILE__, __LINE__, "status %d (want %d), stdout %s, stderr %s",
			  child.status, status, child.out, child.err);
	return o;
}

static int64_t get(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	if (!json_is_integer(v))
		test_fail(__FILE__, __LINE__, "no %s in %s", key, child.out);
	return json_integer_value(v);
}

static const json_t *latency(const json_t *o, const char *key)
{
	return json_object_get(json_object_get(o, "latency_us"), key);
}

/* Every request is in the histogram, however it ended. */
static void check_sums(const json_t *o)
{
	const json_t *kinds = json_object_get(o, "error_kinds");
	int64_t ended = get(o, "answered") + get(o, "timeouts") + get(o, "unanswered") +
			get(o, "mismatches") + get(kinds, "status") + get(kinds, "protocol") +
			get(kinds, "closed");
	CHECK_EQ(get(o, "requests"), ended);
	CHECK_EQ(json_integer_value(latency(o, "count")), ended);
	if (test_is_slow()) {
		CHECK(json_is_false(json_object_get(o, "valid")));
		CHECK(strstr(json_string_value(json_object_get(o, "why")), "sanitizer"));
	}
}

static void check_all_answered(const json_t *o)
{
	check_sums(o);
	CHECK(get(o, "answered") > 0);
	CHECK_EQ(get(o, "answered"), get(o, "requests"));
	CHECK_EQ(get(o, "errors"), 0);
}

TEST(open_loop_over_http)
{
	start(ANSWER, SOCK_STREAM);
	json_t *o = LOAD(0, "http", "--rate", "1000", "--duration", "0.6", "--connections", "8",
			 "--expect-body", "Hello, World!");
	check_all_answered(o);
	CHECK(get(o, "requests") > 450 && get(o, "requests") < 750); /* six deviations of 600 */
	CHECK_STR(json_string_value(json_object_get(o, "mode")), "open");
	CHECK(json_is_real(latency(o, "p50")) && json_is_null(latency(o, "p9999")));
	CHECK(json_is_null(latency(o, "p90"))); /* 60 samples beyond are not enough */
	CHECK(json_number_value(latency(o, "max")) >= json_number_value(latency(o, "min")));
	CHECK(json_is_real(json_object_get(json_object_get(o, "hiccups_us"), "max")));
	CHECK(json_is_real(json_object_get(json_object_get(o, "lateness_us"), "max")));
	const json_t *curve = json_object_get(o, "percentiles");
	const json_t *last = json_array_get(curve, json_array_size(curve) - 1);
	CHECK(json_number_value(json_array_get(last, 0)) == 1);
	CHECK_EQ(json_integer_value(json_array_get(last, 2)), get(o, "requests"));
	json_decref(o);
	stop();
}

TEST(the_same_seed_offers_the_same_requests)
{
	start(ANSWER, SOCK_STREAM);
	int64_t requests[3];
	static const char *const seeds[] = {"7", "7", "8"};
	for (int i = 0; i < 3; i++) {
		json_t *o =
		    LOAD(0, "http", "--rate", "2000", "--duration", "0.3", "--seed", seeds[i]);
		requests[i] = get(o, "requests");
		json_decref(o);
	}
	CHECK(llabs(requests[0] - requests[1]) <= 1); /* the clock is calibrated afresh */
	stop();
}

TEST(closed_loop_says_so)
{
	start(ANSWER, SOCK_STREAM);
	json_t *o = LOAD(0, "http", "--closed", "--duration", "0.3", "--connections", "4");
	check_all_answered(o);
	CHECK_STR(json_string_value(json_object_get(o, "mode")), "closed");
	CHECK(json_is_null(json_object_get(o, "offered_rate")));
	CHECK(json_is_null(json_object_get(o, "late_sends")));
	json_decref(o);
	weft_run(&child, "load", url("http"), "--duration", "0.3", NULL);
	CHECK(child.status == 0 && strstr(child.out, "CLOSED LOOP: latencies leave out queueing"));
	stop();
}

TEST(the_table_names_what_was_done)
{
	start(ANSWER, SOCK_STREAM);
	if (!strcmp(WEFT_FLAVOUR, "debug"))
		test_skip("an unoptimised build prints no numbers");
	weft_run(&child, "load", url("http"), "--rate", "500", "--duration", "0.3", "--arrivals",
		 "constant", NULL);
	CHECK_EQ(child.status, 0);
	CHECK(strstr(child.out,
		     "open loop, constant arrivals, seed 1; latency from the intended time"));
	CHECK(strstr(child.out, "-: fewer than 100 samples beyond it"));
	CHECK(strstr(child.out, "INVALID    ") && strstr(child.out, "samples are too few"));
	stop();
}

TEST(tcp_echo_of_several_sizes)
{
	static const char *const sizes[] = {"1", "64", "300000"};
	start(ECHO, SOCK_STREAM);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		json_t *o = LOAD(0, "tcp", "--rate", "200", "--duration", "0.3", "--size", sizes[i],
				 "--connections", "4");
		check_all_answered(o);
		json_decref(o);
	}
	stop();
}

TEST(udp_echo_ignores_duplicates)
{
	start(ECHO_TWICE, SOCK_DGRAM);
	json_t *o = LOAD(0, "udp", "--rate", "500", "--duration", "0.3", "--connections", "4");
	check_all_answered(o);
	CHECK(get(o, "strays") > 0);
	json_decref(o);
	stop();
}

TEST(udp_loss_is_a_time_out_at_its_full_age)
{
	start(NEVER, SOCK_DGRAM);
	json_t *o = LOAD(1, "udp", "--rate", "200", "--duration", "0.3", "--timeout", "0.15",
			 "--connections", "4");
	check_sums(o);
	CHECK_EQ(get(o, "timeouts"), get(o, "requests"));
	CHECK(json_number_value(latency(o, "min")) >= 150000);
	json_decref(o);
	stop();
}

TEST(udp_without_a_server_fails_and_ends)
{
	start(NEVER, SOCK_DGRAM);
	stop();
	json_t *o = LOAD(1, "udp", "--rate", "200", "--duration", "0.3", "--timeout", "0.2",
			 "--connections", "4");
	check_sums(o);
	CHECK(get(o, "errors") > 0);
	json_decref(o);
}

TEST(time_outs_count_at_their_full_age_and_arrivals_without_a_connection_too)
{
	start(NEVER, SOCK_STREAM);
	json_t *o = LOAD(1, "http", "--rate", "300", "--duration", "0.5", "--timeout", "0.2",
			 "--connections", "2");
	check_sums(o);
	CHECK(get(o, "timeouts") > 90);
	CHECK_EQ(get(o, "timeouts"), get(o, "requests"));
	CHECK(json_number_value(latency(o, "min")) >= 200000);
	CHECK(json_is_false(json_object_get(o, "valid")));
	CHECK(strstr(json_string_value(json_object_get(o, "why")), "achieved 0/s of"));
	json_decref(o);
	stop();
}

static void check_kind(enum behaviour behaviour, const char *kind)
{
	start(behaviour, SOCK_STREAM);
	json_t *o = LOAD(1, "http", "--rate", "100", "--duration", "0.4", "--timeout", "0.3",
			 "--connections", "4");
	check_sums(o);
	CHECK(get(json_object_get(o, "error_kinds"), kind) > 0);
	CHECK(json_is_false(json_object_get(o, "valid")));
	CHECK(strstr(json_string_value(json_object_get(o, "why")), "errors (first: "));
	json_decref(o);
	stop();
}

TEST(a_server_that_hangs_up)
{
	check_kind(HANG_UP, "closed");
}

TEST(a_server_that_speaks_something_else)
{
	check_kind(GARBAGE, "protocol");
}

TEST(a_server_that_fails)
{
	check_kind(FAIL, "status");
}

/* Read together, the request has failed; read apart, it was answered, and the rest fails the
 * connection. */
TEST(two_answers_to_one_request_are_an_error)
{
	start(TWO_ANSWERS, SOCK_STREAM);
	json_t *o =
	    LOAD(ANY_STATUS, "http", "--rate", "100", "--duration", "0.4", "--connections", "4");
	CHECK(get(o, "errors") > 0);
	json_decref(o);
	stop();
}

TEST(a_server_that_dies_does_not_hang_the_run)
{
	start(DIE, SOCK_STREAM);
	json_t *o = LOAD(0, "http", "--rate", "500", "--duration", "1", "--timeout", "0.3",
			 "--connections", "4");
	int64_t ended = get(o, "answered") + get(o, "timeouts") +
			get(json_object_get(o, "error_kinds"), "closed");
	CHECK_EQ(get(o, "requests"), ended);
	CHECK(get(o, "timeouts") > 100);
	CHECK(get(json_object_get(o, "error_kinds"), "connect") > 0);
	CHECK(get(json_object_get(o, "error_kinds"), "connect") < 4 * 150); /* a bounded pace */
	json_decref(o);
	stop();
}

TEST(an_answer_without_end_times_out)
{
	start(FLOOD, SOCK_STREAM);
	json_t *o = LOAD(1, "http", "--rate", "50", "--duration", "0.4", "--timeout", "0.3",
			 "--connections", "2");
	check_sums(o);
	CHECK_EQ(get(o, "timeouts"), get(o, "requests"));
	json_decref(o);
	stop();
}

TEST(a_server_that_closes_after_each_answer)
{
	static const enum behaviour closing[] = {CLOSE_EACH, UNTIL_CLOSE};
	for (size_t i = 0; i < ARRAY_LEN(closing); i++) {
		store_rlx(&server.stop, 0);
		start(closing[i], SOCK_STREAM);
		json_t *o = LOAD(0, "http", "--rate", "200", "--duration", "0.4", "--expect-body",
				 "Hello, World!", "--connections", "4");
		check_all_answered(o);
		CHECK(get(o, "reconnects") > 0);
		json_decref(o);
		stop();
	}
}

TEST(answers_that_come_byte_by_byte)
{
	start(BYTEWISE, SOCK_STREAM);
	json_t *o = LOAD(0, "http", "--rate", "200", "--duration", "0.4", "--expect-body",
			 "Hello, World!", "--connections", "4");
	check_all_answered(o);
	json_decref(o);
	stop();
}

TEST(wrong_bodies_are_counted)
{
	start(ANSWER, SOCK_STREAM);
	json_t *o =
	    LOAD(1, "http", "--rate", "200", "--duration", "0.3", "--expect-body", "Hello, world!");
	check_sums(o);
	CHECK_EQ(get(o, "mismatches"), get(o, "requests"));
	CHECK(strstr(json_string_value(json_object_get(o, "why")), "wrong bodies"));
	json_decref(o);
	stop();
}

TEST(wrong_echoes_are_counted)
{
	start(SPOIL, SOCK_DGRAM);
	json_t *o = LOAD(1, "udp", "--rate", "200", "--duration", "0.3", "--size", "32");
	check_sums(o);
	CHECK_EQ(get(o, "mismatches"), get(o, "requests"));
	json_decref(o);
	stop();
	store_rlx(&server.stop, 0);
	start(SPOIL, SOCK_STREAM);
	o = LOAD(1, "tcp", "--rate", "200", "--duration", "0.3", "--size", "32");
	check_sums(o);
	CHECK_EQ(get(o, "mismatches"), get(o, "requests"));
	json_decref(o);
	stop();
}

/* How many requests of a run took longer than half of the server's stall. */
static int64_t count_stalled(const char *const mode[])
{
	char path[] = "/tmp/weft-test-XXXXXX";
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	store_rlx(&server.stop, 0);
	server.begun = 0;
	server.stalled = false;
	start(STALL_ONCE, SOCK_STREAM);
	json_t *o = LOAD(0, "http", "--connections", "4", "--duration", "1.4", "--histogram", path,
			 mode[0], mode[1]);
	json_decref(o);
	stop();
	CHECK(server.stalled);

	struct histogram h;
	void *memory = malloc(histogram_bytes(UINT64_MAX));
	CHECK(memory);
	histogram_init(&h, memory, UINT64_MAX);
	FILE *f = fdopen(fd, "r");
	CHECK(f && histogram_read(&h, f) == 0);
	fclose(f);
	unlink(path);
	struct histogram_bucket b = {0};
	int64_t stalled = 0;
	while (histogram_next(&h, &b))
		if (b.low > STALL_MS * 1000000 / 2)
			stalled += (int64_t)b.count;
	free(memory);
	return stalled;
}

/* Coordinated omission: during a stall of 200 ms a client at 1000 a second would have sent 200
 * requests, of which half wait for more than 100 ms. Only an open loop sees them. */
TEST(a_stall_shows_in_the_open_loop_and_hides_in_the_closed)
{
	static const char *const open[] = {"--rate", "1000"}, *const closed[] = {"--closed", NULL};
	CHECK(count_stalled(open) > 60);
	CHECK(count_stalled(closed) < 30); /* one for each connection, and what the machine adds */
}

TEST(threads_share_the_work_asleep_or_polling)
{
	static const char *const pacings[] = {"poll", "sleep"};
	start(ANSWER, SOCK_STREAM);
	for (int i = 0; i < 2; i++) {
		json_t *o = LOAD(0, "http", "--rate", "1000", "--duration", "0.4", "--threads", "3",
				 "--connections", "100", "--cpu", "0", "--pacing", pacings[i]);
		check_all_answered(o);
		CHECK(get(o, "requests") > 280 && get(o, "requests") < 520);
		CHECK_STR(json_string_value(json_object_get(o, "pacing")), pacings[i]);
		json_decref(o);
	}
	stop();
}

TEST(more_polling_threads_than_cpus_fall_back_to_sleeping)
{
	start(ANSWER, SOCK_STREAM);
	json_t *o =
	    LOAD(0, "http", "--rate", "200", "--duration", "0.2", "--threads", "2", "--cpu", "0");
	CHECK_STR(json_string_value(json_object_get(o, "pacing")), "sleep");
	CHECK(strstr(child.err, "sleeping between arrivals instead"));
	check_all_answered(o);
	json_decref(o);
	stop();
}

TEST(interrupted_it_prints_what_it_has)
{
	start(NEVER, SOCK_STREAM);
	if (!strcmp(WEFT_FLAVOUR, "debug"))
		test_skip("an unoptimised build prints no numbers");
	const char *argv[] = {"/usr/bin/timeout",
			      "--preserve-status",
			      "-s",
			      "INT",
			      "1.5",
			      weft_path(),
			      "load",
			      url("http"),
			      "--json",
			      "--rate",
			      "200",
			      "--warmup",
			      "0.1",
			      "--duration",
			      "30",
			      "--timeout",
			      "20",
			      NULL};
	uint64_t before = tsc_monotonic_ns();
	test_program(&child, argv);
	CHECK(tsc_monotonic_ns() - before < 15000000000);
	CHECK_EQ(child.status, 1);
	json_t *o = json_loads(child.out, 0, NULL);
	CHECK(o);
	check_sums(o);
	CHECK(get(o, "unanswered") > 50);
	CHECK_EQ(get(o, "unanswered"), get(o, "requests"));
	CHECK(json_number_value(latency(o, "max")) > 300000);
	CHECK(!strncmp(json_string_value(json_object_get(o, "why")), "interrupted", 11));
	json_decref(o);
	stop();
}

/* Stopped for 300 ms by a signal, the generator finds thousands of arrivals overdue, and the server
 * is not to blame. A busy machine may add a stall of the server's, which then has the tail: then once more. */
TEST(a_stall_of_the_generator_makes_the_run_invalid)
{
	static const char script[] =
	    "\"$@\" & p=$!; sleep 1; kill -STOP $p; sleep 0.3; kill -CONT $p; wait $p";
	const char *argv[] = {"/bin/sh",    "-c",     script,	   "sh",   weft_path(), "load",
			      NULL,	    "--json", "--rate",	   "6000", "--warmup",	"0.1",
			      "--duration", "2.5",    "--timeout", "5",	   NULL};
	start(ANSWER, SOCK_STREAM);
	argv[6] = url("http");
	if (!strcmp(WEFT_FLAVOUR, "debug"))
		test_skip("an unoptimised build prints no numbers");
	bool blamed = false;
	for (int attempt = 0; attempt < 4 && !blamed; attempt++) {
		test_program(&child, argv);
		json_t *o = json_loads(child.out, 0, NULL);
		CHECK(o && child.status == 0);
		CHECK(json_number_value(latency(o, "max")) > 200000);
		blamed = json_is_false(json_object_get(o, "valid")) &&
			 strstr(json_string_value(json_object_get(o, "why")), "own delay explains the tail");
		json_decref(o);
	}
	CHECK(blamed);
	stop();
}

TEST(hdr_text_is_written)
{
	char path[] = "/tmp/weft-test-XXXXXX", line[256];
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	start(ANSWER, SOCK_STREAM);
	json_t *o = LOAD(0, "http", "--rate", "500", "--duration", "0.3", "--hdr", path);
	FILE *f = fdopen(fd, "r");
	CHECK(f && fgets(line, sizeof line, f));
	CHECK_STR(line, "       Value     Percentile TotalCount 1/(1-Percentile)\n");
	double value = 0, quantile = 0;
	unsigned long long count = 0;
	while (fgets(line, sizeof line, f))
		if (line[0] != '#')
			sscanf(line, "%lf %lf %llu", &value, &quantile, &count);
	CHECK(quantile == 1 && (int64_t)count == get(o, "requests"));
	CHECK(value <= json_number_value(latency(o, "max")) + 0.001);
	fclose(f);
	unlink(path);
	json_decref(o);
	stop();
}

TEST(nobody_listens)
{
	start(ANSWER, SOCK_STREAM);
	stop();
	weft_run(&child, "load", url("http"), "--rate", "10", NULL);
	CHECK_EQ(child.status, 1);
	if (!strcmp(WEFT_FLAVOUR, "debug")) {
		CHECK_STR(child.err, "weft load: built without optimisation: no numbers\n");
		return;
	}
	CHECK(strstr(child.err, "cannot connect to http://127.0.0.1:") &&
	      strstr(child.err, "refused"));
	CHECK(!child.out[0]);
}

TEST(bad_input_is_refused_in_one_line)
{
	static const char *const bad[][4] = {
	    {"unknown option '--frob'", "--frob"},
	    {"unknown option '-x'", "-x"},
	    {"option '--rate' needs a value", "--rate"},
	    {"option '--json=1' takes no value", "--json=1"},
	    {"--rate 'abc'", "--rate", "abc"},
	    {"--rate '0'", "--rate", "0"},
	    {"--rate 'nan'", "--rate", "nan"},
	    {"--rate '5x'", "--rate", "5x"},
	    {"--rate '-5'", "--rate", "-5"},
	    {"--rate ''", "--rate", ""},
	    {"--arrivals 'uniform'", "--arrivals", "uniform"},
	    {"--arrivals needs --rate", "--arrivals", "poisson"},
	    {"--connections '0'", "--connections", "0"},
	    {"--connections '1.5'", "--connections", "1.5"},
	    {"--connections '99999999999999999999'", "--connections", "99999999999999999999"},
	    {"--connections '1000000'", "--connections", "1000000"},
	    {"--threads '65'", "--threads", "65"},
	    {"--threads '0'", "--threads", "0"},
	    {"--cpu 'x'", "--cpu", "x"},
	    {"--cpu '3-1'", "--cpu", "3-1"},
	    {"may not run on CPU 9999", "--cpu", "9999"},
	    {"--duration '0'", "--duration", "0"},
	    {"--duration 'inf'", "--duration", "inf"},
	    {"--warmup '-1'", "--warmup", "-1"},
	    {"--timeout '0'", "--timeout", "0"},
	    {"--seed '-1'", "--seed", "-1"},
	    {"--size '0'", "--size", "0"},
	    {"--size is for tcp:// and udp://", "--size", "64"},
	    {"--pacing 'fast'", "--pacing", "fast"},
	    {"--hdr '/nonexistent/x': No such file", "--hdr", "/nonexistent/x"},
	    {"--histogram '/nonexistent/x': No such file", "--histogram", "/nonexistent/x"},
	    {"unknown argument 'more'", "more"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		weft_refuses(bad[i][0], "load", "http://127.0.0.1:1/", bad[i][1], bad[i][2], NULL);
	weft_refuses("want a URL", "load", NULL);
	weft_refuses("URL 'gopher://x': want http://, tcp:// or udp://", "load", "gopher://x",
		     NULL);
	weft_refuses("URL 'tcp://x': want HOST:PORT", "load", "tcp://x", NULL);
	weft_refuses("--closed and --rate exclude", "load", "http://x", "--closed", "--rate", "5",
		     NULL);
	weft_refuses("--size '7'", "load", "udp://127.0.0.1:1", "--size", "7", NULL);
	weft_refuses("--expect-body is for http://", "load", "tcp://127.0.0.1:1", "--expect-body",
		     "x", NULL);
	weft_refuses("--rate 'a?b'", "load", "http://x", "--rate", "a\nb", NULL);
}

/* A listener whose queue is full takes no more connections, and refuses none. */
TEST(interrupted_while_it_connects_it_ends)
{
	if (!strcmp(WEFT_FLAVOUR, "debug"))
		test_skip("an unoptimised build prints no numbers");
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof addr;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
	CHECK(listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
	server.port = ntohs(addr.sin_port);
	const char *argv[] = {"/usr/bin/timeout",
			      "--preserve-status",
			      "-s",
			      "TERM",
			      "1",
			      weft_path(),
			      "load",
			      url("http"),
			      NULL};
	uint64_t before = tsc_monotonic_ns();
	test_program(&child, argv);
	CHECK(tsc_monotonic_ns() - before < 8000000000);
	CHECK_EQ(child.status, 1);
	CHECK(strstr(child.err, "cannot connect to http://127.0.0.1:"));
}
