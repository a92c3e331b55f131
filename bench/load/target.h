/* What is loaded: the URL, its address, and the bytes of a request. */
#ifndef BENCH_LOAD_TARGET_H
#define BENCH_LOAD_TARGET_H

#include <stddef.h>
#include <sys/socket.h>

enum protocol { PROTOCOL_HTTP, PROTOCOL_TCP, PROTOCOL_UDP };
enum { TARGET_TEXT_MAX = 2048, TARGET_WHY_MAX = 160 };

struct target {
	enum protocol protocol;
	char url[TARGET_TEXT_MAX];
	char host[256]; /* without brackets */
	char port[6];
	char authority[272]; /* of the Host header */
	const char *path;    /* http: from the first slash on, inside url, or "/" */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	char *request; /* http: the whole of it; echo: a pattern, its head overwritten with a number
			*/
	size_t request_len;
};

/* Parses http://HOST[:PORT][/PATH], tcp://HOST:PORT or udp://HOST:PORT. 0, or -EINVAL with `why`
 * filled. */
int target_parse(struct target *, const char *url, char why[TARGET_WHY_MAX]);

/* Looks the host up; may wait for a name server. 0, or -EHOSTUNREACH with `why` filled. */
int target_resolve(struct target *, char why[TARGET_WHY_MAX]);

/* Makes the request, `size` bytes of payload for echo. 0, or -ENOMEM. */
int target_prepare(struct target *, size_t size);

void target_fini(struct target *);

#endif
