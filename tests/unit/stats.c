#include "runtime/sched.h"
#include "tests/unit/go.h"

#include <stdatomic.h>
#include <string.h>

static weft_schedhist seen(void)
{
	weft_schedhist h;
	weft_sched_histograms(&h, sizeof h);
	return h;
}

static void check_order(const weft_dist *d)
{
	CHECK(0 <= d->p50 && d->p50 <= d->p90 && d->p90 <= d->p99 && d->p99 <= d->p999 && d->p999 <= d->max);
}

TEST_GO(every_wake_by_a_timer_is_a_sample)
{
	uint64_t before = seen().wake.count;
	for (int i = 0; i < 100; i++)
		weft_sleep(20 * WEFT_US);
	weft_schedhist h = seen();
	CHECK_EQ(h.wake.count - before, 100);
	CHECK(h.wake.max > 0);
	check_order(&h.wake);
	return 0;
}

static void serve(void *l)
{
	weft_conn *c;
	char byte;
	CHECK_EQ(weft_accept(l, &c), 0);
	while (weft_read(c, &byte, 1) == 1)
		CHECK_EQ(weft_write(c, &byte, 1), 1);
	weft_conn_close(c);
}

/* Whoever reads waits for a byte that the other has yet to write: at least one of the two is woken by its poller each time. */
TEST_GO(every_wake_by_a_socket_is_a_sample)
{
	weft_listener *l;
	weft_conn *c;
	char addr[64], byte = 0;
	CHECK_EQ(weft_listen(&l, "tcp://127.0.0.1:0", NULL), 0);
	CHECK(weft_listener_addr(l, addr, sizeof addr) > 0);
	weft_go(serve, l);
	CHECK_EQ(weft_dial(&c, addr, weft_in(10 * WEFT_S)), 0);
	uint64_t before = seen().wake.count;
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(weft_write(c, &byte, 1), 1);
		CHECK_EQ(weft_read(c, &byte, 1), 1);
	}
	CHECK(seen().wake.count - before >= 100);
	weft_conn_close(c);
	weft_listener_close(l);
	return 0;
}

static _Atomic bool enough;

static void yield_on(void *arg)
{
	while (!atomic_load(&enough))
		weft_yield();
	weft_waitgroup_done(arg);
}

static uint64_t looks(void)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < sched.nprocs; i++)
		n += load_rlx(&sched.ps[i]->tick);
	return n;
}

enum { YIELDS = 100000 };

struct samples {
	uint64_t looked, waits, slices;
};

static struct samples taken_so_far(void)
{
	weft_schedhist h = seen();
	return (struct samples){looks(), h.other.count, h.slice.count};
}

/* Of so many yields. If the machine stands still for long, the P is taken from whoever yields, and the two are not on one any more: then
 * once more. */
static struct samples yield_often(void)
{
	struct samples before, after;
	uint64_t taken;
	do {
		taken = load_rlx(&sched.taken);
		before = taken_so_far();
		for (int i = 0; i < YIELDS; i++)
			weft_yield();
		after = taken_so_far();
	} while (load_rlx(&sched.taken) != taken);
	return (struct samples){after.looked - before.looked, after.waits - before.waits, after.slices - before.slices};
}

/* A wait is sampled after each look around, a slice after every fourth at least; and 61 steps go by without a look at most. */
TEST_GO(one_in_61_yields_is_a_sample)
{
	enum { STEPS = 61, SLICES = 4, UNDER_WAY = 2 };
	weft_waitgroup wg = {0};
	weft_waitgroup_add(&wg, 1);
	weft_go(yield_on, &wg);
	weft_yield();
	struct samples s = yield_often();
	weft_schedhist h = seen();
	if (weft_procs() == 1) { /* otherwise the two may run beside each other, and yield to nobody */
		CHECK(s.looked >= 2 * YIELDS / STEPS - UNDER_WAY);
		CHECK(s.waits + UNDER_WAY >= s.looked && s.waits <= s.looked + UNDER_WAY);
		CHECK(s.slices + UNDER_WAY >= s.looked / SLICES && s.slices <= s.looked + UNDER_WAY);
	}
	CHECK(s.looked >= YIELDS / STEPS - UNDER_WAY);
	CHECK(s.slices >= s.looked / SLICES / 2);
	CHECK_EQ(h.wake.count, 0);
	check_order(&h.other);
	check_order(&h.slice);
	atomic_store(&enough, true);
	weft_waitgroup_wait(&wg);
	return 0;
}

static void compute(void *ns)
{
	for (int64_t until = weft_now() + *(int64_t *)ns; weft_now() < until;)
		;
}

enum { SLICE_NS = 200000 };

static void compute_often(void *wg)
{
	static int64_t ns = SLICE_NS;
	for (int i = 0; i < 200; i++) { /* more than a look takes at first */
		compute(&ns);
		weft_yield();
	}
	weft_waitgroup_done(wg);
}

/* Two that compute for a while at a time: who is made runnable waits for the other's slice. */
static int long_slices(void)
{
	weft_waitgroup wg = {0};
	weft_waitgroup_add(&wg, 2);
	weft_go(compute_often, &wg);
	weft_go(compute_often, &wg);
	weft_waitgroup_wait(&wg);
	weft_schedhist h = seen();
	CHECK(h.slice.count >= 5);
	CHECK(h.slice.p90 >= SLICE_NS);
	CHECK(h.other.count >= 5);
	CHECK(h.other.p90 >= SLICE_NS);
	return 0;
}

TEST(long_slices_are_seen_and_the_waits_behind_them)
{
	CHECK_EQ(run_weft(1, long_slices), 0);
}

static void leave_work(void *wg)
{
	static int64_t ns = 50 * WEFT_US;
	compute(&ns);
	weft_waitgroup_done(wg);
}

static int steals(void)
{
	weft_schedstats s;
	weft_waitgroup wg = {0};
	do {
		static int64_t ns = 2 * WEFT_MS;
		weft_waitgroup_add(&wg, 100);
		for (int i = 0; i < 100; i++)
			weft_go(leave_work, &wg);
		compute(&ns);
		weft_waitgroup_wait(&wg);
		weft_sleep(WEFT_MS);
		weft_sched_stats(&s);
	} while (!s.steals);
	weft_schedhist h = seen();
	CHECK(h.steals_at[0] + h.steals_at[1] + h.steals_at[2] + h.steals_at[3] >= s.steals);
	CHECK(h.spin_found.count + h.spin_vain.count > 0);
	check_order(&h.spin_found);
	check_order(&h.spin_vain);
	return 0;
}

TEST(steals_have_their_distance_and_spins_their_outcome)
{
	CHECK_EQ(run_weft(2, steals), 0);
}

/* An older or newer caller's struct. */
TEST_GO(the_struct_may_be_of_another_size)
{
	struct {
		weft_schedhist known;
		char later[16], guard;
	} h;
	weft_sleep(WEFT_MS);
	memset(&h, 7, sizeof h);
	weft_sched_histograms(&h.known, sizeof h.known + sizeof h.later);
	CHECK(h.known.wake.count > 0);
	for (size_t i = 0; i < sizeof h.later; i++)
		CHECK_EQ(h.later[i], 0);
	CHECK_EQ(h.guard, 7);
	memset(&h, 7, sizeof h);
	weft_sched_histograms(&h.known, sizeof(weft_dist));
	CHECK(h.known.wake.count > 0);
	CHECK_EQ(((char *)&h.known)[sizeof(weft_dist)], 7);
	return 0;
}

TEST(all_is_zero_before_weft_runs)
{
	weft_schedhist h = seen(), zero = {0};
	CHECK(!memcmp(&h, &zero, sizeof h));
}
