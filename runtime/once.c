/* Once: the first that comes runs the function, those that come meanwhile wait for its end, and those that come later
 * find it done by one load (weft/sync.h).
 *
 * The word: 0 nobody has come; RUNNING; RUNNING and the address of the one that has begun to wait last, who knows the one
 * before it; DONE. Nobody leaves before the end, so the waiters need no guard: each puts itself in front by
 * compare-and-swap, and the end swaps DONE in and has them all in its hand. That is the last touch.
 *
 * The end is the same however the function comes to it, a panic included, as in Go: once_finish.
 *
 * R1 once_finish: swap_acqrel(word) -> A1 join: load_acq(word), cas_acqrel(word)   what the function did
 * R2 join: cas_acqrel(word)         -> A2 once_finish: swap_acqrel(word)           plain: the waiter
 */
#include "lockfree/assert.h"
#include "runtime/call.h"
#include "runtime/panic.h"
#include "runtime/park.h"

#include <weft/sync.h>

enum { RUNNING = 1, DONE = 2 };

/* On the stack of who waits. */
struct once_waiter {
	struct once_waiter *next;
	struct g *g;
};

struct once {
	_Atomic uint64_t word;
};
_Static_assert(sizeof(struct once) == sizeof(weft_once), "the same thing from outside and inside");
_Static_assert(DONE == 2, "what callers inline: the word of what has been done is 2");

/* For those who do not inline. */
extern inline void weft_once_do(weft_once *, void (*)(void *), void *);

static struct once *inside(weft_once *once)
{
	return (struct once *)(void *)once;
}

static struct once_waiter *last_waiter(uint64_t word)
{
	return (struct once_waiter *)(uintptr_t)(word & ~(uint64_t)RUNNING);
}

static void once_finish(void *once)
{
	struct once *o = once;
	struct once_waiter *w = last_waiter(swap_acqrel(&o->word, DONE)); /* R1, A2 */
	if (likely(!w))
		return;
	bool outermost = call_begin();
	while (w) {
		struct once_waiter *next = w->next;
		ready(w->g);
		w = next;
	}
	call_end(outermost);
}

/* False: it has been done meanwhile. */
static bool join(struct once *o, struct once_waiter *w)
{
	uint64_t word = load_acq(&o->word); /* A1 */
	while (word != DONE) {
		w->next = last_waiter(word);
		if (cas_acqrel(&o->word, &word, (uintptr_t)w | RUNNING)) /* R2, A1 */
			return true;
	}
	return false;
}

static void await_end(struct once *o)
{
	struct once_waiter w;
	bool outermost = call_begin_blocking();
	w.g = wait_begin(WAIT_MUTEX);
	if (join(o, &w))
		park();
	else
		wait_cancel(w.g);
	call_end_blocking(outermost);
}

void weft_once_do_slow(weft_once *once, void (*fn)(void *), void *arg)
{
	struct once *o = inside(once);
	uint64_t fresh = 0;
	if (!cas_rlx(&o->word, &fresh, RUNNING)) {
		await_end(o);
		return;
	}
	WEFT_DEFER(once_finish, o);
	fn(arg);
}
