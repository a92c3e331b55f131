/* A thread that moves the collector on when nobody else does, passes membarriers, does what a cycle leaves, gives memory back, and stops the
 * world for who asks for that. It sleeps while there is nothing of it. Not sysmon, which may stand above Ms in the kernel's eyes: here locks are
 * taken that Ms hold.
 */
#include "runtime/gcwatch.h"
#include "alloc/os.h"
#include "runtime/gckept.h"
#include "runtime/gcstand.h"
#include "runtime/pool.h"
#include "runtime/sched.h"
#include "runtime/world.h"

#include <time.h>

enum {
	WATCH_NS = 200000,
	RELEASE_EVERY_NS = 2000000,
	RELEASE_AFTER_NS = 1000000000,
	RELEASE_BYTES = 1 << 20,
	KEPT_PART = 10,
};

static struct {
	_Atomic uint32_t xawake; /* futex: 0 while it sleeps */
	_Atomic bool xleft;	 /* a cycle has ended */
	int64_t release_at, too_many_since;
} watch;

/* ---- memory that is not used ---- */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Free pages that the heap will grow into before its next cycle ends are kept, and a tenth more. */
static uint64_t too_many(void)
{
	struct pages_use use = pages_use(&collector.heap.pages);
	uint64_t goal = load_rlx(&collector.goal), want = goal < UINT64_MAX / 2 ? goal + goal / KEPT_PART : use.taken;
	uint64_t keep = less(want, use.taken);
	return less(use.free, keep > use.taken / KEPT_PART ? keep : use.taken / KEPT_PART);
}

/* Only what was too much for a whole second goes back to the system, and a little at a time: programs come in waves. */
static bool release_some(int64_t now)
{
	if (now < watch.release_at)
		return watch.too_many_since != 0;
	watch.release_at = now + RELEASE_EVERY_NS;
	uint64_t much = too_many();
	if (much < RELEASE_BYTES) {
		watch.too_many_since = 0;
		return false;
	}
	if (!watch.too_many_since)
		watch.too_many_since = now;
	if (now - watch.too_many_since >= RELEASE_AFTER_NS)
		pages_release(&collector.heap.pages, RELEASE_BYTES);
	return true;
}

/* ---- what a cycle leaves ---- */

void gc_tidy_up(void)
{
	if (!load_rlx(&watch.xleft) || !swap_seq(&watch.xleft, false))
		return;
	gc_start_cleanups();
	pool_collect();
	gc_kept_tidy();
}

void gc_watch_tidies(void)
{
	store_seq(&watch.xleft, true);
	if (sim_on) /* there is no watch */
		gc_tidy_up();
	else
		gc_watch_wake();
}

/* ---- the thread ---- */

/* True: there is more to come. */
static bool watch_once(int64_t now)
{
	world_serve();
	gc_tidy_up();
	bool releases = release_some(now);
	gc_step(&collector, NULL, 0, GC_SPARE);
	gc_stand_serve();
	return releases || gc_is_on(&collector);
}

static void *watch_run(void *unused)
{
	world_watch();
	os_exact_timers();
	for (;;) {
		store_seq(&watch.xawake, 1);
		while (watch_once(weft_now())) {
			struct timespec pause = {.tv_nsec = gc_is_on(&collector) ? WATCH_NS : RELEASE_EVERY_NS};
			nanosleep(&pause, NULL);
		}
		store_seq(&watch.xawake, 0);
		if (!gc_is_on(&collector) && !gc_is_due(&collector) && !load_seq(&watch.xleft) && !world_is_asked())
			os_futex_wait(&watch.xawake, 0, -1);
	}
	return unused;
}

void gc_watch_wake(void)
{
	if (swap_seq(&watch.xawake, 1) == 0)
		os_futex_wake(&watch.xawake);
}

void gc_watch_start(void)
{
	start_own_thread(watch_run, "the collector's watch");
}
