/* Locks that become a P's while others take them away: nobody is in the section beside another, and nothing is lost. */
#include "runtime/bias.h"
#include "runtime/call.h"
#include "tests/unit/go.h"

#include <pthread.h>

enum { LOCKS = 64, BURST = 300 };

static struct guarded {
	struct bias lock;
	bias_owner owner;
	long count; /* plain */
	int inside;
} guarded[LOCKS];

static weft_waitgroup join;
static _Atomic bool stop;
static _Atomic long taken;

static void enter(struct guarded *g)
{
	bool outermost = call_begin();
	struct m *m = m_self();
	struct p *p = m ? m_p(m) : NULL; /* it may have been taken */
	bias_lock(&g->lock, &g->owner, p ? (uint16_t)(p->index + 1) : 0);
	CHECK_EQ(g->inside++, 0);
	g->count++;
	g->inside--;
	bias_unlock(&g->lock);
	call_end(outermost);
}

/* Long enough in a row to own each for a while. */
static void use_in_bursts(void *arg)
{
	long n = test_rounds(40), entered = 0;
	for (long round = 0; round < n; round++)
		for (int i = 0; i < LOCKS; i++)
			for (int times = 0; times < BURST; times++, entered++)
				enter(&guarded[i]);
	(void)arg;
	taken += entered;
	weft_waitgroup_done(&join);
}

static void use_now_and_then(void *arg)
{
	long entered = 0;
	for (unsigned i = 0; !stop; i++, entered++) {
		enter(&guarded[i * 7 % LOCKS]);
		weft_yield();
	}
	(void)arg;
	taken += entered;
	weft_waitgroup_done(&join);
}

static void *use_outside(void *arg)
{
	long entered = 0;
	for (unsigned i = 0; !stop; i++, entered++)
		enter(&guarded[i * 5 % LOCKS]);
	(void)arg;
	taken += entered;
	return NULL;
}

static void start(int p, void (*fn)(void *))
{
	weft_go_opts opts = {.pin = p};
	weft_waitgroup_add(&join, 1);
	CHECK_EQ(weft_go_with(&opts, fn, NULL), 0);
}

static int own_and_take_away(void)
{
	pthread_t thread;
	long count = 0;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < LOCKS; i++)
			guarded[i].lock.losses = 0, guarded[i].lock.first = 0; /* nobody uses them: they may be owned again */
		stop = false;
		CHECK_EQ(pthread_create(&thread, NULL, use_outside, NULL), 0);
		start(1, use_in_bursts);
		start(2, use_in_bursts);
		weft_waitgroup_wait(&join);
		start(3, use_now_and_then);
		start(1, use_in_bursts);
		weft_sleep(WEFT_MS);
		stop = true;
		CHECK_EQ(pthread_join(thread, NULL), 0);
		weft_waitgroup_wait(&join);
	}
	for (int i = 0; i < LOCKS; i++)
		count += guarded[i].count;
	CHECK_EQ(count, taken);
	return 0;
}

TEST(locks_that_are_owned_and_taken_away_exclude)
{
	CHECK_EQ(run_weft(3, own_and_take_away), 0);
}
