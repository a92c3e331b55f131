/* Threads that weft did not make, and that say so: weft_attach.
 *
 * Any thread may send, wake, start goroutines and wait; for waiting it is given a goroutine that stands for it (sched.c). An
 * attached one has that from the beginning to the end, and is known: while there is one, no deadlock is declared, whereas
 * of the others it is only known how many threads the process has.
 *
 * It is no reader (lockfree/epoch.h) between its calls: it may compute for hours, and all freeing would wait for it. The
 * calls that need it come on-line for their own length.
 *
 *     going to sleep (the last P, idle.c)      leaving
 *     set the bit in idle_mask                 count down xoutside
 *     look at xoutside                         look at the idle Ps, wake one
 *
 * Either the P sees that nobody is left outside, or the leaving thread sees the P asleep, and wakes it to look again.
 */
#include "runtime/attach.h"
#include "runtime/panic.h"
#include "runtime/sched.h"

#include <weft/go.h>

#include <errno.h>
#include <pthread.h>

static struct {
	pthread_once_t once;
	pthread_key_t key; /* whose destructor detaches a thread that ends */
	int err;
} at_end = {.once = PTHREAD_ONCE_INIT};

static _Thread_local bool attached;

bool outside_may_enter(void)
{
	return load_acq(&sched.running) && !load_acq(&sched.stopping);
}

void outside_enter(void)
{
	add_seq(&sched.xoutside, 1);
}

void outside_leave(void)
{
	if (sub_seq(&sched.xoutside, 1) == 1)
		wake_one();
}

static void detach(void)
{
	attached = false;
	stand_in_drop();
	outside_leave();
}

static void detach_at_end(void *unused)
{
	(void)unused;
	detach();
}

static void make_key(void)
{
	at_end.err = pthread_key_create(&at_end.key, detach_at_end);
}

int weft_attach(void)
{
	if (m_self() || !outside_may_enter())
		return -EINVAL;
	if (sim_on)
		return -ENOTSUP;
	if (attached)
		return -EALREADY;
	pthread_once(&at_end.once, make_key);
	int err = at_end.err ? at_end.err : pthread_setspecific(at_end.key, &attached);
	if (err)
		return -err;
	stand_in();
	attached = true;
	outside_enter();
	return 0;
}

void weft_detach(void)
{
	if (m_self() || !attached)
		weft_panic("weft_detach of a thread that is not attached");
	pthread_setspecific(at_end.key, NULL);
	detach();
}
