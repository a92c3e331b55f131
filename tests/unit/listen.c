/* Listening and dialling. What goes over a connection is in net.c. */
#include "lockfree/atomic.h"
#include "tests/unit/sockets.h"

#include <sys/resource.h>

static weft_waitgroup join;
static char server[ADDRESS_MAX];
static weft_listener *listener;

/* ---- dialling and listening ---- */

TEST_GO(nobody_listens)
{
	weft_conn *c;
	weft_listener *l = listen_at("tcp://127.0.0.1:0", server);
	weft_listener_close(l);
	CHECK_EQ(weft_dial(&c, server, WEFT_NEVER), -ECONNREFUSED);
	CHECK(!c);
	CHECK_EQ(weft_dial(&c, unix_address(), WEFT_NEVER), -ENOENT);
	l = listen_at(unix_address(), server);
	weft_listener_close(l);
	CHECK_EQ(weft_dial(&c, server, WEFT_NEVER), -ECONNREFUSED);
	unlink_address(server);
	return 0;
}

/* Dials until one does not get through: the listener accepts nobody. */
static void full_at(const char *address)
{
	enum { DIALS = 64 };
	weft_conn *c[DIALS] = {NULL};
	weft_listener *l;
	int err = 0, n = 0;
	unlink_address(address);
	CHECK_EQ(weft_listen(&l, address, &(weft_listen_opts){.backlog = 1}), 0);
	CHECK(weft_listener_addr(l, server, sizeof server) > 0);
	while (n < DIALS && (err = weft_dial(&c[n], server, weft_in(20 * WEFT_MS))) == 0)
		n++;
	CHECK_EQ(err, -ETIMEDOUT);
	CHECK(n > 0 && !c[n]);
	while (n > 0)
		weft_conn_close(c[--n]);
	weft_listener_close(l);
	unlink_address(address);
}

TEST_GO(a_dial_that_gets_no_answer_times_out)
{
	everywhere(full_at);
	return 0;
}

struct dial {
	weft_conn *c;
	int result;
	_Atomic bool ended;
};

static void dial_server(void *arg)
{
	struct dial *d = arg;
	d->result = weft_dial(&d->c, server, WEFT_NEVER);
	store_rel(&d->ended, true);
	weft_waitgroup_done(&join);
}

/* A listener on a unix socket with one connection in its backlog and no room for more, and a dial that waits for
 * room. Returns the connection; nobody is blocked meanwhile. */
static weft_conn *dial_the_full(struct dial *d)
{
	weft_conn *first;
	unlink_address(unix_address());
	strcpy(server, unix_address());
	CHECK_EQ(weft_listen(&listener, server, &(weft_listen_opts){.backlog = 1}), 0);
	CHECK_EQ(weft_dial(&first, server, WEFT_NEVER), 0);
	CHECK_EQ(weft_dial(&d->c, server, WEFT_NEVER), 0); /* the kernel takes one more than it was told */
	weft_conn_close(d->c);
	weft_waitgroup_add(&join, 1);
	weft_go(dial_server, d);
	for (int i = 0; i < 20; i++)
		weft_sleep(WEFT_MS);
	CHECK(!load_acq(&d->ended));
	return first;
}

TEST_GO(a_dial_to_a_full_unix_listener_gets_in_when_there_is_room)
{
	struct dial d = {0};
	weft_conn *b, *first = dial_the_full(&d);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(weft_accept(listener, &b), 0);
		weft_conn_close(b);
	}
	CHECK_EQ(weft_accept(listener, &b), 0);
	weft_waitgroup_wait(&join);
	CHECK_EQ(d.result, 0);
	write_whole(d.c, "x", 1);
	read_whole(b, &(char){0}, 1);
	weft_conn_close(b);
	weft_conn_close(d.c);
	weft_conn_close(first);
	weft_listener_close(listener);
	unlink_address(server);
	return 0;
}

TEST_GO(a_dial_to_a_full_unix_listener_ends_when_that_closes)
{
	struct dial d = {0};
	weft_conn *first = dial_the_full(&d);
	weft_listener_close(listener);
	weft_waitgroup_wait(&join);
	CHECK_EQ(d.result, -ECONNREFUSED);
	CHECK(!d.c);
	weft_conn_close(first);
	unlink_address(server);
	return 0;
}

TEST_GO(addresses_that_cannot_be_read)
{
	static char long_host[400], long_path[400];
	static const char *const bad[] = {
		"",           "tcp",          "tcp:",           "tcp:/",          "tcp://",
		"tcp://:80",  "tcp://1.2.3.4", "tcp://1.2.3.4:", "tcp://1.2.3.4:99999",
		"tcp://1.2.3.4:65536",        "tcp://1.2.3.4:-1", "tcp://1.2.3.4:+1",
		"tcp://1.2.3.4: 1",           "tcp://1.2.3.4:8a", "tcp://1.2.3.4:000080",
		"tcp://::1:80", "tcp://[::1]", "tcp://[::1]80", "tcp://[::1:80", "tcp://[]:80",
		"tcp://::1]:80", "tcp://[::1]x:80", "http://x:1", "TCP://1.2.3.4:80", "udp://1.2.3.4:80",
		"unix://",    "unix:/x",      "/run/x.sock",    "1.2.3.4:80",     long_host, long_path,
	};
	snprintf(long_host, sizeof long_host, "tcp://%0300d:80", 1);
	snprintf(long_path, sizeof long_path, "unix:///%0200d", 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		weft_conn *c = (void *)1;
		weft_listener *l = (void *)1;
		int dialled = weft_dial(&c, bad[i], weft_in(WEFT_S)), listened = weft_listen(&l, bad[i], NULL);
		if (dialled != -EINVAL || listened != -EINVAL)
			test_fail(__FILE__, __LINE__, "\"%s\": dial %d, listen %d", bad[i], dialled, listened);
		CHECK(!c && !l);
	}
	return 0;
}

TEST_GO(names_are_resolved)
{
	weft_conn *a, *b;
	weft_listener *l = listen_at("tcp://127.0.0.1:0", server);
	char name[ADDRESS_MAX];
	snprintf(name, sizeof name, "tcp://localhost%s", strrchr(server, ':'));
	int err = weft_dial(&a, name, WEFT_NEVER);
	if (err)
		test_skip("localhost does not resolve to 127.0.0.1 here");
	CHECK_EQ(weft_accept(l, &b), 0);
	weft_conn_close(a);
	weft_conn_close(b);
	weft_listener_close(l);
	return 0;
}

static void address_at(const char *address)
{
	char text[ADDRESS_MAX];
	weft_listener *l = listen_at(address, text), *other;
	int n = (int)strlen(text);
	CHECK_EQ(weft_listener_addr(l, text, (size_t)n + 1), n);
	CHECK_EQ(weft_listener_addr(l, text, (size_t)n), -ENOSPC);
	CHECK_EQ(weft_listener_addr(l, text, 1), -ENOSPC);
	CHECK_EQ(weft_listener_addr(l, text, 0), -ENOSPC);
	CHECK_EQ(weft_listener_addr(l, text, sizeof text), n);
	CHECK(!strncmp(text, address, 6));
	CHECK_EQ(weft_listen(&other, text, NULL), -EADDRINUSE);
	CHECK(!other);
	weft_listener_close(l);
	unlink_address(address);
	CHECK_EQ(weft_listen(&l, text, NULL), 0); /* it is free again at once */
	char again[ADDRESS_MAX];
	CHECK_EQ(weft_listener_addr(l, again, sizeof again), n);
	CHECK_STR(again, text);
	weft_listener_close(l);
	unlink_address(address);
}

TEST_GO(a_listener_knows_its_address_and_has_it_alone)
{
	everywhere(address_at);
	return 0;
}

TEST_GO(listeners_share_a_port_if_both_want_to)
{
	weft_listener *l, *other;
	weft_listen_opts share = {.reuse_port = true};
	CHECK_EQ(weft_listen(&l, "tcp://127.0.0.1:0", &share), 0);
	CHECK(weft_listener_addr(l, server, sizeof server) > 0);
	CHECK_EQ(weft_listen(&other, server, &share), 0);
	weft_listener_close(other);
	CHECK_EQ(weft_listen(&other, server, NULL), -EADDRINUSE);
	weft_listener_close(l);
	return 0;
}

/* ---- no descriptors left ---- */

static void use_up_descriptors(struct rlimit *before)
{
	CHECK(getrlimit(RLIMIT_NOFILE, before) == 0);
	struct rlimit none = {.rlim_cur = 0, .rlim_max = before->rlim_max};
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
}

static void no_descriptors_at(const char *address)
{
	struct rlimit before;
	weft_conn *a, *b, *c;
	listener = listen_at(address, server);
	CHECK_EQ(weft_dial(&a, server, WEFT_NEVER), 0);
	use_up_descriptors(&before);
	CHECK_EQ(weft_accept(listener, &b), -EMFILE);
	CHECK_EQ(weft_accept(listener, &b), -EMFILE);
	CHECK_EQ(weft_dial(&c, server, WEFT_NEVER), -EMFILE);
	weft_listener *l;
	CHECK_EQ(weft_listen(&l, address, NULL), -EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK_EQ(weft_accept(listener, &b), 0); /* the same connection: it has waited */
	write_whole(a, "x", 1);
	read_whole(b, &(char){0}, 1);
	CHECK_EQ(weft_dial(&c, server, WEFT_NEVER), 0);
	weft_conn_close(a);
	weft_conn_close(b);
	weft_conn_close(c);
	weft_listener_close(listener);
	unlink_address(address);
}

TEST_GO(without_descriptors_accept_fails_and_the_listener_goes_on)
{
	everywhere(no_descriptors_at);
	return 0;
}

/* ---- closing ---- */

static void accept_cancelled(void *arg)
{
	weft_conn *c;
	CHECK_EQ(weft_accept(arg, &c), -ECANCELED);
	CHECK(!c);
	weft_waitgroup_done(&join);
}

static void close_listener_at(const char *address)
{
	weft_listener *l = listen_at(address, server);
	weft_waitgroup_add(&join, 3);
	for (int i = 0; i < 3; i++)
		weft_go(accept_cancelled, l);
	for (int i = 0; i < 10; i++)
		weft_yield();
	weft_sleep(WEFT_MS);
	weft_listener_close(l);
	weft_waitgroup_wait(&join);
	unlink_address(address);
}

TEST_GO(closing_cancels_those_who_accept)
{
	everywhere(close_listener_at);
	weft_listener_close(NULL);
	weft_conn_close(NULL);
	return 0;
}

/* ---- nothing is left open ---- */

static void some_use(void)
{
	weft_conn *c;
	everywhere(close_listener_at);
	everywhere(full_at);
	CHECK_EQ(weft_dial(&c, "unix:///nowhere/at-all", WEFT_NEVER), -ENOENT);
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
