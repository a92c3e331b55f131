/* c-boehm: the conservative collector of Boehm, Demers and Weiser as it is packaged: it stops the world, marks with as many
 * threads as there are cores, and collects when it has given out a third of its heap.
 */
#include "bench/memory/alloc.h"
#include "bench/memory/collect.h"
#include "bench/memory/push.h"
#include "bench/memory/tree.h"
#include "bench/memory/heap.h"

static const struct memory_row rows[] = {ALLOC_ROWS, TREE_ROWS, RING_ROW, MARK_ROWS, {0}};

int main(int argc, char **argv)
{
	char version[64];
	unsigned number = GC_get_version();
	snprintf(version, sizeof version, "c boehm-gc %u.%u.%u gcc " __VERSION__, number >> 16, number >> 8 & 255, number & 255);
	const struct memory_program program = {"c-boehm", version, rows};
	struct wanted wanted = memory_options(&program, argc, argv);
	GC_set_markers_count((unsigned)wanted.procs);
	GC_INIT();
	if (wanted.procs > 1)
		GC_start_mark_threads(); /* which otherwise comes with the program's second thread */
	return memory_measure(&program, &wanted);
}
