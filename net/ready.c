#include "net/ready.h"
#include "net/epoll.h"
#include "runtime/panic.h"
#include "runtime/poller.h"

#include <errno.h>
#include <unistd.h>

void ready_init(struct ready *r, int fd)
{
	*r = (struct ready){.fd = fd, .xusers = 1};
	ready_again(&r->in); /* nothing is known yet */
	ready_again(&r->out);
	store_rlx(&r->in.xdeadline, INT64_MAX);
	store_rlx(&r->out.xdeadline, INT64_MAX);
}

int ready_enter(struct ready *r)
{
	int32_t users = load_rlx(&r->xusers);
	do {
		if (users == 0 || load_acq(&r->xclosed)) {
			epoch_looked();
			return -ECANCELED; /* nobody comes in once the last one has left: the descriptor is gone */
		}
	} while (!cas_acq(&r->xusers, &users, users + 1));
	return 0;
}

void ready_leave(struct ready *r, void (*reclaim)(struct epoch_entry *))
{
	if (sub_acqrel(&r->xusers, 1) != 1)
		return;
	if (load_acq(&r->xregistered))
		epoll_unregister(r);
	close(r->fd);
	retire(&r->retired, reclaim);
}

static void tell(struct ready_half *h)
{
	struct g *found = load_acq(&h->xword);
	while (found != READY_EDGE)
		if (cas_seq(&h->xword, &found, found ? NULL : READY_EDGE)) { /* R1 */
			if (found)
				ready(found);
			return;
		}
}

void ready_notify(struct ready *r, unsigned events)
{
	if (events & READY_URGENT)
		store_rel(&r->xsplits, true);
	if (events & (READY_END | READY_HUP))
		store_rel(&r->in.xended, true);
	if (events & READY_HUP)
		store_rel(&r->out.xended, true);
	if (events & (READY_IN | READY_END | READY_HUP))
		tell(&r->in);
	if (events & (READY_OUT | READY_HUP))
		tell(&r->out);
}

/* Ends this goroutine's wait; false: it has been ended already. */
static bool take(struct ready_half *h, struct g *g)
{
	return cas_seq(&h->xword, &g, NULL);
}

/* What the wait depends on has changed: whoever waits looks again. */
static void nudge(struct ready_half *h)
{
	struct g *g = load_seq(&h->xword);
	if (g && g != READY_EDGE && take(h, g))
		ready(g);
}

void ready_set_deadline(struct ready_half *h, weft_deadline deadline)
{
	store_seq(&h->xdeadline, deadline.ns);
	nudge(h);
}

void ready_close(struct ready *r)
{
	store_seq(&r->xclosed, true); /* R2 */
	nudge(&r->in);
	nudge(&r->out);
}

static COLD int register_once(struct ready *r)
{
	int err = 0;
	spin_lock(&r->lock);
	if (!load_rlx(&r->xregistered)) {
		err = epoll_register(r);
		store_rel(&r->xregistered, !err);
	}
	spin_unlock(&r->lock);
	return err;
}

struct wait {
	struct ready_half *half;
	struct g *g;
	_Atomic bool timed_out;
};

static int64_t expire(void *arg, int64_t now)
{
	struct wait *w = arg;
	(void)now;
	if (take(w->half, w->g)) {
		store_rlx(&w->timed_out, true);
		ready(w->g);
	}
	return 0;
}

enum woken { BY_OTHERS, BY_DEADLINE, NOT_PARKED, SHARED };

static enum woken park_once(struct ready *r, struct ready_half *h, enum wait_reason why, int64_t deadline)
{
	struct wait w = {.half = h, .g = wait_begin(why)};
	struct g *found = NULL;
	if (!cas_seq(&h->xword, &found, w.g)) { /* A1 */
		wait_cancel(w.g);
		return found == READY_EDGE ? NOT_PARKED : SHARED;
	}
	bool changed = load_seq(&r->xclosed) || load_seq(&h->xdeadline) != deadline; /* A2 */
	if (changed && take(h, w.g)) {
		wait_cancel(w.g);
		return NOT_PARKED;
	}
	store_rlx(&w.timed_out, false);
	poller_waiting(+1);
	park_with(weft_at(deadline), expire, &w);
	poller_waiting(-1);
	return load_rlx(&w.timed_out) ? BY_DEADLINE : BY_OTHERS;
}

int ready_wait(struct ready *r, struct ready_half *h, enum wait_reason why)
{
	for (;;) {
		int err = unlikely(!load_acq(&r->xregistered)) ? register_once(r) : 0;
		int64_t deadline = load_acq(&h->xdeadline);
		if (load_acq(&r->xclosed))
			return -ECANCELED;
		if (err || ready_use(h))
			return err;
		if (deadline != INT64_MAX && deadline <= weft_now())
			return -ETIMEDOUT;
		enum woken how = park_once(r, h, why, deadline);
		if (how == BY_OTHERS)
			return load_acq(&r->xclosed) ? -ECANCELED : 0;
		if (unlikely(how == SHARED))
			return READY_SHARED;
	}
}

void ready_panic_shared(void)
{
	weft_panic("two goroutines in the same direction of one connection");
}
