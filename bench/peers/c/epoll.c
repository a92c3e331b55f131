/* The bare epoll servers: one loop a thread, sleeping in epoll_wait (c-epoll) or asking it without
 * end (c-epoll-spin). They are the floor of what the kernel's sockets cost.
 *
 * Edge-triggered, both directions registered once: no epoll_ctl after accept. A read that did not fill
 * the buffer has emptied the socket, so the read that would say EAGAIN is saved (epoll(7)); only a peer
 * that has hung up is read to its end. Answers to all requests of one read leave in one send. While a
 * connection owes bytes it is not read: a client that does not read its answers holds up itself alone.
 *
 * The spinning server counts as burnt the time from the start of an epoll_wait that found nothing to
 * its end; the rest is work. An empty one takes well under a microsecond: of one that seems to take
 * longer than BURNT_MAX_NS the thread was off its core for the rest, and burnt nothing.
 */
#include "bench/peers/c/server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, BURNT_MAX_NS = 10000 };

struct conn {
	int fd;
	bool readable; /* there may be something to read */
	bool hung_up;  /* the peer sends no more: read until the end */
	struct carry carry;
	struct owed owed;
	char *rest; /* echo: what a send did not take, malloced; usually NULL */
	size_t rest_at, rest_size;
};

struct loop {
	const struct server *server;
	int epoll, listener;
	char buffer[CARRY + BUFFER];
};

enum flushed { FLUSHED, BLOCKED, BROKEN };

static void close_conn(struct conn *conn)
{
	close(conn->fd);
	free(conn->rest);
	free(conn);
}

static void accept_all(struct loop *loop)
{
	for (;;) {
		int fd = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0)
			die("accept", errno);
		struct conn *conn = calloc(1, sizeof *conn);
		if (!conn)
			die("out of memory", 0);
		conn->fd = fd;
		struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = conn}};
		if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event))
			die("epoll_ctl", errno);
	}
}

static bool owes(const struct conn *conn)
{
	return conn->owed.bytes || conn->rest;
}

static enum flushed flush(struct conn *conn)
{
	while (owes(conn)) {
		const char *piece;
		size_t size;
		if (conn->rest) {
			piece = conn->rest + conn->rest_at;
			size = conn->rest_size - conn->rest_at;
		} else {
			size = owed_piece(&conn->owed, &piece);
		}
		ssize_t sent = send(conn->fd, piece, size, MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EAGAIN ? BLOCKED : BROKEN;
		if (!conn->rest) {
			owed_sent(&conn->owed, (size_t)sent);
		} else if ((conn->rest_at += (size_t)sent) == conn->rest_size) {
			free(conn->rest);
			conn->rest = NULL;
		}
	}
	return FLUSHED;
}

static enum flushed echo(struct conn *conn, const char *text, size_t size)
{
	ssize_t sent = send(conn->fd, text, size, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN)
		return BROKEN;
	size_t done = sent < 0 ? 0 : (size_t)sent;
	if (done == size)
		return FLUSHED;
	conn->rest = malloc(size - done);
	if (!conn->rest)
		die("out of memory", 0);
	memcpy(conn->rest, text + done, size - done);
	conn->rest_at = 0;
	conn->rest_size = size - done;
	return flush(conn);
}

static void on_event(struct loop *loop, struct conn *conn, uint32_t events)
{
	char *text = loop->buffer + CARRY;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->hung_up = true;
	enum flushed flushed = owes(conn) ? flush(conn) : FLUSHED;
	while (flushed == FLUSHED && conn->readable) {
		ssize_t got = recv(conn->fd, text, BUFFER, 0);
		if (got < 0 && errno == EAGAIN) {
			conn->readable = false;
			return;
		}
		if (got <= 0) {
			flushed = BROKEN;
			break;
		}
		conn->readable = got == BUFFER || conn->hung_up;
		if (loop->server->mode == MODE_ECHO) {
			flushed = echo(conn, text, (size_t)got);
		} else {
			conn->owed.bytes += (uint64_t)count_requests(&conn->carry, text, (size_t)got) * ANSWER_SIZE;
			flushed = flush(conn);
		}
	}
	if (flushed == BROKEN)
		close_conn(conn);
}

/* The clock of the spin: the TSC where there is one, since it is read around every system call. */
static uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
static uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return clock_ns();
#endif
}
static double ns_per_tick(void)
{
	uint64_t ns = clock_ns(), from = ticks();
	while (clock_ns() - ns < 5000000)
		;
	uint64_t passed = ticks() - from;
	return (double)(clock_ns() - ns) / (double)passed;
}

/* Returns the number of events; never 0. */
static int wait_for_events(const struct loop *loop, struct epoll_event *events, double tick_ns)
{
	for (;;) {
		uint64_t from = PEER_SPIN ? ticks() : 0;
		int count = epoll_wait(loop->epoll, events, EVENTS, PEER_SPIN ? 0 : -1);
		if (count > 0)
			return count;
		if (count < 0 && errno != EINTR)
			die("epoll_wait", errno);
		if (PEER_SPIN) {
			double burnt = (double)(ticks() - from) * tick_ns;
			add_rlx(loop->server->spun_ns, burnt < BURNT_MAX_NS ? (uint64_t)burnt : BURNT_MAX_NS);
		}
	}
}

void serve(const struct server *server, int listener)
{
	struct loop loop = {.server = server, .epoll = epoll_create1(EPOLL_CLOEXEC), .listener = listener};
	struct epoll_event on_listener = {EPOLLIN, {.ptr = NULL}};
	if (loop.epoll < 0 || epoll_ctl(loop.epoll, EPOLL_CTL_ADD, listener, &on_listener))
		die("epoll", errno);
	double tick_ns = PEER_SPIN ? ns_per_tick() : 0;
	struct epoll_event events[EVENTS];
	for (;;) {
		int count = wait_for_events(&loop, events, tick_ns);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr)
				on_event(&loop, events[i].data.ptr, events[i].events);
			else
				accept_all(&loop);
		}
	}
}
