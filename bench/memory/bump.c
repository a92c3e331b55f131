/* c-bump: the floor of the rows about allocation. Its heap is 64 MiB for what is made first, and 32 MiB in which it then goes
 * round: what it comes by is what the row has just given up, or is about to.
 */
#include "bench/memory/alloc.h"
#include "bench/memory/heap.h"
#include "tuning/command.h"

#include <stdio.h>

static const struct memory_row rows[] = {ALLOC_ROWS, {0}};
static const struct memory_program program = {"c-bump", "c bump pointer gcc " __VERSION__, rows};

struct bump bump_heap;

int main(int argc, char **argv)
{
	struct wanted wanted = memory_options(&program, argc, argv);
	size_t bytes = ALLOC_LIVE + ALLOC_LIVE / 2;
	bump_heap.next = aligned_alloc(64, bytes);
	if (!bump_heap.next) {
		command_say(program.name, "no memory");
		return COMMAND_FAILED;
	}
	bump_heap.again = bump_heap.next + ALLOC_LIVE;
	bump_heap.end = bump_heap.next + bytes;
	return memory_measure(&program, &wanted);
}
