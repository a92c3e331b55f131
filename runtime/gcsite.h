/* Where each collected object was allocated, and as what: noted at every allocation under WEFT_DEBUG=gcverify, so that a finding can say so
 * (gcverify.c).
 *
 * A *site* is a type and the address that the allocation returned to. There are few, and each has a number; what is kept of an object is that
 * number, for the word that it begins with. What has ended leaves its number behind, and the next object there overwrites it. */
#ifndef RUNTIME_GCSITE_H
#define RUNTIME_GCSITE_H

#include "runtime/collect.h"

struct gc_site {
	const weft_type *type; /* NULL: bytes, or pointers */
	uintptr_t pc;	       /* 0: not known */
};

/* From here on allocations are noted: gc_caches_start has every one of them come to gc.c. No memory for that is fatal. */
void gc_sites_start(void);

extern bool gc_sites_are_noted;

COLD void gc_site_note_slow(const void *object, const struct gc_site *);

/* In a call: nobody knows the object yet. */
static inline void gc_site_note(const void *object, const weft_type *type, uintptr_t pc)
{
	if (unlikely(gc_sites_are_noted))
		gc_site_note_slow(object, &(struct gc_site){type, pc});
}

/* Of the object that begins there. */
struct gc_site gc_site_of(const void *object);

#endif
