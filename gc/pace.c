#include "gc/pace.h"

/* A heap below this is not worth a cycle, at 100 percent. */
static const uint64_t LEAST = (uint64_t)4 << 20;

/* Of what the limit leaves: measurements are late, and objects do not fill their pages. */
static const uint64_t HEADROOM_LEAST = (uint64_t)1 << 20;
enum { HEADROOM_PART = 32 };

/* The trigger lies in this part of the way from what lives to the goal: a cycle at every second allocation costs more than it frees, and
 * one that begins at the goal ends beyond it. */
#define TRIGGER_LOW  0.7
#define TRIGGER_HIGH 0.95

/* For a debt when the goal has come near, or was passed: as if so much of the heap were left. */
enum { LEFT_PART = 64 };

#define LIMITED_SHARE 0.5

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Saturates, and a negative one is none. */
static uint64_t times(uint64_t a, double by)
{
	double product = (double)a * by;
	if (!(product > 0))
		return 0;
	return product < (double)UINT64_MAX ? (uint64_t)product : UINT64_MAX;
}

static uint64_t goal_by_percent(const struct pace_settings *s, const struct pace_found *f)
{
	if (s->percent == PACE_OFF)
		return UINT64_MAX;
	double part = s->percent / 100.0;
	uint64_t looked_at = add(f->live, add(f->stacks, f->roots));
	return most(add(f->live, times(looked_at, part)), times(LEAST, part));
}

static uint64_t goal_by_limit(const struct pace_settings *s, const struct pace_found *f, uint64_t beside)
{
	if (s->limit == PACE_NO_LIMIT)
		return UINT64_MAX;
	uint64_t left = less(s->limit, beside);
	left = less(left, most(left / HEADROOM_PART, HEADROOM_LEAST));
	return most(left, f->live);
}

static double mean_cons_mark(const struct pace *p)
{
	unsigned n = p->cycles < PACE_HISTORY ? p->cycles : PACE_HISTORY;
	double sum = 0;
	for (unsigned i = 0; i < n; i++)
		sum += p->cons_mark[i];
	return n ? sum / n : 0;
}

void pace_init(struct pace *p, const struct pace_settings *settings)
{
	*p = (struct pace){.settings = *settings};
	pace_plan(p, &(struct pace_found){0, 0, 0}, 0);
}

void pace_learn(struct pace *p, const struct pace_cycle *c)
{
	if (c->work == 0 || !(c->share > 0) || !(c->share < 1))
		return;
	double cons = (double)c->allocated / (1 - c->share), mark = (double)c->work / c->share;
	p->cons_mark[p->cycles++ % PACE_HISTORY] = cons / mark;
}

uint64_t pace_work(const struct pace *p)
{
	return add(p->found.live, add(p->found.stacks, p->found.roots));
}

void pace_plan(struct pace *p, const struct pace_found *found, uint64_t beside)
{
	p->found = *found;
	p->goal = least(goal_by_percent(&p->settings, found), goal_by_limit(&p->settings, found, beside));
	if (p->goal == UINT64_MAX) {
		p->trigger = UINT64_MAX;
		return;
	}
	uint64_t room = less(p->goal, found->live);
	uint64_t runway = times(pace_work(p), mean_cons_mark(p) * (1 - PACE_SHARE) / PACE_SHARE);
	uint64_t low = add(found->live, times(room, TRIGGER_LOW)), high = add(found->live, times(room, TRIGGER_HIGH));
	p->trigger = least(most(less(p->goal, runway), low), high);
}

double pace_debt(const struct pace *p, uint64_t done, uint64_t heap)
{
	/* More than was expected, and in the first cycle nothing is: nobody knows how much is left. Some is, and all that has not been looked
	 * at may be. */
	uint64_t work = pace_work(p), left = most(less(done < work ? work : heap, done), work / LEFT_PART);
	uint64_t room = most(less(p->goal, heap), p->goal / LEFT_PART);
	return room ? (double)left / (double)room : 0;
}

struct pace_workers pace_workers(unsigned procs)
{
	double want = procs * PACE_SHARE;
	struct pace_workers w = {(unsigned)want, 0};
	w.part = want - w.whole;
	return w;
}

void pace_limiter_init(struct pace_limiter *l, unsigned procs)
{
	*l = (struct pace_limiter){0, procs};
}

void pace_limiter_note(struct pace_limiter *l, double all, double marking)
{
	l->filled += marking - all * LIMITED_SHARE;
	if (l->filled < 0)
		l->filled = 0;
	if (l->filled > l->capacity)
		l->filled = l->capacity;
}
