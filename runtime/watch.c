#include "runtime/watch.h"
#include "runtime/pick.h"

enum {
	WATCH_EVERY = 500000,
	WATCH_ON = 5000000,
};

static struct {
	struct steps seen[MAX_PS]; /* at the last look */
	bool late[MAX_PS]; /* at this one */
	bool global_waited;
	int64_t mixed_at; /* when there was work last, and somebody who could help; 0: never */
} watch;

static bool leaves_something(struct p *p, struct steps *seen, int64_t now)
{
	bool stepped = has_stepped(p, seen);
	if (!stepped && sched.steal && (runq_len(&p->runq) || load_rlx(&p->xrunnext)))
		return true;
	if (load_rlx(&p->wheel.xnext) < now - TIMER_LATE_NS)
		return true;
	return load_rlx(&sched.poller) && now - load_rlx(&p->polled) > POLLER_LATE_NS && !is_asleep(p);
}

static void look_at_ps(int64_t now)
{
	for (unsigned i = 0; i < sched.nprocs; i++)
		watch.late[i] = leaves_something(sched.ps[i], &watch.seen[i], now);
}

static bool somebody_is_late(void)
{
	for (unsigned i = 0; i < sched.nprocs; i++)
		if (watch.late[i])
			return true;
	return false;
}

static bool wake_a_helper(void)
{
	for (unsigned i = 0; i < sched.nprocs; i++) {
		struct p *p = sched.ps[i];
		if (!watch.late[i] && !is_resting(p) && is_asleep(p) && wake_for_a_look(p))
			return true;
	}
	return false;
}

static bool global_waits(void)
{
	bool waited = watch.global_waited;
	watch.global_waited = gqueue_len(&sched.global);
	return waited && watch.global_waited;
}

struct watch_look watch_look(int64_t now, bool some_compute)
{
	if (load_seq(&sched.xidle) < sched.nprocs && (some_compute || somebody_is_worth_waking()))
		watch.mixed_at = now;
	bool on = watch.mixed_at && now - watch.mixed_at <= WATCH_ON;
	store_seq(&sched.xwatched, on);
	if (!on)
		return (struct watch_look){.pause = INT64_MAX};
	look_at_ps(now);
	bool waits = global_waits(), late = somebody_is_late();
	return (struct watch_look){.pause = WATCH_EVERY, .unhelped = (waits || late) && !wake_a_helper()};
}
