/* Calls against close: a call that has been let in has the descriptor until it leaves, the descriptor is
 * closed once, and the memory is reclaimed once. */
#include "net/ready.h"
#include "tests/random.h"
#include "tests/unit/go.h"

#include "lockfree/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* liburcu is not instrumented: what it allocates on one thread and frees on another looks like a race. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:liburcu-qsbr.so\n";
}

static struct object {
	struct ready ready;
	_Atomic int reclaimed;
} *objects;

static weft_waitgroup join;
static int64_t rounds;
static ON_OWN_LINE _Atomic int64_t at[2];

static void reclaim(struct epoch_entry *entry)
{
	struct object *o = (struct object *)(void *)((char *)entry - offsetof(struct object, ready.retired));
	(void)add_seq(&o->reclaimed, 1);
}

static void meet(int me, int64_t round)
{
	store_seq(&at[me], round);
	for (int spins = 0; load_acq(&at[!me]) < round; spins++) {
		if (spins % 256 == 255)
			weft_yield();
		cpu_relax();
	}
}

static void stagger(uint64_t *random)
{
	for (uint64_t n = draw_below(random, 20); n > 0; n--)
		cpu_relax();
}

static void call(void *arg)
{
	uint64_t random = 1;
	(void)arg;
	for (int64_t i = 0; i < rounds; i++) {
		struct object *o = &objects[i];
		meet(1, i + 1);
		stagger(&random);
		int err = ready_enter(&o->ready);
		if (err) {
			CHECK_EQ(err, -ECANCELED);
			continue;
		}
		CHECK(fcntl(o->ready.fd, F_GETFD) >= 0);
		ready_leave(&o->ready, reclaim);
	}
	weft_waitgroup_done(&join);
}

static int calls_against_close(void)
{
	uint64_t random = 2;
	rounds = test_rounds(200000);
	objects = weft_calloc((size_t)rounds, sizeof *objects);
	weft_waitgroup_add(&join, 1);
	CHECK_EQ(weft_go_with(&(weft_go_opts){.pin = 2}, call, NULL), 0);
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int64_t i = 0; i < rounds; i++) {
		struct object *o = &objects[i];
		ready_init(&o->ready, dup(fd));
		meet(0, i + 1);
		stagger(&random);
		ready_close(&o->ready);
		ready_leave(&o->ready, reclaim);
	}
	weft_waitgroup_wait(&join);
	epoch_drain();
	for (int64_t i = 0; i < rounds; i++)
		CHECK_EQ(objects[i].reclaimed, 1);
	return 0;
}

TEST(a_call_that_was_let_in_keeps_the_descriptor)
{
	CHECK_EQ(run_weft(2, calls_against_close), 0);
}
