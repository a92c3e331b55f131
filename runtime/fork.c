#include "runtime/fork.h"
#include "runtime/sched.h"

#include <pthread.h>

bool fork_has_left_us;

static void in_child(void)
{
	fork_has_left_us = true;
	store_rlx(&sched.running, false);
	store_rlx(&crash_hook, NULL); /* the goroutines are the parent's */
	m_current = NULL;
	weft_mutator_ = NULL;
}

void fork_init(void)
{
	if (pthread_atfork(NULL, NULL, in_child))
		fatal("out of memory");
}

void fork_refuse(void)
{
	fatal("weft in a forked child: only exec may follow");
}
