/* The semaphore: permits, and those who wait for so many of them, strictly in the order in which they came.
 *
 * The word is permits * 4, plus GUARD (somebody handles the queue: guard.h) and WAITING (the queue is not empty). While
 * neither flag is set, acquire and release are one compare-and-swap each.
 *
 *     acquire                                   release
 *     no flag, and enough: word -= n * 4        no flag: word += n * 4
 *     else take the guard; nobody waits, and    else take the guard; add n; while the first that waits has
 *       there is enough: take n                   enough: take it off, and its permits
 *     else join the queue, settle, park         settle: the last touch; ready them
 *
 * Who waits finds its permits taken on its behalf when it runs: nobody barges in between, however large its wish is. The
 * price is that a large one at the head holds up small ones behind it that could go. One whose deadline has come gives the
 * place up, and those behind it may go then.
 *
 *     permits + those taken and not released = what was put in by init and release
 *
 * R1 release_at_once: cas_rel(word) -> A1 acquire_at_once, guard_take: cas_acq(word)   what was done before
 * R1 settle: store_rel(word)        -> A1 acquire_at_once, guard_take: cas_acq(word)   the same, and the queue
 */
#include "lockfree/assert.h"
#include "runtime/call.h"
#include "runtime/guard.h"

#include <weft/sync.h>

#include <errno.h>

enum { WAITING = 2, FLAGS = 3, ONE = 4 };
static const int64_t most = INT64_MAX / ONE;

struct sem {
	_Atomic uint64_t word;
	struct waiters waiters; /* the guard */
	_Atomic(const void *) self;
};
_Static_assert(sizeof(struct sem) == sizeof(weft_sem), "the same thing from outside and inside");

static struct sem *inside(weft_sem *sem)
{
	struct sem *s = (struct sem *)(void *)sem;
	check_not_copied(&s->self, s, "semaphore");
	return s;
}

static int64_t permits_of(uint64_t word)
{
	return (int64_t)word >> 2;
}

static void check_count(int64_t n)
{
	if (unlikely(n < 0))
		weft_panic("negative semaphore count");
	if (unlikely(n > most))
		weft_panic("semaphore count out of range");
}

/* Gives up the guard: the last touch. */
static void settle(struct sem *s, int64_t permits)
{
	store_rel(&s->word, (uint64_t)permits * ONE | (s->waiters.first ? WAITING : 0)); /* R1 */
}

static inline bool acquire_at_once(struct sem *s, int64_t n)
{
	uint64_t word = load_rlx(&s->word);
	while (!(word & FLAGS) && permits_of(word) >= n)
		if (cas_acq(&s->word, &word, word - (uint64_t)n * ONE)) /* A1 */
			return true;
	return false;
}

static inline bool release_at_once(struct sem *s, int64_t n)
{
	uint64_t word = load_rlx(&s->word);
	while (!(word & FLAGS) && permits_of(word) <= most - n)
		if (cas_rel(&s->word, &word, word + (uint64_t)n * ONE)) /* R1 */
			return true;
	return false;
}

/* Under the guard: lets in those at the head that there is enough for. */
static void let_in(struct sem *s, int64_t permits)
{
	struct waiters let = {0};
	struct waiter *w;
	while ((w = s->waiters.first) && w->n <= permits) {
		if (waiters_claim(&s->waiters, w)) {
			permits -= w->n;
			waiters_push(&let, w);
		}
	}
	settle(s, permits);
	waiters_ready(&let);
}

/* Takes the guard, and n permits if nobody waits. True: it has them. Else it has the guard, and *permits are left. */
static bool acquire_guarded(struct sem *s, int64_t n, int64_t *permits)
{
	*permits = permits_of(guard_take(&s->word));
	if (s->waiters.first || *permits < n)
		return false;
	settle(s, *permits - n);
	return true;
}

static int acquire_slow(struct sem *s, int64_t n, bool many, weft_deadline deadline)
{
	struct waiter w = {.n = n, .many = many};
	int64_t permits;
	if (acquire_guarded(s, n, &permits))
		return 0;
	w.g = wait_begin(WAIT_SEM);
	waiters_push(&s->waiters, &w);
	settle(s, permits);
	if (!many) {
		park();
		return 0;
	}
	if (!park_until(w.g, deadline))
		return 0;
	permits = permits_of(guard_take(&s->word));
	if (w.queued)
		waiters_take_off(&s->waiters, &w);
	let_in(s, permits);
	return -ETIMEDOUT;
}

static COLD int acquire_call(struct sem *s, int64_t n, bool many, weft_deadline deadline)
{
	bool outermost = call_begin_blocking();
	int err = acquire_slow(s, n, many, deadline);
	call_end_blocking(outermost);
	return err;
}

static COLD void release_call(struct sem *s, int64_t n)
{
	bool outermost = call_begin();
	int64_t permits = permits_of(guard_take(&s->word));
	if (permits > most - n) {
		settle(s, permits);
		weft_panic("semaphore count out of range");
	}
	let_in(s, permits + n);
	call_end(outermost);
}

void weft_sem_init(weft_sem *sem, int64_t permits)
{
	check_count(permits);
	*sem = (weft_sem){.word = (uint64_t)permits * ONE};
}

void weft_sem_acquire(weft_sem *sem, int64_t n)
{
	struct sem *s = inside(sem);
	check_count(n);
	if (unlikely(!acquire_at_once(s, n)))
		acquire_call(s, n, false, WEFT_NEVER);
}

int weft_sem_acquire_until(weft_sem *sem, int64_t n, weft_deadline deadline)
{
	struct sem *s = inside(sem);
	check_count(n);
	return likely(acquire_at_once(s, n)) ? 0 : acquire_call(s, n, true, deadline);
}

/* Somebody who holds the guard for a moment is no reason to say no: the last word is had under it. */
int weft_sem_try_acquire(weft_sem *sem, int64_t n)
{
	struct sem *s = inside(sem);
	int64_t permits;
	check_count(n);
	if (likely(acquire_at_once(s, n)))
		return 0;
	bool outermost = call_begin(); /* or the guard could be with who has no P */
	bool acquired = acquire_guarded(s, n, &permits);
	if (!acquired)
		settle(s, permits);
	call_end(outermost);
	return acquired ? 0 : -EAGAIN;
}

void weft_sem_release(weft_sem *sem, int64_t n)
{
	struct sem *s = inside(sem);
	check_count(n);
	if (unlikely(!release_at_once(s, n)))
		release_call(s, n);
}
