/* Dekker's pattern through the asymmetric fence: each side writes its own word and then reads the other's, and
 * in no round do both miss. */
#include "lockfree/assert.h"
#include "lockfree/fence.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

enum { WINDOW = 64 };

/* One word each per round, so that no round waits for the clearing of the one before. */
static struct {
	ON_OWN_LINE _Atomic int64_t x;
	ON_OWN_LINE _Atomic int64_t y;
} word[WINDOW];
static ON_OWN_LINE _Atomic int64_t light_at;
static ON_OWN_LINE _Atomic int64_t heavy_at;
static _Atomic bool light_saw[WINDOW];
static int64_t rounds;

/* Both sides begin a round at about the same time. */
static void meet(_Atomic int64_t *mine, _Atomic int64_t *others, int64_t round)
{
	store_seq(mine, round);
	for (int spins = 0; load_acq(others) < round; spins++) {
		if (spins % 256 == 255)
			sched_yield();
		cpu_relax();
	}
}

static void stagger(uint64_t *random)
{
	for (uint64_t n = draw_below(random, 40); n > 0; n--)
		cpu_relax();
}

static void *frequent(void *arg)
{
	uint64_t random = 1;
	(void)arg;
	for (int64_t i = 1; i <= rounds; i++) {
		meet(&light_at, &heavy_at, 2 * i);
		stagger(&random);
		store_rlx(&word[i % WINDOW].x, i);
		fence_light();
		bool saw = load_rlx(&word[i % WINDOW].y) == i;
		store_rlx(&light_saw[i % WINDOW], saw);
		meet(&light_at, &heavy_at, 2 * i + 1);
	}
	return NULL;
}

static void run(void)
{
	pthread_t thread;
	uint64_t random = 2;
	rounds = test_rounds(100000);
	CHECK(!pthread_create(&thread, NULL, frequent, NULL));
	int64_t both = 0;
	for (int64_t i = 1; i <= rounds; i++) {
		meet(&heavy_at, &light_at, 2 * i);
		stagger(&random);
		store_rlx(&word[i % WINDOW].y, i);
		fence_heavy();
		bool saw = load_rlx(&word[i % WINDOW].x) == i;
		meet(&heavy_at, &light_at, 2 * i + 1);
		CHECK(saw || load_rlx(&light_saw[i % WINDOW]));
		both += saw && load_rlx(&light_saw[i % WINDOW]);
	}
	CHECK(!pthread_join(thread, NULL));
	CHECK(both <= rounds);
}

TEST(with_membarrier_one_side_always_sees_the_other)
{
	if (!fence_init())
		test_skip("the kernel refuses membarrier");
	CHECK(fence_is_asymmetric);
	run();
}

TEST(without_membarrier_both_sides_pay)
{
	CHECK(!fence_is_asymmetric);
	run();
}
