/* Waiting for a descriptor through the poller, without a socket's state around it. */
#ifndef NET_WAIT_H
#define NET_WAIT_H

#include <weft/time.h>

/* Takes over a descriptor that nobody else uses, waits until it is readable, and closes it: 0; -ETIMEDOUT; another
 * negative errno when it cannot be waited for. Blocks a thread outside the runtime. */
int wait_readable(int fd, weft_deadline);

#endif
