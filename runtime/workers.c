/* Workers: goroutines that receive jobs from one channel.
 *
 * A job may submit others until the last has been done; so what is waited for is the number of jobs, and only then is the
 * channel closed.
 */
#include "lockfree/assert.h"
#include "runtime/panic.h"

#include <weft/chan.h>
#include <weft/go.h>
#include <weft/mem.h>
#include <weft/sync.h>
#include <weft/work.h>

#include <errno.h>

struct job {
	void (*fn)(void *);
	void *arg;
};

struct weft_workers {
	weft_chan *jobs;
	weft_waitgroup pending; /* jobs */
	weft_waitgroup running; /* workers */
};

struct worker {
	weft_workers *workers;
	bool in_job;
};

static void work(void *);

/* The jobs are over; or one has exited its goroutine, and another worker takes this one's place. */
static void leave(void *arg)
{
	struct worker *self = arg;
	if (self->in_job) {
		weft_waitgroup_done(&self->workers->pending);
		weft_go(work, self->workers);
	} else {
		weft_waitgroup_done(&self->workers->running);
	}
}

static void work(void *arg)
{
	struct worker self = {.workers = arg};
	WEFT_DEFER(leave, &self);
	struct job job;
	while (weft_recv(self.workers->jobs, &job)) {
		self.in_job = true;
		job.fn(job.arg);
		self.in_job = false;
		weft_waitgroup_done(&self.workers->pending);
	}
}

weft_workers *weft_workers_make(int n, size_t waiting)
{
	if (n <= 0)
		weft_panic("%d workers: at least 1", n);
	weft_workers *w = weft_calloc(1, sizeof *w);
	if (!w)
		fatal("out of memory for workers");
	w->jobs = weft_chan_make(sizeof(struct job), waiting);
	weft_waitgroup_add(&w->running, n);
	for (int i = 0; i < n; i++)
		weft_go(work, w);
	return w;
}

int weft_workers_submit_until(weft_workers *w, void (*fn)(void *), void *arg, weft_deadline deadline)
{
	struct job job = {.fn = fn, .arg = arg};
	weft_waitgroup_add(&w->pending, 1);
	int err = weft_send_until(w->jobs, &job, deadline);
	if (err)
		weft_waitgroup_done(&w->pending);
	return err;
}

void weft_workers_submit(weft_workers *w, void (*fn)(void *), void *arg)
{
	weft_workers_submit_until(w, fn, arg, WEFT_NEVER);
}

int weft_workers_try_submit(weft_workers *w, void (*fn)(void *), void *arg)
{
	struct job job = {.fn = fn, .arg = arg};
	weft_waitgroup_add(&w->pending, 1);
	int err = weft_try_send(w->jobs, &job);
	if (err)
		weft_waitgroup_done(&w->pending);
	return err;
}

void weft_workers_wait(weft_workers *w)
{
	weft_waitgroup_wait(&w->pending);
	weft_close(w->jobs);
	weft_waitgroup_wait(&w->running);
	weft_chan_free(w->jobs);
	weft_free(w);
}
