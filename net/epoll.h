/* The poller on epoll: an epoll instance and an eventfd for each P. */
#ifndef NET_EPOLL_H
#define NET_EPOLL_H

#include "net/ready.h"

/* Makes the pollers and hands them to the runtime, the first time; 0, or a negative errno. */
int epoll_start(void);

/* Registers the descriptor with the poller of the P that we are on, for all edges. 0, or a negative errno. */
int epoll_register(struct ready *);

/* Takes it out again. Closing the descriptor would not, while a process that is about to exec holds a copy. */
void epoll_unregister(struct ready *);

#endif
