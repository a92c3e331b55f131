/* What an object costs from its making until its memory serves the next one: allocated, zeroed, marked, swept or freed.
 *
 * A table holds cells worth 64 MiB, made in its order. The even ones stay, the odd ones are replaced in turn: of every
 * page that the heap had filled, half dies and half does not. A batch allocates as much as is live, so that each odd cell dies
 * twice; a collector at its usual setting then works once. Every cell begins with a pointer, which it must look at.
 *
 * That a new cell is zeroed is seen at once, by its last word; that all are there, afterwards, by the sum of their numbers.
 */
#include "bench/memory/alloc.h"
#include "bench/memory/heap.h"

static void **table;
HEAP_ROOT(table);

#define ALLOC_ROW(bytes)                                                                                         \
	enum { COUNT_##bytes = ALLOC_LIVE / (bytes), LAST_##bytes = (bytes) / 8 - 2 };                           \
	struct cell_##bytes {                                                                                    \
		struct cell_##bytes *next;                                                                       \
		uint64_t words[LAST_##bytes + 1];                                                                \
	};                                                                                                       \
	_Static_assert(sizeof(struct cell_##bytes) == (bytes), "the row is about this size");                    \
	HEAP_TYPE(cell_##bytes, struct cell_##bytes, next);                                                      \
                                                                                                                 \
	/* Returns what should be zero. */                                                                       \
	static inline uint64_t make_##bytes(uint64_t at, uint64_t number)                                        \
	{                                                                                                        \
		struct cell_##bytes *old = table[at], *made = HEAP_NEW(cell_##bytes, struct cell_##bytes);       \
		uint64_t last = made->words[LAST_##bytes];                                                       \
		made->words[0] = number;                                                                         \
		HEAP_SET(&table[at], made);                                                                      \
		HEAP_FREE(old);                                                                                  \
		return last;                                                                                     \
	}                                                                                                        \
                                                                                                                 \
	void alloc_##bytes##_fill(void)                                                                          \
	{                                                                                                        \
		HEAP_SET(&table, HEAP_POINTERS(COUNT_##bytes));                                                  \
		for (uint64_t i = 0; i < COUNT_##bytes; i++)                                                     \
			make_##bytes(i, i);                                                                      \
	}                                                                                                        \
                                                                                                                 \
	void alloc_##bytes(struct work *w)                                                                       \
	{                                                                                                        \
		uint64_t dirty = 0, sum = 0;                                                                     \
		work_begin(w);                                                                                   \
		for (int turn = 0; turn < 2; turn++)                                                             \
			for (uint64_t i = 1; i < COUNT_##bytes; i += 2)                                          \
				dirty |= make_##bytes(i, 2 * i);                                                 \
		work_end(w);                                                                                     \
		for (uint64_t i = 0; i < COUNT_##bytes; i++)                                                     \
			sum += ((struct cell_##bytes *)table[i])->words[0];                                      \
		w->ops += COUNT_##bytes;                                                                         \
		PROVE(w, "live=%d dirty=%llu sum=%llu", COUNT_##bytes, (unsigned long long)dirty,                \
		      (unsigned long long)sum);                                                                  \
	}                                                                                                        \
	HEAP_NOTHING(struct cell_##bytes)

ALLOC_ROW(16);
ALLOC_ROW(64);
ALLOC_ROW(256);
