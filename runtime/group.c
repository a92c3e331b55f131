/* Groups: a wait group, a context, and the first error in time.
 *
 * The limit is a channel with as many places: who starts a goroutine sends into it, who ends receives. Whoever waits for the
 * group has waited for the last that a goroutine of it does with it, so that the memory may go then.
 *
 * R1 finish: cas_acqrel(error) -> A1 weft_group_wait: load_acq(error)     after the wait group's own order
 */
#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "runtime/panic.h"

#include <weft/chan.h>
#include <weft/go.h>
#include <weft/group.h>
#include <weft/mem.h>
#include <weft/sync.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

struct weft_group {
	weft_waitgroup running;
	weft_ctx *ctx;
	weft_chan *places; /* NULL: no limit */
	_Atomic int error;
	_Atomic bool begun;
};

/* What a goroutine of it is given, copied. */
struct task {
	weft_group *group;
	int (*fn)(weft_ctx *, void *);
	void *arg;
};

weft_group *weft_group_make(weft_ctx *parent)
{
	weft_group *g = weft_calloc(1, sizeof *g);
	if (!g)
		fatal("out of memory for a group");
	g->ctx = weft_ctx_with_cancel(parent ? parent : weft_ctx_background());
	return g;
}

weft_ctx *weft_group_ctx(weft_group *g)
{
	return g->ctx;
}

void weft_group_limit(weft_group *g, int n)
{
	if (n <= 0)
		weft_panic("group limit of %d: at least 1", n);
	if (load_rlx(&g->begun))
		weft_panic("group limit after the first go");
	weft_chan_free(g->places);
	g->places = weft_chan_make_leaf(0, (size_t)n);
}

static void fail(weft_group *g, int error)
{
	int none = 0;
	char words[64];
	if (cas_acqrel(&g->error, &none, error)) /* R1 */
		weft_ctx_cancel(g->ctx, strerror_r(error < 0 && error > INT_MIN ? -error : error, words, sizeof words));
}

static void finish(void *arg)
{
	weft_group *g = arg;
	if (g->places)
		weft_recv(g->places, NULL);
	weft_waitgroup_done(&g->running);
}

static void run(void *arg)
{
	struct task *t = arg;
	WEFT_DEFER(finish, t->group); /* fn may exit its goroutine */
	int error = t->fn(t->group->ctx, t->arg);
	if (error)
		fail(t->group, error);
}

static void start(weft_group *g, int (*fn)(weft_ctx *, void *), void *arg)
{
	struct task t = {.group = g, .fn = fn, .arg = arg};
	weft_go_opts opts = {.arg_size = sizeof t};
	weft_waitgroup_add(&g->running, 1);
	if (weft_go_with(&opts, run, &t))
		fatal("out of memory for a goroutine of a group");
}

void weft_group_go(weft_group *g, int (*fn)(weft_ctx *, void *), void *arg)
{
	store_rlx(&g->begun, true);
	if (g->places)
		weft_send(g->places, NULL);
	start(g, fn, arg);
}

int weft_group_try_go(weft_group *g, int (*fn)(weft_ctx *, void *), void *arg)
{
	store_rlx(&g->begun, true);
	if (g->places && weft_try_send(g->places, NULL))
		return -EAGAIN;
	start(g, fn, arg);
	return 0;
}

int weft_group_wait(weft_group *g)
{
	weft_waitgroup_wait(&g->running);
	int error = load_acq(&g->error); /* A1 */
	weft_ctx_cancel(g->ctx, NULL);
	weft_ctx_free(g->ctx);
	weft_chan_free(g->places);
	weft_free(g);
	return error;
}
