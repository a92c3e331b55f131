/* c-mimalloc: memory that is freed by hand, with the allocator that weft's manual memory is on. Freeing is timed. */
#include "bench/memory/alloc.h"
#include "bench/memory/push.h"
#include "bench/memory/tree.h"
#include "bench/memory/heap.h"

static const struct memory_row rows[] = {ALLOC_ROWS, TREE_ROWS, RING_ROW, {0}};

int main(int argc, char **argv)
{
	char version[64];
	int number = mi_version();
	snprintf(version, sizeof version, "c mimalloc %d.%d gcc " __VERSION__, number / 100, number / 10 % 10);
	const struct memory_program program = {"c-mimalloc", version, rows};
	struct wanted wanted = memory_options(&program, argc, argv);
	return memory_measure(&program, &wanted);
}
