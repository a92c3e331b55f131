/* One owner against thieves. Every item is taken once, with what was written to it; each thief gets the items in the order
 * in which they were pushed, and the owner gets the latest that is left. */
#include "lockfree/deque.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { THIEVES_MAX = 3, SLOTS = 16 };

static struct deque d;
static deque_slot memory[SLOTS];
static int64_t items;
static enum { MANY, ONE_BY_ONE } how; /* one by one, each is the last that owner and thieves meet at */
static _Atomic bool finished;
static uint64_t seed;

/* Plain: the deque alone orders them. */
static struct item {
	int64_t number;
	uint8_t taken;
} *item;

static int64_t take(struct item *n)
{
	CHECK(n >= item && n < item + items);
	CHECK_EQ(n->number, n - item);
	n->taken++; /* who takes it twice races, and ThreadSanitizer says so too */
	return n->number;
}

static void *steal(void *arg)
{
	uint64_t random = seed + (uintptr_t)arg;
	int64_t last = -1;
	while (!load_acq(&finished)) {
		void *got;
		enum deque_result r = deque_steal(&d, &got);
		if (r == DEQUE_TAKEN) {
			int64_t n = take(got);
			CHECK(n > last);
			last = n;
		} else if (draw_below(&random, r == DEQUE_EMPTY ? 16 : 1024) == 0) {
			sched_yield();
		}
	}
	return NULL;
}

static void own(uint64_t *random)
{
	int64_t pushed[SLOTS]; /* what the owner has pushed and not popped, as far as the deque can hold it */
	int depth = 0;
	for (int64_t next = 0; next < items;) {
		uint64_t pushes = 1, pops = 1;
		if (how == MANY) {
			pushes = draw_below(random, draw_below(random, 4) ? 3 : 2 * SLOTS);
			pops = draw_below(random, draw_below(random, 4) ? 4 : 2 * SLOTS);
		}
		for (; pushes > 0 && next < items; pushes--) {
			item[next].number = next;
			if (!deque_push(&d, &item[next]))
				break;
			if (depth == SLOTS) { /* the oldest has been stolen, or there was no room */
				for (int i = 1; i < SLOTS; i++)
					pushed[i - 1] = pushed[i];
				depth--;
			}
			pushed[depth++] = next++;
		}
		struct item *n;
		for (; pops > 0 && (n = deque_pop(&d)); pops--)
			CHECK_EQ(take(n), pushed[--depth]);
		if (pops)
			depth = 0;
		if (draw_below(random, 1024) == 0)
			sched_yield();
	}
	for (struct item *n; (n = deque_pop(&d));)
		CHECK_EQ(take(n), pushed[--depth]);
}

static void against(uintptr_t thieves)
{
	pthread_t thread[THIEVES_MAX];
	seed = random_seed();
	items = test_rounds(2000000);
	item = calloc((size_t)items, sizeof *item);
	CHECK(item);
	deque_init(&d, memory, SLOTS);
	for (uintptr_t i = 0; i < thieves; i++)
		CHECK(!pthread_create(&thread[i], NULL, steal, (void *)(i + 1)));
	uint64_t random = seed;
	own(&random);
	store_rel(&finished, true);
	for (uintptr_t i = 0; i < thieves; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK_EQ(deque_len(&d), 0);
	for (int64_t i = 0; i < items; i++)
		CHECK_EQ(item[i].taken, 1);
	free(item);
}

TEST(one_thief)
{
	against(1);
}

TEST(three_thieves)
{
	against(3);
}

TEST(one_thief_at_the_last_item)
{
	how = ONE_BY_ONE;
	against(1);
}

TEST(three_thieves_at_the_last_item)
{
	how = ONE_BY_ONE;
	against(3);
}
