/* R1 gc_type_know_slow: store_rel(first)  ->  A1 gc_types_known: load_acq(first)   plain: what is known */
#include "runtime/gctype.h"
#include "lockfree/spin.h"

#include <weft/mem.h>

#include <stdio.h>

enum { WORD = sizeof(uintptr_t), MAP_WORDS = 64 };

/* ---- shapes ---- */

const struct gc_type *gc_scan_of(const weft_type *t)
{
	const struct gc_type *there = __atomic_load_n(&t->lazy_->scan, __ATOMIC_ACQUIRE);
	if (there)
		return there;
	struct gc_type *mine = weft_malloc(sizeof *mine + t->npointers * sizeof(struct gc_range));
	if (!mine)
		fatal("out of memory for the type %s", t->name);
	struct gc_range *ranges = (struct gc_range *)(mine + 1);
	for (size_t i = 0; i < t->npointers; i++)
		ranges[i] = (struct gc_range){t->pointers[i].offset, t->pointers[i].n};
	*mine = (struct gc_type){t->size, t->npointers, ranges};
	const void *none = NULL;
	if (!__atomic_compare_exchange_n(&t->lazy_->scan, &none, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		weft_free(mine);
		return none;
	}
	return mine;
}

struct shape gc_shape_of(const weft_type *t)
{
	if (t->flags_ & WEFT_TYPE_CONSERVATIVE_)
		return (struct shape){.kind = SHAPE_CONSERVATIVE};
	if (!t->npointers)
		return (struct shape){.kind = SHAPE_LEAF};
	if (t->size > MAP_WORDS * WORD)
		return (struct shape){.kind = SHAPE_TYPED};
	return (struct shape){SHAPE_MAP, (uint32_t)(t->size / WORD), t->map};
}

size_t gc_bytes_for(const weft_type *t, size_t count, const struct shape *shape)
{
	size_t bytes;
	if (__builtin_mul_overflow(t->size, count, &bytes) || bytes > PTRDIFF_MAX)
		return SIZE_MAX;
	if (shape->kind == SHAPE_TYPED)
		bytes = (bytes + WORD - 1) / WORD * WORD + WORD;
	size_t align = t->align;
	bytes = (bytes + align - 1) / align * align;
	/* Up to GC_SLOT_ALIGN sizes that are multiples of an alignment have slots that are; beyond it only those of more than eight times as much. */
	if (align > GC_SLOT_ALIGN && bytes <= 8 * align)
		bytes = 9 * align;
	return bytes ? bytes : 1;
}

/* ---- which there are ---- */

static struct {
	struct spin lock;
	_Atomic(struct gc_known *) first;
} known;

/* A type that several files declare is known once for each. */
void gc_type_know_slow(const weft_type *t)
{
	spin_lock(&known.lock);
	bool first = !__atomic_load_n(&t->lazy_->known, __ATOMIC_RELAXED);
	__atomic_store_n(&t->lazy_->known, true, __ATOMIC_RELAXED);
	spin_unlock(&known.lock);
	struct gc_known *k = first ? weft_calloc(1, sizeof *k) : NULL;
	if (!k)
		return; /* a heap dump will have no name for it */
	k->shape = gc_shape_of(t);
	k->size = t->size;
	k->scan = k->shape.kind == SHAPE_TYPED ? gc_scan_of(t) : NULL;
	snprintf(k->name, sizeof k->name, "%s", t->name ? t->name : t->c_name);
	snprintf(k->where, sizeof k->where, "%s", t->where ? t->where : "");
	spin_lock(&known.lock);
	k->next = load_rlx(&known.first);
	store_rel(&known.first, k); /* R1 */
	spin_unlock(&known.lock);
}

const struct gc_known *gc_types_known(void)
{
	return load_acq(&known.first); /* A1 */
}
