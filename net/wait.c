/* Waiting for any descriptor: weft_wait_fd.
 *
 * The descriptor is the caller's: it may be waited for by several goroutines, be registered elsewhere, be closed at any
 * moment. So it does not go into the pollers' own epoll instances, which take a descriptor once, and keep it
 * for as long as any copy of it is open. Each wait has a small epoll instance of its own with the one
 * descriptor in it; that is itself readable when one of the events has come, belongs to nobody else, and is waited for
 * as a socket is (ready.h). Six system calls for a wait that parks, one for a wait that does not.
 *
 * Rejected: a copy by dup(2). Its registration would outlive it while the original is open, and `ready` waits for one
 * direction at a time.
 */
#include "net/wait.h"
#include "net/epoll.h"
#include "net/error.h"
#include "net/ready.h"
#include "runtime/call.h"
#include "runtime/sim.h"

#include <weft/go.h>
#include <weft/mem.h>
#include <weft/net.h>

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { WAITABLE = POLLIN | POLLPRI | POLLOUT | POLLRDHUP };
_Static_assert(POLLIN == EPOLLIN && POLLPRI == EPOLLPRI && POLLOUT == EPOLLOUT && POLLRDHUP == EPOLLRDHUP,
	       "epoll takes poll's bits");

static void reclaim(struct epoch_entry *entry)
{
	weft_free((char *)entry - offsetof(struct ready, retired));
}

/* What there is now, waiting at most timeout for it: a mask, 0, or a negative errno. */
static int look(int fd, int events, const struct timespec *timeout)
{
	struct pollfd p = {.fd = fd, .events = (short)events};
	int n = ppoll(&p, 1, timeout, NULL);
	if (n < 0)
		return -last_error();
	return p.revents & POLLNVAL ? -EBADF : p.revents;
}

/* A thread outside the runtime asks the kernel itself. 0: something may have come. */
static int block_for(int fd, int events, weft_deadline deadline)
{
	for (;;) {
		int64_t left = deadline.ns - weft_now();
		struct timespec t = {.tv_sec = left / WEFT_S, .tv_nsec = left % WEFT_S};
		if (left <= 0)
			return -ETIMEDOUT;
		int found = look(fd, events, deadline.ns == INT64_MAX ? NULL : &t);
		if (found && found != -EINTR)
			return found < 0 ? found : 0;
	}
}

static int park_for(struct ready *r, weft_deadline deadline)
{
	ready_use(&r->in); /* the first look is epoll's, which tells of what is there already */
	store_rlx(&r->in.xdeadline, deadline.ns);
	bool outermost = call_begin_blocking();
	int err = ready_wait(r, &r->in, WAIT_READ);
	ready_leave(r, reclaim);
	call_end_blocking(outermost);
	return err;
}

int wait_readable(int fd, weft_deadline deadline)
{
	bool goroutine = weft_goroutine_id() != 0;
	int err = goroutine ? epoll_start() : block_for(fd, POLLIN, deadline);
	struct ready *r = goroutine && !err ? weft_malloc(sizeof *r) : NULL;
	if (r) {
		ready_init(r, fd);
		return park_for(r, deadline);
	}
	close(fd);
	return goroutine && !err ? -ENOMEM : err;
}

/* An epoll instance with the one descriptor in it. */
static int gather(int fd, int events)
{
	int own = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = {.events = (uint32_t)events};
	if (own < 0)
		return -last_error();
	if (epoll_ctl(own, EPOLL_CTL_ADD, fd, &e)) {
		int err = last_error();
		close(own);
		return -err;
	}
	return own;
}

static int wait_once(int fd, int events, weft_deadline deadline)
{
	if (!weft_goroutine_id())
		return block_for(fd, events, deadline);
	int own = gather(fd, events);
	return own < 0 ? own : wait_readable(own, deadline);
}

static int wait_for(int fd, int events, weft_deadline deadline)
{
	static const struct timespec at_once;
	for (int err = 0;;) {
		int found = look(fd, events, &at_once);
		if (found && found != -EINTR)
			return found;
		if (err) /* and nothing had come of which nobody has told yet */
			return err;
		err = wait_once(fd, events, deadline);
	}
}

int weft_wait_fd(int fd, int events, weft_deadline deadline)
{
	if (events & ~WAITABLE)
		return -EINVAL;
	if (sim_on)
		return -ENOTSUP;
	if (fd < 0)
		return -EBADF; /* which poll(2) would pass over */
	int error = last_error();
	int found = wait_for(fd, events, deadline);
	set_error(error);
	return found;
}
