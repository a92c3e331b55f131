/* A connection from inside: a descriptor and what is known of its readiness. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "net/ready.h"

#include <weft/net.h>

struct weft_conn {
	struct ready ready;
	_Atomic int write_error; /* came with a partial write; the next write reports it */
};

/* Takes over a non-blocking stream socket of that address family. NULL: no memory, and the socket is closed. */
struct weft_conn *conn_make(int fd, int family);

#endif
