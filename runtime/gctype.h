/* What the collector knows of a program's types: the shape of their objects, and which there are. Objects say no more of their type than where
 * their pointers are. */
#ifndef RUNTIME_GCTYPE_H
#define RUNTIME_GCTYPE_H

#include "gc/cycle.h"
#include "lockfree/assert.h"

#include <weft/type.h>

/* Up to this, sizes that are multiples of an alignment have slots that are. */
enum { GC_SLOT_ALIGN = 64 };

struct shape gc_shape_of(const weft_type *);

/* The type as markers read it, of SHAPE_TYPED. */
const struct gc_type *gc_scan_of(const weft_type *);

/* Bytes of a slot for so many of them, in which each is aligned; SIZE_MAX: no heap is so large. */
size_t gc_bytes_for(const weft_type *, size_t count, const struct shape *);

/* A type of which something was allocated. Copies: its shared library may be unloaded. */
struct gc_known {
	struct gc_known *next;
	struct shape shape;
	size_t size;
	const struct gc_type *scan; /* of SHAPE_TYPED; NULL: nothing of it was allocated yet */
	char name[64], where[128]; /* as far as they fit */
};

COLD void gc_type_know_slow(const weft_type *);
static inline void gc_type_know(const weft_type *t)
{
	if (unlikely(!__atomic_load_n(&t->lazy_->known, __ATOMIC_RELAXED)))
		gc_type_know_slow(t);
}

/* The youngest, and by `next` all others. */
const struct gc_known *gc_types_known(void);

#endif
