/* One thread of the load generator: its connections, its schedule, its loop.
 *
 * Open loop: the schedule says when each request is meant to be sent, and its latency counts from
 * that moment, so that a server that stalls is charged for every request that should have been sent
 * meanwhile. An arrival takes the connection that has been idle for longest; when all are busy it
 * stays in the schedule, which is the queue. Closed loop: an answer sends the next request;
 * latencies then leave out all queueing.
 *
 *     latency  = answer read - intended; of every request of the measured time, however it ended
 *     lateness = sent - max(intended, a connection became free); the generator's fault
 *     own      = lateness, or how long the arrival fell into a stall of the thread if that is more,
 *                + how long the answer may have lain unread
 *     rest     = latency - own
 *
 * The thread polls: the clock for the next arrival, epoll with a time-out of 0 for answers,
 * arrivals first after every answer. Whether the generator's own delay explains a tail is then a
 * comparison of latency with rest. A connection is registered once, edge-triggered for both
 * directions, and costs a send and a receive per request and its share of an epoll_wait. A
 * connection is in exactly one list, and the list is its state; within a list it stands in the
 * order of its deadline, so that time-outs look at heads only.
 *
 * The run is bounded: no request is sent that was meant for a time after the end, and each is
 * answered, failed or timed out (at its full age) at the latest a time-out after the end. A
 * time-out counts from the moment of sending: were it the intended one, a queue that has grown to
 * that age would be sent only to be given up at once, connection and all, and an overloaded server
 * would be seen answering nothing. A connection that was closed in order after an answer is opened
 * again at once; one that failed or timed out after RECONNECT_MS, of those at most one a turn.
 *
 * Rejected: sleeping between arrivals in open loop (a timer is 50 us late here, more than the
 * latencies it would measure; done with one CPU only, and said); EPOLL_CTL_MOD per request (a
 * system call each).
 */
#ifndef BENCH_LOAD_GENERATOR_H
#define BENCH_LOAD_GENERATOR_H

#include "bench/load/schedule.h"
#include "bench/load/target.h"
#include "bench/load/http_response.h"
#include "lockfree/histogram.h"

#include <netinet/in.h>

enum load_mode { LOAD_CLOSED, LOAD_OPEN };
enum load_pacing { PACING_POLL, PACING_SLEEP };
enum { LATE_BOUND_US = 50, RECONNECT_MS = 10 };

/* What one run does; the same for all threads. */
struct load_settings {
	struct target target;
	struct http_expect expect;
	enum load_mode mode;
	enum load_pacing pacing;
	enum arrivals arrivals;
	double rate; /* per second, all threads together */
	double seconds, warmup, timeout;
	uint64_t seed;
	int connections, threads;
};

/* Requests of the measured time, unless said otherwise. One writer each. */
struct load_counts {
	_Atomic uint64_t offered;  /* arrivals meant for the measured time */
	_Atomic uint64_t answered; /* well */
	_Atomic uint64_t
	    in_window; /* good answers that came within the measured time, to whatever */
	_Atomic uint64_t timeouts;
	_Atomic uint64_t unanswered;	 /* when the run was interrupted */
	_Atomic uint64_t mismatches;	 /* answered with another body */
	_Atomic uint64_t late_sends;	 /* lateness above LATE_BOUND_US */
	_Atomic uint64_t error_status;	 /* answered with a status outside 200 to 299 */
	_Atomic uint64_t error_protocol; /* answered with something else than a response */
	_Atomic uint64_t error_closed;	 /* closed or reset instead of an answer */
	_Atomic uint64_t
	    error_connect; /* attempts to connect that failed; no request belongs to them */
	_Atomic uint64_t reconnects; /* connections opened again for whatever reason */
	_Atomic uint64_t strays;     /* datagrams that answer nothing outstanding */
};

struct load_result {
	struct load_counts counts;
	struct histogram latency, lateness, rest, gaps; /* ns */
	double measured_seconds;
	double user_us, system_us; /* CPU time within the measured time */
	char first_error[160];
};

struct generator;

/* Makes what thread `part` of settings->threads needs; to be called on that thread, so that its
 * memory is near. NULL without memory or descriptors. */
struct generator *generator_make(const struct load_settings *, int part);
void generator_free(struct generator *);

/* Opens all connections, within 10 s. 0, or the negative errno of the first that failed; -EINTR
 * when SIGINT or SIGTERM, which the caller has blocked, came meanwhile. */
int generator_connect(struct generator *);

/* Runs the load from tsc `start` on until it is over or *stop. */
void generator_run(struct generator *, uint64_t start, const _Atomic int *stop);

/* Readable by other threads while it runs, counts only. */
struct load_result *generator_result(struct generator *);

/* 0, or a negative errno. Zeroed result; memory for four histograms. */
int load_result_init(struct load_result *);
void load_result_fini(struct load_result *);
void load_result_merge(struct load_result *into, const struct load_result *from);

#endif
