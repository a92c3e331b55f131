/* What the tests of sockets share: listeners, connected pairs, whole transfers, and the count of descriptors. */
#ifndef TESTS_UNIT_SOCKETS_H
#define TESTS_UNIT_SOCKETS_H

#include "tests/unit/go.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static inline const char *unix_address(void)
{
	static char text[64];
	snprintf(text, sizeof text, "unix:///tmp/weft-test-%d.sock", (int)getpid());
	return text;
}

static inline void unlink_address(const char *text)
{
	if (!strncmp(text, "unix://", 7))
		unlink(text + 7);
}

/* Where to test: IPv4, IPv6 if the machine has it, and a unix socket. */
static inline int families(const char **address)
{
	weft_listener *l;
	int n = 0;
	address[n++] = "tcp://127.0.0.1:0";
	address[n++] = unix_address();
	if (weft_listen(&l, "tcp://[::1]:0", NULL) == 0) {
		weft_listener_close(l);
		address[n++] = "tcp://[::1]:0";
	}
	return n;
}

/* Runs fn once per family. */
static inline void everywhere(void (*fn)(const char *address))
{
	const char *address[3];
	for (int n = families(address); n > 0; n--)
		fn(address[n - 1]);
}

enum { ADDRESS_MAX = 128 };

static inline weft_listener *listen_at(const char *address, char text[ADDRESS_MAX])
{
	weft_listener *l;
	unlink_address(address);
	CHECK_EQ(weft_listen(&l, address, NULL), 0);
	CHECK(weft_listener_addr(l, text, ADDRESS_MAX) > 0);
	return l;
}

/* Two ends of one connection. */
static inline void connect_pair(const char *address, weft_conn **a, weft_conn **b)
{
	char text[ADDRESS_MAX];
	weft_listener *l = listen_at(address, text);
	CHECK_EQ(weft_dial(a, text, WEFT_NEVER), 0);
	CHECK_EQ(weft_accept(l, b), 0);
	weft_listener_close(l);
	unlink_address(address);
}

static inline void write_whole(weft_conn *c, const void *bytes, size_t n)
{
	CHECK_EQ(weft_write(c, bytes, n), n);
}

static inline void read_whole(weft_conn *c, void *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = weft_read(c, (char *)bytes + done, n - done);
		if (got <= 0)
			test_fail(__FILE__, __LINE__, "read of %zu bytes: %zd after %zu", n, got, done);
		done += (size_t)got;
	}
}

static inline int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	CHECK(dir);
	int n = 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

#endif
