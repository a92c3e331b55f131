/* What slices have in common: growing, and words for misuse.
 *
 * Small ones double, large ones grow by a quarter, with a smooth passage between the two as in Go (runtime/slice.go, nextslicecap):
 * doubling wastes up to half of a large array, a quarter costs five copies of each element instead of two.
 */
#include "lockfree/assert.h"
#include "runtime/panic.h"

#include <weft/mem.h>
#include <weft/slice.h>

enum { DOUBLING_UNTIL = 256, FIRST_BYTES = 64 };

static size_t next_cap(size_t cap, size_t n, size_t elem_size)
{
	size_t most = (size_t)PTRDIFF_MAX / elem_size;
	if (n > most)
		weft_panic("slice of %zu elements of %zu bytes: out of range", n, elem_size);
	size_t grown = cap < DOUBLING_UNTIL ? 2 * cap : cap + (cap + 3 * DOUBLING_UNTIL) / 4;
	size_t first = FIRST_BYTES / elem_size;
	grown = grown > first ? grown : first;
	grown = grown < most ? grown : most;
	return grown > n ? grown : n;
}

size_t weft_slice_grow(void **data, size_t cap, size_t n, size_t elem_size)
{
	size_t grown = next_cap(cap, n, elem_size);
	void *moved = weft_realloc(*data, grown * elem_size);
	if (!moved)
		fatal("out of memory for a slice of %zu elements of %zu bytes", n, elem_size);
	*data = moved;
	return grown;
}

void weft_slice_free(void *data)
{
	weft_free(data);
}

void weft_slice_out_of_range(size_t index, size_t length)
{
	weft_panic("index out of range [%zu] with length %zu", index, length);
}

void weft_slice_empty(void)
{
	weft_panic("pop of an empty slice");
}

void weft_slice_bad_view(size_t from, size_t to, size_t length)
{
	weft_panic("slice bounds out of range [%zu:%zu] with length %zu", from, to, length);
}
