#include "gc/cycle.h"
#include "gc/host.h"
#include "gc/special.h"

#include <weft/gc.h>

#include <string.h>

uint8_t weft_marking_;

enum {
	SPANS_A_STEP = 4,
	WORDS_A_STEP = 64,
	DEBT_UNIT = 1024,
};

static void set_phase(struct gc *gc, enum gc_phase phase)
{
	store_seq(&gc->xphase, (uint32_t)phase); /* R1 */
}

static void set_barrier(bool on)
{
	__atomic_store_n(&weft_marking_, on, __ATOMIC_RELEASE);
}

static void ask(struct gc *gc, enum gc_ask what)
{
	gc->answered = false;
	gc->host->ask(gc, what);
}

static bool may_begin(struct gc *gc, enum gc_phase next)
{
	return !gc->host->may_begin || gc->host->may_begin(gc, next);
}

static bool answered(struct gc *gc)
{
	if (!gc->answered)
		gc->answered = gc->host->answered(gc);
	return gc->answered;
}

/* ---- markers ---- */

static void enter(struct gc *gc)
{
	(void)add_seq(&gc->xactive, 1); /* R2 */
	(void)add_seq(&gc->xstarts, 1);
}

static void leave(struct gc *gc)
{
	(void)sub_seq(&gc->xactive, 1); /* R2 */
}

/* No marker is at work, and there was nothing to be had at one moment in between. */
static bool nothing_is_left(struct gc *gc)
{
	uint64_t starts = load_seq(&gc->xstarts); /* A2 */
	if (load_seq(&gc->xactive) || gc_words_wait(&gc->words) || !gc_nothing_queued(&gc->marking, gc->markers, gc->nmarkers))
		return false;
	return !load_seq(&gc->xactive) && load_seq(&gc->xstarts) == starts; /* A2 */
}

/* The last n of them. */
static void mark_of_chunk(struct gc_marker *m, struct gc_chunk *c, size_t n)
{
	c->n -= n;
	if (c->from == GC_STACK)
		gc_mark_words(m, &c->word[c->n], n);
	else
		for (size_t i = 0; i < n; i++)
			gc_mark(m, c->word[c->n + i]);
	m->work += n * sizeof *c->word;
}

static bool mark_words(struct gc *gc, struct gc_marker *m)
{
	struct gc_chunk *c = gc_words_take(&gc->words);
	if (!c)
		return false;
	mark_of_chunk(m, c, c->n < WORDS_A_STEP ? c->n : WORDS_A_STEP);
	if (c->n)
		gc_words_put(&gc->words, c);
	else
		gc_words_give(&gc->words, c);
	return true;
}

static bool scan_some(struct gc *gc, struct gc_marker *m, uint64_t budget)
{
	if (load_acq(&gc->xscanned) || !spin_try_lock(&gc->scanning))
		return false;
	bool more = !load_rlx(&gc->xscanned) && gc->host->scan(gc, m, budget);
	if (!more)
		store_rel(&gc->xscanned, true); /* R3 */
	spin_unlock(&gc->scanning);
	return true;
}

/* Objects first, so that queues stay short. */
static bool mark_some(struct gc *gc, struct gc_marker *m, uint64_t budget)
{
	enter(gc);
	bool did = false;
	if (gc_phase(gc) == GC_MARKING) { /* CLOSING begins only while nobody is here, or sees that somebody came */
		uint64_t before = m->work;
		did = gc_mark_step(m, budget, gc->markers, gc->nmarkers) || m->work != before || mark_words(gc, m);
		(void)add_rlx(&gc->xdone, m->work - before);
	}
	leave(gc);
	return did;
}

/* ---- phases ---- */

static void forget_words(struct gc *gc)
{
	struct gc_chunk *c;
	while ((c = gc_words_take(&gc->words)))
		gc_words_give(&gc->words, c);
}

/* What was shaded after the last cycle's marking is of no interest any more. */
static void begin(struct gc *gc)
{
	bool asked = load_acq(&gc->xasked) != load_rlx(&gc->xcycle);
	uint32_t cycle = load_rlx(&gc->xcycle) + 1;
	gc->host->drain(gc);
	forget_words(gc);
	for (unsigned i = 0; i < gc->nmarkers; i++)
		gc_marker_begin(gc->markers[i]);
	gc->report = (struct gc_report){.cycle = cycle, .why = asked ? gc->why : GC_WHY_HEAP, .began = gc->host->now(), .goal = gc->pace.goal};
	gc->report.from = load_rlx(&gc->xheap);
	store_rlx(&gc->xbegan, gc->report.began);
	store_rlx(&gc->xscanned, false);
	store_rlx(&gc->xdone, 0);
	store_rlx(&gc->xstacks, 0);
	store_rlx(&gc->xroots, 0);
	for (unsigned i = 0; i < GC_WHOSE; i++)
		store_rlx(&gc->xns[i], 0);
	if (!asked)
		(void)add_seq(&gc->xasked, 1); /* whoever asks now wants the next one */
	set_barrier(true);
	store_rel(&gc->xcycle, cycle); /* gc/special.h: R2 */
	set_phase(gc, GC_ARMING);
	ask(gc, GC_ASK_PASS);
}

static void settle(struct gc *gc)
{
	store_rel(&gc->xstate, load_rlx(&gc->xstate) + 1);
	set_phase(gc, GC_SETTLING);
	ask(gc, GC_ASK_PASS);
}

static void set_debt(struct gc *gc)
{
	double debt = pace_debt(&gc->pace, load_rlx(&gc->xdone), load_rlx(&gc->xheap)) * DEBT_UNIT;
	bool asks = gc->pace.settings.pressure == PACE_ASSIST && !pace_limited(&gc->limiter);
	store_rlx(&gc->debt, asks ? (uint64_t)debt : 0);
}

static void begin_scanning(struct gc *gc)
{
	ask(gc, GC_ASK_SCAN); /* before somebody begins to look */
	set_phase(gc, GC_SCANNING);
	gc->host->work(gc);
}

static void begin_marking(struct gc *gc)
{
	set_debt(gc);
	set_phase(gc, GC_MARKING);
	gc->host->work(gc);
}

static uint64_t marked_bytes(const struct gc *gc)
{
	uint64_t live = 0;
	for (unsigned i = 0; i < gc->nmarkers; i++)
		live += gc->markers[i]->live;
	return live;
}

static void learn(struct gc *gc)
{
	struct gc_report *r = &gc->report;
	unsigned procs = gc->nmarkers - 1;
	double all = (double)(r->marked - r->began) * procs, marking = 0;
	for (unsigned i = 0; i < GC_WHOSE; i++)
		marking += (double)(r->ns[i] = load_rlx(&gc->xns[i]));
	pace_limiter_note(&gc->limiter, (double)(r->marked - gc->marked) * procs / 1e9, marking / 1e9);
	gc->marked = r->marked;
	struct pace_cycle c = {r->to - r->from, load_rlx(&gc->xdone), all > 0 ? marking / all : 0};
	pace_learn(&gc->pace, &c);
}

static void plan(struct gc *gc, const struct pace_found *found)
{
	pace_plan(&gc->pace, found, gc->host->beside(gc));
	store_rlx(&gc->pressure, gc->pace.settings.pressure);
	store_rlx(&gc->goal, gc->pace.goal);
	store_rlx(&gc->trigger, gc->pace.trigger);
}

/* All that is reachable has been marked. What was allocated since the cycle began is black, and lives as well until the next one; or it is
 * white and was marked if it lives, and then it counts twice, but no more lives than there is. */
static void end_marking(struct gc *gc)
{
	struct gc_report *r = &gc->report;
	r->marked = gc->host->now();
	r->to = load_rlx(&gc->xheap);
	uint64_t found = marked_bytes(gc), allocated = r->to - r->from;
	r->live = found + allocated < r->to ? found + allocated : r->to;
	r->stacks = load_rlx(&gc->xstacks);
	r->roots = load_rlx(&gc->xroots);
	learn(gc);
	(void)sub_rlx(&gc->xheap, r->to - r->live);
	plan(gc, &(struct pace_found){r->live, r->stacks, r->roots});
	heap_begin_sweeping(&gc->heap);
	store_rlx(&gc->debt, 0);
	set_barrier(false);
	store_rel(&gc->xstate, load_rlx(&gc->xstate) + 1);
	set_phase(gc, GC_SWEEPING);
	ask(gc, GC_ASK_FLUSH);
	gc->host->work(gc);
}

/* False: marking is over, but for somebody else to end. What is shaded from now on is of no interest: it may come as fast as it is marked. */
static bool close_or_go_on(struct gc *gc)
{
	struct gc_marker *m = gc->markers[0];
	uint64_t before = m->live;
	gc->host->drain(gc);
	for (struct gc_chunk *c = gc_words_take_all(&gc->words), *next; c; c = next) {
		next = c->next;
		mark_of_chunk(m, c, c->n);
		gc_words_give(&gc->words, c);
	}
	if (m->live != before) {
		set_phase(gc, GC_MARKING);
		gc->host->work(gc);
		return true;
	}
	if (!may_begin(gc, GC_SWEEPING))
		return false;
	end_marking(gc);
	return true;
}

static bool close_marking(struct gc *gc)
{
	if (!nothing_is_left(gc)) {
		set_debt(gc);
		return false;
	}
	set_phase(gc, GC_CLOSING);
	if (!nothing_is_left(gc)) { /* somebody came before that was to be seen */
		set_phase(gc, GC_MARKING);
		return false;
	}
	ask(gc, GC_ASK_PASS);
	return true;
}

static bool end(struct gc *gc)
{
	if (!answered(gc) || !heap_is_swept(&gc->heap))
		return false;
	gc->report.ended = gc->host->now();
	struct gc_report report = gc->report;
	set_phase(gc, GC_IDLE);
	store_rel(&gc->xended, report.cycle);
	gc->host->ended(gc, &report);
	return true;
}

/* True: a phase has begun. By the holder of `step`. */
static bool next_phase(struct gc *gc)
{
	switch (gc_phase(gc)) {
	case GC_IDLE:
		if (!gc_is_due(gc) || !may_begin(gc, GC_ARMING))
			return false;
		begin(gc);
		return true;
	case GC_ARMING:
		if (!answered(gc))
			return false;
		settle(gc);
		return true;
	case GC_SETTLING:
		if (!answered(gc))
			return false;
		begin_scanning(gc);
		return true;
	case GC_SCANNING:
		if (!load_acq(&gc->xscanned) || !answered(gc)) /* A3 */
			return false;
		begin_marking(gc);
		return true;
	case GC_MARKING:
		return close_marking(gc);
	case GC_CLOSING:
		return answered(gc) && close_or_go_on(gc);
	case GC_SWEEPING:
		return end(gc);
	}
	return false;
}

static bool advance(struct gc *gc)
{
	if (!spin_try_lock(&gc->step))
		return false;
	bool moved = next_phase(gc);
	spin_unlock(&gc->step);
	return moved;
}

/* ---- from outside ---- */

static bool sweep_some(struct gc *gc)
{
	size_t freed;
	int n = 0;
	while (n < SPANS_A_STEP && heap_sweep_one(&gc->heap, &freed))
		n++;
	return n > 0;
}

static bool work(struct gc *gc, struct gc_marker *m, uint64_t budget)
{
	switch (gc_phase(gc)) {
	case GC_SCANNING:
		return m && scan_some(gc, m, budget);
	case GC_MARKING:
		return m && mark_some(gc, m, budget);
	case GC_SWEEPING:
		return sweep_some(gc);
	default:
		return false;
	}
}

bool gc_step(struct gc *gc, struct gc_marker *m, uint64_t budget, enum gc_whose whose)
{
	if (!gc_is_on(gc) && !gc_is_due(gc))
		return false;
	int64_t began = gc->host->now();
	bool did = work(gc, m, budget);
	if (did)
		(void)add_rlx(&gc->xns[whose], gc->host->now() - began);
	if (did && whose == GC_ASSIST && load_rlx(&gc->debt) && spin_try_lock(&gc->step)) {
		if (gc_phase(gc) == GC_MARKING)
			set_debt(gc);
		spin_unlock(&gc->step);
	}
	return did || advance(gc);
}

uint64_t gc_allocated(struct gc *gc, uint64_t bytes)
{
	(void)add_rlx(&gc->xheap, bytes);
	uint64_t debt = load_rlx(&gc->debt);
	return debt ? bytes * debt / DEBT_UNIT : 0;
}

uint32_t gc_ask(struct gc *gc, enum gc_why why)
{
	spin_lock(&gc->step);
	/* One that has begun already does not count: it may have passed what has become unreachable since. */
	uint32_t want = load_rlx(&gc->xcycle) + 1;
	if (load_rlx(&gc->xasked) != want) {
		gc->why = why;
		store_rel(&gc->xasked, want);
	}
	spin_unlock(&gc->step);
	return want;
}

void gc_plan(struct gc *gc, const struct pace_settings *settings)
{
	spin_lock(&gc->step);
	if (settings)
		gc->pace.settings = *settings;
	struct pace_found found = gc->pace.found;
	plan(gc, &found);
	spin_unlock(&gc->step);
}

int gc_init(struct gc *gc, const struct gc_host *host, size_t bytes, struct gc_marker **markers, unsigned nmarkers,
	    const struct pace_settings *settings)
{
	memset(gc, 0, sizeof *gc);
	int err = heap_init(&gc->heap, bytes);
	if (err)
		return err;
	gc->host = host;
	gc->heap.sweep_special = gc_special_sweep;
	gc->markers = markers;
	gc->nmarkers = nmarkers;
	gc_marking_init(&gc->marking, &gc->heap);
	gc_words_init(&gc->words, &gc->heap);
	for (unsigned i = 0; i < nmarkers; i++)
		gc_marker_init(markers[i], &gc->marking);
	pace_init(&gc->pace, settings);
	pace_limiter_init(&gc->limiter, nmarkers - 1);
	gc->marked = host->now();
	store_rlx(&gc->pressure, settings->pressure);
	store_rlx(&gc->goal, gc->pace.goal);
	store_rlx(&gc->trigger, gc->pace.trigger);
	return 0;
}
