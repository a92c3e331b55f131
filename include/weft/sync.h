/* Locks and counters that block the goroutine, never the thread.
 *
 * Each is the caller's memory, ready when zeroed, and allocates nothing. Each may lie on a stack and
 * vanish as soon as the call that ended its use has returned: the last _done or _unlock does not touch
 * it any more once it has let the waiter go. The words inside are the library's. */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <weft/base.h>
#include <weft/time.h>

WEFT_BEGIN_DECLS

/* Mutual exclusion. A running goroutine may take the lock before one that is being woken (barging), but
 * one that has waited for a millisecond is handed the lock. Not recursive. */
typedef struct weft_mutex {
	uint64_t word;
	void *first;
	uint64_t on_its_way;
} weft_mutex;

/* What is left of the two when somebody else holds it, or waits. */
WEFT_API void weft_mutex_lock_slow(weft_mutex *);
WEFT_API void weft_mutex_unlock_slow(weft_mutex *);

WEFT_API inline void weft_mutex_lock(weft_mutex *m)
{
	uint64_t unlocked = 0;
	if (!__atomic_compare_exchange_n(&m->word, &unlocked, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		weft_mutex_lock_slow(m);
}

WEFT_API inline void weft_mutex_unlock(weft_mutex *m) /* panics: "unlock of unlocked mutex" */
{
	uint64_t locked = 1;
	if (!__atomic_compare_exchange_n(&m->word, &locked, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		weft_mutex_unlock_slow(m);
}

WEFT_API int weft_mutex_try_lock(weft_mutex *);                  /* 0, -EAGAIN */
WEFT_API int weft_mutex_lock_until(weft_mutex *, weft_deadline); /* 0, -ETIMEDOUT */

/* Many readers or one writer. Made for what is read far more often than written: while nobody writes, readers on different
 * cores do not write the same line, and a writer pays for that. A waiting writer holds up new readers; after a writer come the
 * readers that have waited. Not recursive, for readers neither. A goroutine may have several, and end its reading on
 * any thread. It is given back when nobody has it. */
typedef struct weft_rwmutex {
	uint64_t word;
	void *queues[4];
	uint64_t biased_from;
	const void *self;
} weft_rwmutex;

WEFT_API void weft_rwmutex_lock(weft_rwmutex *);
WEFT_API void weft_rwmutex_unlock(weft_rwmutex *); /* panics: "unlock of unlocked rwmutex"; this one, and the next */
WEFT_API void weft_rwmutex_rlock(weft_rwmutex *);
WEFT_API void weft_rwmutex_runlock(weft_rwmutex *);
WEFT_API int weft_rwmutex_try_lock(weft_rwmutex *);                   /* 0, -EAGAIN */
WEFT_API int weft_rwmutex_try_rlock(weft_rwmutex *);                  /* 0, -EAGAIN */
WEFT_API int weft_rwmutex_lock_until(weft_rwmutex *, weft_deadline);  /* 0, -ETIMEDOUT */
WEFT_API int weft_rwmutex_rlock_until(weft_rwmutex *, weft_deadline); /* 0, -ETIMEDOUT */

/* Waits until a count of things under way has come down to zero. */
typedef struct weft_waitgroup {
	uint64_t word;
	void *first;
} weft_waitgroup;

/* Panics: "negative wait group counter"; "wait group counter out of range", beyond 2^61; and, where it is seen, "wait group misuse: add
 * beside a wait", when one is added between the last _done and the return of those who wait. */
WEFT_API void weft_waitgroup_add(weft_waitgroup *, int64_t n);
WEFT_API void weft_waitgroup_done(weft_waitgroup *);
WEFT_API void weft_waitgroup_wait(weft_waitgroup *);
WEFT_API int weft_waitgroup_wait_until(weft_waitgroup *, weft_deadline); /* 0, -ETIMEDOUT */

/* Runs fn(arg) for the first that comes; whoever else comes returns when fn has, and is shown as waiting for a mutex meanwhile. fn must
 * not come to the same once. */
typedef struct weft_once {
	uint64_t word;
} weft_once;

WEFT_API void weft_once_do_slow(weft_once *, void (*fn)(void *), void *arg);

WEFT_API inline void weft_once_do(weft_once *o, void (*fn)(void *), void *arg)
{
	if (__atomic_load_n(&o->word, __ATOMIC_ACQUIRE) != 2)
		weft_once_do_slow(o, fn, arg);
}

/* Waits, under a mutex, until something may have changed. Both forms of wait give the mutex up and have it again when they
 * return, whatever they return. They wake in the order in which they came, and only by a signal, a broadcast or the deadline: but what
 * was signalled may have changed again before the mutex was had, so look in a loop. Signal with the mutex or without it. */
typedef struct weft_cond {
	uint64_t word;
	void *queue[2];
	const void *self;
} weft_cond;

WEFT_API void weft_cond_wait(weft_cond *, weft_mutex *); /* panics: "unlock of unlocked mutex" */
WEFT_API int weft_cond_wait_until(weft_cond *, weft_mutex *, weft_deadline); /* 0, -ETIMEDOUT */
WEFT_API void weft_cond_signal(weft_cond *);    /* the one that has waited longest */
WEFT_API void weft_cond_broadcast(weft_cond *); /* all that wait now */

/* So many permits; who wants more than there are waits, strictly in the order of coming: a large wish at the head holds up
 * small ones behind it. What was not acquired may be released. Zeroed, there are none. */
typedef struct weft_sem {
	uint64_t word;
	void *queue[2];
	const void *self;
} weft_sem;

/* Panics: "negative semaphore count"; "semaphore count out of range", beyond 2^61. */
WEFT_API void weft_sem_init(weft_sem *, int64_t permits);
WEFT_API void weft_sem_acquire(weft_sem *, int64_t n);
WEFT_API int weft_sem_try_acquire(weft_sem *, int64_t n);                  /* 0, -EAGAIN */
WEFT_API int weft_sem_acquire_until(weft_sem *, int64_t n, weft_deadline); /* 0, -ETIMEDOUT */
WEFT_API void weft_sem_release(weft_sem *, int64_t n);

WEFT_END_DECLS

#endif
