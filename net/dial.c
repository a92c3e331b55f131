#include "net/addr.h"
#include "net/conn.h"
#include "net/epoll.h"
#include "net/error.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESSES_TRIED = 8 };

static int connect_one(struct weft_conn *c, const struct addr *a, weft_deadline deadline)
{
	struct ready *r = &c->ready;
	if (connect(r->fd, (const struct sockaddr *)&a->storage, a->len) == 0)
		return 0;
	if (last_error() != EINPROGRESS)
		return -last_error();
	store_rlx(&r->out.xdeadline, deadline.ns);
	ready_use(&r->out);
	int err = ready_wait(r, &r->out, WAIT_CONNECT);
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
	struct weft_conn *c = conn_make(fd);
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
	struct addr addrs[ADDRESSES_TRIED];
	*out = NULL;
	int n = addr_parse(&parsed, text);
	if (n == 0)
		n = epoll_start();
	if (n == 0)
		n = addr_resolve(&parsed, addrs, ADDRESSES_TRIED);
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
