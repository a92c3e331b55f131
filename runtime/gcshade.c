/* Shading (gc/mutator.h): what the runtime, or a program by weft/gc.h, moves to where others can read it, or overwrites. */
#include "runtime/gcshade.h"
#include "runtime/attach.h"
#include "runtime/sched.h"

/* For threads without an M. */
static struct {
	struct spin lock;
	struct gc_mutator shaded;
} outside;

static void shade(uintptr_t word)
{
	if (!pages_has(&collector.heap.pages, word))
		return;
	struct m *m = m_self();
	struct attached *a = m ? NULL : attached_self();
	if (m || a) {
		gc_shade(m ? &m->shaded : &a->shaded, &collector.words, word);
		return;
	}
	spin_lock(&outside.lock);
	gc_shade(&outside.shaded, &collector.words, word);
	spin_unlock(&outside.lock);
}

NOT_INSTRUMENTED void gc_shade_word(const void *word)
{
	shade(load_rlx((const _Atomic uintptr_t *)word));
}

NOT_INSTRUMENTED void gc_shade_words(const void *at, size_t bytes)
{
	uintptr_t from = ((uintptr_t)at + sizeof from - 1) & ~(sizeof from - 1), to = (uintptr_t)at + bytes;
	for (; from + sizeof from <= to; from += sizeof from)
		shade(load_rlx((const _Atomic uintptr_t *)from));
}

static void drain_m(void *object, void *arg)
{
	struct m *m = object;
	(void)arg;
	gc_mutator_drain(&m->shaded, &collector.words);
}

static void drain_attached(void *object, void *arg)
{
	(void)arg;
	gc_mutator_drain(&((struct attached *)object)->shaded, &collector.words);
}

void gc_drain_all(void)
{
	m_each(drain_m, NULL);
	attached_each(drain_attached, NULL);
	gc_mutator_drain(&outside.shaded, &collector.words);
}

void gc_leaves_outside(struct attached *a)
{
	gc_mutator_drain(&a->shaded, &collector.words);
}
