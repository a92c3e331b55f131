/* Threads that weft did not make, and that say so: weft_attach.
 *
 * Any thread may send, wake, start goroutines and wait; for waiting it is given a goroutine that stands for it (sched.c). An
 * attached one has that from the beginning to the end, and is known: while there is one, no deadlock is declared, whereas
 * of the others it is only known how many threads the process has.
 *
 * It is no reader (lockfree/epoch.h) between its calls: it may compute for hours, and all freeing would wait for it. The
 * calls that need it come on-line for their own length.
 *
 *     going to sleep (the last P, idle.c)      leaving
 *     set the bit in idle_mask                 count down xoutside
 *     look at xoutside                         look at the idle Ps, wake one
 *
 * Either the P sees that nobody is left outside, or the leaving thread sees the P asleep, and wakes it to look again.
 *
 * It is a mutator (gc/mutator.h), whose stack and registers the collector looks at by a signal when it is outside calls, and on its behalf while
 * it waits in one.
 *
 * R1 attached_parks, attached_is_back, become_mutator: store_rel(parked)  ->  A1 is_parked (gchost.c): load_acq(parked)   its registers
 * R2 make_key: store_rel(all_is_made)   ->  A2 attached_each: load_acq(all_is_made)   plain: the slab
 */
#include "runtime/attach.h"
#include "alloc/os.h"
#include "runtime/block.h"
#include "runtime/collect.h"
#include "runtime/panic.h"
#include "runtime/sched.h"
#include "runtime/world.h"

#include <weft/go.h>

#include <errno.h>
#include <pthread.h>

enum { ATTACHED_CHUNK = 1 << 20 };

static struct {
	pthread_once_t once;
	pthread_key_t key; /* whose destructor detaches a thread that ends */
	int err;
} at_end = {.once = PTHREAD_ONCE_INIT};

static _Thread_local struct attached *attached;
static struct slab all;
static _Atomic bool all_is_made;

struct attached *attached_self(void)
{
	return attached;
}

void attached_each(void (*see)(void *attached, void *arg), void *arg)
{
	if (load_acq(&all_is_made)) /* A2 */
		slab_each(&all, see, arg);
}

/* ---- as a mutator ---- */

void attached_call_begin(void)
{
	struct attached *a = attached;
	if (!a)
		return;
	a->depth++;
	__atomic_store_n(&a->mutator.inside, true, __ATOMIC_RELAXED);
	fence_compiler();
}

void attached_call_end(void)
{
	struct attached *a = attached;
	if (!a || !a->depth || --a->depth)
		return;
	gc_safe_point_outside(a);
	__atomic_store_n(&a->mutator.inside, false, __ATOMIC_RELEASE);
}

void attached_parks(void)
{
	struct attached *a = attached;
	if (!a)
		return;
	section_publish(&a->section, __builtin_frame_address(0));
	store_rel(&a->parked, true); /* R1 */
}

void attached_is_back(void)
{
	struct attached *a = attached;
	if (!a)
		return;
	for (;;) {
		store_rlx(&a->parked, false);
		fence_full(); /* either it sees that there is marking, or that the world stops, or who looks sees that it is back */
		if (!world_stops())
			break;
		store_rel(&a->parked, true); /* R1 */
		world_wait_published();
	}
	gc_safe_point_outside(a);
}

/* False: nobody knows. */
static bool find_stack(const void **top, size_t *size)
{
	pthread_attr_t attr;
	void *bottom;
	if (pthread_getattr_np(pthread_self(), &attr))
		return false;
	int err = pthread_attr_getstack(&attr, &bottom, size);
	pthread_attr_destroy(&attr);
	*top = (char *)bottom + *size;
	return !err;
}

static int become_mutator(void)
{
	const void *top;
	size_t size;
	struct attached *a = find_stack(&top, &size) ? slab_take_one(&all) : NULL;
	if (!a)
		return -ENOMEM;
	a->mutator.p = 0;
	__atomic_store_n(&a->mutator.inside, true, __ATOMIC_RELAXED); /* who looks at all of them may see it */
	struct g *g = stand_in();
	store_rlx(&a->g, g);
	store_rlx(&a->stack_top, top);
	store_rlx(&a->stack_size, size);
	a->depth = 0;
	section_clear(&a->section); /* there is nothing yet */
	store_rel(&a->parked, true);	 /* R1 */
	gc_take_signal();
	attached = a;
	weft_mutator_ = &a->mutator;
	store_rlx(&g->scan, 0); /* of whatever it was before */
	store_seq(&a->tid, os_thread());
	attached_is_back();
	__atomic_store_n(&a->mutator.inside, false, __ATOMIC_RELEASE);
	return 0;
}

/* What it had is nobody's any more. */
static void end_mutator(void)
{
	struct attached *a = attached;
	weft_mutator_ = NULL;
	attached = NULL;
	gc_leaves_outside(a);
	store_rel(&a->tid, 0);
	slab_give(&all, &a->unused, &a->unused, 1);
}

bool outside_may_enter(void)
{
	return load_acq(&sched.running) && !load_acq(&sched.stopping);
}

void outside_enter(void)
{
	add_seq(&sched.xoutside, 1);
}

void outside_leave(void)
{
	if (sub_seq(&sched.xoutside, 1) == 1)
		wake_one();
}

static void detach(void)
{
	end_mutator();
	stand_in_drop();
	outside_leave();
}

static void detach_at_end(void *unused)
{
	(void)unused;
	detach();
}

static void make_key(void)
{
	slab_init(&all, sizeof(struct attached), ATTACHED_CHUNK);
	store_rel(&all_is_made, true); /* R2 */
	at_end.err = pthread_key_create(&at_end.key, detach_at_end);
}

int weft_attach(void)
{
	if (m_self() || !outside_may_enter())
		return -EINVAL;
	if (sim_on)
		return -ENOTSUP;
	if (attached)
		return -EALREADY;
	pthread_once(&at_end.once, make_key);
	int err = at_end.err ? at_end.err : pthread_setspecific(at_end.key, &at_end);
	if (err)
		return -err;
	err = become_mutator();
	if (err) {
		pthread_setspecific(at_end.key, NULL);
		return err;
	}
	outside_enter();
	return 0;
}

void weft_detach(void)
{
	if (m_self() || !attached)
		weft_panic("weft_detach of a thread that is not attached");
	pthread_setspecific(at_end.key, NULL);
	detach();
}
