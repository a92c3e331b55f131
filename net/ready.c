#include "net/ready.h"
#include "net/epoll.h"
#include "runtime/panic.h"
#include "runtime/poller.h"

#include <errno.h>
#include <unistd.h>

void ready_init(struct ready *r, int fd)
{
	*r = (struct ready){.fd = fd, .xusers = 1};
	store_rlx(&r->in.xset, true);
	store_rlx(&r->out.xset, true);
	store_rlx(&r->in.deadline, INT64_MAX);
	store_rlx(&r->out.deadline, INT64_MAX);
}

int ready_enter(struct ready *r)
{
	int32_t users = load_rlx(&r->xusers);
	do {
		if (users == 0 || load_acq(&r->xclosed))
			return -ECANCELED; /* nobody comes in once the last one has left: the descriptor is gone */
	} while (!cas_acq(&r->xusers, &users, users + 1));
	return 0;
}

void ready_leave(struct ready *r, void (*reclaim)(struct epoch_entry *))
{
	if (sub_acqrel(&r->xusers, 1) != 1)
		return;
	close(r->fd);
	retire(&r->retired, reclaim);
}

/* Takes the waiter, if its wait is still to be ended. */
static struct g *take_waiter_locked(struct ready_half *h)
{
	struct g *g = h->waiter;
	h->waiter = NULL;
	return g && wait_claim(g) ? g : NULL;
}

static struct g *set_half(struct ready *r, struct ready_half *h)
{
	spin_lock(&r->lock);
	store_rel(&h->xset, true);
	struct g *g = take_waiter_locked(h);
	spin_unlock(&r->lock);
	return g;
}

void ready_notify(struct ready *r, unsigned events)
{
	struct g *reader = NULL, *writer = NULL;
	if (events & (READY_END | READY_HUP))
		store_rel(&r->in.xended, true);
	if (events & READY_HUP)
		store_rel(&r->out.xended, true);
	if (events & (READY_IN | READY_END | READY_HUP))
		reader = set_half(r, &r->in);
	/* Most edges say "writable" as well, to nobody. */
	if ((events & (READY_OUT | READY_HUP)) && !load_acq(&r->out.xset))
		writer = set_half(r, &r->out);
	if (reader)
		ready(reader);
	if (writer)
		ready(writer);
}

/* Something about the wait has changed: whoever waits looks again. */
static void nudge(struct ready *r, struct ready_half *h)
{
	spin_lock(&r->lock);
	struct g *g = take_waiter_locked(h);
	spin_unlock(&r->lock);
	if (g)
		ready(g);
}

void ready_set_deadline(struct ready *r, struct ready_half *h, weft_deadline deadline)
{
	store_rel(&h->deadline, deadline.ns);
	nudge(r, h);
}

void ready_close(struct ready *r)
{
	store_seq(&r->xclosed, true);
	nudge(r, &r->in);
	nudge(r, &r->out);
}

static int register_locked(struct ready *r)
{
	if (r->registered)
		return 0;
	int err = epoll_register(r);
	r->registered = !err;
	return err;
}

/* Parks once; the lock is held, and given up. */
static void park_locked(struct ready *r, struct ready_half *h, enum wait_reason why, int64_t deadline)
{
	if (h->waiter) {
		spin_unlock(&r->lock);
		weft_panic("two goroutines in the same direction of one connection");
	}
	struct g *g = h->waiter = wait_begin(why);
	spin_unlock(&r->lock);
	poller_waiting(+1);
	bool timed_out = park_until(g, weft_at(deadline));
	poller_waiting(-1);
	if (!timed_out)
		return;
	spin_lock(&r->lock);
	if (h->waiter == g)
		h->waiter = NULL;
	spin_unlock(&r->lock);
}

int ready_wait(struct ready *r, struct ready_half *h, enum wait_reason why)
{
	for (;;) {
		spin_lock(&r->lock);
		int64_t deadline = load_acq(&h->deadline); /* under the lock: a change finds us waiting, or is seen */
		int err = load_rlx(&r->xclosed) ? -ECANCELED : register_locked(r);
		bool set = load_rlx(&h->xset) || load_rlx(&h->xended);
		if (!err && !set && deadline != INT64_MAX && deadline <= weft_now())
			err = -ETIMEDOUT;
		if (!err && !set) {
			park_locked(r, h, why, deadline);
			continue;
		}
		if (!err)
			store_rlx(&h->xset, false);
		spin_unlock(&r->lock);
		return err;
	}
}
