/* A line about the scheduler, every so often. docs/seeing.md says what each field is.
 *
 * The lines come from a thread of their own, which exists only when they are asked for. sysmon would print them for nothing
 * more, but it sleeps while all is idle, and is not to be late while something is not. The thread holds nothing and only reads, so
 * the lines come on time whatever the Ps do; it counts among weft's own, so it hides no deadlock.
 *
 * Every word is read by itself, while its owner goes on: two numbers of a line may disagree by what happened in between.
 */
#include "runtime/schedtrace.h"
#include "lockfree/assert.h"
#include "runtime/sched.h"

#include <weft/go.h>
#include <weft/stats.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	STACK = 128 * 1024,
	NUMBER = 21, /* characters of the longest, and the blank before it */
	LINE = 1024 + 2 * MAX_PS * NUMBER,
};

/* The one thread's. */
static struct {
	int64_t period, began;
	size_t length;
	char line[LINE];
} trace;

static void __attribute__((format(printf, 1, 2))) add(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(trace.line + trace.length, sizeof trace.line - trace.length, fmt, ap);
	va_end(ap);
	trace.length += (size_t)n;
	assert_always(trace.length < sizeof trace.line);
}

static void add_each_p(const char *name, unsigned long long (*of)(struct p *))
{
	add(" %s=[", name);
	for (unsigned i = 0; i < sched.nprocs; i++)
		add("%s%llu", i ? " " : "", of(sched.ps[i]));
	add("]");
}

static unsigned long long waiting_on(struct p *p)
{
	return runq_len(&p->runq) + (load_rlx(&p->xrunnext) != NULL) + gqueue_len(&p->inbox);
}

static unsigned long long looks_of(struct p *p)
{
	return load_rlx(&p->tick);
}

static void print_line(int64_t now)
{
	weft_schedstats s;
	weft_sched_stats(&s);
	trace.length = 0;
	add("sched %lldms: procs=%u idle=%u spinning=%u threads=%llu goroutines=%ld", (long long)((now - trace.began) / WEFT_MS),
	    sched.nprocs, load_rlx(&sched.xidle), load_rlx(&sched.xspinning), (unsigned long long)s.threads,
	    weft_num_goroutine());
	add(" blocked=%u global=%u", load_rlx(&sched.xblocked), gqueue_len(&sched.global));
	add_each_p("runq", waiting_on);
	add_each_p("looks", looks_of);
	add(" steals=%llu stolen=%llu sleeps=%llu wakes=%llu taken=%llu handed_on=%llu\n", (unsigned long long)s.steals,
	    (unsigned long long)s.stolen, (unsigned long long)s.sleeps, (unsigned long long)s.wakes,
	    (unsigned long long)s.taken, (unsigned long long)s.handed_on);
	ssize_t n = write(STDERR_FILENO, trace.line, trace.length);
	(void)n; /* nobody to tell */
}

/* Lines whose time has passed by the time that they could be written are left out. */
static void *schedtrace_run(void *unused)
{
	int64_t now = trace.began;
	pthread_setname_np(pthread_self(), "weft-schedtrace");
	for (;;) {
		int64_t next = now + trace.period - (now - trace.began) % trace.period;
		struct timespec until = {.tv_sec = next / WEFT_S, .tv_nsec = next % WEFT_S};
		while ((now = weft_now()) < next)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		print_line(now);
	}
	return unused;
}

void schedtrace_start(unsigned ms)
{
	pthread_t thread;
	pthread_attr_t attr;
	trace.period = (int64_t)ms * WEFT_MS;
	trace.began = weft_now();
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	int err = pthread_create(&thread, &attr, schedtrace_run, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		fatal("cannot start the thread of schedtrace: error %d", err);
	add_seq(&sched.own_threads, 1);
}
