/* A small plain struct that one thread writes and any number read: readers write nothing, and so do not slow each other,
 * nor the writer.
 *
 * The writer counts: an odd number while it is writing, an even one when it is not. Invariant: whoever finds the same even
 * number before and after it has copied the words, has words of one and the same write.
 *
 *     write                                try_read
 *     number = n + 1                       n = number: odd: no (A1)
 *     words (R2)                           words (A2)
 *     number = n + 2 (R1)                  number is not n any more: no
 *
 * A reader that gets a word of the write that makes n + 2 gets its n + 1 along with it, and then finds that number, or a
 * later one. One that has found n gets no word from before the write that made it n.
 *
 * R1 seqlock_write: store_rel(xnumber)  ->  A1 seqlock_try_read: load_acq(xnumber)   words no older than the number
 * R2 seqlock_write: store_rel(xword)    ->  A2 seqlock_try_read: load_acq(xword)     a number no older than the words
 *
 * The words are atomics, copied one by one, so the race is defined; the order is theirs, where the textbook has a fence
 * before the second look at the number: it costs x86-64 nothing, and ThreadSanitizer sees it. Boehm, "Can seqlocks get
 * along with programming language memory models?" (2012). The number has 64 bits and does not wrap.
 *
 * Writers are one at a time: one thread, or who holds a lock of the caller's. A reader waits for a writer that is in the
 * middle, and has no end if writes never pause: this is for what is read often and written seldom. Rejected: two copies
 * by turns (a reader never waits for one write; twice the lines to read).
 */
#ifndef LOCKFREE_SEQLOCK_H
#define LOCKFREE_SEQLOCK_H

#include "lockfree/assert.h"
#include "lockfree/atomic.h"

#include <stddef.h>
#include <string.h>

/* All zero at first: everything that is read is zero. The words are the caller's memory; they want to be next to the
 * lock, in the line that a reader has to fetch anyway. */
struct seqlock {
	_Atomic uint64_t xnumber; /* writer */
};
typedef _Atomic uint64_t seqlock_word;

/* How many words a type takes. */
#define SEQLOCK_WORDS(type) ((sizeof(type) + sizeof(uint64_t) - 1) / sizeof(uint64_t))

static inline size_t seqlock_bytes_of(size_t size, size_t at)
{
	return size - at < sizeof(uint64_t) ? size - at : sizeof(uint64_t);
}

/* Writer: the `size` bytes at `from` are what readers get from now on. */
static inline void seqlock_write(struct seqlock *s, seqlock_word *xword, const void *from, size_t size)
{
	uint64_t n = load_rlx(&s->xnumber);
	assert_debug(n % 2 == 0);
	store_rlx(&s->xnumber, n + 1);
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		uint64_t word = 0;
		memcpy(&word, (const char *)from + at, seqlock_bytes_of(size, at));
		store_rel(&xword[at / sizeof(uint64_t)], word); /* R2 */
	}
	store_rel(&s->xnumber, n + 2); /* R1 */
}

/* Any thread. False: it is being written, and what is at `to` is worth nothing. */
static inline bool seqlock_try_read(struct seqlock *s, seqlock_word *xword, void *to, size_t size)
{
	uint64_t n = load_acq(&s->xnumber); /* A1 */
	if (unlikely(n % 2))
		return false;
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		uint64_t word = load_acq(&xword[at / sizeof(uint64_t)]); /* A2 */
		memcpy((char *)to + at, &word, seqlock_bytes_of(size, at));
	}
	return likely(load_rlx(&s->xnumber) == n);
}

COLD void seqlock_read_slow(struct seqlock *, seqlock_word *, void *to, size_t size);

/* Any thread: tries until it is so. */
static inline void seqlock_read(struct seqlock *s, seqlock_word *xword, void *to, size_t size)
{
	if (unlikely(!seqlock_try_read(s, xword, to, size)))
		seqlock_read_slow(s, xword, to, size);
}

#endif
