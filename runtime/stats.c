#include "runtime/stats.h"
#include "runtime/sched.h"

#include <weft/stats.h>

#include <string.h>

static struct {
	uint64_t ticks;
	int64_t ns;
} began;

void stats_start(void)
{
	began.ns = weft_now();
	began.ticks = cycles_now();
}

/* ---- from runnable to running ---- */

void stats_batch_begin(struct p *p)
{
	p->seen.batch_at = cycles_now();
	p->seen.stamping = STAMPING_BATCH;
}

void stats_batch_end(struct p *p)
{
	p->seen.stamping = STAMPING_NONE;
}

COLD void stats_stamp(struct p *p, struct g *g)
{
	if (load_rlx(&g->is_thread))
		return; /* it runs on no P */
	if (p->seen.stamping == STAMPING_BATCH) {
		store_rlx(&g->stamp, STAMP_WAKE);
		store_rlx(&g->ready_at, (uint64_t)p->seen.batch_at);
	} else {
		store_rlx(&g->stamp, STAMP_OTHER);
		store_rlx(&g->ready_at, cycles_now());
		p->seen.stamping = STAMPING_NONE;
	}
}

/* Counters of different cores may differ by a little. */
static uint64_t ticks_since(uint64_t then)
{
	uint64_t now = cycles_now();
	return now > then ? now - then : 0;
}

COLD void stats_stamped_runs(struct p *p, struct g *g)
{
	small_histogram_record(load_rlx(&g->stamp) == STAMP_WAKE ? &p->seen.wake : &p->seen.other,
			       ticks_since(load_rlx(&g->ready_at)));
	store_rlx(&g->stamp, STAMP_NONE);
}

/* Who looks and still counts as running is yielding; others wait by now, or have ended. */
void stats_looked(struct p *p, struct g *g, uint64_t ticks)
{
	if (!g || load_rlx(&g->state) != G_RUNNING) {
		p->seen.stamping = STAMPING_NEXT;
		return;
	}
	store_rlx(&g->stamp, STAMP_OTHER);
	store_rlx(&g->ready_at, (uint64_t)ticks);
}

/* ---- slices ---- */

void stats_slice_begin(struct p *p, uint64_t ticks)
{
	p->seen.rest = load_rlx(&p->countdown) - 1;
	p->seen.slice_since = ticks;
	store_rlx(&p->countdown, 1);
}

/* Steps beyond the one (step_is_due) go off what was put by. */
static void give_back_steps(struct p *p)
{
	store_rlx(&p->countdown, load_rlx(&p->countdown) + p->seen.rest);
	p->seen.rest = 0;
}

bool stats_slice_ends(struct p *p)
{
	if (!p->seen.slice_since && !p->seen.rest)
		return false;
	stats_slice_cut(p);
	give_back_steps(p);
	return load_rlx(&p->countdown) > 0;
}

void stats_slice_cut(struct p *p)
{
	if (p->seen.slice_since)
		small_histogram_record(&p->seen.slice, ticks_since(p->seen.slice_since));
	p->seen.slice_since = 0;
}

void stats_slice_none(struct p *p)
{
	p->seen.slice_since = 0;
	p->seen.rest = 0;
}

/* ---- asking ---- */

static double ns_per_tick(void)
{
	int64_t ns = weft_now() - began.ns;
	uint64_t ticks = cycles_now() - began.ticks;
	return ticks ? (double)ns / (double)ticks : 0;
}

static weft_dist dist_of(size_t histogram, double unit_ns)
{
	struct small_histogram_sum sum = {.total = 0};
	for (unsigned i = 0; i < sched.nprocs; i++)
		small_histogram_add(&sum, (const void *)((const char *)&sched.ps[i]->seen + histogram));
	weft_dist d = {.count = sum.total, .max = (int64_t)((double)sum.max * unit_ns)};
	d.p50 = (int64_t)((double)small_histogram_quantile(&sum, 0.5) * unit_ns);
	d.p90 = (int64_t)((double)small_histogram_quantile(&sum, 0.9) * unit_ns);
	d.p99 = (int64_t)((double)small_histogram_quantile(&sum, 0.99) * unit_ns);
	d.p999 = (int64_t)((double)small_histogram_quantile(&sum, 0.999) * unit_ns);
	return d;
}

void weft_sched_histograms(weft_schedhist *out, size_t size)
{
	weft_schedhist all = {0};
	double tick = sched.nprocs ? ns_per_tick() : 0;
	all.wake = dist_of(offsetof(struct stats_part, wake), tick);
	all.other = dist_of(offsetof(struct stats_part, other), tick);
	all.slice = dist_of(offsetof(struct stats_part, slice), tick);
	all.spin_found = dist_of(offsetof(struct stats_part, spin_found), 1);
	all.spin_vain = dist_of(offsetof(struct stats_part, spin_vain), 1);
	for (unsigned i = 0; i < sched.nprocs; i++)
		for (unsigned ring = 0; ring < STEAL_RINGS; ring++)
			all.steals_at[ring] += load_rlx(&sched.ps[i]->seen.steals_at[ring]);
	memset(out, 0, size);
	memcpy(out, &all, size < sizeof all ? size : sizeof all);
}
_Static_assert(ARRAY_LEN(((weft_schedhist *)0)->steals_at) == STEAL_RINGS, "each ring is shown");
