/* Looking for leaks without memory: it says so, invents nothing, and the next time all is known. */
#include "alloc/os.h"
#include "tests/unit/leaking.h"

#include <errno.h>
#include <weft/mem.h>

/* So many that the tables of either are made larger on the way. */
enum { KEPT = 2000, BLOCKS = HAS_BLOCKS ? 700000 : 1 };

/* Of manual memory, so that blocks and channels in them are to be found. */
static weft_chan **kept;
static void **blocks;

static void make_kept(void *unused)
{
	(void)unused;
	kept = weft_calloc(KEPT, sizeof *kept);
	blocks = weft_calloc(BLOCKS, sizeof *blocks);
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = weft_malloc(16);
	for (int i = 0; i < KEPT; i++) {
		kept[i] = make_plain();
		weft_go(receive, kept[i]);
	}
}

static void make_leaked(void *unused)
{
	(void)unused;
	weft_go(receive, make_plain());
}

TEST_GO(lack_of_memory_is_said_and_nothing_is_invented)
{
	int refused = 0;
	apart(make_kept, NULL);
	await_sleeping(KEPT);
	for (int nth = 1, fine = 0; fine < 2; nth++) {
		os_fail_at(OS_RESERVE, nth, ENOMEM);
		int found = weft_leaks(STDOUT_FILENO);
		os_fail_at(OS_RESERVE, 0, 0);
		CHECK(found == 0 || found == -ENOMEM);
		refused += found != 0;
		fine = found == 0 ? fine + 1 : 0; /* there are no more calls than those that have failed */
	}
	CHECK(refused >= (HAS_BLOCKS ? 8 : 4));
	apart(make_leaked, NULL);
	await_sleeping(KEPT + 1);
	check_leaks(1);
	return 0;
}
