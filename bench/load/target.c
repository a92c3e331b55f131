#include "bench/load/target.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(char why[TARGET_WHY_MAX], const char *text)
{
	snprintf(why, TARGET_WHY_MAX, "%s", text);
	return -EINVAL;
}

/* Digits only, 1 to 65535. */
static int parse_port(struct target *t, const char *from, size_t len, char why[TARGET_WHY_MAX])
{
	unsigned port = 0;
	if (!len || len >= sizeof t->port)
		return refuse(why, "want a port from 1 to 65535");
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)from[i]))
			return refuse(why, "want a port from 1 to 65535");
		port = port * 10 + (unsigned)(from[i] - '0');
	}
	if (!port || port > 65535)
		return refuse(why, "want a port from 1 to 65535");
	snprintf(t->port, sizeof t->port, "%u", port);
	return 0;
}

/* HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT in the n bytes at `from`. */
static int parse_authority(struct target *t, const char *from, size_t n, char why[TARGET_WHY_MAX])
{
	const char *host = from, *end = from + n, *after;
	size_t host_len;
	if (n && *from == '[') {
		const char *close = memchr(from, ']', n);
		if (!close)
			return refuse(why, "a '[' without ']'");
		host = from + 1;
		host_len = (size_t)(close - host);
		after = close + 1;
	} else {
		const char *colon = memchr(from, ':', n);
		after = colon ? colon : end;
		host_len = (size_t)(after - host);
		if (memchr(from, '@', n))
			return refuse(why, "user names are not supported");
	}
	if (!host_len || host_len >= sizeof t->host)
		return refuse(why, "want a host name or address");
	memcpy(t->host, host, host_len);
	t->host[host_len] = 0;
	if (n >= sizeof t->authority)
		return refuse(why, "want a host name or address");
	memcpy(t->authority, from, n);
	t->authority[n] = 0;
	if (after == end && t->protocol == PROTOCOL_HTTP)
		return parse_port(t, "80", 2, why);
	if (after == end || *after != ':')
		return refuse(why, "want HOST:PORT");
	return parse_port(t, after + 1, (size_t)(end - after - 1), why);
}

int target_parse(struct target *t, const char *url, char why[TARGET_WHY_MAX])
{
	static const struct {
		const char *prefix;
		enum protocol protocol;
	} schemes[] = {
	    {"http://", PROTOCOL_HTTP}, {"tcp://", PROTOCOL_TCP}, {"udp://", PROTOCOL_UDP}};
	memset(t, 0, sizeof *t);
	if (strlen(url) >= sizeof t->url)
		return refuse(why, "longer than 2047 bytes");
	strcpy(t->url, url);
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == '#')
			return refuse(
			    why, "a space, fragment, control or non-ASCII character; encode it");
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t len = strlen(schemes[i].prefix);
		if (strncmp(url, schemes[i].prefix, len))
			continue;
		t->protocol = schemes[i].protocol;
		const char *from = t->url + len;
		size_t n = strcspn(from, "/?");
		if (from[n] == '?')
			return refuse(why, "want a '/' before '?'");
		if (from[n] && t->protocol != PROTOCOL_HTTP)
			return refuse(why, "want HOST:PORT and no path");
		t->path = from[n] ? from + n : "/";
		return parse_authority(t, from, n, why);
	}
	return refuse(why, "want http://, tcp:// or udp://");
}

int target_resolve(struct target *t, char why[TARGET_WHY_MAX])
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICSERV}, *found;
	hints.ai_socktype = t->protocol == PROTOCOL_UDP ? SOCK_DGRAM : SOCK_STREAM;
	int error = getaddrinfo(t->host, t->port, &hints, &found);
	if (error) {
		snprintf(why, TARGET_WHY_MAX, "%.80s: %s", t->host, gai_strerror(error));
		return -EHOSTUNREACH;
	}
	memcpy(&t->addr, found->ai_addr, found->ai_addrlen);
	t->addr_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

int target_prepare(struct target *t, size_t size)
{
	if (t->protocol == PROTOCOL_HTTP) {
		int n = asprintf(&t->request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", t->path,
				 t->authority);
		if (n < 0) {
			t->request = NULL;
			return -ENOMEM;
		}
		t->request_len = (size_t)n;
		return 0;
	}
	t->request = malloc(size);
	if (!t->request)
		return -ENOMEM;
	t->request_len = size;
	for (size_t i = 0; i < size; i++)
		t->request[i] = (char)('!' + i % 94);
	return 0;
}

void target_fini(struct target *t)
{
	free(t->request);
	t->request = NULL;
}
