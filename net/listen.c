#include "net/addr.h"
#include "net/conn.h"
#include "net/epoll.h"
#include "net/error.h"
#include "net/resolve.h"
#include "runtime/call.h"

#include <weft/mem.h>
#include <weft/sync.h>

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

struct weft_listener {
	struct ready ready;
	weft_mutex accepting; /* several goroutines may accept; one of them waits for the socket */
	struct addr addr;     /* as bound */
};

static void reclaim(struct epoch_entry *entry)
{
	weft_free((char *)entry - offsetof(struct weft_listener, ready.retired));
}

static int bind_and_listen(int fd, const struct addr *a, const weft_listen_opts *o)
{
	int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
		return -last_error();
	if (o->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on))
		return -last_error();
	if (bind(fd, (const struct sockaddr *)&a->storage, a->len))
		return -last_error();
	return listen(fd, o->backlog > 0 ? o->backlog : SOMAXCONN) ? -last_error() : 0;
}

static int listener_make(weft_listener **out, int fd)
{
	weft_listener *l = weft_calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->addr.len = sizeof l->addr.storage;
	if (getsockname(fd, (struct sockaddr *)&l->addr.storage, &l->addr.len)) {
		weft_free(l);
		return -last_error();
	}
	ready_init(&l->ready, fd);
	*out = l;
	return 0;
}

int weft_listen(weft_listener **out, const char *text, const weft_listen_opts *opts)
{
	static const weft_listen_opts none;
	struct addr_text parsed;
	struct addr addr;
	*out = NULL;
	int err = addr_parse(&parsed, text);
	if (err == 0)
		err = epoll_start();
	if (err == 0)
		err = resolve(&parsed, &addr, 1, WEFT_NEVER);
	if (err < 0)
		return err;
	int fd = socket(addr.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -last_error();
	err = bind_and_listen(fd, &addr, opts ? opts : &none);
	if (!err)
		err = listener_make(out, fd);
	if (err)
		close(fd);
	return err;
}

int weft_listener_addr(weft_listener *l, char *buf, size_t size)
{
	return addr_print(&l->addr, buf, size);
}

void weft_listener_close(weft_listener *l)
{
	if (!l)
		return;
	bool outermost = call_begin();
	ready_close(&l->ready);
	ready_leave(&l->ready, reclaim);
	call_end(outermost);
}

/* Errors of one connection attempt that has gone again are not the listener's (accept(2)). */
static bool try_next(int err)
{
	return err == EINTR || err == ECONNABORTED || err == EPROTO;
}

static int accept_one(weft_listener *l)
{
	for (;;) {
		int fd = accept4(l->ready.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (try_next(last_error()))
			continue;
		if (last_error() != EAGAIN)
			return -last_error();
		int err = ready_wait(&l->ready, &l->ready.in, WAIT_ACCEPT);
		if (err)
			return err;
	}
}

/* A connection's descriptor, and of which family it is. */
static int accept_inside(weft_listener *l, int *family)
{
	int fd = ready_enter(&l->ready);
	if (fd)
		return fd;
	weft_mutex_lock(&l->accepting);
	fd = load_acq(&l->ready.xclosed) ? -ECANCELED : accept_one(l);
	weft_mutex_unlock(&l->accepting);
	*family = l->addr.storage.ss_family; /* while the listener is ours */
	ready_leave(&l->ready, reclaim);
	return fd;
}

int weft_accept(weft_listener *l, weft_conn **out)
{
	int family = AF_UNSPEC;
	*out = NULL;
	bool outermost = call_begin_blocking();
	int fd = accept_inside(l, &family);
	call_end_blocking(outermost);
	if (fd < 0)
		return fd;
	*out = conn_make(fd, family);
	return *out ? 0 : -ENOMEM;
}
