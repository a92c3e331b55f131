/* Marking: what is reachable from the words that it is given gets its mark, by several markers at once.
 *
 * Work is queued by spans, not by objects. The first mark in a span that has nothing queued queues it; until somebody comes to
 * it, more of its objects are marked, and then all of these are looked at together, in the order of their addresses and with one pointer map. A
 * queue of objects would have one entry for each, and come to each alone.
 *
 *     marks       objects that have been reached
 *     scanned     those of them that somebody has taken to look at; scanned is part of marks
 *     done        queues are empty, nobody is at work: scanned = marks for all spans with pointers
 *
 *     who reaches an object                     who takes the span
 *     set its mark               (R1)           queued := 0                    (R2)
 *     queued, if not 1, := 1     (A2)           todo := marks, and not scanned (A1)
 *     it was 0: push the span                   scanned := scanned or todo; look at them
 *
 * Either the first finds 0 and queues it again, or the second has seen the mark. Two may have the same span at once; scanned, a
 * read-modify-write, tells them apart.
 *
 * The oldest span goes first: while it waits, more of its objects are reached. (With the youngest first, a thousand lists that lie
 * side by side are followed one node at a time, at a sixth of the speed.) So a marker takes from its queue at the end where
 * others steal. A span that finds no room there waits in a list that all markers share. A large object is looked at in pieces, so that a step stays short and others can
 * help; but for one that says its type itself, which is looked at whole.
 *
 * R1 span_mark_bits: or_seq(marks) -> A1 take_slots: load_seq(marks)                     the marks that were set before
 * R2 gc_take: swap_seq(queued)    -> A2 gc_queue: load_seq(queued)                     either it is 0, or whoever takes the span sees the mark
 * R3 gc_requeue: swap_seq(queued) -> A3 gc_take: swap_seq(queued)                      alone: what was given back
 *
 * The Go team, "The Green Tea Garbage Collector" (2025), has this for spans of small objects. */
#ifndef GC_MARK_H
#define GC_MARK_H

#include "alloc/heap.h"
#include "gc/lines.h"
#include "lockfree/deque.h"

enum { GC_QUEUE = 1024, GC_PIECE = 8 * 1024, GC_AHEAD = 8, GC_NEAR = 16 };

/* What all markers of a heap share. */
struct gc_marking {
	struct heap *heap;
	enum gc_lines lines; /* by which form many objects are looked at */
	struct spin lock;
	struct span *overflow;	      /* the lock */
	_Atomic uint32_t in_overflow; /* how many; a hint */
};

struct gc_marker {
	struct gc_marking *all;
	uint64_t work; /* bytes looked at */
	uint64_t live; /* bytes marked */
	uint64_t effort; /* bytes looked at, and for each pointer to a page that it had not come to lately as many as take as long */
	uint64_t until;	 /* that is enough for a step */
	/* Pointers that have been read, on their way to what they mark (mark.c). Empty between steps. */
	unsigned at_words, at_spans, at_marks;
	uintptr_t words[GC_AHEAD];
	struct gc_found {
		struct span *span;
		uintptr_t word;
	} spans[GC_AHEAD];
	struct gc_reached {
		struct span *span;
		uint32_t word; /* of its marks */
		uint64_t bits;
	} marks[GC_AHEAD];
	/* Whose pages it has come to lately, by the page: pointers lie together as objects do. For as long as a cycle marks. */
	struct gc_near {
		size_t page;
		struct span *span; /* NULL: nobody's */
	} near[GC_NEAR];
	/* Whose objects it looks at. */
	struct span *here;
	uintptr_t here_base;
	size_t here_bytes;
	uint64_t here_pattern; /* the words of a slot that may be pointers; 0: they do not go into lines */
	uint64_t here_marks[SPAN_WORDS]; /* seen in them, and not marked yet */
	struct deque queue;
	deque_slot slots[GC_QUEUE];
};

/* Where the pointers of a type are; its objects have the type's address in their last word (SHAPE_TYPED). */
struct gc_type {
	size_t size; /* of an element; objects are arrays of them */
	size_t nranges;
	const struct gc_range {
		size_t offset, n; /* bytes; words */
	} * ranges;
};

void gc_marking_init(struct gc_marking *, struct heap *);
void gc_marker_init(struct gc_marker *, struct gc_marking *);

/* Before a cycle marks: what the marker has found in the last one is forgotten. */
void gc_marker_begin(struct gc_marker *);

/* A word that may point into an object: then that lives. */
void gc_mark(struct gc_marker *, uintptr_t word);

/* Words of a stack, or of another place about which nothing is known. A pointer to right behind an object may be one into it. */
void gc_mark_words(struct gc_marker *, const uintptr_t *words, size_t n);

/* Looks at queued objects until it has looked at `budget` bytes, or a little more, or at what takes as long: a pointer that nobody has followed
 * lately is a hundred nanoseconds. False: it has found no more work, its own or others'
 * that it could steal from `others`. */
bool gc_mark_step(struct gc_marker *, uint64_t budget, struct gc_marker *const *others, unsigned n);

/* No queue has anything in it. Sure only while nobody marks. */
bool gc_nothing_queued(struct gc_marking *, struct gc_marker *const *markers, unsigned n);

#endif
