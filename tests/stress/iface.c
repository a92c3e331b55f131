/* Many ask for method tables at once, each pair of interface and type for the first time as well, while tables are registered. */
#include "lockfree/atomic.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include <weft/iface.h>
#include <weft/reflect.h>

enum { TASKS = 4, TYPES = 500, INTERFACES = 8 };

/* A type with an even number has every interface from the beginning, one with an odd number gets the first of them meanwhile. */
static weft_type types[TYPES];
static struct weft_methods_ tables[TYPES][INTERFACES];
static struct weft_interface_ interfaces[INTERFACES];
static struct weft_asked_ asked[INTERFACES];
static char names[TYPES + INTERFACES][8];
static struct weft_implementation_ implementations[TYPES][INTERFACES];
static _Atomic int64_t registered; /* types with odd numbers below this have been */
static weft_waitgroup join;

static void implement(int type, int interface)
{
	struct weft_implementation_ *i = &implementations[type][interface];
	*i = (struct weft_implementation_){NULL, &interfaces[interface], &tables[type][interface]};
	weft_interface_implemented_(i);
}

static void declare(void)
{
	for (int i = 0; i < INTERFACES; i++) {
		snprintf(names[TYPES + i], sizeof names[0], "i%d", i);
		interfaces[i] = (struct weft_interface_){names[TYPES + i], "", ""};
	}
	for (int t = 0; t < TYPES; t++) {
		snprintf(names[t], sizeof names[0], "t%d", t);
		types[t] = *weft_type_of(int);
		types[t].name = names[t];
		for (int i = 0; i < INTERFACES; i++) {
			tables[t][i] = (struct weft_methods_){&types[t]};
			if (t % 2 == 0)
				implement(t, i);
		}
	}
}

static void ask(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;
	for (int64_t n = 0, rounds = test_rounds(300000); n < rounds; n++) {
		int t = (int)draw_below(&random, TYPES), i = (int)draw_below(&random, INTERFACES);
		int64_t before = load_acq(&registered);
		const struct weft_methods_ *table =
		    weft_interface_table_(&interfaces[i], &asked[i], (weft_any){&tables[t][0], NULL});
		if (t % 2 == 0 || (i == 0 && t < before))
			CHECK(table == &tables[t][i]);
		else if (i == 0)
			CHECK(!table || table == &tables[t][i]);
		else
			CHECK(!table);
		if (draw_below(&random, 512) == 0)
			weft_yield();
	}
	weft_waitgroup_done(&join);
}

static int ask_while_registering(void)
{
	declare();
	weft_waitgroup_add(&join, TASKS);
	for (uintptr_t i = 1; i <= TASKS; i++)
		weft_go(ask, (void *)i);
	for (int t = 1; t < TYPES; t += 2) {
		implement(t, 0);
		store_rel(&registered, t + 1);
		weft_yield();
	}
	weft_waitgroup_wait(&join);
	return 0;
}

TEST(tables_are_found_while_more_are_registered)
{
	CHECK_EQ(run_weft(3, ask_while_registering), 0);
}
