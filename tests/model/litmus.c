/* The explorer itself: small programs whose outcomes under C11 are known, and the faults that it must see. */
#include "tests/model/atomic.h"

#include "tests/test.h"

#include <stdio.h>

static _Atomic uint32_t x, y;
static uint32_t r[4];

static void start(void)
{
	r[0] = r[1] = r[2] = r[3] = 9;
}

static void nothing(void)
{
}

static const char *what_breaks(int threads, void (*thread)(int), void (*end)(void))
{
	struct explorer_program p = {threads, start, thread, end, 3, 2, NULL, false};
	return explore(&p, NULL).broken;
}

static void is_found(const char *broken, const char *words)
{
	CHECK_STR(broken ? broken : "nothing", words);
}

/* ---- store buffering: can both read 0? ---- */

static void both_zero(void)
{
	explorer_check(r[0] || r[1], "both are 0");
}

static void buffer_relaxed(int which)
{
	store_rlx(which ? &y : &x, 1);
	r[which] = load_rlx(which ? &x : &y);
}

static void buffer_acqrel(int which)
{
	store_rel(which ? &y : &x, 1);
	r[which] = load_acq(which ? &x : &y);
}

static void buffer_seq(int which)
{
	store_seq(which ? &y : &x, 1);
	r[which] = load_seq(which ? &x : &y);
}

static void buffer_fences(int which)
{
	store_rlx(which ? &y : &x, 1);
	explorer_fence(__func__);
	r[which] = load_rlx(which ? &x : &y);
}

static void buffer_one_fence(int which)
{
	store_rlx(which ? &y : &x, 1);
	if (which)
		explorer_fence(__func__);
	r[which] = load_rlx(which ? &x : &y);
}

static void buffer_seq_and_fence(int which)
{
	if (which) {
		store_rlx(&y, 1);
		explorer_fence(__func__);
		r[1] = load_seq(&x);
	} else {
		store_seq(&x, 1);
		r[0] = load_seq(&y);
	}
}

TEST(store_buffering)
{
	is_found(what_breaks(2, buffer_relaxed, both_zero), "both are 0");
	is_found(what_breaks(2, buffer_acqrel, both_zero), "both are 0");
	is_found(what_breaks(2, buffer_one_fence, both_zero), "both are 0");
	is_found(what_breaks(2, buffer_seq, both_zero), "nothing");
	is_found(what_breaks(2, buffer_fences, both_zero), "nothing");
	is_found(what_breaks(2, buffer_seq_and_fence, both_zero), "nothing");
}

/* ---- message passing: the flag is seen and the data is not? ---- */

static void flag_without_data(void)
{
	explorer_check(r[0] != 1 || r[1] == 1, "old data");
}

static void pass_relaxed(int which)
{
	if (which) {
		r[0] = load_acq(&y);
		r[1] = load_rlx(&x);
	} else {
		store_rlx(&x, 1);
		store_rlx(&y, 1);
	}
}

static void pass_released(int which)
{
	if (which) {
		r[0] = load_acq(&y);
		r[1] = load_rlx(&x);
	} else {
		store_rlx(&x, 1);
		store_rel(&y, 1);
	}
}

/* A release sequence goes through a read-modify-write, even a relaxed one. */
static void pass_through_add(int which)
{
	if (which == 1) {
		r[0] = load_acq(&y) == 3;
		r[1] = load_rlx(&x);
	} else if (which == 2) {
		(void)add_rlx(&y, 2);
	} else {
		store_rlx(&x, 1);
		store_rel(&y, 1);
	}
}

TEST(message_passing)
{
	is_found(what_breaks(2, pass_relaxed, flag_without_data), "old data");
	is_found(what_breaks(2, pass_released, flag_without_data), "nothing");
	is_found(what_breaks(3, pass_through_add, flag_without_data), "nothing");
}

/* ---- waiting ---- */

static void wait_for_store(int which)
{
	if (which)
		r[1] = await_acq(&x, 0);
	else
		store_rel(&x, 7);
}

static void woken_with_7(void)
{
	explorer_check(r[1] == 7, "7");
}

static void wait_for_nothing(int which)
{
	if (which)
		await_acq(&x, 0);
	else
		store_rel(&y, 7);
}

static void spin_for_store(int which)
{
	if (which)
		while (!load_acq(&x))
			cpu_relax();
	else
		store_rel(&x, 1);
}

static void spin_for_ever(int which)
{
	if (which)
		while (!load_acq(&x))
			cpu_relax();
}

static void spin_a_little(int which)
{
	if (which)
		for (int i = 0; i < 3 && !load_acq(&x); i++)
			cpu_relax();
	else
		await_acq(&y, 0);
	if (which)
		store_rel(&y, 1);
}

TEST(waiting)
{
	is_found(what_breaks(2, wait_for_store, woken_with_7), "nothing");
	is_found(what_breaks(2, wait_for_nothing, nothing), "no thread waits for ever");
	is_found(what_breaks(2, spin_for_store, nothing), "nothing");
	is_found(what_breaks(2, spin_for_ever, nothing), "the program ends");
	is_found(what_breaks(2, spin_a_little, nothing), "nothing");
}

/* ---- plain memory and memory that goes ---- */

static struct explorer_use use;

static void use_at_once(int which)
{
	if (which < 2)
		explorer_check(explorer_uses(&use), "used at once");
}

static void use_in_turn(int which)
{
	if (which)
		await_acq(&x, 0);
	explorer_check(explorer_uses(&use), "used at once");
	if (!which)
		store_rel(&x, 1);
}

static void vanish_too_early(int which)
{
	if (which) {
		(void)load_acq(&x);
	} else {
		store_rel(&x, 1);
		explorer_vanish(&x, sizeof x);
	}
}

static void vanish_in_time(int which)
{
	if (which) {
		await_acq(&x, 0);
		explorer_vanish(&x, sizeof x);
	} else {
		store_rel(&x, 1);
	}
}

TEST(use_and_end_of_memory)
{
	use.step = 0;
	is_found(what_breaks(2, use_at_once, nothing), "used at once");
	use.step = 0;
	is_found(what_breaks(1, use_in_turn, nothing), "nothing");
	CHECK(what_breaks(2, vanish_too_early, nothing));
	is_found(what_breaks(2, vanish_in_time, nothing), "nothing");
}

/* ---- two stores without an order between them ---- */

static void start_ordered(void)
{
	start();
	explorer_ordered(&y, sizeof y);
}

static void store_unordered(int which)
{
	if (which)
		(void)load_acq(&x);
	store_rlx(&y, 1);
	if (!which)
		store_rel(&x, 1);
}

static void store_in_turn(int which)
{
	if (which)
		await_acq(&x, 0);
	store_rlx(&y, 1);
	if (!which)
		store_rel(&x, 1);
}

TEST(order_of_stores)
{
	struct explorer_program p = {2, start_ordered, store_unordered, nothing, 3, 2, NULL, false};
	is_found(explore(&p, NULL).broken, "a store comes after the one before");
	p.thread = store_in_turn;
	is_found(explore(&p, NULL).broken, "nothing");
}

#ifdef EXPLORER_PLAIN /* where the compiler tells of plain accesses */
static uint32_t plain;

static void watch_plain(void)
{
	explorer_watch(&plain, sizeof plain);
}

static void race(int which)
{
	*(volatile uint32_t *)&plain = (uint32_t)which;
	(void)load_rlx(&x);
}

static void no_race(int which)
{
	if (which)
		await_acq(&x, 0);
	*(volatile uint32_t *)&plain = (uint32_t)which;
	if (!which)
		store_rel(&x, 1);
}

static void late_write(int which)
{
	if (which)
		await_acq(&x, 0);
	else
		store_rel(&x, 1);
	*(volatile uint32_t *)&plain = (uint32_t)which;
}

TEST(plain_races)
{
	struct explorer_program p = {2, watch_plain, race, nothing, 3, 2, NULL, false};
	CHECK(explore(&p, NULL).broken);
	p.thread = no_race;
	is_found(explore(&p, NULL).broken, "nothing");
	p.thread = late_write;
	CHECK(explore(&p, NULL).broken);
}
#endif
