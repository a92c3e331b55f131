/* Manual memory, as the rest of the library sees it. */
#ifndef ALLOC_MANUAL_H
#define ALLOC_MANUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here on whoever gives back an address of this range by hand ends the program: the collector's objects. Once, before there are any. */
void manual_refuse(const void *base, size_t bytes);

/* ---- which blocks there are, for who sees the whole of memory at one moment ---- */

/* What a thread has allocated and nobody has given back can be told, block by block, between the two; unless the allocator is one that does not
 * say it (libc's, in the sanitizer flavours). The thread's own calls; the slot is its. */
void manual_heap_open(_Atomic(void *) *slot);
void manual_heap_close(_Atomic(void *) *slot);

/* In between no heap is closed: who comes to that waits. */
void manual_heaps_hold(void);
void manual_heaps_let_go(void);

/* Blocks of one size in a row. */
struct manual_area {
	uintptr_t from, to;
	size_t block_size;
};

/* Calls area(arg, a) for each of the heap's areas, and after it block(arg, at) for each block there that is in use. Its thread is not in
 * the allocator, and stays out of it. */
void manual_heap_each(void *heap, void (*area)(void *arg, const struct manual_area *), void (*block)(void *arg, uintptr_t at), void *arg);

/* The allocator's code: who has no such address on the stack or in a register is not in it. */
void manual_find_code(uintptr_t *from, uintptr_t *to);

#endif
