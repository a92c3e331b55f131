/* Many come at the same time for few keys; some give up, some forget, some want it by a channel. Of the calls for a key no two run
 * at a time, unless it was forgotten; every value is given back by all who had it, and nobody has one that is gone. */
#include "lockfree/atomic.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <errno.h>

enum { TASKS = 8, KEYS = 4 };

struct value {
	_Atomic int64_t refs;
	int key;
};

static weft_flight flight;
static weft_waitgroup join;
static _Atomic int64_t made, dropped, running[KEYS];
static const char *const keys[KEYS] = {"zero", "one", "two", "three"};

static void ref(void *value)
{
	CHECK(add_rlx(&((struct value *)value)->refs, 1) > 0);
}

static void unref(void *value)
{
	struct value *v = value;
	if (sub_acqrel(&v->refs, 1) == 1) {
		(void)add_rlx(&dropped, 1);
		weft_free(v);
	}
}

static int make(const char *key, void *arg, void **value)
{
	int k = (int)(intptr_t)arg;
	CHECK_STR(key, keys[k]);
	/* The last one is forgotten now and then. */
	CHECK(add_rlx(&running[k], 1) == 0 || k == KEYS - 1);
	struct value *v = weft_calloc(1, sizeof *v);
	store_rlx(&v->refs, 1);
	v->key = k;
	if (add_rlx(&made, 1) % 16 == 0)
		weft_sleep(20 * WEFT_US);
	else
		weft_yield();
	*value = v;
	(void)sub_rlx(&running[k], 1);
	return k;
}

static void look(const weft_flight_result *r, int k)
{
	CHECK_EQ(r->err, k);
	CHECK_EQ(((struct value *)r->value)->key, k);
	unref(r->value);
}

static void by_channel(uint64_t *random, int k)
{
	weft_flight_result r;
	weft_chan *ch = weft_flight_chan(&flight, keys[k], make, (void *)(intptr_t)k);
	if (draw_below(random, 2) && weft_recv(ch, &r))
		look(&r, k);
	weft_chan_free(ch);
}

static void come(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t i = 0, n = test_rounds(60000); i < n; i++) {
		int k = (int)draw_below(&random, KEYS);
		weft_flight_result r;
		switch (draw_below(&random, 8)) {
		case 0:
			by_channel(&random, k);
			break;
		case 1:
		case 2:
			if (weft_flight_do_until(&flight, keys[k], make, (void *)(intptr_t)k, &r,
						 weft_in((int64_t)draw_below(&random, 10000))) != -ETIMEDOUT)
				look(&r, k);
			break;
		case 3:
			weft_flight_forget(&flight, keys[KEYS - 1]);
			break;
		default:
			CHECK_EQ(weft_flight_do(&flight, keys[k], make, (void *)(intptr_t)k, &r), k);
			look(&r, k);
		}
	}
	weft_waitgroup_done(&join);
}

static int all_at_once(void)
{
	flight.ref = ref;
	flight.unref = unref;
	weft_waitgroup_add(&join, TASKS);
	for (uintptr_t i = 1; i <= TASKS; i++)
		weft_go(come, (void *)i);
	weft_waitgroup_wait(&join);
	weft_flight_fini(&flight);
	while (load_rlx(&dropped) < load_rlx(&made)) /* what nobody took is given up after the end of the call */
		weft_yield();
	CHECK(!flight.calls);
	CHECK(made < 7 * TASKS * test_rounds(60000) / 8);
	return 0;
}

TEST(every_value_is_given_back)
{
	CHECK_EQ(run_weft(2, all_at_once), 0);
}

TEST(every_value_is_given_back_on_more_ps_than_cores)
{
	CHECK_EQ(run_weft(5, all_at_once), 0);
}
