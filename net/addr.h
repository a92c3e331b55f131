/* Addresses as text: "tcp://127.0.0.1:80", "tcp://[::1]:0", "tcp://localhost:80", "unix:///run/x.sock". */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <sys/socket.h>

#include <stddef.h>

enum { ADDR_TEXT_MAX = 256 };

struct addr {
	struct sockaddr_storage storage;
	socklen_t len;
};

/* What the text says, before anything is looked up. */
struct addr_text {
	int family; /* AF_UNIX, or AF_UNSPEC for tcp */
	char host[ADDR_TEXT_MAX]; /* or the path */
	char port[8];
};

/* 0, or -EINVAL. Pure. */
int addr_parse(struct addr_text *, const char *text);

/* The text of a bound address; its length, or -ENOSPC. */
int addr_print(const struct addr *, char *buf, size_t size);

#endif
