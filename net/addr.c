#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int parse_port(struct addr_text *a, const char *port)
{
	size_t n = strlen(port);
	if (n == 0 || n > 5 || strspn(port, "0123456789") != n || atoi(port) > 65535)
		return -EINVAL;
	strcpy(a->port, port);
	return 0;
}

/* host:port, or [v6]:port */
static int parse_tcp(struct addr_text *a, const char *text)
{
	const char *host = text, *end, *colon = strrchr(text, ':');
	if (!colon)
		return -EINVAL;
	if (*text == '[') {
		host++;
		end = strchr(text, ']');
		if (!end || end + 1 != colon)
			return -EINVAL;
	} else {
		end = colon;
		if (memchr(text, ':', (size_t)(end - text)))
			return -EINVAL; /* an IPv6 address without its brackets */
	}
	size_t n = (size_t)(end - host);
	if (n == 0 || n >= sizeof a->host)
		return -EINVAL;
	memcpy(a->host, host, n);
	a->host[n] = 0;
	if (strpbrk(a->host, "[]"))
		return -EINVAL;
	return parse_port(a, colon + 1);
}

int addr_parse(struct addr_text *a, const char *text)
{
	memset(a, 0, sizeof *a);
	if (text && !strncmp(text, "tcp://", 6))
		return parse_tcp(a, text + 6);
	if (!text || strncmp(text, "unix://", 7))
		return -EINVAL;
	size_t n = strlen(text + 7);
	if (n == 0 || n >= sizeof((struct sockaddr_un *)0)->sun_path)
		return -EINVAL;
	a->family = AF_UNIX;
	strcpy(a->host, text + 7);
	return 0;
}

int addr_print(const struct addr *a, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN];
	int n;
	if (a->storage.ss_family == AF_UNIX) {
		const struct sockaddr_un *un = (const void *)&a->storage;
		n = snprintf(buf, size, "unix://%s", un->sun_path);
	} else if (a->storage.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)&a->storage;
		inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
		n = snprintf(buf, size, "tcp://[%s]:%u", host, ntohs(in->sin6_port));
	} else {
		const struct sockaddr_in *in = (const void *)&a->storage;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		n = snprintf(buf, size, "tcp://%s:%u", host, ntohs(in->sin_port));
	}
	return (size_t)n < size ? n : -ENOSPC;
}
