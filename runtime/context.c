/* Contexts: a tree in which cancellation goes down, and references go up.
 *
 * Who keeps a context: `users`, the references that are given up by weft_ctx_free, those of its children among them. When the last is
 * gone nobody can name it. Its memory stays while somebody is at it still, who holds it (`holds`): the users together, its
 * timer, a cancellation that has taken it off its parent's list.
 *
 * Cancelling goes through the tree in depth, without recursion: a chain may be as long as memory lasts. Each one on the
 * way is marked first and has its channel closed, then its children are taken off its list one by one; it is finished when they
 * are. Who finds one that is marked already waits until that is finished. So each waits only for what is below it, never in a
 * circle; and when cancel has returned, all below is cancelled, whoever did it.
 *
 *     cancel                                        a child is made
 *     lock the parent, mark it, unlock              lock the parent
 *     lock it, take a child off, unlock             marked: the child is cancelled from the beginning
 *     ... until there is none                       else it joins the list
 *
 * A lock is held for a few instructions, and no two contexts' at a time; within it only the lock of a channel that nobody else knows
 * yet is taken (make_done).
 *
 * Rejected: one lock for a tree, which all requests of a server would share. The lock of the parent while its children are
 * cancelled (Go's): a cancellation that goes deep keeps others from making children meanwhile.
 *
 * R1 mark: store_rel(err)   ->  A1 has_ended: load_acq(err)    the cause
 * R2 make_done: store_rel(done) -> A2 weft_ctx_done, has_ended: load_acq(done)  the channel
 * R3 drop: sub_acqrel(holds) -> A3 drop: sub_acqrel(holds)                        everything, before it is given back
 */
#include "lockfree/assert.h"
#include "lockfree/spin.h"
#include "runtime/area.h"
#include "runtime/call.h"
#include "runtime/panic.h"

#include <weft/context.h>
#include <weft/mem.h>
#include <weft/sync.h>

#include <errno.h>
#include <string.h>

/* Shared by all that were cancelled for it. */
struct cause {
	_Atomic int64_t refs;
	const char *text;
};

static struct cause canceled = {.refs = 1, .text = "context canceled"};
static struct cause expired = {.refs = 1, .text = "context deadline exceeded"};

struct weft_ctx {
	_Atomic int64_t users, holds;
	weft_ctx *parent;
	weft_deadline deadline;
	const void *key;
	struct area_word value;
	struct spin lock; /* of the next four */
	_Atomic int err;  /* looked at without it */
	struct cause *cause;
	_Atomic(weft_chan *) done; /* NULL: nobody has asked; looked at without it */
	weft_ctx *children; /* that are not cancelled, or about to be */
	weft_ctx *next, **link; /* among them; the parent's lock. NULL: in no list */
	weft_ctx *up;              /* whoever cancels it goes back there */
	weft_waitgroup cancelling; /* until its descendants are */
	weft_timer timer;          /* only if it has a deadline of its own */
};

static weft_ctx background = {.users = 1, .holds = 1, .deadline = {INT64_MAX}};

/* ---- memory ---- */

static struct cause *cause_of(const char *text)
{
	if (!text)
		return &canceled;
	size_t size = strlen(text) + 1;
	struct cause *c = weft_malloc(sizeof *c + size);
	if (!c)
		fatal("out of memory for the cause of a cancellation");
	atomic_init(&c->refs, 1);
	c->text = memcpy(c + 1, text, size);
	return c;
}

static void cause_ref(struct cause *c)
{
	add_rlx(&c->refs, 1);
}

static void cause_unref(struct cause *c)
{
	if (c && c != &canceled && c != &expired && sub_acqrel(&c->refs, 1) == 1)
		weft_free(c);
}

static void hold(weft_ctx *c)
{
	add_rlx(&c->holds, 1);
}

static void drop(weft_ctx *c)
{
	if (sub_acqrel(&c->holds, 1) != 1) /* R3, A3 */
		return;
	weft_chan_free(load_rlx(&c->done));
	cause_unref(c->cause);
	area_word_drop(&c->value);
	weft_free(c);
}

/* ---- the list of children, under the parent's lock ---- */

static void link_child(weft_ctx *parent, weft_ctx *c)
{
	c->next = parent->children;
	c->link = &parent->children;
	if (c->next)
		c->next->link = &c->next;
	parent->children = c;
}

static void unlink_child(weft_ctx *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->link = NULL;
}

static weft_ctx *take_child(weft_ctx *parent)
{
	bool outermost = call_begin();
	spin_lock(&parent->lock);
	weft_ctx *c = parent->children;
	if (c) {
		hold(c); /* it has users: they take it off before they let it go */
		unlink_child(c);
	}
	spin_unlock(&parent->lock);
	call_end(outermost);
	return c;
}

static void leave_parent(weft_ctx *c)
{
	bool outermost = call_begin();
	spin_lock(&c->parent->lock);
	if (c->link)
		unlink_child(c);
	spin_unlock(&c->parent->lock);
	call_end(outermost);
}

/* ---- cancelling ---- */

/* False: it has been before. Until `cancelling` is done its descendants are being cancelled. */
static bool mark(weft_ctx *c, int err, struct cause *cause)
{
	bool outermost = call_begin();
	spin_lock(&c->lock);
	bool first = !load_rlx(&c->err);
	weft_chan *done = load_rlx(&c->done);
	if (first) {
		cause_ref(cause);
		c->cause = cause;
		weft_waitgroup_add(&c->cancelling, 1);
		store_rel(&c->err, err); /* R1 */
	}
	spin_unlock(&c->lock);
	if (first && done)
		weft_close(done); /* in the same call: whoever sees the error may wait for it (has_ended) */
	call_end(outermost);
	return first;
}

static bool has_timer(const weft_ctx *c)
{
	return c->deadline.ns != INT64_MAX && c->deadline.ns < c->parent->deadline.ns;
}

/* Its own goroutine does no more, or ends by itself. */
static void stop_timer(weft_ctx *c)
{
	if (has_timer(c) && weft_timer_stop(&c->timer))
		drop(c);
}

static void cancel(weft_ctx *root, int err, struct cause *cause)
{
	if (!mark(root, err, cause)) {
		weft_waitgroup_wait(&root->cancelling);
		return;
	}
	weft_ctx *c = root, *child;
	for (;;) {
		stop_timer(c);
		while ((child = take_child(c))) {
			if (mark(child, err, cause)) {
				child->up = c;
				c = child;
				stop_timer(c);
			} else {
				weft_waitgroup_wait(&child->cancelling);
				drop(child);
			}
		}
		weft_ctx *up = c->up;
		weft_waitgroup_done(&c->cancelling);
		if (c == root)
			return;
		drop(c);
		c = up;
	}
}

static void expire(void *arg)
{
	weft_ctx *c = arg;
	cancel(c, -ETIMEDOUT, &expired);
	drop(c);
}

void weft_ctx_cancel(weft_ctx *c, const char *text)
{
	if (c == &background)
		weft_panic("cancel of the background context");
	struct cause *cause = cause_of(text);
	cancel(c, -ECANCELED, cause);
	cause_unref(cause);
}

/* ---- making ---- */

static weft_ctx *make(weft_ctx *parent, weft_deadline deadline)
{
	if (!parent)
		weft_panic("context of a nil parent");
	bool own = deadline.ns < parent->deadline.ns;
	weft_ctx *c = weft_calloc(1, own ? sizeof *c : offsetof(weft_ctx, timer));
	if (!c)
		fatal("out of memory for a context");
	atomic_init(&c->users, 1);
	atomic_init(&c->holds, 1);
	c->parent = weft_ctx_ref(parent);
	c->deadline = own ? deadline : parent->deadline;
	return c;
}

/* From here on its parent's cancellation is its own. */
static void join_parent(weft_ctx *c)
{
	weft_ctx *parent = c->parent;
	if (parent == &background)
		return;
	bool outermost = call_begin();
	spin_lock(&parent->lock);
	int err = load_rlx(&parent->err);
	struct cause *cause = parent->cause;
	if (!err)
		link_child(parent, c);
	spin_unlock(&parent->lock);
	call_end(outermost);
	if (err)
		cancel(c, err, cause);
}

weft_ctx *weft_ctx_background(void)
{
	return &background;
}

weft_ctx *weft_ctx_with_cancel(weft_ctx *parent)
{
	weft_ctx *c = make(parent, WEFT_NEVER);
	join_parent(c);
	return c;
}

/* The timer is set first: whoever cancels it from the list on is to find it, and stop it. */
weft_ctx *weft_ctx_with_deadline(weft_ctx *parent, weft_deadline deadline)
{
	weft_ctx *c = make(parent, deadline);
	int64_t now = weft_now();
	if (has_timer(c) && deadline.ns > now) {
		hold(c);
		weft_timer_start(&c->timer, deadline.ns - now, expire, c);
	}
	join_parent(c);
	if (has_timer(c) && deadline.ns <= now)
		cancel(c, -ETIMEDOUT, &expired);
	return c;
}

weft_ctx *weft_ctx_with_timeout(weft_ctx *parent, int64_t ns)
{
	return weft_ctx_with_deadline(parent, ns > 0 ? weft_in(ns) : weft_at(0));
}

weft_ctx *weft_ctx_with_value(weft_ctx *parent, const void *key, void *value)
{
	if (!key)
		weft_panic("context value by a nil key");
	weft_ctx *c = make(parent, WEFT_NEVER);
	c->key = key;
	area_word_add(&c->value, value);
	join_parent(c);
	return c;
}

/* ---- keeping ---- */

weft_ctx *weft_ctx_ref(weft_ctx *c)
{
	if (c != &background)
		add_rlx(&c->users, 1);
	return c;
}

/* A chain of which each has only the next one's reference goes from below, one after the other. */
void weft_ctx_free(weft_ctx *c)
{
	while (c && c != &background && sub_acqrel(&c->users, 1) == 1) {
		weft_ctx *parent = c->parent;
		leave_parent(c);
		cancel(c, -ECANCELED, &canceled);
		drop(c);
		c = parent;
	}
}

/* ---- looking ---- */

void *weft_ctx_value(weft_ctx *c, const void *key)
{
	for (; c; c = c->parent)
		if (c->key == key && key)
			return load_rlx(&c->value.word);
	return NULL;
}

/* Nobody else knows the channel until it is stored: to close it first wakes nobody. */
static weft_chan *make_done(weft_ctx *c)
{
	weft_chan *made = weft_chan_make_leaf(0, 0);
	bool outermost = call_begin();
	spin_lock(&c->lock);
	weft_chan *done = load_rlx(&c->done);
	if (!done && load_rlx(&c->err))
		weft_close(made);
	if (!done)
		store_rel(&c->done, made); /* R2 */
	spin_unlock(&c->lock);
	call_end(outermost);
	if (done)
		weft_chan_free(made);
	return done ? done : made;
}

weft_chan *weft_ctx_done(weft_ctx *c)
{
	if (c == &background)
		return NULL;
	weft_chan *done = load_acq(&c->done); /* A2 */
	return done ? done : make_done(c);
}

/* The error, once the channel is closed as well: who sees the one is to find the other. */
static int has_ended(weft_ctx *c)
{
	int err = load_acq(&c->err); /* A1 */
	weft_chan *done = err ? load_acq(&c->done) : NULL; /* A2 */
	while (done && weft_try_recv(done, NULL) == -EAGAIN)
		cpu_relax();
	return err;
}

int weft_ctx_err(weft_ctx *c)
{
	return has_ended(c);
}

const char *weft_ctx_cause(weft_ctx *c)
{
	return has_ended(c) ? c->cause->text : NULL;
}

weft_deadline weft_ctx_deadline(weft_ctx *c)
{
	return c->deadline;
}
