/* What the tests of the rest of the system share: a goroutine that goes on meanwhile, pipes, errno, threads. */
#ifndef TESTS_UNIT_OUTSIDE_H
#define TESTS_UNIT_OUTSIDE_H

#include "alloc/os.h"
#include "tests/unit/sockets.h"

#include <fcntl.h>

enum { TICKS = 100 };

struct meanwhile {
	int fd; /* a byte goes in there when all ticks have come: it ends what the test waits for */
	_Atomic int ticks;
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
}

/* The caller's next call lasts until others have run: it must not stop them, or it never ends. */
static inline void meanwhile_start(struct meanwhile *m, int fd)
{
	m->fd = fd;
	m->ticks = 0;
	weft_go(tick, m);
}

static inline void meanwhile_end(struct meanwhile *m)
{
	CHECK_EQ(m->ticks, TICKS);
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

/* Not inlined: the goroutine may be on another thread than a moment ago. */
static __attribute__((noinline, unused)) void set_errno(int to)
{
	errno = to;
}

static __attribute__((noinline, unused)) int get_errno(void)
{
	return errno;
}

#endif
