/* The readers-writer mutex: readers on different Ps do not write the same line while nobody writes.
 *
 * The word:  GUARD    somebody handles the queues (guard.h)
 *            WRITER   a writer holds the lock
 *            WRITERS  writers wait; new readers join the queue behind them
 *            READERS  readers wait
 *            BIASED   readers may leave a record instead of counting themselves here
 *            READER * readers that have it and are counted here
 *
 * A record is a word in the line of the reader's P, its place there by the lock's address: the address, and in its low bits
 * how many readers it stands for. It says nothing of who they are:
 *
 *     readers counted in the word + readers on record = readers that have it + those that are just trying
 *
 * and to leave is to take back one record, whichever. So a goroutine that ends its reading on another P than it began it on
 * takes another one's record there, or counts itself out in the word, or looks through the lines of all Ps; what it leaves
 * behind stands for that other one.
 *
 * A writer revokes the bias, under the guard: it clears BIASED and moves all records into the word's count. It waits for
 * nobody to do so, and from then on there is one count to wait for, whose last reader lets it in. It looks a few times before it
 * queues: readers leave soon, mostly.
 *
 *     the reader                              the writer
 *     word is BIASED: leave a record          clear BIASED
 *     look at the word again                  look at the records, move those of this lock
 *       BIASED: it has the lock
 *       not: take the record back; if it is gone, somebody has taken it for his, or moved it into
 *            the count: what is left stands for this reader, which has the lock
 *
 * Either the reader sees the bias gone or the writer sees the record. A record that is left when the bias is gone is one of
 * a reader that takes it back, or of one in whose place another reader has left: since records are conserved, the count does
 * not come down to zero before all that got in by a record have left.
 *
 * A reader that counts itself sets the bias anew, after a time that is so many times what revoking it has cost: writers pay
 * a bounded share, whatever comes. On one P there is no bias, and threads outside and goroutines without a P count.
 *
 * A waiting writer holds up new readers. After a writer come the readers that have waited, all at once, and after the last
 * reader the writer that has waited longest: the lock is handed over, and neither side starves.
 *
 * Rejected: waiting for records to go, as in BRAVO: a reader may wait for hours with the lock held. One counter for each
 * P in the lock itself: half a KiB for each lock, or an allocation. Writers that barge, as into a mutex: the readers that
 * have waited go first, so it would gain little.
 *
 * Dice and Kogan, "BRAVO: Biased Locking for Reader-Writer Locks" (2019).
 *
 * R1 settle: store_rel(word)         -> A1 guard_take: cas_acq(word)                        what it guards, and the queues
 * R1 settle: store_rel(word)         -> A1 count_in, write_at_once: cas_acq(word)           what it guards
 * R1 write_end_at_once: cas_rel(word) -> A1 count_in, write_at_once, guard_take: cas_acq(word)  what was written
 * R1 count_out: cas_rel(word)        -> A1 write_at_once, guard_take: cas_acq(word)         that it has been read
 * R2 revoke: store_seq(word)         -> A2 record_in: load_seq(word)                        a record is seen, or the bias gone
 * R3 record_put: cas_seq(slot)       -> A3 record_move: load_seq(slot)                      the same
 * R4 record_take: cas_acqrel(slot)   -> A4 record_move: load_seq(slot), cas_acqrel(slot)    that it has been read
 * R5 record_take: cas_acqrel(slot)   -> A5 record_take: cas_acqrel(slot)                    for whom it leaves the lock to
 * R5 record_move: cas_acqrel(slot)   -> A5 record_take: cas_acqrel(slot)                    the same
 */
#include "lockfree/assert.h"
#include "runtime/call.h"
#include "runtime/guard.h"
#include "runtime/spinning.h"

#include <weft/sync.h>

#include <errno.h>

enum { WRITER = 2, WRITERS = 4, READERS = 8, BIASED = 16, READER = 32 };
enum { WAITING = WRITERS | READERS };
enum { REVOKED_FOR = 9 }; /* times what it has cost: a tenth, at most, is spent on revoking */

struct rwmutex {
	_Atomic uint64_t word;
	struct waiters writers, readers; /* the guard */
	_Atomic uint64_t biased_from;    /* cycles; the guard writes. 0: at once */
	_Atomic(const void *) self;
};
_Static_assert(sizeof(struct rwmutex) == sizeof(weft_rwmutex), "the same thing from outside and inside");

/* ---- records ---- */

enum { SLOTS = CACHE_LINE / sizeof(uintptr_t), COUNT = 7 };
_Static_assert(_Alignof(struct rwmutex) > COUNT, "an address has room for a count");

static struct {
	ON_OWN_LINE _Atomic uintptr_t xslot[SLOTS];
} records[MAX_PS];

static _Atomic uintptr_t *slot_of(const struct rwmutex *rw, unsigned p)
{
	uint64_t hash = (uintptr_t)rw * UINT64_C(0x9e3779b97f4a7c15);
	return &records[p].xslot[hash >> 32 & (SLOTS - 1)];
}

static bool is_about(uintptr_t record, const struct rwmutex *rw)
{
	return (record & ~(uintptr_t)COUNT) == (uintptr_t)rw;
}

/* Where the caller stands. It may stand elsewhere at the next look, so this is a place to begin, and no more. */
static inline _Atomic uintptr_t *own_slot(const struct rwmutex *rw)
{
	struct m *m = m_self();
	struct p *p = m ? m_p(m) : NULL;
	return p ? slot_of(rw, p->index) : NULL;
}

/* The place is empty, mostly: a guess spares a load in front of a locked operation. False: it is another lock's, or full, or
 * somebody else writes there. */
static inline bool record_put(_Atomic uintptr_t *slot, const struct rwmutex *rw)
{
	uintptr_t found = 0;
	if (likely(cas_seq(slot, &found, (uintptr_t)rw + 1))) /* R3 */
		return true;
	return is_about(found, rw) && (found & COUNT) < COUNT && cas_seq(slot, &found, found + 1);
}

/* False: there is none. */
static inline bool record_take(_Atomic uintptr_t *slot, const struct rwmutex *rw)
{
	uintptr_t found = (uintptr_t)rw + 1;
	do {
		if (cas_acqrel(slot, &found, (found & COUNT) == 1 ? 0 : found - 1)) /* R4, R5, A5 */
			return true;
	} while (is_about(found, rw));
	return false;
}

/* All of them: how many. */
static inline uint64_t record_move(_Atomic uintptr_t *slot, const struct rwmutex *rw)
{
	uintptr_t found = load_seq(slot); /* A3, A4 */
	while (is_about(found, rw))
		if (cas_acqrel(slot, &found, 0)) /* R5 */
			return found & COUNT;
	return 0;
}

/* This and the next three begin with the word as it was seen last. */
static inline bool record_in(struct rwmutex *rw, uint64_t word)
{
	_Atomic uintptr_t *slot;
	if (!(word & BIASED) || !(slot = own_slot(rw)) || !record_put(slot, rw))
		return false;
	if (likely(load_seq(&rw->word) & BIASED)) /* A2 */
		return true;
	return !record_take(slot, rw);
}

static inline bool record_out(struct rwmutex *rw, uint64_t word)
{
	_Atomic uintptr_t *slot;
	return word & BIASED && (slot = own_slot(rw)) && record_take(slot, rw);
}

static COLD bool record_take_anywhere(struct rwmutex *rw)
{
	for (unsigned i = 0; i < sched.nprocs; i++) {
		_Atomic uintptr_t *slot = slot_of(rw, i);
		if (is_about(load_rlx(slot), rw) && record_take(slot, rw))
			return true;
	}
	return false;
}

/* Under the guard, the word being `word`: there are no records from here on, and no new ones. The word. */
static COLD uint64_t revoke(struct rwmutex *rw, uint64_t word)
{
	uint64_t began = cycles_now();
	word &= ~(uint64_t)BIASED;
	store_seq(&rw->word, word | GUARD); /* R2 */
	for (unsigned i = 0; i < sched.nprocs; i++)
		word += READER * record_move(slot_of(rw, i), rw);
	uint64_t now = cycles_now();
	store_rlx(&rw->biased_from, now + REVOKED_FOR * (now - began));
	return word;
}

static bool bias_is_due(struct rwmutex *rw)
{
	uint64_t from = load_rlx(&rw->biased_from);
	return sched.nprocs > 1 && (!from || (int64_t)(cycles_now() - from) >= 0);
}

/* ---- the word ---- */

static struct rwmutex *inside(weft_rwmutex *rw)
{
	struct rwmutex *r = (struct rwmutex *)(void *)rw;
	check_not_copied(&r->self, r, "rwmutex");
	return r;
}

/* Gives up the guard: the last touch. */
static void settle(struct rwmutex *rw, uint64_t word)
{
	word &= ~(uint64_t)WAITING;
	store_rel(&rw->word, word | (rw->writers.first ? WRITERS : 0) | (rw->readers.first ? READERS : 0)); /* R1 */
}

/* On one P a guess will do, and saves a load in front of a locked operation: that one tells if it was wrong. On several it would
 * take the line from those who only look. */
static inline uint64_t look(struct rwmutex *rw, uint64_t guess)
{
	return sched.nprocs > 1 ? load_rlx(&rw->word) : guess;
}

/* Nobody has it, as far as the word counts. */
static bool is_free(uint64_t word)
{
	return !(word & WRITER) && word < READER;
}

static inline bool count_in(struct rwmutex *rw, uint64_t word)
{
	while (!(word & (GUARD | WRITER | WRITERS))) {
		uint64_t biased = word & BIASED || bias_is_due(rw) ? BIASED : 0;
		if (cas_acq(&rw->word, &word, (word | biased) + READER)) /* A1 */
			return true;
	}
	return false;
}

/* Not if it would let a writer in. */
static inline bool count_out(struct rwmutex *rw, uint64_t word)
{
	while (!(word & GUARD) && word >= (word & WRITERS ? 2 * READER : READER))
		if (cas_rel(&rw->word, &word, word - READER)) /* R1 */
			return true;
	return false;
}

static inline bool write_at_once(struct rwmutex *rw)
{
	uint64_t unlocked = 0;
	return cas_acq(&rw->word, &unlocked, WRITER); /* A1 */
}

static inline bool write_end_at_once(struct rwmutex *rw)
{
	uint64_t locked = WRITER;
	return cas_rel(&rw->word, &locked, 0); /* R1 */
}

static inline bool try_read(void *rwmutex)
{
	struct rwmutex *rw = rwmutex;
	uint64_t word = look(rw, 0);
	return record_in(rw, word) || count_in(rw, word);
}

static inline bool try_write(void *rwmutex)
{
	struct rwmutex *rw = rwmutex;
	return load_rlx(&rw->word) == 0 && write_at_once(rw);
}

/* Under the guard: lets in whose turn it is. */
static void let_in(struct rwmutex *rw, uint64_t word, struct waiters *let)
{
	if (is_free(word))
		word |= WRITER * waiters_claim_first(&rw->writers, let);
	if (!(word & WRITER) && !rw->writers.first)
		word += READER * waiters_claim_all(&rw->readers, let);
	assert_debug((word & (WRITER | BIASED)) != (WRITER | BIASED));
	settle(rw, word);
	waiters_ready(let);
}

/* ---- reading ---- */

static int read_slow(struct rwmutex *rw, bool many, weft_deadline deadline)
{
	struct waiter w = {.many = many};
	if (spin_for(try_read, rw))
		return 0;
	uint64_t word = guard_take(&rw->word);
	if (!(word & (WRITER | WRITERS))) {
		settle(rw, word + READER);
		return 0;
	}
	w.g = wait_begin(WAIT_RWMUTEX);
	waiters_push(&rw->readers, &w);
	settle(rw, word);
	if (!many) {
		park();
		return 0;
	}
	if (!park_until(w.g, deadline))
		return 0;
	word = guard_take(&rw->word);
	if (w.queued)
		waiters_take_off(&rw->readers, &w);
	settle(rw, word);
	return -ETIMEDOUT;
}

static COLD int read_call(struct rwmutex *rw, bool many, weft_deadline deadline)
{
	bool outermost = call_begin_blocking();
	int err = read_slow(rw, many, deadline);
	call_end_blocking(outermost);
	return err;
}

/* One on another P's record, or the last one that a writer waits for; or none. */
static void read_end_slow(struct rwmutex *rw)
{
	struct waiters let = {0};
	uint64_t word = load_rlx(&rw->word);
	if (word & BIASED && record_take_anywhere(rw))
		return;
	word = guard_take(&rw->word);
	if (word < READER && word & BIASED)
		word = revoke(rw, word);
	if (word < READER) {
		settle(rw, word);
		weft_panic("unlock of unlocked rwmutex");
	}
	let_in(rw, word - READER, &let);
}

static COLD void read_end_call(struct rwmutex *rw)
{
	bool outermost = call_begin();
	read_end_slow(rw);
	call_end(outermost);
}

void weft_rwmutex_rlock(weft_rwmutex *rwmutex)
{
	struct rwmutex *rw = inside(rwmutex);
	if (unlikely(!try_read(rw)))
		read_call(rw, false, WEFT_NEVER);
}

int weft_rwmutex_rlock_until(weft_rwmutex *rwmutex, weft_deadline deadline)
{
	struct rwmutex *rw = inside(rwmutex);
	return likely(try_read(rw)) ? 0 : read_call(rw, true, deadline);
}

/* Somebody who holds the guard for a moment is no reason to say no. */
int weft_rwmutex_try_rlock(weft_rwmutex *rwmutex)
{
	struct rwmutex *rw = inside(rwmutex);
	if (likely(try_read(rw)))
		return 0;
	uint64_t word = guard_take(&rw->word);
	bool may = !(word & (WRITER | WRITERS));
	settle(rw, may ? word + READER : word);
	return may ? 0 : -EAGAIN;
}

void weft_rwmutex_runlock(weft_rwmutex *rwmutex)
{
	struct rwmutex *rw = inside(rwmutex);
	uint64_t word = look(rw, READER);
	if (unlikely(!record_out(rw, word) && !count_out(rw, word)))
		read_end_call(rw);
}

/* ---- writing ---- */

/* The word, under the guard, in which all readers are counted now. */
static uint64_t take_from_readers(struct rwmutex *rw)
{
	uint64_t word = guard_take(&rw->word);
	return word & BIASED ? revoke(rw, word) : word;
}

static int write_slow(struct rwmutex *rw, bool many, weft_deadline deadline)
{
	struct waiter w = {.many = many};
	struct waiters let = {0};
	uint64_t word = take_from_readers(rw);
	if (!is_free(word) && !(word & WRITERS)) {
		settle(rw, word);
		if (spin_for(try_write, rw))
			return 0;
		word = take_from_readers(rw);
	}
	if (is_free(word)) {
		settle(rw, word | WRITER);
		return 0;
	}
	w.g = wait_begin(WAIT_RWMUTEX);
	waiters_push(&rw->writers, &w);
	settle(rw, word);
	if (!many) {
		park();
		return 0;
	}
	if (!park_until(w.g, deadline))
		return 0;
	word = guard_take(&rw->word);
	if (w.queued)
		waiters_take_off(&rw->writers, &w);
	let_in(rw, word, &let);
	return -ETIMEDOUT;
}

static COLD int write_call(struct rwmutex *rw, bool many, weft_deadline deadline)
{
	bool outermost = call_begin_blocking();
	int err = write_slow(rw, many, deadline);
	call_end_blocking(outermost);
	return err;
}

static COLD void write_end_call(struct rwmutex *rw)
{
	struct waiters let = {0};
	bool outermost = call_begin();
	uint64_t word = guard_take(&rw->word);
	if (!(word & WRITER)) {
		settle(rw, word);
		weft_panic("unlock of unlocked rwmutex");
	}
	word &= ~(uint64_t)WRITER;
	word += READER * waiters_claim_all(&rw->readers, &let);
	let_in(rw, word, &let);
	call_end(outermost);
}

void weft_rwmutex_lock(weft_rwmutex *rwmutex)
{
	struct rwmutex *rw = inside(rwmutex);
	if (unlikely(!write_at_once(rw)))
		write_call(rw, false, WEFT_NEVER);
}

int weft_rwmutex_lock_until(weft_rwmutex *rwmutex, weft_deadline deadline)
{
	struct rwmutex *rw = inside(rwmutex);
	return likely(write_at_once(rw)) ? 0 : write_call(rw, true, deadline);
}

/* As with reading. The bias goes for that, if somebody reads or not. */
int weft_rwmutex_try_lock(weft_rwmutex *rwmutex)
{
	struct rwmutex *rw = inside(rwmutex);
	if (likely(write_at_once(rw)))
		return 0;
	if (load_rlx(&rw->word) & WRITER)
		return -EAGAIN;
	uint64_t word = take_from_readers(rw);
	bool may = is_free(word);
	settle(rw, may ? word | WRITER : word);
	return may ? 0 : -EAGAIN;
}

void weft_rwmutex_unlock(weft_rwmutex *rwmutex)
{
	struct rwmutex *rw = inside(rwmutex);
	if (unlikely(!write_end_at_once(rw)))
		write_end_call(rw);
}
