/* Who gives the collector time: Ms that have nothing to run all of it, Ps that have others to run a quarter, and who allocates as much as is
 * owed for what was allocated, up to PAY_NS at a time.
 *
 * And for how long it has held goroutines: in that, and while their stacks were looked at.
 */
#include "runtime/gcpay.h"
#include "runtime/call.h"
#include "runtime/gccache.h"

enum {
	STEP_BYTES = 8 * 1024, /* to look at in a step: a few microseconds */
	SPARE_BYTES = 4 * STEP_BYTES,
	PAY_NS = 10000,
	SHARE_PART = 4,
	DEBT_MOST = 1 << 20,
};

static struct {
	unsigned stress; /* allocations between two cycles; 0: as the heap grows */
	_Atomic uint64_t allocations;
	_Atomic int64_t cycle_hold; /* the longest in this cycle */
	_Atomic int64_t hold_max, hold_total, spent[GC_WHOSE];
} times;

/* ---- holds ---- */

static void raise_to(_Atomic int64_t *most, int64_t ns)
{
	int64_t was = load_rlx(most);
	while (ns > was && !cas_rlx(most, &was, ns))
		;
}

void gc_held(int64_t ns)
{
	(void)add_rlx(&times.hold_total, ns);
	raise_to(&times.hold_max, ns);
	raise_to(&times.cycle_hold, ns);
}

int64_t gc_cycle_hold(void)
{
	return swap_acqrel(&times.cycle_hold, 0);
}

struct gc_times gc_times(void)
{
	struct gc_times t = {load_rlx(&times.hold_max), load_rlx(&times.hold_total), {0}};
	for (unsigned i = 0; i < GC_WHOSE; i++)
		t.spent[i] = load_rlx(&times.spent[i]);
	return t;
}

/* ---- spare time, and a share ---- */

bool gc_spare_time(struct m *m)
{
	struct p *p = m_p(m);
	void *me = gc_enter(m);
	gc_flush(p);
	bool did = !is_resting(p) && gc_step(&collector, p->marker, SPARE_BYTES, GC_SPARE);
	gc_leave(m, me);
	return did;
}

static void spent(struct p *p, int64_t ns, enum gc_whose whose)
{
	p->gc_ns += ns;
	(void)add_rlx(&times.spent[whose], ns);
	gc_held(ns);
}

static void step_of(struct p *p, uint64_t budget, enum gc_whose whose)
{
	int64_t began = weft_now();
	gc_step(&collector, p->marker, budget, whose);
	spent(p, weft_now() - began, whose);
}

static void begin_share(struct p *p)
{
	uint32_t cycle = load_rlx(&collector.xcycle);
	if (p->gc_cycle != cycle) {
		p->gc_cycle = cycle;
		p->gc_ns = 0;
		p->gc_debt = 0;
	}
}

static void share(struct p *p, int64_t now)
{
	begin_share(p);
	if (p->gc_ns * SHARE_PART <= now - load_rlx(&collector.xbegan))
		step_of(p, STEP_BYTES, GC_SHARE);
}

void gc_share_slow(struct p *p, int64_t now)
{
	struct m *m = m_self();
	void *me = gc_enter(m);
	share(p, now);
	gc_leave(m, me);
}

/* ---- allocation ---- */

/* A step for what was allocated; false: there was nothing to do. */
static bool pay_some(struct p *p)
{
	uint64_t before = p->marker->work, budget = p->gc_debt < STEP_BYTES ? p->gc_debt : STEP_BYTES;
	bool did = gc_step(&collector, p->marker, budget, GC_ASSIST);
	uint64_t paid = p->marker->work - before;
	p->gc_debt -= paid < p->gc_debt ? paid : p->gc_debt;
	return did;
}

/* Whoever allocates pays for it at once, as far as that takes no more than PAY_NS; the rest is for its next time. If nobody is to pay, marking
 * has its share of the P all the same, whether the goroutine comes to the scheduler or not. */
static COLD void pay(struct p *p, uint64_t owed)
{
	int64_t began = weft_now(), now = began;
	if (load_rlx(&collector.pressure) != PACE_ASSIST) {
		share(p, now);
		return;
	}
	begin_share(p);
	p->gc_debt += owed;
	if (p->gc_debt > DEBT_MOST)
		p->gc_debt = DEBT_MOST;
	if (gc_phase(&collector) != GC_MARKING) {
		p->gc_debt = 0;
		while (gc_step(&collector, p->marker, STEP_BYTES, GC_ASSIST) && gc_phase(&collector) == GC_SCANNING &&
		       (now = weft_now()) - began < PAY_NS)
			;
	} else if (p->gc_debt == 0) {
		share(p, now);
		return;
	} else {
		while (pay_some(p) && p->gc_debt && (now = weft_now()) - began < PAY_NS)
			;
	}
	spent(p, weft_now() - began, GC_ASSIST);
}

static COLD void stress(void)
{
	if (add_rlx(&times.allocations, 1) % times.stress == 0 && !gc_is_on(&collector))
		gc_ask(&collector, GC_WHY_STRESS);
}

void gc_note_allocated(struct p *p, uint64_t bytes)
{
	if (unlikely(times.stress))
		stress();
	uint64_t owed = gc_allocated(&collector, bytes);
	if (unlikely(gc_is_on(&collector)) || unlikely(gc_is_due(&collector)))
		pay(p, owed);
}

void gc_stress(unsigned every)
{
	times.stress = every;
}
