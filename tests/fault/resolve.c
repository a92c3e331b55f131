/* Names, with a resolver that answers when it is told to. The program's own getaddrinfo stands before libc's. */
#include "tests/unit/outside.h"

#include <dlfcn.h>
#include <netdb.h>

static struct pipe_ends gate; /* a lookup of a name takes a byte out of it before it answers */
static _Atomic int lookups, answers;

int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
		struct addrinfo **restrict out)
{
	typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	resolver *libc = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
	char byte;
	if (hints->ai_flags & AI_NUMERICHOST)
		return libc(host, port, hints, out);
	lookups++;
	ssize_t n = read(gate.out, &byte, 1);
	answers++;
	if (n != 1 || !strcmp(host, "nowhere.invalid"))
		return EAI_NONAME;
	struct addrinfo numeric = *hints;
	numeric.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	return libc("127.0.0.1", port, &numeric, out);
}

static weft_listener *listener;
static char by_name[ADDRESS_MAX];

/* by_name is the listener's address with a name in it. */
static void start(void)
{
	char text[ADDRESS_MAX];
	gate = pipe_open(0);
	listener = listen_at("tcp://127.0.0.1:0", text);
	snprintf(by_name, sizeof by_name, "tcp://server.invalid:%s", strrchr(text, ':') + 1);
}

static void accept_one(void)
{
	weft_conn *c;
	CHECK_EQ(weft_accept(listener, &c), 0);
	weft_conn_close(c);
}

static void dial_by(weft_deadline deadline)
{
	struct meanwhile m;
	weft_conn *c;
	meanwhile_start(&m, gate.in);
	CHECK_EQ(weft_dial(&c, by_name, deadline), 0);
	meanwhile_end(&m);
	weft_conn_close(c);
	accept_one();
}

TEST_GO(a_slow_resolver_stops_nobody)
{
	start();
	dial_by(WEFT_NEVER);
	dial_by(weft_in(50 * WEFT_S));
	CHECK_EQ(lookups, 2);
	return 0;
}

TEST_GO(listening_by_name_stops_nobody)
{
	struct meanwhile m;
	weft_listener *l;
	gate = pipe_open(0);
	meanwhile_start(&m, gate.in);
	CHECK_EQ(weft_listen(&l, "tcp://server.invalid:0", NULL), 0);
	meanwhile_end(&m);
	weft_listener_close(l);
	return 0;
}

/* The resolver is left behind, and what it says then goes nowhere. */
TEST_GO(a_resolver_that_takes_too_long_ends_the_dial)
{
	weft_conn *c;
	start();
	int before = weft_num_goroutine();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(weft_dial(&c, by_name, weft_in(5 * WEFT_MS)), -ETIMEDOUT);
		CHECK(!c);
	}
	CHECK_EQ(write(gate.in, "xxx", 3), 3);
	while (weft_num_goroutine() > before)
		weft_sleep(WEFT_MS);
	CHECK_EQ(answers, 3);
	dial_by(weft_in(50 * WEFT_S));
	return 0;
}

TEST_GO(what_the_resolver_does_not_know_is_not_there)
{
	weft_conn *c;
	start();
	CHECK_EQ(write(gate.in, "xx", 2), 2);
	CHECK_EQ(weft_dial(&c, "tcp://nowhere.invalid:80", WEFT_NEVER), -ENOENT);
	CHECK_EQ(weft_dial(&c, "tcp://nowhere.invalid:80", weft_in(50 * WEFT_S)), -ENOENT);
	return 0;
}

TEST_GO(numbers_are_not_looked_up)
{
	weft_conn *c;
	char text[ADDRESS_MAX];
	start();
	CHECK(weft_listener_addr(listener, text, sizeof text) > 0);
	CHECK_EQ(weft_dial(&c, text, weft_in(50 * WEFT_S)), 0);
	weft_conn_close(c);
	accept_one();
	CHECK_EQ(lookups, 0);
	return 0;
}
