/* A writer and readers: nobody gets words of two writes, and nobody gets an older write than before. */
#include "lockfree/seqlock.h"
#include "tests/random.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>

enum { READERS = 3, WORDS = 5 };

struct value {
	uint64_t number, derived[WORDS - 1];
	uint8_t last; /* of a word that is not whole */
};

static struct {
	struct seqlock lock;
	seqlock_word word[SEQLOCK_WORDS(struct value)];
} cell;
static int64_t writes;
static uint64_t seed;
static _Atomic bool finished;
static _Atomic uint64_t begun; /* writes, before they begin */

static struct value make(uint64_t number)
{
	struct value v = {.number = number, .last = (uint8_t)number};
	for (unsigned i = 0; i < WORDS - 1; i++)
		v.derived[i] = number * (2 * i + 3);
	return v;
}

static void check(const struct value *v)
{
	struct value want = make(v->number);
	for (int i = 0; i < WORDS - 1; i++)
		CHECK_EQ(v->derived[i], want.derived[i]);
	CHECK_EQ(v->last, want.last);
}

static void *read_always(void *arg)
{
	uint64_t random = seed + (uintptr_t)arg, last = 0;
	while (!load_acq(&finished)) {
		struct value v = {.number = UINT64_MAX}; /* if nothing is read */
		if (draw_below(&random, 2)) {
			if (!seqlock_try_read(&cell.lock, cell.word, &v, sizeof v))
				continue;
		} else {
			seqlock_read(&cell.lock, cell.word, &v, sizeof v);
		}
		check(&v);
		CHECK(v.number >= last);
		last = v.number;
		CHECK(last <= load_rlx(&begun));
		if (draw_below(&random, 256) == 0)
			sched_yield();
	}
	struct value v;
	seqlock_read(&cell.lock, cell.word, &v, sizeof v);
	CHECK_EQ(v.number, writes);
	return NULL;
}

TEST(readers_get_whole_writes_and_never_older_ones)
{
	pthread_t reader[READERS];
	seed = random_seed();
	writes = test_rounds(3000000);
	for (uintptr_t i = 0; i < READERS; i++)
		CHECK(!pthread_create(&reader[i], NULL, read_always, (void *)(i + 1)));
	uint64_t random = seed;
	for (uint64_t n = 1; n <= (uint64_t)writes; n++) {
		struct value v = make(n);
		store_rlx(&begun, n);
		seqlock_write(&cell.lock, cell.word, &v, sizeof v);
		if (draw_below(&random, 1024) == 0)
			sched_yield();
	}
	store_rel(&finished, true);
	for (int i = 0; i < READERS; i++)
		CHECK(!pthread_join(reader[i], NULL));
}
