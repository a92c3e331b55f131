/* weft-memory: the rows about memory, by the protocol that every peer speaks (docs/bench-method.md).
 *
 *     weft-memory --list | --version | ROW --procs N --seconds S
 */
#include "bench/memory/alloc.h"
#include "bench/memory/collect.h"
#include "bench/memory/hold.h"
#include "bench/memory/push.h"
#include "bench/memory/tree.h"

#include <weft/weft.h>

#include <stdlib.h>

static const struct memory_row rows[] = {
	ALLOC_ROWS,
	TREE_ROWS,
	RING_ROW,
	{"map-push", map_fill, map_push, ROW_ONCE, ROW_WALL},
	{"gc-hold", NULL, gc_hold, ROW_ONCE, ROW_WALL},
	MARK_ROWS,
	{"set-idle", set_idle_fill, set_idle, ROW_REPEATED, ROW_WALL},
	{0},
};
static const struct memory_program program = {"weft-memory", "weft " WEFT_VERSION " gcc " __VERSION__, rows};
static struct wanted wanted;

static int app(int argc, char **argv)
{
	(void)argc, (void)argv;
	return memory_measure(&program, &wanted);
}

int main(int argc, char **argv)
{
	char procs[16];
	wanted = memory_options(&program, argc, argv);
	snprintf(procs, sizeof procs, "%d", wanted.procs);
	setenv("WEFT_PROCS", procs, 1);
	return weft_main(argc, argv, app);
}
