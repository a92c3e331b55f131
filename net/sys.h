/* The system calls that every request makes, without libc's part: there they are cancellation points, which in a
 * process of several threads cost two locked operations each. No weft thread is ever cancelled.
 *
 * Each returns what the kernel did, or a negative errno. The sanitizers watch what libc's functions read
 * and write, so under them those are called.
 */
#ifndef NET_SYS_H
#define NET_SYS_H

#include "net/error.h"
#include "runtime/fiber.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if WEFT_TSAN || WEFT_ASAN
#define SYS(number, function, ...) function(__VA_ARGS__)
#else
#define SYS(number, function, ...) syscall(number, __VA_ARGS__)
#endif

static inline ssize_t sys_recv(int fd, void *buf, size_t size)
{
	ssize_t n = SYS(SYS_recvfrom, recvfrom, fd, buf, size, MSG_DONTWAIT, NULL, NULL);
	return n < 0 ? -last_error() : n;
}

static inline ssize_t sys_send(int fd, const void *buf, size_t size)
{
	ssize_t n = SYS(SYS_sendto, sendto, fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
	return n < 0 ? -last_error() : n;
}

/* Looks, and does not wait. */
static inline int sys_epoll_look(int epoll, struct epoll_event *events, int most)
{
#if WEFT_TSAN || WEFT_ASAN
	int n = epoll_wait(epoll, events, most, 0);
#else
	int n = (int)syscall(SYS_epoll_pwait, epoll, events, most, 0, NULL, 0);
#endif
	return n < 0 ? -last_error() : n;
}

#undef SYS

#endif
