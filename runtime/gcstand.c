/* Who may not begin something (gc_stand_may_begin) leaves it to the watch, which stops the world and moves the collector on, until sweeping begins:
 *
 *     gcstw       from the beginning of the cycle
 *     gcverify    from when all that is reachable is marked; what is marked is verified before anything is swept
 *
 * Sweeping is as ever. With gcstw no goroutine sees weft_marking_ set, none is asked for a handshake while marking goes on, and none assists:
 * what still goes wrong then is no matter of barriers or of concurrent marking.
 */
#include "runtime/gcstand.h"
#include "runtime/config.h"
#include "runtime/fiber.h"
#include "runtime/gcstack.h"
#include "runtime/gcverify.h"
#include "runtime/gcwatch.h"
#include "runtime/world.h"

#include <stdio.h>
#include <unistd.h>

enum { STEP_BYTES = 1 << 20 };

static struct {
	bool whole, verifies;
	_Atomic bool xwanted; /* somebody has been refused */
	_Atomic bool stands;  /* the watch writes */
} mode;

bool gc_stands(void)
{
	return load_rlx(&mode.stands);
}

bool gc_stand_may_begin(struct gc *gc, enum gc_phase next)
{
	(void)gc;
	if (!mode.whole && !(mode.verifies && next == GC_SWEEPING))
		return true;
	if (!gc_stands()) {
		store_seq(&mode.xwanted, true);
		gc_watch_wake();
		return false;
	}
	if (mode.verifies && next == GC_SWEEPING)
		gc_verify();
	return true;
}

/* Only from where it is left to the watch: somebody may be refused while the watch is about to serve another, and it is the middle of the next cycle
 * before that is seen. What goroutines did to objects is before what becomes of them. */
static void move_on(void *unused)
{
	struct gc_marker *m = sched.ps[0]->marker;
	(void)unused;
	if (gc_phase(&collector) != (mode.whole ? GC_IDLE : GC_CLOSING))
		return;
	store_rlx(&mode.stands, true);
	for (unsigned i = 0; i < sched.nprocs; i++)
		fiber_observe(sched.ps[i]->marker);
	fiber_publish(&collector);
	while (gc_phase(&collector) != GC_SWEEPING && gc_step(&collector, m, STEP_BYTES, GC_SHARE))
		;
	for (unsigned i = 0; i < sched.nprocs; i++)
		fiber_publish(sched.ps[i]->marker);
	store_rlx(&mode.stands, false);
}

void gc_stand_serve(void)
{
	if (!load_rlx(&mode.xwanted) || !swap_seq(&mode.xwanted, false))
		return;
	if (world_stand_still(move_on, NULL)) {
		dprintf(STDERR_FILENO, "weft: thread %d does not take SIGURG, and the collector waits for it (gcstw, gcverify)\n", world_late());
		store_seq(&mode.xwanted, true);
		return;
	}
	gc_verify_report();
}

void gc_stand_start(const struct config *config)
{
	mode.whole = config->gcstw;
	mode.verifies = config->gcverify;
	if (mode.verifies)
		gc_verify_start();
}
