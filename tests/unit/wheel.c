/* The wheel against a plain list of what is pending. */
#include "runtime/wheel.h"
#include "tests/random.h"
#include "tests/test.h"

#include "lockfree/assert.h"

#include <string.h>

enum { TIMERS = 200 };

static struct wheel w;
static int64_t now; /* of the wheel: what it was last advanced to */

/* What should happen, kept beside. */
static struct entry {
	struct timer timer;
	bool pending;
	int64_t when;
	int64_t period; /* of a TIMER_CALL: re-arms itself so much later, or 0 */
	int fired;
} entry[TIMERS];
static int64_t advancing_to;

/* A look through all slots, a few timers at a time, while timers come and go. */
static struct {
	bool is_on;
	unsigned slot;
	struct timer mark;
	bool to_be_seen[TIMERS]; /* pending since it began, and never set */
} looking;
static uint64_t random_state;

static void must_be_due(struct entry *e)
{
	CHECK(e->pending);
	CHECK(e->when <= advancing_to);
	e->fired++;
	looking.to_be_seen[e - entry] = false;
}

static void go_fired(void *arg)
{
	struct entry *e = arg;
	must_be_due(e);
	CHECK(!timer_pending(&e->timer));
	e->pending = false;
}

static int64_t call_fired(void *arg, int64_t at)
{
	struct entry *e = arg;
	CHECK_EQ(at, advancing_to);
	must_be_due(e);
	if (!e->period) {
		e->pending = false;
		return 0;
	}
	/* May be past already: then it fires once more in the same advance. */
	e->when = e->when > INT64_MAX - e->period ? INT64_MAX : e->when + e->period;
	return e->when;
}

static void run_now(void (*fn)(void *), void *arg)
{
	fn(arg);
}

static int64_t earliest(void)
{
	int64_t first = INT64_MAX;
	for (int i = 0; i < TIMERS; i++)
		if (entry[i].pending && entry[i].when < first)
			first = entry[i].when;
	return first;
}

static void check_next(void)
{
	uint64_t pending = 0;
	for (int i = 0; i < TIMERS; i++) {
		CHECK_EQ(timer_pending(&entry[i].timer), entry[i].pending);
		pending += entry[i].pending;
	}
	CHECK_EQ(w.pending, pending);
	CHECK(w.xnext <= earliest());
}

static void set(struct entry *e, int64_t when)
{
	int64_t before = w.xnext;
	bool was_pending = e->pending;
	looking.to_be_seen[e - entry] = false;
	e->pending = true;
	e->when = when < 0 ? 0 : when;
	struct wheel_change change = wheel_set(&w, &e->timer, when);
	CHECK_EQ(change.was_pending, was_pending);
	CHECK_EQ(change.nearer, e->when < before);
	check_next();
}

static void cancel(struct entry *e)
{
	CHECK_EQ(timer_cancel(&e->timer), e->pending);
	looking.to_be_seen[e - entry] = false;
	e->pending = false;
	CHECK(!timer_cancel(&e->timer));
	check_next();
}

/* Fires everything that is due and nothing else. */
static unsigned advance(int64_t to)
{
	unsigned before = 0, after = 0;
	for (int i = 0; i < TIMERS; i++)
		before += (unsigned)entry[i].fired;
	advancing_to = to;
	unsigned fired = wheel_advance(&w, to, run_now);
	for (int i = 0; i < TIMERS; i++) {
		after += (unsigned)entry[i].fired;
		if (entry[i].pending && entry[i].when <= to)
			test_fail(__FILE__, __LINE__, "timer for %lld did not fire at %lld",
				  (long long)entry[i].when, (long long)to);
	}
	CHECK_EQ(fired, after - before);
	now = to > now ? to : now;
	check_next();
	return fired;
}

static void start(int64_t at)
{
	memset(&w, 0, sizeof w);
	memset(entry, 0, sizeof entry);
	memset(&looking, 0, sizeof looking);
	wheel_init(&w, at);
	now = at;
	for (int i = 0; i < TIMERS; i++)
		entry[i].timer = (struct timer){.kind = TIMER_GO, .go = go_fired, .arg = &entry[i]};
}

static void make_call(struct entry *e, int64_t period)
{
	e->timer.kind = TIMER_CALL;
	e->timer.call = call_fired;
	e->period = period;
}

TEST(an_empty_wheel_fires_nothing)
{
	start(12345);
	CHECK_EQ(w.xnext, INT64_MAX);
	CHECK_EQ(advance(12345), 0);
	CHECK_EQ(advance(INT64_MAX), 0);
	CHECK_EQ(w.xnext, INT64_MAX);
}

TEST(a_timer_fires_at_its_own_nanosecond)
{
	static const int64_t distances[] = {1, 2, 1023, 1024, 1025, 65535, 65536, 1 << 22, 1000000000,
					    (int64_t)3600 * 1000000000, (int64_t)1 << 50, (int64_t)1 << 61};
	for (size_t i = 0; i < ARRAY_LEN(distances); i++) {
		for (int64_t at = 0; at < 5000000; at += 777777) {
			start(at);
			set(&entry[0], at + distances[i]);
			CHECK_EQ(advance(at + distances[i] - 1), 0);
			CHECK_EQ(advance(at + distances[i]), 1);
			CHECK_EQ(w.xnext, INT64_MAX);
		}
	}
}

TEST(times_in_the_past_are_due_at_once)
{
	start(1000000);
	set(&entry[0], 0);
	set(&entry[1], -1);
	set(&entry[2], INT64_MIN);
	set(&entry[3], 999999);
	set(&entry[4], 1000000);
	set(&entry[5], 1000001);
	CHECK_EQ(advance(1000000), 5);
	CHECK_EQ(advance(1000001), 1);
}

TEST(the_end_of_time)
{
	start(1);
	set(&entry[0], INT64_MAX);
	set(&entry[1], INT64_MAX - 1);
	CHECK_EQ(advance(INT64_MAX - 2), 0);
	CHECK_EQ(advance(INT64_MAX - 1), 1);
	CHECK_EQ(advance(INT64_MAX), 1);
}

TEST(a_call_may_arm_itself_again)
{
	start(0);
	make_call(&entry[0], 1000);
	set(&entry[0], 1000);
	for (int64_t t = 500; t <= 100000; t += 500)
		advance(t);
	CHECK_EQ(entry[0].fired, 100);
	CHECK(entry[0].pending);
	advance(200000); /* a hundred at once */
	CHECK_EQ(entry[0].fired, 200);
	cancel(&entry[0]);
}

static void clear_all(void *arg)
{
	struct entry *e = arg;
	go_fired(e);
	memset(&e->timer, 0xee, sizeof e->timer);
	e->timer.xwheel = NULL;
}

TEST(a_timer_is_not_touched_once_it_has_gone)
{
	start(0);
	for (int i = 0; i < TIMERS; i++) {
		entry[i].timer.go = clear_all;
		set(&entry[i], i / 4 * 300);
	}
	for (int64_t t = 0; t < 100000; t += 1000)
		advance(t);
	CHECK_EQ(earliest(), INT64_MAX);
}

TEST(time_that_jumps_by_hours)
{
	static const int64_t hour = (int64_t)3600 * 1000000000;
	start(hour);
	for (int i = 0; i < TIMERS; i++)
		set(&entry[i], hour + i * (hour / 7));
	for (int64_t t = hour; t < 40 * hour; t += 5 * hour)
		advance(t);
	CHECK_EQ(earliest(), INT64_MAX);
}

TEST(time_does_not_go_backwards)
{
	start(1000000);
	set(&entry[0], 2000000);
	advance(1500000);
	CHECK_EQ(wheel_advance(&w, 1000, run_now), 0);
	set(&entry[1], 1600000);
	CHECK_EQ(advance(1600000), 1);
	CHECK_EQ(advance(2000000), 1);
}

/* ---- anything in any order ---- */

/* A distance of any size, small ones as likely as large ones. */
static int64_t any_distance(void)
{
	uint64_t bits = draw_below(&random_state, draw_below(&random_state, 4) ? 24 : 62);
	return (int64_t)(draw(&random_state) & (((uint64_t)2 << bits) - 1));
}

static int64_t from_now(int64_t distance)
{
	return distance > INT64_MAX - now ? INT64_MAX : now + distance;
}

static int64_t any_time(void)
{
	switch (draw_below(&random_state, 16)) {
	case 0:
		return draw_below(&random_state, 2) ? INT64_MAX : INT64_MAX - 1;
	case 1:
		return now - any_distance() % (now + 1);
	case 2:
		return -1;
	default:
		return from_now(any_distance());
	}
}

static void see(void *to, void *arg)
{
	(void)to;
	looking.to_be_seen[(struct entry *)arg - entry] = false;
}

static void begin_to_look(void)
{
	looking.is_on = true;
	looking.slot = WHEEL_LEVELS * WHEEL_SLOTS - 1;
	for (int i = 0; i < TIMERS; i++)
		looking.to_be_seen[i] = entry[i].pending;
}

static void look_at_some(void)
{
	if (!looking.is_on)
		begin_to_look();
	enum wheel_look found = wheel_look(&w, &looking.mark, looking.slot, (unsigned)draw_below(&random_state, 6), see, NULL);
	if (found == WHEEL_SLOT_GOES_ON || (found == WHEEL_SLOT_ENDS && looking.slot-- > 0))
		return;
	looking.is_on = false;
	for (int i = 0; i < TIMERS; i++)
		CHECK(!looking.to_be_seen[i]);
}

static void look_at_many(void)
{
	for (uint64_t n = draw_below(&random_state, WHEEL_LEVELS * WHEEL_SLOTS); n > 0; n--)
		look_at_some();
}

static void anything(void)
{
	struct entry *e = &entry[draw_below(&random_state, TIMERS)];
	int64_t first = earliest();
	switch (draw_below(&random_state, 9)) {
	case 0:
	case 1:
	case 2:
		if (!e->pending)
			set(e, any_time());
		return;
	case 3:
		cancel(e);
		return;
	case 4: /* reset */
		cancel(e);
		set(e, any_time());
		return;
	case 5: /* as the scheduler does: when it is time to look */
		if (w.xnext != INT64_MAX && w.xnext < INT64_MAX / 4)
			advance(w.xnext > now ? w.xnext : now);
		return;
	case 6:
		look_at_many();
		check_next();
		return;
	case 7:
		if (first > now + 1 && first < INT64_MAX / 4)
			CHECK_EQ(advance(first - 1), 0);
		return;
	default:
		if (now < INT64_MAX / 4)
			advance(from_now(any_distance() % ((int64_t)1 << (draw_below(&random_state, 8) ? 20 : 44))));
	}
}

static void any_order(bool calls)
{
	random_state = random_seed();
	for (int64_t round = test_rounds(200); round > 0; round--) {
		start(any_distance() % ((int64_t)1 << 50));
		for (int i = 0; calls && i < TIMERS; i += 3)
			make_call(&entry[i], draw_below(&random_state, 2) ? 1 + any_distance() : 0);
		/* A short period and a long jump would fire for ever. */
		for (int i = 0; calls && i < TIMERS; i += 3)
			if (entry[i].period)
				entry[i].period |= (int64_t)1 << 42;
		for (int step = 0; step < 1000; step++)
			anything();
		for (int n = 0; looking.is_on; n++, look_at_some())
			CHECK(n < 20 * (TIMERS + WHEEL_LEVELS * WHEEL_SLOTS)); /* it comes to an end */
		for (int i = 0; calls && i < TIMERS; i += 3)
			cancel(&entry[i]);
		advance(INT64_MAX - 2);
		advance(INT64_MAX - 2);
	}
}

TEST(sets_stops_resets_and_advances_in_any_order)
{
	any_order(false);
}

TEST(and_with_calls_that_arm_themselves_again)
{
	any_order(true);
}

/* How a sleeper uses it: from look to look, it arrives at each timer without passing one. */
TEST(looking_when_told_to_misses_nothing)
{
	random_state = random_seed();
	for (int64_t round = test_rounds(300); round > 0; round--) {
		start(any_distance() % ((int64_t)1 << 50));
		for (int i = 0; i < TIMERS; i++)
			set(&entry[i], from_now(any_distance() % ((int64_t)1 << 55)));
		int looks = 0;
		for (int64_t first; (first = earliest()) != INT64_MAX;) {
			int64_t next = w.xnext;
			CHECK(next <= first);
			unsigned fired = advance(next > now ? next : now);
			if (first <= now)
				CHECK(fired > 0);
			looks++;
		}
		CHECK(looks <= TIMERS * (WHEEL_LEVELS + 1));
	}
}
