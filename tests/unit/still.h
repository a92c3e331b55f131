/* A cycle that stands still between two of its steps: the test has the lock under which stacks, roots and areas are looked at, and looks at them
 * itself, or not. */
#ifndef TESTS_UNIT_STILL_H
#define TESTS_UNIT_STILL_H

#include "runtime/call.h"
#include "runtime/collect.h"
#include "runtime/gcroots.h"
#include "tests/unit/collected.h"

static uint32_t still_cycle;

/* The caller's stack has been looked at, and nothing else has. */
static __attribute__((noinline, unused)) void stand_still(void)
{
	clean_stack();
	while (!spin_try_lock(&collector.scanning))
		weft_yield();
	still_cycle = gc_ask(&collector, GC_WHY_ASKED);
	while (load_acq(&collector.xcycle) != still_cycle || gc_phase(&collector) != GC_SCANNING || !gc_is_black(gc_self())) {
		bool outermost = call_begin();
		gc_step(&collector, NULL, 0, GC_SPARE);
		call_end(outermost);
		weft_sleep(50000);
	}
}

/* A step of it; false: all has been looked at. */
static __attribute__((unused)) bool look(void)
{
	bool outermost = call_begin();
	bool more = gc_roots_look(UINT64_MAX);
	call_end(outermost);
	return more;
}

/* To its end. */
static __attribute__((unused)) void go_on(void)
{
	spin_unlock(&collector.scanning);
	while ((int32_t)(load_acq(&collector.xended) - still_cycle) < 0)
		weft_sleep(50000);
}

#endif
