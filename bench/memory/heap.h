/* A heap in the words that the rows use. It is weft's, unless a program is compiled with one of HEAP_BOEHM, HEAP_MIMALLOC
 * and HEAP_BUMP.
 *
 *   HEAP_TYPE(name, type, members...);   at file scope: a type, and which of its members point into the heap
 *   HEAP_ROOT(variable);                 at file scope: a variable that does
 *   HEAP_NEW(name, type)                 one of them, zeroed
 *   HEAP_POINTERS(count)                 an array of pointers into the heap, zeroed
 *   HEAP_BYTES(size)                     bytes that point nowhere; not zeroed where the heap does not
 *   HEAP_SET(slot, pointer)              a store into an object that others may see
 *   HEAP_FREE(pointer)                   nothing where there is a collector
 *   HEAP_COLLECT()                       a whole collection; nothing where there is no collector
 */
#ifndef BENCH_MEMORY_HEAP_H
#define BENCH_MEMORY_HEAP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HEAP_NOTHING(name) _Static_assert(sizeof(name) > 0, "")

#if defined(HEAP_BOEHM)

#define GC_THREADS
#include <gc.h>

#define HEAP_TYPE(name, type, ...) HEAP_NOTHING(type)
#define HEAP_ROOT(variable) HEAP_NOTHING(variable)
#define HEAP_NEW(name, type) ((type *)GC_MALLOC(sizeof(type)))
#define HEAP_POINTERS(count) ((void **)GC_MALLOC((count) * sizeof(void *)))
#define HEAP_BYTES(size) GC_MALLOC_ATOMIC(size)
#define HEAP_SET(slot, pointer) ((void)(*(slot) = (pointer)))
#define HEAP_FREE(pointer) ((void)(pointer))
#define HEAP_COLLECT() GC_gcollect()

#elif defined(HEAP_MIMALLOC)

#include <mimalloc.h>

#define HEAP_TYPE(name, type, ...) HEAP_NOTHING(type)
#define HEAP_ROOT(variable) HEAP_NOTHING(variable)
#define HEAP_NEW(name, type) ((type *)mi_calloc(1, sizeof(type)))
#define HEAP_POINTERS(count) ((void **)mi_calloc(count, sizeof(void *)))
#define HEAP_BYTES(size) mi_malloc(size)
#define HEAP_SET(slot, pointer) ((void)(*(slot) = (pointer)))
#define HEAP_FREE(pointer) mi_free(pointer)
#define HEAP_COLLECT() ((void)0)

#elif defined(HEAP_BUMP)

#include <stdlib.h>

/* The floor: a pointer goes up, what it passes is zeroed. It begins anew at `again`, where what dies next must lie. */
struct bump {
	char *next, *end, *again;
};
extern struct bump bump_heap;

static inline void *bump_new(size_t size)
{
	if (bump_heap.next == bump_heap.end)
		bump_heap.next = bump_heap.again;
	void *p = bump_heap.next;
	bump_heap.next += size;
	return memset(p, 0, size);
}

#define HEAP_TYPE(name, type, ...) HEAP_NOTHING(type)
#define HEAP_ROOT(variable) HEAP_NOTHING(variable)
#define HEAP_NEW(name, type) ((type *)bump_new(sizeof(type)))
#define HEAP_POINTERS(count) ((void **)calloc(count, sizeof(void *)))
#define HEAP_SET(slot, pointer) ((void)(*(slot) = (pointer)))
#define HEAP_FREE(pointer) ((void)(pointer))

#else

#define HEAP_WEFT 1


#include <weft/gc.h>
#include <weft/weft.h>

#define HEAP_TYPE(...) WEFT_TYPE(__VA_ARGS__)
#define HEAP_ROOT(variable) WEFT_ROOT(variable)
#define HEAP_NEW(name, type) weft_new(name)
#define HEAP_POINTERS(count) weft_new_ptrs(count)
#define HEAP_BYTES(size) weft_new_bytes(size)
#define HEAP_SET(slot, pointer) weft_set(slot, pointer)
#define HEAP_FREE(pointer) ((void)(pointer))
#define HEAP_COLLECT() weft_gc()

#endif

#endif
