/* weft_accept when the kernel refuses, on every kind of listener. The program's own accept4 stands before libc's, and
 * fails as it is told. */
#include "lockfree/atomic.h"
#include "tests/unit/sockets.h"

#include <sys/socket.h>
#include <sys/syscall.h>

static struct {
	_Atomic int times, err;
} planned;

int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
	if (load_rlx(&planned.times) == 0)
		return (int)syscall(SYS_accept4, fd, addr, len, flags);
	sub_rlx(&planned.times, 1);
	errno = load_rlx(&planned.err);
	return -1;
}

/* The next `times` accepts fail with err, and weft_accept says `result`; the connection that waits is then
 * accepted, and works. */
static void refuse(const char *address, int err, int times, int result)
{
	char text[ADDRESS_MAX];
	weft_conn *a, *b;
	weft_listener *l = listen_at(address, text);
	CHECK_EQ(weft_dial(&a, text, WEFT_NEVER), 0);
	store_rlx(&planned.err, err);
	store_rlx(&planned.times, times);
	int got = weft_accept(l, &b);
	CHECK_EQ(got, result);
	if (got) {
		CHECK(!b);
		CHECK_EQ(weft_accept(l, &b), 0);
	}
	CHECK_EQ(load_rlx(&planned.times), 0);
	write_whole(a, "x", 1);
	read_whole(b, &(char){0}, 1);
	weft_conn_close(a);
	weft_conn_close(b);
	weft_listener_close(l);
	unlink_address(address);
}

TEST_GO(what_is_the_listeners_error_is_returned_and_the_connection_waits)
{
	static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
	const char *address[3];
	for (int n = families(address); n > 0; n--)
		for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
			refuse(address[n - 1], errors[i], 1, -errors[i]);
	return 0;
}

TEST_GO(what_is_one_connections_error_is_passed_over)
{
	static const int errors[] = {ECONNABORTED, EINTR, EPROTO};
	const char *address[3];
	for (int n = families(address); n > 0; n--)
		for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
			refuse(address[n - 1], errors[i], 3, 0);
	return 0;
}
