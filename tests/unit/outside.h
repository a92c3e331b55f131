/* What the tests of the rest of the system share: a goroutine that goes on meanwhile, pipes, and what net has for errno. */
#ifndef TESTS_UNIT_OUTSIDE_H
#define TESTS_UNIT_OUTSIDE_H

#include "alloc/os.h"
#include "net/error.h"
#include "tests/unit/sockets.h"

#include <fcntl.h>

enum { TICKS = 100 };

struct meanwhile {
	int fd; /* a byte goes in there when all ticks have come: it ends what the test waits for */
	_Atomic int ticks;
	weft_waitgroup ended;
};

static inline void tick(void *arg)
{
	struct meanwhile *m = arg;
	while (m->ticks < TICKS) {
		weft_sleep(WEFT_MS / 10);
		weft_yield();
		m->ticks++;
	}
	CHECK_EQ(write(m->fd, "\n", 1), 1);
	weft_waitgroup_done(&m->ended);
}

/* The caller's next call lasts until others have run: it must not stop them, or it never ends. */
static inline void meanwhile_start(struct meanwhile *m, int fd)
{
	*m = (struct meanwhile){.fd = fd};
	weft_waitgroup_add(&m->ended, 1);
	weft_go(tick, m);
}

static inline void meanwhile_end(struct meanwhile *m)
{
	CHECK_EQ(m->ticks, TICKS);
	weft_waitgroup_wait(&m->ended);
}

/* ThreadSanitizer keeps a signal back until the thread calls something that it knows: the poller, and no futex. */
static inline void sleep_where_signals_arrive(void)
{
	int fd[2];
	if (!test_is_slow())
		return;
	CHECK_EQ(pipe2(fd, O_CLOEXEC), 0);
	CHECK_EQ(weft_wait_fd(fd[0], POLLIN, weft_in(WEFT_MS)), -ETIMEDOUT);
	close(fd[0]);
	close(fd[1]);
}

struct pipe_ends {
	int in, out; /* out of which one reads; into which one writes: as seen from the pipe */
};

static inline struct pipe_ends pipe_open(int flags)
{
	int fd[2];
	CHECK_EQ(pipe2(fd, O_CLOEXEC | flags), 0);
	return (struct pipe_ends){.in = fd[1], .out = fd[0]};
}

#endif
