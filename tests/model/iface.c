/* The answers to assertions (runtime/iface.c), the same source: some ask while others ask the same for the first time, and while
 * a table is registered.
 *
 * What must hold: what was registered at the beginning is found by everybody; a table is found with all that was done before it was
 * registered, and by all who know that it was; nothing is found that was not registered; a pair has one answer.
 */
#include "tests/model/atomic.h"

#include "tests/model/scenarios.h"
#include "tests/test.h"

#include <string.h>

#include <weft/mem.h>

enum { ANSWERS = 8 };

static struct answer *answers_alloc(size_t);
static void answers_free(void *);
#define weft_malloc   answers_alloc
#define weft_free     answers_free
#define IFACE_BUCKETS 1

#include "runtime/iface.c"

#include "lockfree/spin.c"

#include MODEL_EDGES

static struct answer pool[ANSWERS];
static int allocated, freed;

static struct answer *answers_alloc(size_t size)
{
	explorer_check(size == sizeof *pool && allocated < ANSWERS, "an answer is asked for");
	return &pool[allocated++];
}

static void answers_free(void *a)
{
	(void)a;
	freed++;
}

/* Each thread's script: a asks for what is registered, n for what never is, l for what is registered later; r registers it, s too and
 * says so, w waits until somebody has said so. */
static const struct scenario {
	const char *script[3];
	int preemptions, stale_reads;
} scenarios[] =
    {
	{{"aa", "a", ""}, 4, 2},   {{"an", "la", ""}, 3, 2},  {{"ll", "r", ""}, 4, 2},
	{{"l", "ls", "wl"}, 3, 2}, {{"nl", "la", "r"}, 2, 1},
},
  *scenario;

static const struct weft_interface_ interfaces[] = {{"a", "", ""}, {"n", "", ""}, {"l", "", ""}};
static const weft_type type = {.name = "t", .c_name = "t", .where = "t"};
static struct weft_methods_ early, later;
static struct weft_implementation_ at_first, at_last;
static struct explorer_use made;
static _Atomic uint32_t said;

static void start(void)
{
	memset(&all, 0, sizeof all);
	memset(pool, 0, sizeof pool);
	allocated = freed = 0;
	made.step = 0;
	store_rlx(&said, 0);
	early = later = (struct weft_methods_){&type};
	at_first = (struct weft_implementation_){NULL, &interfaces[0], &early};
	at_last = (struct weft_implementation_){NULL, &interfaces[2], &later};
	all.implementations = &at_first;
	explorer_watch(pool, sizeof pool);
}

static const struct weft_methods_ *ask(int which)
{
	const struct weft_answer_ *mine;
	return weft_interface_ask_(&interfaces[which], &type, &mine);
}

static void ask_for_later(bool known)
{
	const struct weft_methods_ *table = ask(2);
	explorer_check(table == &later || (!table && !known), "what is known to be registered is found");
	if (table)
		explorer_check(explorer_self() == made.thread || explorer_has_seen(made.thread, made.step),
			       "a table is found with what is in it");
}

static void thread(int which)
{
	bool known = false;
	for (const char *step = scenario->script[which]; *step; step++) {
		switch (*step) {
		case 'a':
			explorer_check(ask(0) == &early, "what was registered is found");
			break;
		case 'n':
			explorer_check(!ask(1), "what was not registered is not found");
			break;
		case 'l':
			ask_for_later(known);
			break;
		case 'w':
			known = explorer_await(__func__, "said", &said, 0, 0, ACQUIRE);
			break;
		default:
			made = (struct explorer_use){which, explorer_step() + 1};
			store_rlx(&said, 0);
			weft_interface_implemented_(&at_last);
			known = true;
			if (*step == 's')
				store_rel(&said, 1);
		}
	}
}

static void end(void)
{
	int answers = 0;
	for (const struct answer *a = load_rlx(&all.buckets[0]); a; a = a->next) {
		answers++;
		for (const struct answer *b = a->next; b; b = b->next)
			explorer_check(a->interface != b->interface, "a pair has one answer");
	}
	explorer_check(answers + freed == allocated, "what is no answer is given back");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {scripts(scenario->script), start, thread, end, scenario->preemptions,
					     scenario->stale_reads,	NULL,  false};
		const char *broken = explore_scripts(scenario->script, p, m);
		if (broken)
			return broken;
	}
	return NULL;
}

TEST(answers_hold)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}
