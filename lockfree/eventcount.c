#include "lockfree/eventcount.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000 };

static struct timespec after(int64_t ns)
{
	struct timespec t;
	assert_always(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	t.tv_sec += ns / SECOND;
	t.tv_nsec += ns % SECOND;
	if (t.tv_nsec >= SECOND) {
		t.tv_sec++;
		t.tv_nsec -= SECOND;
	}
	return t;
}

/* 0: woken. EAGAIN: the word is not `expected`. EINTR, ETIMEDOUT. */
static int sleep_while(_Atomic uint32_t *word, uint32_t expected, const struct timespec *until)
{
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, until, NULL, FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	assert_always(errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
	return errno;
}

int eventcount_commit_wait(struct eventcount *e, uint32_t key, int64_t timeout_ns)
{
	struct timespec until = after(timeout_ns < 0 ? 0 : timeout_ns);
	bool timed_out = false;
	while (load_acq(&e->xepoch) == key && !timed_out) /* A1 */
		timed_out = sleep_while(&e->xepoch, key, timeout_ns < 0 ? NULL : &until) == ETIMEDOUT;
	(void)sub_rlx(&e->xwaiters, 1);
	return timed_out ? -ETIMEDOUT : 0;
}

void eventcount_wake(struct eventcount *e, int sleepers_max)
{
	(void)add_rel(&e->xepoch, 1); /* R1 */
	syscall(SYS_futex, &e->xepoch, FUTEX_WAKE_PRIVATE, sleepers_max, NULL, NULL, 0);
}
