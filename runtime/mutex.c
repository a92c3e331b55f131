/* The mutex: one locked operation to take it, one to give it back, when nobody waits.
 *
 * The word:  LOCKED   somebody holds the mutex
 *            GUARD    somebody handles the queue of waiters, for a few instructions
 *            WAITING  whoever unlocks it is to let a waiter go: there are some, and none is on its way
 *
 * A waiter that has been woken is on its way until it has tried. Meanwhile nobody else need be, so whoever locks and unlocks
 * has the word to itself, 0 or LOCKED, as if there were no queue: that may be thousands of times, until the waiter runs. So
 * WAITING implies LOCKED, and while the mutex is free the queue is empty or somebody is on its way.
 *
 * While GUARD is set only its holder changes the word, and it gives up the guard and says what the mutex is
 * from then on in one store. That store is the last touch: whoever is let in by it may unlock, return, and have
 * the mutex's memory vanish.
 *
 *     lock                                     unlock
 *     cas 0 -> LOCKED                          cas LOCKED -> 0
 *     else spin a little, if it helps          else take the guard; take the first waiter, if none is
 *     else take the guard; if it is free         on its way;
 *     by now: store LOCKED                       has it waited for long: store LOCKED: it has the mutex
 *     else queue, store LOCKED|WAITING, park     else store 0: it is on its way, and tries again when it
 *                                                runs, and anybody may be faster (barging)
 *
 * Barging is what makes a contended mutex fast: the running goroutine does not wait for a sleeping one to be
 * woken. It would starve the sleeper, so one that has waited for STARVED is handed the mutex, and one that was
 * beaten goes back to the front of the queue with its first arrival time.
 *
 * R1 weft_mutex_unlock_slow: cas_rel(word) -> A1 weft_mutex_lock_slow, weft_mutex_lock_until: cas_acq(word) what it guards
 * R1 weft_mutex_unlock_slow: cas_rel(word) -> A1 try_take: cas_acq(word)      what it guards
 * R1 settle: store_rel(word)               -> A1 take_guard: cas_acq(word)    the same, and the queue
 */
#include "lockfree/assert.h"
#include "runtime/call.h"
#include "runtime/panic.h"
#include "runtime/park.h"
#include "runtime/spinning.h"

#include <weft/sync.h>

#include <errno.h>
#include <sched.h>

enum { LOCKED = 1, GUARD = 2, WAITING = 4 };
enum { STARVED = 1000000 };

struct mutex_waiter {
	struct mutex_waiter *next, *prev; /* round: the first one's prev is the last */
	struct g *g;
	int64_t since;
	bool many, queued, handed;
};

struct mutex {
	_Atomic uint64_t word;
	struct mutex_waiter *first; /* the guard; this one and the next */
	uint64_t on_its_way;        /* one that has been woken: 0 or 1 */
};
_Static_assert(sizeof(struct mutex) == sizeof(weft_mutex), "the same thing from outside and inside");
_Static_assert(offsetof(struct mutex, word) == offsetof(weft_mutex, word) && LOCKED == 1,
	       "what callers inline: the word of a mutex that nobody waits for is 0 or 1");

/* For those who do not inline. */
extern inline void weft_mutex_lock(weft_mutex *);
extern inline void weft_mutex_unlock(weft_mutex *);

static struct mutex *inside(weft_mutex *m)
{
	return (struct mutex *)(void *)m;
}

/* The word, without the guard, as it was when we took the guard. */
static uint64_t take_guard(struct mutex *m)
{
	for (unsigned spins = 0;; spins++) {
		uint64_t word = load_rlx(&m->word);
		if (!(word & GUARD) && cas_acq(&m->word, &word, word | GUARD))
			return word;
		if (spins % 64 == 63)
			sched_yield();
		cpu_relax();
	}
}

/* Gives up the guard: the last touch. */
static void settle(struct mutex *m, uint64_t locked)
{
	store_rel(&m->word, locked | (m->first && !m->on_its_way ? WAITING : 0)); /* R1 */
}

static void push_back(struct mutex *m, struct mutex_waiter *w)
{
	struct mutex_waiter *first = m->first;
	w->next = first ? first : w;
	w->prev = first ? first->prev : w;
	w->prev->next = w->next->prev = w;
	if (!first)
		m->first = w;
	w->queued = true;
}

static void push_front(struct mutex *m, struct mutex_waiter *w)
{
	push_back(m, w);
	m->first = w;
}

static void take_off(struct mutex *m, struct mutex_waiter *w)
{
	if (m->first == w)
		m->first = w->next == w ? NULL : w->next;
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->queued = false;
}

static inline bool try_take(struct mutex *m)
{
	uint64_t word = load_rlx(&m->word);
	while (!(word & (LOCKED | GUARD)))
		if (cas_acq(&m->word, &word, word | LOCKED)) /* A1 */
			return true;
	return false;
}

static bool try_take_it(void *m)
{
	return try_take(m);
}

/* Under the guard, the mutex being held by somebody: joins the queue, where it was if it has been in it before. */
static void queue_up(struct mutex *m, struct mutex_waiter *w)
{
	if (w->since) {
		push_front(m, w);
	} else {
		w->since = weft_now();
		push_back(m, w);
	}
	w->g = wait_begin(WAIT_MUTEX);
	w->handed = false;
}

static int give_up(struct mutex *m, struct mutex_waiter *w)
{
	uint64_t word = take_guard(m);
	if (w->queued)
		take_off(m, w);
	settle(m, word & LOCKED);
	return -ETIMEDOUT;
}

static int lock_slow(struct mutex *m, bool many, weft_deadline deadline)
{
	struct mutex_waiter w = {.many = many};
	for (bool woken = false;; woken = true) {
		if (!woken && spin_for(try_take_it, m))
			return 0;
		uint64_t word = take_guard(m);
		if (woken)
			m->on_its_way = 0;
		if (!(word & LOCKED)) {
			settle(m, LOCKED);
			return 0;
		}
		queue_up(m, &w);
		settle(m, LOCKED);
		if (!many)
			park();
		else if (park_until(w.g, deadline))
			return give_up(m, &w);
		if (w.handed)
			return 0;
	}
}

static COLD int lock_call(struct mutex *m, bool many, weft_deadline deadline)
{
	bool outermost = call_begin_blocking();
	int err = lock_slow(m, many, deadline);
	call_end_blocking(outermost);
	return err;
}

static struct mutex_waiter *first_waiter(struct mutex *m)
{
	struct mutex_waiter *w;
	while ((w = m->first)) {
		take_off(m, w);
		if (!w->many || wait_claim(w->g))
			return w;
	}
	return NULL;
}

static void unlock_slow(struct mutex *m)
{
	uint64_t word = take_guard(m);
	if (!(word & LOCKED)) {
		settle(m, 0);
		weft_panic("unlock of unlocked mutex");
	}
	struct mutex_waiter *w = m->on_its_way ? NULL : first_waiter(m);
	if (!w) {
		settle(m, 0);
		return;
	}
	struct g *g = w->g;
	w->handed = weft_now() - w->since > STARVED;
	m->on_its_way = !w->handed;
	settle(m, w->handed ? LOCKED : 0);
	ready(g);
}

static COLD void unlock_call(struct mutex *m)
{
	bool outermost = call_begin();
	unlock_slow(m);
	call_end(outermost);
}

/* Whole, like the inlined ones: what sent the caller here may be over. */
void weft_mutex_lock_slow(weft_mutex *mutex)
{
	struct mutex *m = inside(mutex);
	uint64_t unlocked = 0;
	if (unlikely(!cas_acq(&m->word, &unlocked, LOCKED))) /* A1 */
		lock_call(m, false, WEFT_NEVER);
}

/* It is free, but guarded: somebody is about to take it, or only leaves the queue, and to be refused for that would be wrong. */
static COLD int try_lock_call(struct mutex *m)
{
	bool outermost = call_begin();
	uint64_t word = take_guard(m);
	settle(m, LOCKED);
	call_end(outermost);
	return word & LOCKED ? -EAGAIN : 0;
}

int weft_mutex_try_lock(weft_mutex *mutex)
{
	struct mutex *m = inside(mutex);
	if (try_take(m))
		return 0;
	return load_rlx(&m->word) & LOCKED ? -EAGAIN : try_lock_call(m);
}

int weft_mutex_lock_until(weft_mutex *mutex, weft_deadline deadline)
{
	struct mutex *m = inside(mutex);
	uint64_t unlocked = 0;
	if (likely(cas_acq(&m->word, &unlocked, LOCKED)))
		return 0;
	return lock_call(m, true, deadline);
}

void weft_mutex_unlock_slow(weft_mutex *mutex)
{
	struct mutex *m = inside(mutex);
	uint64_t locked = LOCKED;
	if (unlikely(!cas_rel(&m->word, &locked, 0))) /* R1 */
		unlock_call(m);
}
