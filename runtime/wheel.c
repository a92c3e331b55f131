#include "runtime/wheel.h"

static uint64_t tick_of(int64_t ns)
{
	return ns < 0 ? 0 : (uint64_t)ns >> WHEEL_TICK_BITS;
}

void wheel_init(struct wheel *w, int64_t now)
{
	w->tick = tick_of(now);
	store_rlx(&w->xnext, INT64_MAX);
}

static unsigned level_of(uint64_t tick, uint64_t now_tick)
{
	uint64_t differ = tick ^ now_tick;
	return differ ? (unsigned)(63 - __builtin_clzll(differ)) / WHEEL_BITS : 0;
}

static void link_locked(struct wheel *w, struct timer *t)
{
	/* A time that has passed waits in the current tick's own slot. */
	uint64_t tick = tick_of(t->when) > w->tick ? tick_of(t->when) : w->tick;
	unsigned level = level_of(tick, w->tick);
	unsigned digit = (tick >> (level * WHEEL_BITS)) % WHEEL_SLOTS;
	unsigned slot = level * WHEEL_SLOTS + digit;
	struct timer **head = &w->slot[slot];
	t->slot = slot;
	t->link = head;
	t->next = *head;
	if (t->next)
		t->next->link = &t->next;
	*head = t;
	w->full[level] |= 1ull << digit;
}

static void unlink_locked(struct wheel *w, struct timer *t)
{
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	if (!w->slot[t->slot])
		w->full[t->slot / WHEEL_SLOTS] &= ~(1ull << t->slot % WHEEL_SLOTS);
}

/* The earliest moment at which a slot needs looking at. Lower levels come first in time: what lies on a
 * level is beyond everything on the levels below it. */
static int64_t next_locked(const struct wheel *w)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		if (!w->full[level])
			continue;
		unsigned shift = level * WHEEL_BITS;
		unsigned digit = (unsigned)__builtin_ctzll(w->full[level]);
		uint64_t block = w->tick >> (shift + WHEEL_BITS) << WHEEL_BITS;
		uint64_t tick = (block + digit) << shift;
		return (int64_t)(tick << WHEEL_TICK_BITS);
	}
	return INT64_MAX;
}

/* Level 0 is read exactly: the nearest timer's own nanosecond. */
static int64_t next_exact_locked(const struct wheel *w)
{
	if (!w->full[0])
		return next_locked(w);
	int64_t next = INT64_MAX;
	for (struct timer *t = w->slot[__builtin_ctzll(w->full[0])]; t; t = t->next)
		if (t->when < next)
			next = t->when;
	return next;
}

/* Under the lock: is the timer this wheel's, or nobody's, so that it is this wheel's from now on? */
static bool own_locked(struct wheel *w, struct timer *t, bool *was_pending)
{
	struct wheel *owner = load_rlx(&t->xwheel);
	if (owner == w) {
		unlink_locked(w, t);
		*was_pending = true;
		return true;
	}
	if (owner || !cas_acqrel(&t->xwheel, &owner, w)) /* R1 */
		return false;
	bump(&w->pending, 1);
	return true;
}

struct wheel_change wheel_set(struct wheel *w, struct timer *t, int64_t when)
{
	struct wheel_change change = {0};
	spin_lock(&w->lock);
	while (!own_locked(w, t, &change.was_pending)) { /* another's, or set there meanwhile: the last one counts */
		spin_unlock(&w->lock);
		change.was_pending |= timer_cancel(t);
		spin_lock(&w->lock);
	}
	t->when = when < 0 ? 0 : when;
	link_locked(w, t);
	if (t->when < load_rlx(&w->xnext)) {
		store_rlx(&w->xnext, t->when);
		change.nearer = true;
	}
	spin_unlock(&w->lock);
	return change;
}

/* xnext may now be too early, which costs its owner one look. */
static void remove_locked(struct wheel *w, struct timer *t)
{
	unlink_locked(w, t);
	bump(&w->pending, (uint64_t)-1);
	store_rel(&t->xwheel, NULL);
}

bool timer_cancel(struct timer *t)
{
	for (;;) {
		struct wheel *w = load_acq(&t->xwheel); /* A1 */
		if (!w)
			return false;
		spin_lock(&w->lock);
		bool mine = load_rlx(&t->xwheel) == w;
		if (mine)
			remove_locked(w, t);
		spin_unlock(&w->lock);
		if (mine)
			return true;
	}
}

static void fire_locked(struct wheel *w, struct timer *t, int64_t now, wheel_go *go)
{
	if (t->kind == TIMER_GO) {
		void (*fn)(void *) = t->go;
		void *arg = t->arg;
		remove_locked(w, t); /* the owner may free it from here on */
		go(fn, arg);
		return;
	}
	unlink_locked(w, t);
	int64_t again = t->call(t->arg, now);
	if (again) {
		t->when = again;
		link_locked(w, t);
	} else {
		bump(&w->pending, (uint64_t)-1);
		store_rel(&t->xwheel, NULL);
	}
}

/* Empties one slot: what is due fires, the rest falls to where it now belongs. */
static unsigned empty_slot_locked(struct wheel *w, unsigned level, unsigned digit, int64_t now,
				  wheel_go *go)
{
	unsigned fired = 0;
	struct timer *t;
	w->falling = w->slot[level * WHEEL_SLOTS + digit];
	w->slot[level * WHEEL_SLOTS + digit] = NULL;
	w->full[level] &= ~(1ull << digit);
	while ((t = w->falling)) {
		w->falling = t->next;
		if (t->kind == TIMER_MARK) {
			t->link = NULL;
			continue;
		}
		link_locked(w, t);
		if (t->when <= now) {
			fire_locked(w, t, now, go);
			fired++;
		}
	}
	return fired;
}

unsigned wheel_advance(struct wheel *w, int64_t now, wheel_go *go)
{
	unsigned fired = 0;
	uint64_t now_tick = tick_of(now);
	spin_lock(&w->lock);
	for (;;) {
		int64_t next = next_locked(w);
		uint64_t tick = tick_of(next);
		if (next == INT64_MAX || tick > now_tick)
			break;
		unsigned level = 0;
		while (!w->full[level])
			level++;
		unsigned digit = (unsigned)__builtin_ctzll(w->full[level]);
		if (tick > w->tick)
			w->tick = tick;
		unsigned n = empty_slot_locked(w, level, digit, now, go);
		fired += n;
		/* The current tick's slot may hold timers that are due within it, but later than now. */
		if (level == 0 && tick == now_tick && !n)
			break;
	}
	/* Nothing lies between: every timer left differs from now_tick in the same digit as before. */
	if (now_tick > w->tick)
		w->tick = now_tick;
	store_rlx(&w->xnext, next_exact_locked(w));
	spin_unlock(&w->lock);
	return fired;
}

static void put_mark_locked(struct timer *mark, struct timer *before, unsigned slot)
{
	mark->kind = TIMER_MARK;
	mark->slot = slot;
	mark->link = before->link;
	mark->next = before;
	*mark->link = mark;
	before->link = &mark->next;
}

/* What it stood before. */
static struct timer *take_mark_locked(struct wheel *w, struct timer *mark)
{
	unlink_locked(w, mark);
	mark->link = NULL;
	return mark->next;
}

enum wheel_look wheel_look(struct wheel *w, struct timer *mark, unsigned slot, unsigned most, void (*see)(void *to, void *arg), void *to)
{
	spin_lock(&w->lock);
	struct timer *t = mark->link ? take_mark_locked(w, mark) : w->slot[slot];
	for (unsigned n = 0; t && (n < most || slot < WHEEL_SLOTS); n++, t = t->next)
		see(to, t->arg);
	if (t)
		put_mark_locked(mark, t, slot);
	enum wheel_look found = t ? WHEEL_SLOT_GOES_ON : load_rlx(&w->pending) ? WHEEL_SLOT_ENDS : WHEEL_EMPTY;
	spin_unlock(&w->lock);
	return found;
}
