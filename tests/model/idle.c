/* Sleeping and waking (runtime/idle.c, with runtime/sched.c, gqueue.c and lockfree/spin.c), the same sources: up to
 * three Ms look for work, spin and sleep, while goroutines and threads outside make others runnable.
 *
 * What must hold: nobody sleeps while there is something to run, even if whoever made it runnable computes for ever
 * from then on; every goroutine runs once; a goroutine that becomes runnable and one that is found by somebody
 * who was looking wake at most one M each; who sleeps, and nobody else, is in idle_mask and xidle; nobody is counted
 * as looking who does not look.
 *
 * Nobody keeps watch (watch.h) here: it would hide what is lost. So no small wakes are left out either.
 */
#include "tests/model/scheduler.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { PS = 3, GS = 4 };

static struct p ps[PS];
static struct g gs[GS];
static struct p *p_of[PS];
static struct segment spare[PS + 1];
static struct suspect suspects[PS][PS];
static unsigned others[PS][PS];

static int readied, ran[GS], found, pokes;
static bool asleep[PS], rested[PS];

static const struct scenario {
	/* Of each thread, the first of them Ms: r makes a goroutine runnable, n a new one, p one that is pinned to the
	 * second P, c computes for ever; z: this P rests, as those after it do; s: it has just
	 * been woken. An M looks for work in the end. */
	const char *script[4];
	unsigned nprocs;
	enum spin_mode spin;
	bool brief;    /* the goroutines end at once; otherwise they compute for ever */
	bool restless; /* a first sleep may end for no reason */
	int preemptions, stale_reads;
} scenarios[] = {
	{{"", "rr"}, 1, SPIN_OFF, true, false, 3, 2},
	{{"", "rr"}, 1, SPIN_AUTO, true, false, 3, 2},
	{{"rc", ""}, 2, SPIN_OFF, false, false, 3, 2},
	{{"nc", ""}, 2, SPIN_OFF, false, false, 3, 2},
	{{"rr", ""}, 2, SPIN_OFF, false, false, 2, 1},
	{{"rc", ""}, 2, SPIN_AUTO, false, false, 3, 2},
	{{"rc", ""}, 2, SPIN_OFF, false, true, 2, 1},
	{{"r", ""}, 2, SPIN_OFF, true, false, 2, 1},
	{{"c", "", "r"}, 2, SPIN_AUTO, false, false, 3, 2},
	{{"c", "", "r"}, 2, SPIN_AUTO, false, true, 2, 1},
	{{"", "", "r"}, 2, SPIN_OFF, false, false, 2, 1},
	{{"c", "", "p"}, 2, SPIN_AUTO, false, false, 2, 2},
	{{"rc", "rc", ""}, 3, SPIN_OFF, false, false, 2, 1},
	{{"rrc", "", ""}, 3, SPIN_OFF, false, false, 2, 0},
	{{"rrc", "", ""}, 3, SPIN_OFF, false, false, 1, 1},
	{{"rrc", "", ""}, 3, SPIN_AUTO, false, false, 2, 0},
	{{"rc", "", "", "r"}, 3, SPIN_OFF, false, false, 2, 0},
	{{"c", "z", "p"}, 2, SPIN_AUTO, false, false, 2, 2},
	{{"rc", "", "z"}, 3, SPIN_OFF, false, false, 2, 1},
	{{"rc", "", "z"}, 3, SPIN_AUTO, false, true, 2, 0},
	{{"rrc", "", "z"}, 3, SPIN_AUTO, false, false, 2, 0},
	{{"rc", "", "zs"}, 3, SPIN_OFF, false, false, 2, 0},
}, *scenario;

/* Nobody switches here. */
void model_leaves(struct context *c)
{
	(void)c;
}

void model_comes_to(struct context *c)
{
	(void)c;
}

/* ---- sleeping ---- */

void os_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
	(void)timeout_ns;
	if (scenario->restless && !rested[explorer_self()]) {
		rested[explorer_self()] = true;
		if (explorer_choose(2))
			return;
	}
	asleep[explorer_self()] = true;
	await_acq(word, expected);
	asleep[explorer_self()] = false;
}

void os_futex_wake(_Atomic uint32_t *word)
{
	(void)word;
	pokes++;
}

/* ---- the program ---- */

static int threads(void)
{
	int n = 0;
	while (n < 4 && scenario->script[n])
		n++;
	return n;
}

static unsigned active_ps(void)
{
	unsigned n = 0;
	while (n < scenario->nprocs && !strchr(scenario->script[n], 'z'))
		n++;
	return n;
}

/* What only a P itself looks at, and what others guess by, is no step. */
static void start_p(unsigned i)
{
	struct p *p = &ps[i];
	memset(p, 0, sizeof *p);
	p->index = i;
	p->solo = scenario->nprocs == 1;
	p->random = 1;
	p->quantum = STEPS_MAX;
	p->countdown = STEPS_MAX;
	p->suspects = suspects[i];
	p->victims = others[i];
	unsigned n = 0;
	for (unsigned other = 0; other < scenario->nprocs; other++)
		if (other != i)
			others[i][n++] = other;
	for (int ring = 0; ring < 4; ring++)
		p->ring_end[ring] = n;
	p->wheel.xnext = INT64_MAX;
	p->inbox.spare = &spare[i];
	model_m[i].p = p;
	p->spinning = strchr(scenario->script[i], 's');
	sched.xspinning += p->spinning;
	explorer_private(p, offsetof(struct p, xrunnext));
	explorer_private(&p->xstatus, offsetof(struct p, xwake) - offsetof(struct p, xstatus));
	explorer_private(&p->xin_poller, sizeof p->xin_poller);
	explorer_private(&p->wheel, sizeof p->wheel);
	if (!strpbrk(scenario->script[i], "rn")) {
		explorer_private(&p->xrunnext, sizeof p->xrunnext);
		explorer_private(&p->runq, sizeof p->runq);
	}
	if (i != 1 || !strchr(scenario->script[threads() - 1], 'p'))
		explorer_private(&p->inbox, sizeof p->inbox);
}

static void start(void)
{
	memset(&sched, 0, sizeof sched);
	memset(gs, 0, sizeof gs);
	memset(ran, 0, sizeof ran);
	memset(suspects, 0, sizeof suspects);
	memset(asleep, 0, sizeof asleep);
	memset(rested, 0, sizeof rested);
	readied = found = pokes = 0;
	model_now = 1;
	sched.nprocs = scenario->nprocs;
	sched.ps = p_of;
	sched.spin = scenario->spin;
	sched.active = active_ps();
	explorer_private(&sched.active, sizeof sched.active);
	explorer_private(&sched.spin, sizeof sched.spin);
	sched.steal = true;
	sched.global.spare = &spare[PS];
	explorer_private(&sched.xwake_skip, sizeof sched.xwake_skip + sizeof sched.xwatched);
	explorer_private(&sched.xblocked, sizeof sched - offsetof(struct sched, xblocked));
	explorer_private(gs, sizeof gs);
	explorer_private(model_m, sizeof model_m);
	for (unsigned i = 0; i < scenario->nprocs; i++) {
		p_of[i] = &ps[i];
		start_p(i);
	}
}

static void make_runnable(int which, char how)
{
	struct g *g = &gs[readied++];
	g->pin = how == 'p' ? 2 : 0;
	if ((unsigned)which >= scenario->nprocs) {
		ready_elsewhere(g);
		return;
	}
	ps[which].small_wakes = UINT32_MAX;
	if (how == 'n')
		run_queue_put_new(&ps[which], g);
	else
		ready_on(&ps[which], g);
}

static void thread(int which)
{
	for (const char *s = scenario->script[which]; *s; s++) {
		if (*s == 'c')
			return;
		if (!strchr("zs", *s))
			make_runnable(which, *s);
	}
	while ((unsigned)which < scenario->nprocs) {
		struct g *g = find_work(&model_m[which]);
		explorer_check(++ran[g - gs] == 1, "a goroutine runs once");
		found++;
		if (!scenario->brief)
			return;
	}
}

static void end(void)
{
	unsigned sleepers = 0;
	uint64_t mask = 0;
	for (unsigned i = 0; i < scenario->nprocs; i++) {
		sleepers += asleep[i];
		mask |= (uint64_t)asleep[i] << i;
	}
	uint64_t active = mask & ((1u << active_ps()) - 1);
	for (int i = 0; i < readied; i++)
		explorer_check(ran[i] || !(gs[i].pin ? mask >> (gs[i].pin - 1) & 1 : active),
			       "nobody sleeps while there is something to run");
	explorer_check(load_rlx(&sched.xidle) == sleepers, "xidle counts those who sleep");
	explorer_check(load_rlx(&sched.idle_mask[0]) == mask, "idle_mask has those who sleep");
	explorer_check(load_rlx(&sched.xspinning) == 0, "nobody looks");
	explorer_check(pokes <= readied + found, "one wake for each goroutine, and for each that was found");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {threads(), start, thread, end, scenario->preemptions,
					     scenario->stale_reads, NULL, true};
		if (m && p.preemptions > 2)
			p.preemptions = 2;
		if (!m && test_is_slow())
			p.preemptions--;
		struct explorer_result r = explore(&p, m);
		if (!m)
			fprintf(stderr, "# %zu: %lld executions\n", (size_t)(scenario - scenarios),
				(long long)r.executions);
		if (r.broken)
			return r.broken;
	}
	return NULL;
}

TEST(no_wake_up_is_lost)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	static const struct explorer_mutation spoilt[] = {
		{"no fence after making runnable", "run_queue_put_new", VERB_FENCE, "", WEAKEN},
		{"runnext swapped relaxed", "put_runnext", VERB_SWAP, "xrunnext", WEAKEN},
		{"runnext taken relaxed", "take_runnext", VERB_SWAP, "xrunnext", WEAKEN},
		{"last look at runnext relaxed", "has_work", VERB_LOAD, "xrunnext", WEAKEN},
		{"no fence before the last look", "sleep_until_woken", VERB_FENCE, "", WEAKEN},
		{"look at sleepers relaxed", "somebody_could_help", VERB_LOAD, "xidle", WEAKEN},
		{"look at lookers relaxed", "somebody_could_help", VERB_LOAD, "xspinning", WEAKEN},
		{"push to the global queue relaxed", "gqueue_push", VERB_ADD, "xcount", WEAKEN},
		{"claim split", "claim", VERB_AND, "idle_mask", SPLIT},
		{"going to sleep split", "sleep_until_woken", VERB_OR, "idle_mask", SPLIT},
		{"wake_one without a comparison", "wake_any", VERB_CAS, "xspinning", SPLIT},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
