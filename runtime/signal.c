/* Signals on channels.
 *
 * A handler runs on whichever thread the kernel picks, between any two instructions: it may take no lock and ready no
 * goroutine. So it sets the signal's bit and wakes the dispatcher, a thread of its own that sends on the channels:
 *
 *     the handler                       the dispatcher
 *     or the bit into pending           note := 0
 *     swap 1 into note                  take all of pending
 *     note was 0: post the semaphore    wait for the semaphore
 *
 * Either the dispatcher takes the bit, or the semaphore is posted once more. Several signals of a kind before it gets there are
 * one bit: as to the kernel, and to Go.
 *
 * Rejected: a dispatcher goroutine. A handler cannot ready it, the runtime has no poller of its own to wait in, and
 * it would wait for a P while goroutines compute. The thread sleeps on a semaphore, starts with the first subscription, and
 * counts among weft's own, so that it hides no deadlock; a subscription itself is something that may happen, and
 * is counted in sched.xoutside. The thread blocks no signal: one that all others block still arrives.
 *
 * The table's lock is held while the dispatcher sends, which never waits; so whoever has ended a channel's subscriptions
 * under it may free the channel.
 *
 * R1 on_signal: or_seq(xpending)  ->  A1 dispatch: swap_seq(xpending)
 * R2 dispatch: store_seq(xnote)   ->  A2 on_signal: swap_seq(xnote)      what is set from here on is posted anew
 */
#include "runtime/signal.h"
#include "lockfree/assert.h"
#include "runtime/attach.h"
#include "runtime/sched.h"

#include <weft/mem.h>
#include <weft/signal.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

enum { SIGNALS = 64, DISPATCHER_STACK = 256 * 1024 };
_Static_assert(SIGNALS == _NSIG - 1, "a bit for each signal");

static struct {
	_Atomic uint64_t xpending;
	_Atomic uint32_t xnote;
	sem_t posted;
} arrived;

struct subscription {
	struct subscription *next;
	struct weft_chan *ch;
};

static struct {
	pthread_mutex_t lock;
	bool has_dispatcher;
	struct subscription *of[SIGNALS + 1]; /* by signal, oldest first */
	struct sigaction before[SIGNALS + 1]; /* while there is a subscription */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- arriving ---- */

/* A thread's errno, of whichever goroutine the signal has interrupted. */
static NO_TSAN int save_errno(void)
{
	return errno;
}

static NO_TSAN void restore_errno(int error)
{
	errno = error;
}

static void on_signal(int signo)
{
	int error = save_errno();
	or_seq(&arrived.xpending, 1ull << (signo - 1)); /* R1 */
	if (!swap_seq(&arrived.xnote, 1))               /* A2 */
		sem_post(&arrived.posted);
	restore_errno(error);
}

/* False: the channel has been closed. */
static bool send_to(struct weft_chan *c, int signo)
{
	struct g *wake;
	chan_lock(c);
	enum outcome o = chan_send_locked(c, &signo, &wake);
	chan_unlock(c);
	if (wake)
		ready(wake);
	return o != SENT_CLOSED;
}

static void remove_locked(int signo, struct subscription **link)
{
	struct subscription *s = *link;
	*link = s->next;
	weft_free(s);
	if (!table.of[signo])
		sigaction(signo, &table.before[signo], NULL);
	outside_leave();
}

static void deliver(int signo)
{
	pthread_mutex_lock(&table.lock);
	for (struct subscription **link = &table.of[signo]; *link;)
		if (send_to((*link)->ch, signo))
			link = &(*link)->next;
		else
			remove_locked(signo, link);
	pthread_mutex_unlock(&table.lock);
}

static void *dispatch(void *unused)
{
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	pthread_setname_np(pthread_self(), "weft-signals");
	for (;;) {
		while (sem_wait(&arrived.posted))
			; /* one of the signals, on this thread */
		store_seq(&arrived.xnote, 0); /* R2 */
		uint64_t bits = swap_seq(&arrived.xpending, 0); /* A1 */
		for (; bits; bits &= bits - 1)
			deliver(__builtin_ctzll(bits) + 1);
	}
	return unused;
}

/* ---- subscribing ---- */

static int need_dispatcher_locked(void)
{
	pthread_t thread;
	pthread_attr_t attr;
	if (table.has_dispatcher)
		return 0;
	sem_init(&arrived.posted, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, DISPATCHER_STACK);
	int err = pthread_create(&thread, &attr, dispatch, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	add_seq(&sched.own_threads, 1);
	table.has_dispatcher = true;
	return 0;
}

static bool can_be_had(int signo)
{
	switch (signo) {
	case SIGKILL:
	case SIGSTOP:
	case SIGURG:
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
		return false;
	default: /* between the two kinds are some of libc's own */
		return signo > 0 && signo <= SIGRTMAX && (signo < __SIGRTMIN || signo >= SIGRTMIN);
	}
}

static int install(int signo)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
	sigfillset(&action.sa_mask);
	return sigaction(signo, &action, &table.before[signo]) ? -errno : 0;
}

static int subscribe_locked(struct weft_chan *c, int signo)
{
	struct subscription **last = &table.of[signo];
	for (; *last; last = &(*last)->next)
		if ((*last)->ch == c)
			return 0;
	int err = need_dispatcher_locked();
	if (err)
		return err;
	struct subscription *s = weft_malloc(sizeof *s);
	if (!s)
		return -ENOMEM;
	*s = (struct subscription){.ch = c};
	if (!table.of[signo] && (err = install(signo))) {
		weft_free(s);
		return err;
	}
	*last = s; /* under the lock: the dispatcher finds it, even for a signal that is there already */
	outside_enter();
	store_rel(&c->subscribed, true);
	return 0;
}

static void unsubscribe_all_locked(int signo)
{
	while (table.of[signo])
		remove_locked(signo, &table.of[signo]);
}

int weft_signal_notify(weft_chan *c, int signo)
{
	if (!can_be_had(signo) || !outside_may_enter())
		return -EINVAL;
	if (sim_on)
		return -ENOTSUP;
	if (c && (c->elem_size != sizeof(int) || load_acq(&c->closed)))
		return -EINVAL;
	int err = 0;
	pthread_mutex_lock(&table.lock);
	if (c)
		err = subscribe_locked(c, signo);
	else
		unsubscribe_all_locked(signo);
	pthread_mutex_unlock(&table.lock);
	return err;
}

void signal_forget(struct weft_chan *c)
{
	pthread_mutex_lock(&table.lock);
	for (int signo = 1; signo <= SIGNALS; signo++)
		for (struct subscription **link = &table.of[signo]; *link;)
			if ((*link)->ch == c)
				remove_locked(signo, link);
			else
				link = &(*link)->next;
	store_rel(&c->subscribed, false);
	pthread_mutex_unlock(&table.lock);
}

void weft_signal_stop(weft_chan *c)
{
	if (c && load_acq(&c->subscribed))
		signal_forget(c);
}
