/* Where an idle M sleeps: a table that net fills, once, when the first socket is made. Without it an M sleeps
 * on a futex. Each P has a poller of its own, numbered as the P.
 */
#ifndef RUNTIME_POLLER_H
#define RUNTIME_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct poller {
	const char *name;

	/* Readies (park.h) the goroutines whose sockets have something, waiting up to timeout_ns for it; 0
	 * only looks, negative waits for ever. Called by the holder of P `p`; `of` is whose poller is asked: its own, or
	 * one whose P is late. How many events it saw. */
	int (*wait)(unsigned p, unsigned of, int64_t timeout_ns);

	/* Whether there is anything in `of` for wait to find. Any thread. */
	bool (*has_something)(unsigned of);

	/* Ends a wait under way, or the next one. Any thread. */
	void (*wake)(unsigned p);
};

/* From now on, idle Ms sleep in it. */
void poller_install(const struct poller *);

/* How many goroutines wait for a socket: as long as there is one, nothing is a deadlock. */
void poller_waiting(int change);

#endif
