/* Producers against a consumer: every item comes once, with what was written to it, those of one producer in its order;
 * the consumer takes the memory of what it has popped away at once. EMPTY is never said of what has been pushed. */
#include "lockfree/mpsc.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { PRODUCERS_MAX = 3, AHEAD = 500 };

struct item {
	struct mpsc_node node;
	int producer; /* plain: the queue alone orders it */
	int64_t number;
};

static struct mpsc q;
static int64_t each; /* items of a producer */
static uint64_t seed;
static ON_OWN_LINE _Atomic int64_t pushed;
static ON_OWN_LINE _Atomic int64_t popped;

static void *produce(void *arg)
{
	uint64_t random = seed + (uintptr_t)arg;
	for (int64_t i = 1; i <= each; i++) {
		struct item *n = malloc(sizeof *n);
		CHECK(n);
		n->producer = (int)(uintptr_t)arg;
		n->number = i;
		mpsc_push(&q, &n->node);
		(void)add_acqrel(&pushed, 1);
		if (draw_below(&random, 512) == 0)
			sched_yield();
		while (load_rlx(&pushed) - load_rlx(&popped) > AHEAD)
			sched_yield();
	}
	return NULL;
}

static void consume(int producers)
{
	int64_t last[PRODUCERS_MAX] = {0}, n = 0;
	while (n < producers * each) {
		struct mpsc_node *node;
		int64_t at_least = load_acq(&pushed);
		enum mpsc_result r = mpsc_pop(&q, &node);
		if (r == MPSC_TAKEN) {
			struct item *i = (struct item *)(void *)node;
			CHECK(i->producer >= 0 && i->producer < producers);
			CHECK_EQ(i->number, ++last[i->producer]);
			free(i);
			store_rlx(&popped, ++n);
		} else {
			CHECK(r == MPSC_BUSY || n >= at_least);
			sched_yield();
		}
	}
	struct mpsc_node *node;
	CHECK_EQ(mpsc_pop(&q, &node), MPSC_EMPTY);
}

static void from(int producers)
{
	pthread_t thread[PRODUCERS_MAX];
	seed = random_seed();
	each = test_rounds(1500000) / producers;
	mpsc_init(&q);
	for (int i = 0; i < producers; i++)
		CHECK(!pthread_create(&thread[i], NULL, produce, (void *)(uintptr_t)i));
	consume(producers);
	for (int i = 0; i < producers; i++)
		CHECK(!pthread_join(thread[i], NULL));
}

TEST(one_producer)
{
	from(1);
}

TEST(three_producers)
{
	from(3);
}
