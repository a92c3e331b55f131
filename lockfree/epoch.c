#include <urcu-qsbr.h>
#include <urcu/static/urcu-qsbr.h>

#include <pthread.h>
#include <signal.h>

#include "lockfree/assert.h"
#include "lockfree/epoch.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EPOCH_TSAN
#endif
#endif
#ifdef EPOCH_TSAN
#include <sanitizer/tsan_interface.h>
static char grace; /* stands for all grace periods */
#define reader_passes() __tsan_release(&grace)
#define grace_has_passed() __tsan_acquire(&grace)
#else
#define reader_passes() ((void)0)
#define grace_has_passed() ((void)0)
#endif

_Static_assert(sizeof(struct rcu_head) <= sizeof(((struct epoch_entry *)0)->opaque),
	       "liburcu's list node fits the room that the header keeps for it");

/* VISITOR: a reader for the length of its calls. */
static _Thread_local struct {
	enum { NO_READER, READER, VISITOR } kind;
	unsigned depth; /* calls of a visitor under way */
} this_thread;

/* A visitor may come before epoch_init. */
static pthread_key_t visitor_ends;
static pthread_once_t visitor_ends_made = PTHREAD_ONCE_INIT;

static void forget_visitor(void *unused)
{
	(void)unused;
	rcu_unregister_thread();
	this_thread.kind = NO_READER;
}

static void make_visitor_ends(void)
{
	if (pthread_key_create(&visitor_ends, forget_visitor))
		fatal("out of thread-specific keys");
}

void epoch_init(void)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* liburcu's thread takes no signals of the program's */
	struct call_rcu_data *thread = get_default_call_rcu_data();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!thread)
		fatal("cannot start liburcu's thread");
	pthread_once(&visitor_ends_made, make_visitor_ends);
}

void epoch_register(void)
{
	assert_debug(this_thread.kind == NO_READER);
	rcu_register_thread();
	rcu_thread_offline();
	this_thread.kind = READER;
}

void epoch_unregister(void)
{
	rcu_unregister_thread();
	this_thread.kind = NO_READER;
}

void epoch_online(void)
{
	rcu_thread_online();
}

void epoch_offline(void)
{
	reader_passes();
	rcu_thread_offline();
}

void epoch_quiet(void)
{
	reader_passes();
	rcu_quiescent_state();
}

void epoch_looked(void)
{
	reader_passes();
}

void epoch_enter(void)
{
	if (this_thread.depth++)
		return;
	if (likely(this_thread.kind == VISITOR)) {
		rcu_thread_online();
		return;
	}
	rcu_register_thread();
	this_thread.kind = VISITOR;
	pthread_once(&visitor_ends_made, make_visitor_ends);
	if (pthread_setspecific(visitor_ends, &this_thread))
		fatal("out of memory");
}

void epoch_leave(void)
{
	if (--this_thread.depth == 0)
		epoch_offline();
}

bool epoch_is_entered(void)
{
	return this_thread.depth;
}

struct epoch_reader *epoch_self(void)
{
	return (struct epoch_reader *)(void *)&URCU_TLS(urcu_qsbr_reader);
}

/* What rcu_thread_offline does, with the reader as its argument. */
void epoch_offline_for(struct epoch_reader *reader)
{
	struct urcu_qsbr_reader *r = (struct urcu_qsbr_reader *)(void *)reader;
	reader_passes();
	cmm_smp_mb();
	CMM_STORE_SHARED(r->ctr, 0);
	cmm_smp_mb();
	if (!CMM_LOAD_SHARED(r->waiting))
		return;
	CMM_STORE_SHARED(r->waiting, 0);
	cmm_smp_mb();
	if (uatomic_read(&urcu_qsbr_gp.futex) != -1)
		return;
	uatomic_set(&urcu_qsbr_gp.futex, 0);
	futex_noasync(&urcu_qsbr_gp.futex, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void reclaim(struct rcu_head *head)
{
	struct epoch_entry *entry = (struct epoch_entry *)(void *)head;
	grace_has_passed();
	entry->reclaim(entry);
}

void epoch_retire(struct epoch_entry *entry, void (*fn)(struct epoch_entry *))
{
	entry->reclaim = fn;
	reader_passes();
	call_rcu((struct rcu_head *)(void *)entry->opaque, reclaim);
}

void epoch_drain(void)
{
	rcu_barrier();
	grace_has_passed();
}
