#include "net/epoll.h"
#include "net/sys.h"
#include "runtime/poller.h"
#include "runtime/sched.h"
#include "runtime/sim.h"

#include <weft/go.h>
#include <weft/mem.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64 };

static struct {
	struct instance {
		int epoll, event;
		struct epoll_event events[BATCH]; /* the holder's; not on the stack of whoever happens to run */
	} *ps;
	int err; /* of the start */
} pollers;

static unsigned events_of(uint32_t epoll_events)
{
	unsigned events = 0;
	if (epoll_events & EPOLLIN)
		events |= READY_IN;
	if (epoll_events & EPOLLOUT)
		events |= READY_OUT;
	if (epoll_events & EPOLLPRI)
		events |= READY_IN | READY_URGENT;
	if (epoll_events & EPOLLRDHUP)
		events |= READY_END;
	if (epoll_events & (EPOLLHUP | EPOLLERR))
		events |= READY_HUP;
	return events;
}

/* Off-line, and therefore without taking events: what they name could be reclaimed before we are back. */
static void sleep_on(int epoll, int64_t timeout_ns)
{
	struct timespec t = {.tv_sec = timeout_ns / WEFT_S, .tv_nsec = timeout_ns % WEFT_S};
	struct pollfd p = {.fd = epoll, .events = POLLIN};
	epoch_offline();
	ppoll(&p, 1, timeout_ns < 0 ? NULL : &t, NULL);
	epoch_online();
}

static int wait(unsigned index, unsigned of, int64_t timeout_ns)
{
	struct epoll_event *events = pollers.ps[index].events;
	int epoll = pollers.ps[of].epoll;
	if (timeout_ns != 0)
		sleep_on(epoll, timeout_ns);
	int n = sys_epoll_look(epoll, events, BATCH);
	int seen = 0;
	if (n <= 0)
		return 0;
	stats_batch_begin(sched.ps[index]);
	for (int i = 0; i < n; i++) {
		struct ready *r = events[i].data.ptr;
		if (!r)
			continue; /* the eventfd: its edge is all that it has to say */
		ready_notify(r, events_of(events[i].events));
		seen++;
	}
	stats_batch_end(sched.ps[index]);
	return seen;
}

static void wake(unsigned index)
{
	static const uint64_t one = 1; /* not on a stack: we may be anybody here (fiber.h) */
	ssize_t n = write(pollers.ps[index].event, &one, sizeof one);
	(void)n; /* full: then there is an edge already */
}

static bool has_something(unsigned of)
{
	struct pollfd p = {.fd = pollers.ps[of].epoll, .events = POLLIN};
	return poll(&p, 1, 0) > 0;
}

static const struct poller poller = {.name = "epoll", .wait = wait, .has_something = has_something, .wake = wake};

static int make_instance(struct instance *in)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
	in->epoll = epoll_create1(EPOLL_CLOEXEC);
	in->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->epoll < 0 || in->event < 0 || epoll_ctl(in->epoll, EPOLL_CTL_ADD, in->event, &e))
		return -last_error();
	return 0;
}

static void start(void)
{
	int n = weft_procs();
	pollers.ps = weft_calloc((size_t)n, sizeof *pollers.ps);
	if (!pollers.ps)
		pollers.err = -ENOMEM;
	for (int i = 0; i < n && !pollers.err; i++)
		pollers.err = make_instance(&pollers.ps[i]);
	if (!pollers.err)
		poller_install(&poller);
}

/* In a simulation nothing waits for what is outside. */
int epoll_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	if (sim_on)
		return -ENOTSUP;
	pthread_once(&once, start);
	return pollers.err;
}

int epoll_register(struct ready *r)
{
	struct m *m = m_self();
	unsigned index = m && m_p(m) ? m_p(m)->index : 0;
	struct epoll_event e = {.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = r};
	r->poller = index;
	return epoll_ctl(pollers.ps[index].epoll, EPOLL_CTL_ADD, r->fd, &e) ? -last_error() : 0;
}

void epoll_unregister(struct ready *r)
{
	epoll_ctl(pollers.ps[r->poller].epoll, EPOLL_CTL_DEL, r->fd, NULL);
}
