/* The sizes in which small objects are kept, and the spans of pages that are cut into them.
 *
 *     size(c) = 8 (c + 1)                          c < 8: every multiple of a word up to 64
 *     size(c) = (9 + c % 8) << c / 8 + 2           otherwise: eight sizes from each power of two to the next
 *
 * so that, of sizes that are multiples of 8, none wastes more than a ninth, and a size that is a multiple of a power of two up to 64
 * has a class that is one too: no object is less aligned than its size suggests. A span has at most SPAN_SLOTS objects, for each of
 * which its owner keeps a bit or two, and at most a sixteenth of it is left over at its end; the larger spans have eight objects. */
#ifndef ALLOC_SIZE_CLASS_H
#define ALLOC_SIZE_CLASS_H

#include <stddef.h>
#include <stdint.h>

enum {
	SIZE_CLASSES = 80,
	SMALL_MOST = 32768, /* a larger object has pages of its own */
	SPAN_SLOTS = 1024,
	SIZE_SHIFT = 40,
};

struct size_class {
	uint64_t reciprocal; /* of the size, in 2^-SIZE_SHIFT, rounded up: exact for every byte of a span */
	uint32_t size;
	uint16_t slots; /* of a span */
	uint16_t pages;
};

extern const struct size_class size_classes[SIZE_CLASSES];

/* The least class for an object of so many bytes, from 1 to SMALL_MOST. */
static inline unsigned size_class_of(size_t size)
{
	if (size <= 64)
		return (unsigned)(size + 7) / 8 - 1;
	unsigned power = 63 - (unsigned)__builtin_clzll(size - 1); /* 2^power < size <= 2^(power+1) */
	return (power - 6) * 8 + (unsigned)((size - 1) >> (power - 3));
}

/* The object that this byte of a span lies in; slots for what is left over at the end. */
static inline unsigned size_class_slot(const struct size_class *c, size_t offset)
{
	return (unsigned)(offset * c->reciprocal >> SIZE_SHIFT);
}

#endif
