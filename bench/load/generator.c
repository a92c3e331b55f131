#include "bench/load/generator.h"
#include "lockfree/tsc.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	EVENTS = 256,
	INPUT_BYTES = 128 * 1024,
	SEEN_BYTES = 4096,
	READS_AT_ONCE = 64,
	CONNECTING_AT_ONCE = 64,
	CONNECT_SECONDS_MAX = 10,
	STALLS = 1024,	 /* a power of two */
	NAP_MS_MAX = 50, /* a sleeping generator looks for *stop so often */
};

static const uint32_t conn_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

enum state { IDLE, BUSY, CONNECTING, WAITING, STATES };

struct conn {
	struct conn *next, *prev;
	int fd; /* -1 while WAITING */
	enum state state;
	bool measured;	/* its request belongs to the measured time */
	bool worked;	/* has answered since it was opened */
	bool reading;	/* `response` has begun */
	uint64_t since; /* ticks: BUSY intended; CONNECTING begun; WAITING may try again */
	uint64_t sent_at;
	uint64_t own;	 /* the generator's delay of its request, up to sending */
	uint64_t number; /* echo: of the request, at the head of its payload */
	size_t sent, received;
	struct http_response response;
};

/* The thread stood still. */
struct stall {
	uint64_t from, to;
};

struct list {
	struct conn *first, *last;
};

struct generator {
	const struct load_settings *set;
	const _Atomic int *stop;
	struct load_result result;
	struct schedule schedule;
	struct list lists[STATES];
	struct conn *conns;
	int count, part, epoll;

	uint64_t start, measure_from, end; /* ticks */
	uint64_t next;			   /* intended time of the next arrival; UINT64_MAX: none */
	uint64_t timeout, late_bound, retry_after;
	uint64_t looked;       /* the last look at the clock */
	uint64_t idle_since;   /* when a connection became free while none was */
	uint64_t unseen_since; /* an answer that is read now was not there then */
	uint64_t numbers;
	struct stall stalls[STALLS]; /* a ring, those that no sent arrival has outlived */
	uint32_t stalls_head, stalls_tail;
	bool measuring; /* within the measured time */
	struct rusage usage_before;

	char *request; /* a copy of the target's: echo writes its number into it */
	size_t request_len;
	/* The last response that came whole and at once, verdict good: equal bytes need no second
	 * parse. */
	size_t seen_len;
	char seen[SEEN_BYTES];
	char input[INPUT_BYTES];
};

static void list_add(struct generator *g, struct conn *c, enum state state)
{
	struct list *l = &g->lists[state];
	c->state = state;
	c->next = NULL;
	c->prev = l->last;
	*(l->last ? &l->last->next : &l->first) = c;
	l->last = c;
}

static void list_remove(struct generator *g, struct conn *c)
{
	struct list *l = &g->lists[c->state];
	*(c->prev ? &c->prev->next : &l->first) = c->next;
	*(c->next ? &c->next->prev : &l->last) = c->prev;
}

static void move(struct generator *g, struct conn *c, enum state to)
{
	list_remove(g, c);
	list_add(g, c, to);
}

static void become_idle(struct generator *g, struct conn *c, uint64_t now)
{
	if (!g->lists[IDLE].first)
		g->idle_since = now;
	move(g, c, IDLE);
}

static COLD void note_stall(struct generator *g, uint64_t now)
{
	if (g->stalls_tail - g->stalls_head == STALLS)
		g->stalls_head++;
	g->stalls[g->stalls_tail++ % STALLS] = (struct stall){g->looked, now};
}

/* For how long an arrival that was meant for a moment within a stall was not even noticed. Arrivals
 * ask in their order. */
static uint64_t unnoticed(struct generator *g, uint64_t intended)
{
	for (; g->stalls_head != g->stalls_tail; g->stalls_head++) {
		const struct stall *s = &g->stalls[g->stalls_head % STALLS];
		if (intended < s->from)
			break;
		if (intended < s->to)
			return s->to - intended;
	}
	return 0;
}

/* Every reading of the clock in the loop, so that the gaps between readings are its stalls. */
static inline uint64_t look(struct generator *g)
{
	uint64_t now = tsc_now();
	if (unlikely(now < g->looked)) /* moved to a core whose counter is behind */
		now = g->looked;
	if (unlikely(now - g->looked > g->late_bound))
		note_stall(g, now);
	if (g->measuring)
		histogram_record(&g->result.gaps, tsc_ns(now - g->looked));
	return g->looked = now;
}

/* Requests outside the measured time count nowhere. */
static void count(const struct conn *c, _Atomic uint64_t *counter)
{
	if (c->measured)
		bump(counter, 1);
}

static void note_error(struct generator *g, const char *what, const char *detail)
{
	if (!g->result.first_error[0])
		snprintf(g->result.first_error, sizeof g->result.first_error, "%s%s%s", what,
			 detail ? ": " : "", detail ? detail : "");
}

static void record_latency(struct generator *g, const struct conn *c, uint64_t now)
{
	if (!c->measured)
		return;
	uint64_t age = now - c->since, own = c->own + (now - g->unseen_since);
	histogram_record(&g->result.latency, tsc_ns(age));
	histogram_record(&g->result.rest, tsc_ns(own < age ? age - own : 0));
}

/* Connections */

static bool is_udp(const struct generator *g)
{
	return g->set->target.protocol == PROTOCOL_UDP;
}

static void close_conn(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd); /* epoll forgets it */
	c->fd = -1;
}

static void wait_before_retry(struct generator *g, struct conn *c, uint64_t now)
{
	close_conn(c);
	c->since = now + g->retry_after;
	move(g, c, WAITING);
}

/* Begins to connect. A negative errno leaves the connection closed and in its list. */
static int open_conn(struct generator *g, struct conn *c, uint64_t now)
{
	const struct target *t = &g->set->target;
	struct epoll_event ev = {.events = conn_events, .data.ptr = c};
	int one = 1;
	c->fd = socket(t->addr.ss_family,
		       (is_udp(g) ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (!is_udp(g))
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if ((connect(c->fd, (const struct sockaddr *)&t->addr, t->addr_len) &&
	     errno != EINPROGRESS) ||
	    epoll_ctl(g->epoll, EPOLL_CTL_ADD, c->fd, &ev)) {
		int error = -errno;
		close_conn(c);
		return error;
	}
	c->worked = false;
	c->since = now;
	move(g, c, CONNECTING);
	return 0;
}

static void connect_failed(struct generator *g, struct conn *c, int error, uint64_t now)
{
	if (g->measuring)
		bump(&g->result.counts.error_connect, 1);
	note_error(g, "connect", strerror(-error));
	wait_before_retry(g, c, now);
}

/* Whether there is anything left to send. */
static bool wanted(const struct generator *g, uint64_t now)
{
	return g->set->mode == LOAD_OPEN ? g->next != UINT64_MAX : now < g->end;
}

static void reopen(struct generator *g, struct conn *c, uint64_t now)
{
	if (g->measuring)
		bump(&g->result.counts.reconnects, 1);
	int error = open_conn(g, c, now);
	if (error)
		connect_failed(g, c, error, now);
}

/* The connection has ended. One that had worked is opened again at once: a server may close after
 * every answer. One that had not must wait its time. */
static void replace(struct generator *g, struct conn *c, uint64_t now)
{
	close_conn(c);
	if (c->worked && wanted(g, now))
		reopen(g, c, now);
	else
		wait_before_retry(g, c, now);
}

/* Requests */

static void fail_request(struct generator *g, struct conn *c, _Atomic uint64_t *counter,
			 const char *what, const char *detail, uint64_t now)
{
	count(c, counter);
	if (c->measured)
		note_error(g, what, detail);
	record_latency(g, c, now);
}

/* The connection failed with `error`, or was closed if that is 0. */
static void conn_broke(struct generator *g, struct conn *c, int error, uint64_t now)
{
	if (c->state == BUSY)
		fail_request(g, c, &g->result.counts.error_closed, "instead of an answer",
			     error ? strerror(error) : "closed by the server", now);
	c->worked &= !error;
	replace(g, c, now);
}

static void number_request(struct generator *g, const struct conn *c)
{
	if (g->set->target.protocol != PROTOCOL_HTTP)
		memcpy(g->request, &c->number,
		       g->request_len < sizeof c->number ? g->request_len : sizeof c->number);
}

/* Sends what is left of the request, as far as the socket takes it. */
static void send_more(struct generator *g, struct conn *c)
{
	number_request(g, c);
	ssize_t n = send(c->fd, g->request + c->sent, g->request_len - c->sent, MSG_NOSIGNAL);
	if (n >= 0)
		c->sent += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		conn_broke(g, c, errno, look(g));
}

static void send_request(struct generator *g, struct conn *c, uint64_t intended, uint64_t now)
{
	c->since = intended;
	c->sent_at = now;
	c->measured = intended >= g->measure_from;
	c->own = 0;
	c->number = ++g->numbers;
	c->sent = c->received = 0;
	c->reading = false;
	count(c, &g->result.counts.offered);
	if (g->set->mode == LOAD_OPEN) {
		uint64_t due = intended > g->idle_since ? intended : g->idle_since;
		uint64_t lateness = now > due ? now - due : 0, missed = unnoticed(g, intended);
		if (c->measured)
			histogram_record(&g->result.lateness, tsc_ns(lateness));
		if (lateness > g->late_bound)
			count(c, &g->result.counts.late_sends);
		c->own = lateness > missed ? lateness : missed;
	}
	move(g, c, BUSY);
	send_more(g, c);
}

static void draw_arrival(struct generator *g)
{
	g->next = g->start + (uint64_t)schedule_next(&g->schedule);
	if (g->next >= g->end)
		g->next = UINT64_MAX;
}

/* An arrival that no connection was free for is given up. */
static void give_up_arrival(struct generator *g, _Atomic uint64_t *counter, uint64_t now)
{
	struct conn unsent = {.since = g->next, .measured = g->next >= g->measure_from};
	count(&unsent, &g->result.counts.offered);
	count(&unsent, counter);
	g->unseen_since = now;
	record_latency(g, &unsent, now);
	draw_arrival(g);
}

/* Sends what is due. Returns a fresh look at the clock. */
static uint64_t dispatch(struct generator *g, uint64_t now)
{
	struct conn *c;
	if (g->set->mode == LOAD_OPEN) {
		while (g->next <= now && (c = g->lists[IDLE].first)) {
			uint64_t intended = g->next;
			draw_arrival(g);
			send_request(g, c, intended, now);
			now = look(g);
		}
		return now;
	}
	while ((c = g->lists[IDLE].first) && now < g->end) {
		send_request(g, c, now, now);
		now = look(g);
	}
	return now;
}

/* Answers */

static void answered(struct generator *g, struct conn *c, uint64_t now)
{
	count(c, &g->result.counts.answered);
	if (g->measuring && now < g->end)
		bump(&g->result.counts.in_window, 1);
	record_latency(g, c, now);
	c->worked = true;
	become_idle(g, c, now);
}

static void mismatched(struct generator *g, struct conn *c, uint64_t now)
{
	fail_request(g, c, &g->result.counts.mismatches, "the body is not the expected one", NULL,
		     now);
	c->worked = true;
	become_idle(g, c, now);
}

static void misspoken(struct generator *g, struct conn *c, const char *why, uint64_t now)
{
	fail_request(g, c, &g->result.counts.error_protocol, "not a response", why, now);
	c->worked = false;
	replace(g, c, now);
}

static void http_done(struct generator *g, struct conn *c, uint64_t now)
{
	struct http_response *r = &c->response;
	char status[24];
	if (r->status < 200 || r->status > 299) {
		snprintf(status, sizeof status, "status %u", r->status);
		fail_request(g, c, &g->result.counts.error_status, status, NULL, now);
		c->worked = true;
		become_idle(g, c, now);
	} else if (r->mismatch)
		mismatched(g, c, now);
	else
		answered(g, c, now);
	if (!r->keep_alive)
		replace(g, c, now);
}

static void take_http(struct generator *g, struct conn *c, size_t n, uint64_t now)
{
	if (!c->reading && n == g->seen_len && !memcmp(g->input, g->seen, n)) {
		answered(g, c, now);
		return;
	}
	struct http_response *r = &c->response;
	bool at_once = !c->reading;
	if (!c->reading)
		http_response_init(r, &g->set->expect);
	c->reading = true;
	ssize_t used = http_response_feed(r, g->input, n);
	if (used < 0)
		misspoken(g, c, r->why, now);
	else if ((size_t)used < n)
		misspoken(g, c, "bytes behind the response", now);
	else if (r->state == HTTP_DONE) {
		if (at_once && n <= SEEN_BYTES && r->keep_alive && !r->mismatch &&
		    r->status / 100 == 2) {
			memcpy(g->seen, g->input, n);
			g->seen_len = n;
		}
		http_done(g, c, now);
	}
}

static void take_echo(struct generator *g, struct conn *c, size_t n, uint64_t now)
{
	if (n > g->request_len - c->received) {
		misspoken(g, c, "more bytes than were sent", now);
		return;
	}
	number_request(g, c);
	if (memcmp(g->input, g->request + c->received, n)) {
		mismatched(g, c, now);
		if (!is_udp(g)) /* the rest of the stream is unknown */
			replace(g, c, now);
		return;
	}
	c->received += n;
	if (c->received == g->request_len)
		answered(g, c, now);
}

/* Late and doubled datagrams, which carry another number, are no answer. */
static void take_datagram(struct generator *g, struct conn *c, size_t n, uint64_t now)
{
	if (c->state != BUSY || n < sizeof c->number ||
	    memcmp(g->input, &c->number, sizeof c->number)) {
		if (g->measuring)
			bump(&g->result.counts.strays, 1);
		return;
	}
	if (n == g->request_len)
		take_echo(g, c, n, now);
	else
		mismatched(g, c, now);
}

static void closed_by_peer(struct generator *g, struct conn *c, uint64_t now)
{
	if (c->state == BUSY && c->reading && http_response_eof(&c->response) == 0) {
		c->response.keep_alive = false;
		http_done(g, c, now);
	} else
		conn_broke(g, c, 0, now);
}

static void take(struct generator *g, struct conn *c, size_t n, uint64_t now)
{
	if (is_udp(g))
		take_datagram(g, c, n, now);
	else if (c->state != BUSY) { /* an answer nobody asked for spoils the stream */
		if (g->measuring)
			bump(&g->result.counts.error_protocol, 1);
		note_error(g, "bytes that answer no request", NULL);
		c->worked = false;
		replace(g, c, now);
	} else if (g->set->target.protocol == PROTOCOL_HTTP)
		take_http(g, c, n, now);
	else
		take_echo(g, c, n, now);
}

/* Asks for the event anew: there is more to read, but others have waited long enough. */
static COLD void read_later(struct generator *g, struct conn *c)
{
	struct epoll_event ev = {.events = conn_events, .data.ptr = c};
	epoll_ctl(g->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Edge-triggered: a stream is read until less came than there was room for, and to its end once the
 * peer has closed; datagrams until there are none. */
static void readable(struct generator *g, struct conn *c, uint32_t events)
{
	int fd = c->fd;
	for (int reads = 0; reads < READS_AT_ONCE; reads++) {
		ssize_t n = recv(fd, g->input, sizeof g->input, 0);
		int error = errno;
		if (n < 0 && error == EAGAIN)
			return;
		if (n < 0 && error == EINTR)
			continue;
		uint64_t now = look(g);
		if (n < 0)
			conn_broke(g, c, error, now);
		else if (n == 0 && !is_udp(g))
			closed_by_peer(g, c, now);
		else
			take(g, c, (size_t)n, now);
		if (n < 0 || c->fd != fd || c->state == CONNECTING || c->state == WAITING)
			return; /* it has been replaced, perhaps under the same number */
		if (!is_udp(g) && (size_t)n < sizeof g->input &&
		    !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
			return;
		if (is_udp(g) && c->state == IDLE)
			return; /* what may still lie there is a stray and wakes nobody */
	}
	read_later(g, c);
}

static void handle(struct generator *g, struct conn *c, uint32_t events)
{
	if (c->state == CONNECTING) {
		int error = 0;
		socklen_t len = sizeof error;
		if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return;
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			connect_failed(g, c, -error, look(g));
			return;
		}
		become_idle(g, c, look(g));
		if (!(events & (EPOLLIN | EPOLLRDHUP)))
			return;
	}
	if (c->state == BUSY && c->sent < g->request_len && (events & EPOLLOUT)) {
		send_more(g, c);
		if (c->state != BUSY)
			return;
	}
	if (c->state != WAITING && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		readable(g, c, events);
}

/* Time */

static void time_out(struct generator *g, struct conn *c, uint64_t now)
{
	count(c, &g->result.counts.timeouts);
	g->unseen_since = now;
	record_latency(g, c, now);
	if (is_udp(g))
		become_idle(g, c, now);
	else
		wait_before_retry(g, c, now);
}

/* The heads of the lists, whose deadlines come first. */
static void sweep(struct generator *g, uint64_t now)
{
	struct conn *c;
	while ((c = g->lists[BUSY].first) && now >= c->sent_at + g->timeout)
		time_out(g, c, now);
	if ((c = g->lists[CONNECTING].first) && now >= c->since + g->timeout)
		connect_failed(g, c, -ETIMEDOUT, now);
	if ((c = g->lists[WAITING].first) && now >= c->since && wanted(g, now))
		reopen(g, c, now);
}

/* When a sleeping generator has something to do of its own accord. */
static uint64_t next_deadline(const struct generator *g, uint64_t now)
{
	uint64_t at = now + tsc_ticks(NAP_MS_MAX * 1e6);
	const struct conn *c;
	if (g->next < at && g->lists[IDLE].first)
		at = g->next;
	if (!g->measuring && now < g->measure_from && g->measure_from < at)
		at = g->measure_from;
	if (now < g->end && g->end < at)
		at = g->end;
	if (now >= g->end && g->end + g->timeout < at)
		at = g->end + g->timeout;
	if ((c = g->lists[BUSY].first) && c->sent_at + g->timeout < at)
		at = c->sent_at + g->timeout;
	if ((c = g->lists[CONNECTING].first) && c->since + g->timeout < at)
		at = c->since + g->timeout;
	if ((c = g->lists[WAITING].first) && c->since < at)
		at = c->since;
	return at > now ? at : now;
}

static int wait_events(struct generator *g, struct epoll_event *events, uint64_t now)
{
	if (g->set->pacing == PACING_POLL)
		return epoll_wait(g->epoll, events, EVENTS, 0);
	uint64_t ns = tsc_ns(next_deadline(g, now) - now);
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000),
			     .tv_nsec = (long)(ns % 1000000000)};
	int n = epoll_pwait2(g->epoll, events, EVENTS, &t, NULL);
	if (n < 0 && errno == ENOSYS) /* before Linux 5.11 */
		n = epoll_wait(g->epoll, events, EVENTS, (int)(ns / 1000000));
	g->looked = tsc_now(); /* a sleep is no stall */
	return n;
}

static void turn(struct generator *g, uint64_t now)
{
	struct epoll_event events[EVENTS];
	uint64_t polled = now;
	int n = wait_events(g, events, now);
	if (g->set->pacing == PACING_SLEEP)
		g->unseen_since = g->looked;
	for (int i = 0; i < n; i++) {
		handle(g, events[i].data.ptr, events[i].events);
		dispatch(g, g->looked);
	}
	sweep(g, g->looked);
	if (g->set->pacing == PACING_POLL)
		g->unseen_since = polled;
}

static double cpu_us(struct timeval from, struct timeval to)
{
	return (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_usec - from.tv_usec);
}

static void begin_measuring(struct generator *g)
{
	getrusage(RUSAGE_THREAD, &g->usage_before);
	g->looked = tsc_now();
	g->measuring = true;
}

static void end_measuring(struct generator *g, uint64_t now)
{
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	g->result.user_us = cpu_us(g->usage_before.ru_utime, usage.ru_utime);
	g->result.system_us = cpu_us(g->usage_before.ru_stime, usage.ru_stime);
	g->result.measured_seconds =
	    (double)tsc_ns((now < g->end ? now : g->end) - g->measure_from) / 1e9;
	g->measuring = false;
}

/* The end: what is outstanding counts at the age it has reached. */
static void give_up(struct generator *g, _Atomic uint64_t *counter, uint64_t now)
{
	for (struct conn *c = g->lists[BUSY].first; c; c = c->next)
		if (now > c->since) {
			count(c, counter);
			g->unseen_since = now;
			record_latency(g, c, now);
		}
	while (g->next <= now)
		give_up_arrival(g, counter, now);
}

void generator_run(struct generator *g, uint64_t start, const _Atomic int *stop)
{
	const struct load_settings *s = g->set;
	g->start = start;
	g->measure_from = start + tsc_ticks(s->warmup * 1e9);
	g->end = g->measure_from + tsc_ticks(s->seconds * 1e9);
	g->next = UINT64_MAX;
	g->looked = g->idle_since = g->unseen_since = tsc_now();
	if (s->mode == LOAD_OPEN) {
		schedule_init(&g->schedule, s->arrivals, tsc_ticks(1e9) / s->rate * s->threads,
			      s->seed, g->part, s->threads);
		draw_arrival(g);
	}
	while (tsc_now() < start)
		cpu_relax();
	bool ended = false;
	for (;;) {
		uint64_t now = look(g);
		if (load_rlx(stop)) {
			if (g->measuring)
				end_measuring(g, now);
			give_up(g, &g->result.counts.unanswered, now);
			return;
		}
		if (now >= g->end + g->timeout) {
			if (g->measuring) /* the thread stood still for all that time */
				end_measuring(g, now);
			give_up(g, &g->result.counts.timeouts, now);
			return;
		}
		if (now >= g->measure_from && !g->measuring && !ended)
			begin_measuring(g);
		if (now >= g->end && !ended) {
			end_measuring(g, now);
			ended = true;
		}
		if (ended && !g->lists[BUSY].first && g->next == UINT64_MAX)
			return;
		turn(g, dispatch(g, now));
	}
}

/* Set-up */

/* Whether a signal that ends the run waits, blocked, to be taken. */
static bool interrupted(void)
{
	sigset_t pending;
	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) > 0 || sigismember(&pending, SIGTERM) > 0);
}

int generator_connect(struct generator *g)
{
	struct epoll_event events[EVENTS];
	uint64_t give_up_at = tsc_now() + tsc_ticks(CONNECT_SECONDS_MAX * 1e9);
	int opened = 0, ready = 0;
	while (ready < g->count) {
		for (; opened < g->count && opened - ready < CONNECTING_AT_ONCE; opened++) {
			int error = open_conn(g, &g->conns[opened], tsc_now());
			if (error)
				return error;
		}
		if (tsc_now() >= give_up_at)
			return -ETIMEDOUT;
		if (interrupted())
			return -EINTR;
		int n = epoll_wait(g->epoll, events, EVENTS, 10);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			int error = 0;
			socklen_t len = sizeof error;
			if (c->state != CONNECTING ||
			    !(events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
				continue;
			if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
				return error ? -error : -errno;
			move(g, c, IDLE);
			ready++;
		}
	}
	return 0;
}

struct generator *generator_make(const struct load_settings *s, int part)
{
	struct generator *g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	g->set = s;
	g->part = part;
	g->count = s->connections / s->threads + (part < s->connections % s->threads);
	g->timeout = tsc_ticks(s->timeout * 1e9);
	g->late_bound = tsc_ticks(LATE_BOUND_US * 1e3);
	g->retry_after = tsc_ticks(RECONNECT_MS * 1e6);
	g->request_len = s->target.request_len;
	g->epoll = epoll_create1(EPOLL_CLOEXEC);
	g->request = malloc(g->request_len);
	g->conns = calloc((size_t)g->count, sizeof *g->conns);
	if (g->epoll < 0 || !g->request || !g->conns || load_result_init(&g->result) < 0) {
		generator_free(g);
		return NULL;
	}
	memcpy(g->request, s->target.request, g->request_len);
	for (int i = 0; i < g->count; i++) {
		g->conns[i].fd = -1;
		list_add(g, &g->conns[i], WAITING);
	}
	return g;
}

void generator_free(struct generator *g)
{
	for (int i = 0; g->conns && i < g->count; i++)
		close_conn(&g->conns[i]);
	if (g->epoll >= 0)
		close(g->epoll);
	load_result_fini(&g->result);
	free(g->request);
	free(g->conns);
	free(g);
}

struct load_result *generator_result(struct generator *g)
{
	return &g->result;
}
