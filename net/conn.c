#include "net/conn.h"
#include "net/error.h"
#include "net/sys.h"
#include "runtime/call.h"
#include "runtime/overflow.h"

#include <weft/mem.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

static void reclaim(struct epoch_entry *entry)
{
	weft_free((char *)entry - offsetof(struct weft_conn, ready.retired));
}

struct weft_conn *conn_make(int fd, int family)
{
	struct weft_conn *c = weft_calloc(1, sizeof *c);
	if (!c) {
		close(fd);
		return NULL;
	}
	ready_init(&c->ready, fd);
	int on = 1;
	if (family == AF_UNIX)
		store_rlx(&c->ready.xsplits, true);
	else
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return c;
}

void weft_conn_close(weft_conn *c)
{
	if (!c)
		return;
	bool outermost = call_begin();
	ready_close(&c->ready);
	ready_leave(&c->ready, reclaim);
	call_end(outermost);
}

int weft_close_write(weft_conn *c)
{
	bool outermost = call_begin();
	int err = ready_enter(&c->ready);
	if (!err) {
		err = shutdown(c->ready.fd, SHUT_WR) ? -last_error() : 0;
		ready_leave(&c->ready, reclaim);
	}
	call_end(outermost);
	return err;
}

static ssize_t read_some(struct ready *r, void *buf, size_t size)
{
	bool ask = ready_use(&r->in);
	for (int err = 0;;) {
		if (!ask)
			err = ready_wait(r, &r->in, WAIT_READ);
		if (err && err != -ETIMEDOUT)
			return err;
		ssize_t n = sys_recv(r->fd, buf, size);
		if (n == (ssize_t)size || (n > 0 && load_acq(&r->xsplits)))
			ready_again(&r->in);
		if (n >= 0 || (n != -EAGAIN && n != -EINTR))
			return n;
		if (err && n == -EAGAIN)
			return err; /* too late, and nothing had come of which the poller has not told yet */
		ask = n == -EINTR;
	}
}

ssize_t weft_read(weft_conn *c, void *buf, size_t size)
{
	if (size == 0)
		return 0;
	bool outermost = call_begin_blocking();
	ssize_t n = ready_enter(&c->ready);
	if (!n) {
		n = read_some(&c->ready, buf, size);
		if (unlikely(n == -EFAULT))
			overflow_check(buf, size);
		ready_leave(&c->ready, reclaim);
		if (unlikely(n == READY_SHARED))
			ready_panic_shared();
	}
	call_end_blocking(outermost);
	return n;
}

/* Unlike reading, writing is tried at once: the socket nearly always has room. */
static ssize_t write_all(struct weft_conn *c, const char *buf, size_t size)
{
	struct ready *r = &c->ready;
	size_t done = 0;
	while (done < size) {
		ssize_t n = sys_send(r->fd, buf + done, size - done);
		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (n == -EINTR || (n == -EAGAIN && ready_use(&r->out)))
			continue;
		if (unlikely(n == -EFAULT))
			overflow_check(buf + done, size - done);
		int err = n == -EAGAIN ? ready_wait(r, &r->out, WAIT_WRITE) : (int)n;
		if (err && (done == 0 || err == READY_SHARED))
			return err;
		if (err) {
			store_rlx(&c->write_error, err);
			break;
		}
	}
	return (ssize_t)done;
}

ssize_t weft_write(weft_conn *c, const void *buf, size_t size)
{
	bool outermost = call_begin_blocking();
	ssize_t n = ready_enter(&c->ready);
	if (!n) {
		n = load_rlx(&c->write_error);
		if (n)
			store_rlx(&c->write_error, 0);
		else
			n = write_all(c, buf, size);
		ready_leave(&c->ready, reclaim);
		if (unlikely(n == READY_SHARED))
			ready_panic_shared();
	}
	call_end_blocking(outermost);
	return n;
}

static void set_deadline(struct ready_half *h, weft_deadline deadline)
{
	bool outermost = call_begin();
	ready_set_deadline(h, deadline);
	call_end(outermost);
}

void weft_set_read_deadline(weft_conn *c, weft_deadline deadline)
{
	set_deadline(&c->ready.in, deadline);
}

void weft_set_write_deadline(weft_conn *c, weft_deadline deadline)
{
	set_deadline(&c->ready.out, deadline);
}
