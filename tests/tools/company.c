/* What tests/tools/gdb.py looks into: two goroutines that wait, one of them with a name, and a main goroutine that aborts. */
#include <weft/weft.h>

#include <stdlib.h>

static weft_chan *never;

static void wait_here(void *arg)
{
	(void)arg;
	weft_recv(never, NULL);
	__asm__ volatile("" ::: "memory"); /* a call and not a jump: it has a frame */
}

static int app(int argc, char **argv)
{
	static const weft_go_opts named = {.name = "worker"};
	(void)argc, (void)argv;
	never = weft_chan_make(0, 0);
	weft_go_with(&named, wait_here, NULL);
	weft_go(wait_here, NULL);
	weft_sleep(50 * WEFT_MS);
	abort();
}

int main(int argc, char **argv)
{
	return weft_main(argc, argv, app);
}
