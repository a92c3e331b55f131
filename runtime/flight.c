/* Flights: a map from keys to the calls that are under way.
 *
 * A call is on the heap, so that whoever gives up may leave. Until it has ended, all about it is under the flight's lock: who waits,
 * whether it can be found, whether it has ended. The end settles how many take the result, and from then on nobody joins;
 * two counts lead to the rest. `takers` have not yet taken their share of the value, `users` may still look at the record.
 *
 *     joins                          ends                                gives up
 *     lock; find it; users++,        lock; take it off the map;          lock; it has ended: take the result after all
 *       waiting++; unlock              takers := those who wait;           else users--, waiting--
 *     wait                             unlock                            unlock
 *     take; users--                  let them go; fill the channels; users--
 *
 * The record has the reference that fn gave. A taker takes one of its own while the record has that, and the last one finds that it
 * may have the record's. So `ref` and `unref` run under no lock, and a caller who has been alone sees neither.
 *
 * The end is a deferred call that learns of a panic (deferred_told), because it is the same however fn is left, and must not stop a panic: a
 * trace is to show where it was raised. Where fn runs on a goroutine of its own, the panic is stopped there if somebody waits, who panics in
 * its stead. Otherwise the program ends within that deferred call, the frames of fn still being there.
 *
 * A channel that is to have the result may be freed before it has it, and may have it long after the flight is gone. So what stands between the
 * two, an outlet, is neither's: both hold it.
 *
 * R1 give_up_share: sub_acqrel(takers) -> A1 take: load_acq(takers), give_up_share: sub_acqrel(takers)   what others did with the value
 * R2 leave: sub_acqrel(users)          -> A2 leave: sub_acqrel(users)                               the record, before it is given back
 * R3 let_go: sub_acqrel(holds)         -> A3 let_go: sub_acqrel(holds)                              the outlet, before it is given back
 */
#include "lockfree/assert.h"
#include "lockfree/atomic.h"
#include "runtime/chan.h"
#include "runtime/panic.h"

#include <weft/chan.h>
#include <weft/flight.h>
#include <weft/go.h>
#include <weft/map.h>
#include <weft/mem.h>

#include <errno.h>
#include <string.h>

enum fate { UNDER_WAY, RETURNED, PANICKED, EXITED };

struct call {
	weft_flight *flight; /* which may be gone once the call has ended */
	void (*ref)(void *value);
	void (*unref)(void *value);
	weft_flight_fn *fn;
	void *arg;
	bool detached; /* it runs on a goroutine of its own */
	/* The flight's lock, until it has ended. */
	enum fate fate;
	bool forgotten;  /* it is off the map */
	int64_t waiting; /* in a call of theirs */
	int64_t channels;
	struct outlet *outlets;
	/* Written by who runs it, before it has ended. */
	weft_flight_result result;
	weft_panic_info panic;
	weft_waitgroup ended;
	_Atomic int64_t takers, users;
	char key[];
};

/* Where a channel gets its result from. */
struct outlet {
	struct chan_source source;
	weft_chan *ch; /* NULL: it is freed */
	weft_mutex lock;
	struct outlet *next;
	void (*unref)(void *value);
	_Atomic int64_t holds; /* the call and the channel */
};

static uint64_t hash_key(weft_seed seed, const char *const *key)
{
	return weft_hash_bytes(seed, *key, strlen(*key));
}

static bool same_key(const char *const *a, const char *const *b)
{
	return strcmp(*a, *b) == 0;
}

WEFT_MAP_BY(const char *, struct call *, calls, hash_key, same_key); /* the keys are the calls' own */

static void *must_alloc(size_t size)
{
	void *p = weft_calloc(1, size);
	if (!p)
		fatal("out of memory for a call in flight");
	return p;
}

/* ---- the map, under the lock ---- */

static struct call *find(weft_flight *f, const char *key)
{
	struct call *c = NULL;
	if (f->calls)
		calls_get((calls){f->calls}, key, &c);
	return c;
}

static void take_off(weft_flight *f, struct call *c)
{
	c->forgotten = true;
	calls_del((calls){f->calls}, c->key);
	if (calls_len((calls){f->calls}))
		return;
	calls_free((calls){f->calls});
	f->calls = NULL;
}

static struct call *begin(weft_flight *f, const char *key, weft_flight_fn *fn, void *arg)
{
	size_t size = strlen(key) + 1;
	struct call *c = must_alloc(sizeof *c + size);
	c->flight = f;
	c->ref = f->ref;
	c->unref = f->unref;
	c->fn = fn;
	c->arg = arg;
	memcpy(c->key, key, size);
	store_rlx(&c->users, 1); /* who runs it */
	weft_waitgroup_add(&c->ended, 1);
	if (!f->calls)
		f->calls = calls_make(0).map;
	calls_put((calls){f->calls}, c->key, c);
	return c;
}

/* ---- its result ---- */

static void leave(struct call *c)
{
	if (sub_acqrel(&c->users, 1) == 1) /* R2, A2 */
		weft_free(c);
}

/* The last one to have a share does away with the record's reference. */
static void give_up_share(struct call *c)
{
	if (sub_acqrel(&c->takers, 1) == 1) /* R1, A1 */
		c->unref(c->result.value);
}

/* For one of the takers; the reference in it is theirs. */
static weft_flight_result take(struct call *c)
{
	if (c->result.value && c->ref && load_acq(&c->takers) > 1) { /* A1 */
		c->ref(c->result.value);
		give_up_share(c);
	}
	return c->result;
}

static _Noreturn void panic_too(struct call *c)
{
	weft_panic_info panic = c->panic;
	leave(c);
	panic_let_end(); /* the first one, whose trace shows where it was raised, comes first */
	weft_panic("%s", panic.message);
}

/* For one that has waited, or has run it and come back. */
static int finish(struct call *c, weft_flight_result *result)
{
	if (c->fate == PANICKED)
		panic_too(c);
	if (c->fate == EXITED) {
		leave(c);
		weft_exit_goroutine();
	}
	weft_flight_result mine = take(c);
	if (!result && mine.value && c->unref)
		c->unref(mine.value);
	leave(c);
	if (result)
		*result = mine;
	return mine.err;
}

/* ---- channels ---- */

static void let_go(struct outlet *o)
{
	if (sub_acqrel(&o->holds, 1) == 1) /* R3, A3 */
		weft_free(o);
}

/* The channel is about to go. */
static void channel_gone(struct chan_source *source)
{
	struct outlet *o = (struct outlet *)(void *)source;
	weft_flight_result left = {0};
	weft_mutex_lock(&o->lock);
	weft_try_recv(o->ch, &left);
	o->ch = NULL;
	weft_mutex_unlock(&o->lock);
	if (left.value && o->unref)
		o->unref(left.value);
	let_go(o);
}
_Static_assert(offsetof(struct outlet, source) == 0, "one is found by the other");

static void fill(struct outlet *o, struct call *c)
{
	weft_flight_result mine = {0};
	if (c->fate == RETURNED)
		mine = take(c);
	weft_mutex_lock(&o->lock);
	bool gone = !o->ch;
	if (!gone && c->fate == RETURNED)
		weft_try_send(o->ch, &mine);
	else if (!gone)
		weft_close(o->ch);
	weft_mutex_unlock(&o->lock);
	if (gone && mine.value && o->unref)
		o->unref(mine.value);
	let_go(o);
}

static weft_chan *open_outlet(struct call *c)
{
	struct outlet *o = must_alloc(sizeof *o);
	o->source.gone = channel_gone;
	o->ch = weft_chan_make_leaf(sizeof(weft_flight_result), 1);
	o->unref = c->unref;
	store_rlx(&o->holds, 2);
	chan_set_source(o->ch, &o->source);
	o->next = c->outlets;
	c->outlets = o;
	c->channels++;
	return o->ch;
}

/* ---- running it ---- */

struct running {
	struct deferred_told told;
	struct call *call;
	enum fate fate; /* if no panic runs the end */
};

/* How many take the result. The flight is not touched after this. */
static int64_t settle(struct call *c, enum fate fate)
{
	weft_flight *f = c->flight;
	bool detached = c->detached;
	weft_mutex_lock(&f->lock);
	if (!c->forgotten)
		take_off(f, c);
	c->fate = fate;
	int64_t takers = c->waiting + c->channels + !detached;
	c->result.shared = takers > 1;
	store_rlx(&c->takers, takers);
	weft_mutex_unlock(&f->lock);
	if (detached)
		weft_waitgroup_done(&f->detached);
	return takers;
}

static void end(void *arg)
{
	struct running *r = arg;
	struct call *c = r->call;
	bool panics = r->told.panic;
	if (panics)
		c->panic = *r->told.panic;
	int64_t takers = settle(c, panics ? PANICKED : r->fate);
	if (panics && (c->outlets || (c->detached && !c->waiting)))
		panic_end_program(c->panic.message);
	weft_waitgroup_done(&c->ended);
	for (struct outlet *o = c->outlets, *next; o; o = next) {
		next = o->next;
		fill(o, c);
	}
	if (!takers && c->fate == RETURNED && c->result.value && c->unref)
		c->unref(c->result.value);
	if (c->detached || c->fate != RETURNED)
		leave(c);
}

static void run(void *call)
{
	struct running r = {.call = call, .fate = EXITED};
	deferred_tell(&r.told, end, &r);
	r.call->result.err = r.call->fn(r.call->key, r.call->arg, &r.call->result.value);
	r.fate = RETURNED;
	weft_deferred_run(&r.told.call);
}

/* What its goroutine is given, copied: there the collector finds the argument. */
struct detached {
	struct call *call;
	void *arg;
};

/* The goroutine's function. Of a panic that comes this far those who wait have been told. */
static void run_detached(void *detached)
{
	weft_protect(run, ((struct detached *)detached)->call, NULL);
}

/* ---- coming to it ---- */

static void check(const weft_flight *f)
{
	if (!f->ref != !f->unref)
		weft_panic("flight with one of ref and unref");
}

static void join(struct call *c)
{
	c->waiting++;
	(void)add_rlx(&c->users, 1);
}

static void detach(struct call *c)
{
	c->detached = true;
	weft_waitgroup_add(&c->flight->detached, 1);
	struct detached d = {c, c->arg};
	if (weft_go_with(&(weft_go_opts){.arg_size = sizeof d}, run_detached, &d))
		fatal("out of memory for a flight's goroutine");
}

int weft_flight_do(weft_flight *f, const char *key, weft_flight_fn *fn, void *arg, weft_flight_result *result)
{
	check(f);
	weft_mutex_lock(&f->lock);
	struct call *found = find(f, key), *c = found;
	if (found)
		join(c);
	else
		c = begin(f, key, fn, arg);
	weft_mutex_unlock(&f->lock);
	if (found)
		weft_waitgroup_wait(&c->ended);
	else
		run(c);
	return finish(c, result);
}

/* False: it has ended. */
static bool give_up(struct call *c)
{
	weft_flight *f = c->flight;
	weft_mutex_lock(&f->lock);
	bool up = c->fate == UNDER_WAY;
	if (up)
		c->waiting--;
	weft_mutex_unlock(&f->lock);
	if (up)
		leave(c);
	return up;
}

int weft_flight_do_until(weft_flight *f, const char *key, weft_flight_fn *fn, void *arg, weft_flight_result *result,
			 weft_deadline deadline)
{
	if (deadline.ns == WEFT_NEVER.ns)
		return weft_flight_do(f, key, fn, arg, result);
	check(f);
	weft_mutex_lock(&f->lock);
	struct call *c = find(f, key);
	if (!c)
		detach(c = begin(f, key, fn, arg));
	join(c);
	weft_mutex_unlock(&f->lock);
	if (weft_waitgroup_wait_until(&c->ended, deadline) && give_up(c)) {
		if (result)
			*result = (weft_flight_result){0};
		return -ETIMEDOUT;
	}
	return finish(c, result);
}

weft_chan *weft_flight_chan(weft_flight *f, const char *key, weft_flight_fn *fn, void *arg)
{
	check(f);
	weft_mutex_lock(&f->lock);
	struct call *c = find(f, key);
	if (!c)
		detach(c = begin(f, key, fn, arg));
	weft_chan *ch = open_outlet(c);
	weft_mutex_unlock(&f->lock);
	return ch;
}

void weft_flight_forget(weft_flight *f, const char *key)
{
	weft_mutex_lock(&f->lock);
	struct call *c = find(f, key);
	if (c)
		take_off(f, c);
	weft_mutex_unlock(&f->lock);
}

void weft_flight_fini(weft_flight *f)
{
	weft_waitgroup_wait(&f->detached);
}
