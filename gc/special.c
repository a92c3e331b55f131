#include "gc/special.h"

#include <assert.h>
#include <errno.h>

enum { LOCKS = 64 };
static_assert((int)GC_IDLE < (int)GC_MARKING && (int)GC_CLOSING > (int)GC_MARKING && (int)GC_SWEEPING > (int)GC_MARKING,
	       "up to MARKING a weak pointer's object is shaded, and kept");

static struct {
	ON_OWN_LINE struct spin lock;
} locks[LOCKS];

static struct spin *lock_of(const struct span *s)
{
	return &locks[((uintptr_t)s->base >> PAGE_SHIFT) % LOCKS].lock;
}

/* Span and slot of what somebody holds on to, or of what is not swept yet. */
static struct heap_object find(struct gc *gc, const void *object)
{
	return heap_find(&gc->heap, (uintptr_t)object);
}

/* Under the lock of the span. Before sweeping has begun every span is of the heap's cycle, and that says nothing. */
static bool is_alive(struct gc *gc, const struct gc_special *sp, struct heap_object o, enum gc_phase phase)
{
	bool swept = phase == GC_SWEEPING && o.span->cycle == load_rlx(&gc->heap.cycle);
	return swept || span_is_marked(o.span, o.slot) || sp->cycle == load_rlx(&gc->xcycle);
}

int gc_special_add(struct gc *gc, struct gc_special *sp, void *object)
{
	struct heap_object o = find(gc, object);
	if (!o.span)
		return -EINVAL;
	spin_lock(lock_of(o.span));
	sp->cycle = load_acq(&gc->xcycle); /* A2 */
	store_rlx(&sp->object, object);
	sp->next = load_rlx(&o.span->specials);
	store_rlx(&o.span->specials, sp);
	spin_unlock(lock_of(o.span));
	return 0;
}

static void unlink_locked(struct span *s, struct gc_special *sp)
{
	struct gc_special *before = load_rlx(&s->specials);
	if (before == sp) {
		store_rlx(&s->specials, sp->next);
	} else {
		while (before->next != sp)
			before = before->next;
		before->next = sp->next;
	}
	store_rel(&sp->object, NULL); /* R1 */
}

/* The object may die meanwhile: looked up, its span is locked, and then it is looked again. NULL: it is dead. */
static struct span *lock_span_of(struct gc *gc, struct gc_special *sp)
{
	for (;;) {
		void *object = load_acq(&sp->object); /* A1 */
		struct heap_object o = object ? find(gc, object) : (struct heap_object){NULL, 0};
		if (!object)
			return NULL;
		if (!o.span)
			continue; /* it is dying at this moment */
		spin_lock(lock_of(o.span));
		if (load_rlx(&sp->object))
			return o.span;
		spin_unlock(lock_of(o.span));
	}
}

bool gc_special_drop(struct gc *gc, struct gc_special *sp)
{
	struct span *s = lock_span_of(gc, sp);
	if (!s)
		return false;
	unlink_locked(s, sp);
	spin_unlock(lock_of(s));
	return true;
}

void *gc_special_get(struct gc *gc, struct gc_special *sp, bool *wait)
{
	*wait = false;
	enum gc_phase phase = gc_phase(gc);   /* first: the object may die, and the cycle end, before the next line */
	void *object = load_acq(&sp->object); /* A1 */
	if (!object || phase <= GC_MARKING)
		return object;
	struct span *s = lock_span_of(gc, sp);
	if (!s)
		return NULL;
	bool alive = is_alive(gc, sp, (struct heap_object){s, span_slot_of(s, (uintptr_t)object)}, phase);
	spin_unlock(lock_of(s));
	*wait = !alive && phase == GC_CLOSING; /* it may still be marked */
	return alive ? object : NULL;
}

struct gc_special *gc_special_take(struct gc *gc, void *object, bool (*is)(const struct gc_special *, const void *), const void *what)
{
	struct heap_object o = find(gc, object);
	if (!o.span)
		return NULL;
	spin_lock(lock_of(o.span));
	struct gc_special *sp = load_rlx(&o.span->specials);
	while (sp && (span_slot_of(o.span, (uintptr_t)load_rlx(&sp->object)) != o.slot || !is(sp, what)))
		sp = sp->next;
	if (sp)
		unlink_locked(o.span, sp);
	spin_unlock(lock_of(o.span));
	return sp;
}

/* What hangs on what is not marked is detached; then the span is swept, while nobody asks for a mark. */
uint32_t gc_special_sweep(struct heap *h, struct span *s, uint64_t cycle)
{
	(void)h;
	spin_lock(lock_of(s));
	for (struct gc_special *sp = load_rlx(&s->specials), *next; sp; sp = next) {
		next = sp->next;
		if (span_is_marked(s, span_slot_of(s, (uintptr_t)load_rlx(&sp->object))))
			continue;
		unlink_locked(s, sp);
		sp->dead(sp);
	}
	uint32_t freed = span_sweep(s, cycle);
	spin_unlock(lock_of(s));
	return freed;
}
