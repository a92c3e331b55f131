#include <urcu-qsbr.h>

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

/* A thread that is a reader for the length of a call: registered on its first one. */
static _Thread_local enum { NO_READER, READER } this_thread;

void epoch_init(void)
{
	if (!get_default_call_rcu_data())
		fatal("cannot start liburcu's thread");
}

void epoch_register(void)
{
	assert_debug(this_thread == NO_READER);
	rcu_register_thread();
	rcu_thread_offline();
	this_thread = READER;
}

void epoch_unregister(void)
{
	rcu_unregister_thread();
	this_thread = NO_READER;
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
	rcu_register_thread();
}

void epoch_leave(void)
{
	reader_passes();
	rcu_unregister_thread();
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
