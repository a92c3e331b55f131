#include "net/addr.h"
#include "net/conn.h"
#include "net/epoll.h"
#include "net/error.h"
#include "net/resolve.h"
#include "runtime/call.h"

#include <weft/time.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Between two attempts at a full unix listener: from as long as an accept takes, to what an idle process can
 * afford. */
enum { PAUSE_NS_MIN = 100000, PAUSE_NS_MAX = 5000000 };

static int try_connect(int fd, const struct addr *a)
{
	return connect(fd, (const struct sockaddr *)&a->storage, a->len) ? -last_error() : 0;
}

/* A unix listener whose backlog is full has the connection refused with EAGAIN (connect(2)), and no event tells of
 * room. Those who wait here are served in no order. */
static int connect_unix(int fd, const struct addr *a, weft_deadline deadline)
{
	int64_t pause = PAUSE_NS_MIN;
	int err;
	while ((err = try_connect(fd, a)) == -EAGAIN) {
		int64_t now = weft_now();
		if (deadline.ns <= now)
			return -ETIMEDOUT;
		weft_sleep(pause < deadline.ns - now ? pause : deadline.ns - now);
		pause = pause < PAUSE_NS_MAX / 2 ? 2 * pause : PAUSE_NS_MAX;
	}
	return err;
}

static int connect_one(struct weft_conn *c, const struct addr *a, weft_deadline deadline)
{
	struct ready *r = &c->ready;
	if (a->storage.ss_family == AF_UNIX)
		return connect_unix(r->fd, a, deadline);
	int err = try_connect(r->fd, a);
	if (err != -EINPROGRESS)
		return err;
	store_rlx(&r->out.xdeadline, deadline.ns);
	ready_use(&r->out);
	bool outermost = call_begin_blocking();
	err = ready_wait(r, &r->out, WAIT_CONNECT);
	call_end_blocking(outermost);
	store_rlx(&r->out.xdeadline, INT64_MAX);
	if (err)
		return err;
	socklen_t len = sizeof err;
	if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -last_error();
	return -err;
}

static int dial_one(weft_conn **out, const struct addr *a, weft_deadline deadline)
{
	int fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -last_error();
	struct weft_conn *c = conn_make(fd, a->storage.ss_family);
	if (!c)
		return -ENOMEM;
	int err = connect_one(c, a, deadline);
	if (err)
		weft_conn_close(c);
	else
		*out = c;
	return err;
}

/* The addresses of a name are tried in the resolver's order; the last failure is the one reported. */
int weft_dial(weft_conn **out, const char *text, weft_deadline deadline)
{
	struct addr_text parsed;
	struct addr addrs[RESOLVE_MOST];
	*out = NULL;
	int n = addr_parse(&parsed, text);
	if (n == 0)
		n = epoll_start();
	if (n == 0)
		n = resolve(&parsed, addrs, RESOLVE_MOST, deadline);
	if (n < 0)
		return n;
	int err = 0;
	for (int i = 0; i < n; i++) {
		err = dial_one(out, &addrs[i], deadline);
		if (!err || err == -ETIMEDOUT)
			return err;
	}
	return err;
}
