/* Stream sockets that block the goroutine, never the thread. In a simulation (WEFT_DEBUG=seed=N) there are none: listening,
 * dialling and waiting for descriptors is -ENOTSUP. */
#ifndef WEFT_NET_H
#define WEFT_NET_H

#include <poll.h>
#include <sys/types.h>

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

typedef struct weft_listener weft_listener;
typedef struct weft_conn weft_conn;

typedef struct weft_listen_opts {
	int backlog;      /* 0: the kernel's limit */
	bool reuse_port;  /* several listeners may share the port (SO_REUSEPORT) */
} weft_listen_opts;

/* Addresses are "tcp://127.0.0.1:8080", "tcp://[::1]:0", "tcp://localhost:80", "unix:///run/x.sock". A
 * name is resolved through the system's resolver, on a thread beside. */

/* 0, or a negative errno; -EINVAL is an address that cannot be read. opts may be NULL. */
WEFT_API int weft_listen(weft_listener **, const char *addr, const weft_listen_opts *);

/* Writes the address it listens on, in the form above; its length, or -ENOSPC. */
WEFT_API int weft_listener_addr(weft_listener *, char *buf, size_t);

/* Accepts blocked on it return -ECANCELED. Frees the listener. */
WEFT_API void weft_listener_close(weft_listener *);

/* Blocks for the next connection. 0, or a negative errno. TCP connections have TCP_NODELAY set. */
WEFT_API int weft_accept(weft_listener *, weft_conn **);

/* Connects by the deadline, the resolver's time included. 0, or a negative errno: -ETIMEDOUT, -ECONNREFUSED,
 * -EINVAL ... */
WEFT_API int weft_dial(weft_conn **, const char *addr, weft_deadline);

/* Blocks until there is something: how many bytes, 0 at the end of the stream, or a negative errno:
 * -ETIMEDOUT leaves the connection usable, -ECANCELED says that it was closed. One reader at a time. */
WEFT_API ssize_t weft_read(weft_conn *, void *, size_t);

/* Writes everything; less only if an error or the deadline came first, and the next call reports it.
 * One writer at a time. */
WEFT_API ssize_t weft_write(weft_conn *, const void *, size_t);

/* From now on reads (writes) that would block beyond the deadline return -ETIMEDOUT; a call that is
 * blocked already is bound by it too. WEFT_NEVER takes it away. */
WEFT_API void weft_set_read_deadline(weft_conn *, weft_deadline);
WEFT_API void weft_set_write_deadline(weft_conn *, weft_deadline);

/* Ends the stream towards the peer; reading goes on. 0, or a negative errno. */
WEFT_API int weft_close_write(weft_conn *);

/* Closes and frees; NULL is ignored. Calls of other goroutines on it return -ECANCELED; no call may begin
 * after this one. */
WEFT_API void weft_conn_close(weft_conn *);

/* For descriptors that weft does not know, such as those of a C library that has a non-blocking interface: blocks until
 * one of `events` has come, as poll(2) names them (POLLIN, POLLOUT, POLLPRI, POLLRDHUP). What has come, POLLERR and
 * POLLHUP included; or a negative errno: -ETIMEDOUT, -EBADF, -EINVAL for other events, -EPERM for events that this kind
 * of descriptor never has. Files are always ready. Any number of goroutines may wait for one descriptor; one that is
 * closed meanwhile may be waited for in vain. A thread outside the runtime is blocked. */
WEFT_API int weft_wait_fd(int fd, int events, weft_deadline);

WEFT_END_DECLS

#endif
