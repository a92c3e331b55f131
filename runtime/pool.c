/* Pools (weft/pool.h): objects wait in chunks, a P's own chunk is its alone, and what nobody wants gets old and goes.
 *
 * Each P has a shard of each pool. Its own chunk is a stack into which the P puts, and out of which it gets, without an atomic
 * read-modify-write. Around it are lists, under the shard's lock:
 *
 *     full         chunks that became full: the P takes its next ones there, and other Ps take whole ones for their own
 *     victims      what was in own and full when the last collection came; objects are taken singly, when there is nothing else
 *     dropped      what was in victims then: only to be given to drop
 *
 *     put                                   get
 *     own has room?  there                  own has one?      that
 *     own is full:   it goes to full,       full has a chunk? it is own from now on
 *                    and another is own     another's full?   likewise
 *                                           victims, here or there?   that, and the rest stays old
 *                                           make
 *
 * A thread outside, and a goroutine without a P, use one more shard, always under its lock.
 *
 * An object stays in its slot from put to get: chunks move, their contents do not. All chunks of a pool are on one list for as long as the
 * pool lives, which pool_each_word follows without a lock; so an object that stays in the pool is seen, wherever its chunk goes.
 *
 * A collection makes the cycle one more, and then goes to each shard. A shard that has not come to the cycle yet is brought there by
 * whoever takes its lock first, so that its lists never hold what is of another age. The own chunk is another matter: a lock would
 * cost the P two locked instructions for each object. So the P says when it is at its chunk, and the collector looks:
 *
 *     the P (enter)                         the collector
 *     busy := true                          cycle := the next
 *     (only the compiler is held back)      membarrier
 *     has the shard come to the cycle?      take the lock; busy?
 *       yes: the chunk is its own             yes: leave the chunk where it is
 *       no: busy := false, take the lock      no: the chunk goes to the victims; own := none; the shard has come to the cycle
 *     busy := false (at the end)            give the lock back
 *
 * Either the P sees the new cycle or the collector sees that it is busy: membarrier is the fence of both, once for all pools. A chunk
 * that was left goes the same way in the P's next call, or with the next collection: the shard's own cycle says how old it is. So a P that
 * sleeps, or never uses the pool again, keeps nothing. Where there is no membarrier, no shard ever comes to the cycle that Ps look at, and all
 * take the lock.
 *
 *     put and not got = in own + full + victims of all shards + dropped, or given to drop
 *
 * drop is called by a goroutine of the pool's, which lives while there is something to drop: a get does not pay for what others
 * have left. weft_pool_free waits for it.
 *
 * Memory: chunks are given back with the pool, since nobody knows who follows their list: ten bytes for each object that it
 * held at most. Pools are given back after a grace period (lockfree/epoch.h).
 *
 * Rejected: one object of the P's alone and a queue that others steal from, as in Go: from the second object on each costs a locked
 * instruction. A lock that becomes the P's (bias.h): each collection would take it away. That the P alone moves its chunk on: one
 * that never comes back would keep it.
 *
 * Bonwick and Adams, "Magazines and Vmem" (2001), for chunks that move as a whole; Go's sync/pool.go for victims.
 *
 * R1 leave: store_rel(xbusy)        -> A1 bring_own: load_acq(xbusy)                    what the P did to its chunk
 * R2 bring_own: store_rel(cycle)    -> A2 enter: load_acq(cycle)                        own is another
 * R3 list_link: store_rel(head)     -> A3 after: load_acq(link)                         a chunk's slots, a pool
 * R3 list_unlink: store_rel(before) -> A3 after: load_acq(link)                         the same
 */
#include "runtime/pool.h"
#include "alloc/os.h"
#include "lockfree/epoch.h"
#include "lockfree/spin.h"
#include "runtime/area.h"
#include "runtime/attach.h"
#include "runtime/call.h"
#include "runtime/fiber.h"
#include "runtime/park.h"

#include <weft/go.h>
#include <weft/mem.h>
#include <weft/panic.h>
#include <weft/pool.h>
#include <weft/sync.h>

#include <assert.h>
#include <limits.h>
#include <string.h>

#ifndef POOL_SLOTS
#define POOL_SLOTS 27 /* a P keeps at most so many from others */
#endif

enum { BEGINS_MOST = 4 }; /* of a look through all that others disturb */

/* In a list that is followed without a lock: of chunks, of pools. Whoever changes it holds the lock of that. */
struct link {
	_Atomic(struct link *) next;
	_Atomic(struct link *) *before; /* what leads here */
};
typedef _Atomic(struct link *) link_head;

/* Whoever has the chunk: the P whose own it is, or who holds the lock of the list. */
struct chunk {
	struct link all;
	struct chunk *next;  /* in a list of a shard's */
	struct chunk *chain; /* of the first one: the next list, of dropped ones */
	_Atomic uint32_t n;  /* slots [0, n) hold objects, and the others NULL */
	_Atomic(void *) slot[POOL_SLOTS];
};
static_assert(POOL_SLOTS != 27 || sizeof(struct chunk) == 2 * CACHE_LINE, "a chunk is two pairs of lines");

struct shard {
	/* The P, or under the lock who finds it not busy. */
	ON_OWN_LINE _Atomic bool xbusy;
	_Atomic(struct chunk *) own; /* NULL: none */
	_Atomic uint64_t cycle;	     /* of what is in own */
	/* Under the lock; the first two are looked at without it, as a hint. */
	ON_OWN_LINE struct spin lock;
	_Atomic(struct chunk *) xfull, xvictims;
	struct chunk *dropped;
	struct chunk *empty; /* one at most */
	uint64_t listed;     /* cycle of what is in the lists */
};
static_assert(offsetof(struct shard, lock) - offsetof(struct shard, xbusy) == CACHE_LINE,
	      "who comes for the lists leaves the P's line alone");

enum dropper { DROPPER_NONE, DROPPER_RUNS, DROPPER_CLOSED };

struct weft_pool {
	struct link all;
	void *(*make)(void *arg);
	void (*drop)(void *obj, void *arg);
	struct area_word arg; /* make's and drop's */
	uint32_t nshards; /* the last one is for who has no P */
	weft_waitgroup dropping;
	weft_pool *to_start; /* pool_collect: the next one that wants a dropper */
	struct epoch_entry retired;
	/* Under the lock, which is taken before a shard's. */
	ON_OWN_LINE struct spin lock;
	enum dropper dropper;
	struct chunk *spare;
	link_head chunks;
	struct shard shard[];
};

static void *arg_of(const weft_pool *pool)
{
	return load_rlx(&pool->arg.word);
}

static struct {
	/* A collector writes. */
	ON_OWN_LINE _Atomic uint64_t cycle;
	_Atomic uint64_t seen; /* the same, or 0, which no shard is at: without membarrier */
	bool allowed;
	ON_OWN_LINE struct spin collecting;
	struct spin lock; /* of the list */
	link_head first;
	uint64_t freed; /* how many; the lock */
} pools = {.cycle = 1};

/* ---- lists without a lock ---- */

static void list_link(link_head *head, struct link *l)
{
	struct link *next = load_rlx(head);
	store_rlx(&l->next, next);
	l->before = head;
	if (next)
		next->before = &l->next;
	store_rel(head, l); /* R3 */
}

/* Who stands on it goes on from there to what followed. */
static void list_unlink(struct link *l)
{
	struct link *next = load_rlx(&l->next);
	if (next)
		next->before = l->before;
	store_rel(l->before, next); /* R3 */
}

static struct link *after(link_head *link)
{
	return load_acq(link); /* A3 */
}

static weft_pool *pool_at(struct link *l)
{
	return (weft_pool *)(void *)((char *)l - offsetof(struct weft_pool, all));
}

static struct chunk *chunk_at(struct link *l)
{
	return (struct chunk *)(void *)((char *)l - offsetof(struct chunk, all));
}

/* ---- chunks ---- */

static COLD struct chunk *chunk_make(weft_pool *pool)
{
	struct chunk *c = weft_aligned_alloc(CACHE_LINE, sizeof *c);
	if (!c)
		return NULL;
	store_rlx(&c->n, 0);
	for (int i = 0; i < POOL_SLOTS; i++)
		store_rlx(&c->slot[i], NULL);
	fiber_publish(c);
	spin_lock(&pool->lock);
	list_link(&pool->chunks, &c->all);
	spin_unlock(&pool->lock);
	return c;
}

static COLD struct chunk *chunk_get(weft_pool *pool)
{
	spin_lock(&pool->lock);
	struct chunk *c = pool->spare;
	if (c)
		pool->spare = c->next;
	spin_unlock(&pool->lock);
	return c ? c : chunk_make(pool);
}

/* An empty one, or NULL. */
static void chunk_put(weft_pool *pool, struct chunk *c)
{
	if (!c)
		return;
	assert_debug(load_rlx(&c->n) == 0);
	spin_lock(&pool->lock);
	c->next = pool->spare;
	pool->spare = c;
	spin_unlock(&pool->lock);
}

static void list_push(_Atomic(struct chunk *) *list, struct chunk *c)
{
	c->next = load_rlx(list);
	store_rlx(list, c);
}

static struct chunk *list_pop(_Atomic(struct chunk *) *list)
{
	struct chunk *c = load_rlx(list);
	if (c)
		store_rlx(list, c->next);
	return c;
}

/* ThreadSanitizer: goroutines of a P come to its chunk one after the other, and nothing else orders them; what orders them for an object
 * is that one put it and another got it. The rest is ordered by what is in the table, and by locks. */
static inline bool push(struct chunk *c, void *obj)
{
	uint32_t n = load_rlx(&c->n);
	if (unlikely(n == POOL_SLOTS))
		return false;
	fiber_publish(&c->slot[n]);
	store_rlx(&c->slot[n], obj);
	store_rlx(&c->n, n + 1);
	return true;
}

static inline void *pop(struct chunk *c)
{
	uint32_t n = load_rlx(&c->n);
	if (unlikely(!n))
		return NULL;
	void *obj = load_rlx(&c->slot[n - 1]);
	fiber_observe(&c->slot[n - 1]);
	pool_moves(obj); /* before it is nowhere to be seen */
	store_rlx(&c->slot[n - 1], NULL);
	store_rlx(&c->n, n - 1);
	return obj;
}

/* ---- a P and its own chunk ---- */

static inline void leave(struct shard *s)
{
	store_rel(&s->xbusy, false); /* R1 */
}

/* The caller's P's: true until it leaves, no collector comes to its own chunk. */
static inline bool enter(struct shard *s)
{
	store_rlx(&s->xbusy, true);
	fence_compiler();
	if (likely(load_acq(&s->cycle) == load_rlx(&pools.seen))) /* A2 */
		return true;
	leave(s);
	return false;
}

static inline struct chunk *own_of(struct shard *s)
{
	struct chunk *c = load_rlx(&s->own);
	if (WEFT_TSAN && c)
		fiber_observe(c); /* that it was made */
	return c;
}

static inline void *get_own(struct shard *s)
{
	if (unlikely(!enter(s)))
		return NULL;
	struct chunk *c = own_of(s);
	void *obj = likely(c != NULL) ? pop(c) : NULL;
	leave(s);
	return obj;
}

static inline bool put_own(struct shard *s, void *obj)
{
	if (unlikely(!enter(s)))
		return false;
	struct chunk *c = own_of(s);
	bool put = likely(c != NULL) && push(c, obj);
	leave(s);
	return put;
}

/* ---- getting old, under the shard's lock ---- */

/* Chunks that nobody gets from any more. */
static void give_up(struct shard *s, struct chunk *list)
{
	if (!list)
		return;
	list->chain = s->dropped;
	s->dropped = list;
}

static void bring_lists(struct shard *s)
{
	uint64_t cycle = load_rlx(&pools.cycle), behind = cycle - s->listed;
	if (likely(!behind))
		return;
	give_up(s, load_rlx(&s->xvictims));
	store_rlx(&s->xvictims, load_rlx(&s->xfull));
	store_rlx(&s->xfull, NULL);
	if (behind > 1) {
		give_up(s, load_rlx(&s->xvictims));
		store_rlx(&s->xvictims, NULL);
	}
	s->listed = cycle;
}

enum by { BY_OWNER, BY_ANOTHER };

/* The lists have come to the cycle. */
static void bring_own(struct shard *s, enum by by)
{
	uint64_t cycle = s->listed, behind = cycle - load_rlx(&s->cycle);
	if (likely(!behind) || (by == BY_ANOTHER && load_acq(&s->xbusy))) /* A1 */
		return;
	struct chunk *c = load_rlx(&s->own);
	if (c && load_rlx(&c->n)) {
		store_rlx(&s->own, NULL);
		c->next = NULL;
		if (behind > 1)
			give_up(s, c);
		else
			list_push(&s->xvictims, c);
	}
	store_rel(&s->cycle, cycle); /* R2 */
}

static void bring(struct shard *s, enum by by)
{
	bring_lists(s);
	bring_own(s, by);
}

/* ---- getting, when the own chunk is empty ---- */

/* The P's next chunk, which has objects: *left is the empty one before. */
static void *pop_after_taking(struct shard *s, struct chunk *next, struct chunk **left)
{
	*left = load_rlx(&s->own);
	if (*left && !s->empty) {
		s->empty = *left;
		*left = NULL;
	}
	store_rlx(&s->own, next);
	return pop(next);
}

static void *get_here(weft_pool *pool, struct shard *s)
{
	struct chunk *left = NULL, *next;
	spin_lock(&s->lock);
	bring(s, BY_OWNER);
	struct chunk *c = load_rlx(&s->own);
	void *obj = c ? pop(c) : NULL;
	if (!obj && (next = list_pop(&s->xfull)))
		obj = pop_after_taking(s, next, &left);
	spin_unlock(&s->lock);
	chunk_put(pool, left);
	return obj;
}

static struct chunk *steal(struct shard *from)
{
	if (!load_rlx(&from->xfull))
		return NULL;
	spin_lock(&from->lock);
	bring_lists(from);
	struct chunk *c = list_pop(&from->xfull);
	spin_unlock(&from->lock);
	return c;
}

/* The shard without a P may have been filled by another thread meanwhile. */
static void *get_stolen(weft_pool *pool, struct shard *s, struct chunk *stolen)
{
	struct chunk *left = NULL;
	spin_lock(&s->lock);
	bring(s, BY_OWNER);
	struct chunk *c = load_rlx(&s->own);
	void *obj = c ? pop(c) : NULL;
	if (obj)
		list_push(&s->xfull, stolen);
	else
		obj = pop_after_taking(s, stolen, &left);
	spin_unlock(&s->lock);
	chunk_put(pool, left);
	return obj;
}

static void *get_victim(weft_pool *pool, struct shard *from)
{
	struct chunk *left = NULL;
	if (!load_rlx(&from->xvictims))
		return NULL;
	spin_lock(&from->lock);
	bring_lists(from);
	struct chunk *c = load_rlx(&from->xvictims);
	void *obj = c ? pop(c) : NULL;
	if (c && !load_rlx(&c->n))
		left = list_pop(&from->xvictims);
	spin_unlock(&from->lock);
	chunk_put(pool, left);
	return obj;
}

static COLD void *get_slow(weft_pool *pool, struct shard *s)
{
	void *obj = get_here(pool, s);
	uint32_t me = (uint32_t)(s - pool->shard), n = pool->nshards;
	for (uint32_t i = 1; !obj && i < n; i++) {
		struct chunk *stolen = steal(&pool->shard[(me + i) % n]);
		if (stolen)
			obj = get_stolen(pool, s, stolen);
	}
	for (uint32_t i = 0; !obj && i < n; i++)
		obj = get_victim(pool, &pool->shard[(me + i) % n]);
	return obj;
}

/* ---- putting, when the own chunk is full ---- */

static bool put_here(struct shard *s, void *obj, struct chunk **fresh)
{
	bring(s, BY_OWNER);
	struct chunk *c = load_rlx(&s->own);
	if (c && push(c, obj))
		return true;
	struct chunk **room = s->empty ? &s->empty : fresh;
	if (!*room)
		return false;
	if (c)
		list_push(&s->xfull, c);
	store_rlx(&s->own, *room);
	push(*room, obj);
	*room = NULL;
	return true;
}

/* False: there is no memory. */
static COLD bool put_slow(weft_pool *pool, struct shard *s, void *obj)
{
	struct chunk *fresh = NULL;
	for (;;) {
		spin_lock(&s->lock);
		bool put = put_here(s, obj, &fresh);
		spin_unlock(&s->lock);
		if (put)
			break;
		fresh = chunk_get(pool);
		if (!fresh)
			return false;
	}
	chunk_put(pool, fresh);
	return true;
}

/* ---- the calls ---- */

/* The caller's P's, and *own; or that of those without. */
static inline struct shard *shard_of(weft_pool *pool, bool *own)
{
	struct m *m = m_self();
	struct p *p = m ? m_p(m) : NULL;
	uint32_t last = pool->nshards - 1;
	*own = likely(p != NULL) && likely(p->index < last);
	return &pool->shard[*own ? p->index : last];
}

void *weft_pool_get(weft_pool *pool)
{
	bool own, outermost = call_begin();
	struct shard *s = shard_of(pool, &own);
	void *obj = own ? get_own(s) : NULL;
	if (unlikely(!obj))
		obj = get_slow(pool, s);
	call_end(outermost);
	if (unlikely(!obj) && pool->make)
		obj = pool->make(arg_of(pool));
	return obj;
}

void weft_pool_put(weft_pool *pool, void *obj)
{
	if (!obj)
		return;
	pool_moves(obj);
	bool own, outermost = call_begin();
	struct shard *s = shard_of(pool, &own);
	bool put = (own && put_own(s, obj)) || put_slow(pool, s, obj);
	call_end(outermost);
	if (unlikely(!put) && pool->drop)
		pool->drop(obj, arg_of(pool));
}

/* ---- dropping ---- */

static void *get_dropped_of(struct shard *s, struct chunk **left)
{
	void *obj = NULL;
	spin_lock(&s->lock);
	struct chunk *c = s->dropped;
	if (c) {
		obj = pop(c);
		*left = load_rlx(&c->n) ? NULL : c;
	}
	if (*left && c->next) {
		c->next->chain = c->chain;
		s->dropped = c->next;
	} else if (*left) {
		s->dropped = c->chain;
	}
	spin_unlock(&s->lock);
	return obj;
}

/* NULL: there is none. */
static void *get_dropped(weft_pool *pool)
{
	void *obj = NULL;
	bool outermost = call_begin();
	for (uint32_t i = 0; !obj && i < pool->nshards; i++) {
		struct chunk *left = NULL;
		obj = get_dropped_of(&pool->shard[i], &left);
		chunk_put(pool, left);
	}
	call_end(outermost);
	return obj;
}

static void drop_dropped(void *);

/* However it comes to its end: what is left, after an exit or because a collection has just come, is another one's. */
static void dropper_ends(void *arg)
{
	weft_pool *pool = arg;
	bool more = false, outermost = call_begin();
	spin_lock(&pool->lock);
	for (uint32_t i = 0; i < pool->nshards; i++) {
		struct shard *s = &pool->shard[i];
		spin_lock(&s->lock);
		more |= s->dropped != NULL;
		spin_unlock(&s->lock);
	}
	if (!more && pool->dropper == DROPPER_RUNS)
		pool->dropper = DROPPER_NONE;
	spin_unlock(&pool->lock);
	if (more)
		weft_go(drop_dropped, pool);
	call_end(outermost);
	if (!more)
		weft_waitgroup_done(&pool->dropping);
}

static void drop_dropped(void *arg)
{
	weft_pool *pool = arg;
	void *obj;
	WEFT_DEFER(dropper_ends, pool);
	while ((obj = get_dropped(pool))) {
		if (pool->drop)
			pool->drop(obj, arg_of(pool));
	}
}

/* ---- what a collector calls ---- */

/* A dropper is to be started. */
static bool bring_pool_locked(weft_pool *pool)
{
	bool dropped = false;
	if (pool->dropper == DROPPER_CLOSED)
		return false;
	for (uint32_t i = 0; i < pool->nshards; i++) {
		struct shard *s = &pool->shard[i];
		spin_lock(&s->lock);
		bring(s, BY_ANOTHER);
		dropped |= s->dropped != NULL;
		spin_unlock(&s->lock);
	}
	if (!dropped || pool->dropper == DROPPER_RUNS)
		return false;
	pool->dropper = DROPPER_RUNS;
	weft_waitgroup_add(&pool->dropping, 1);
	return true;
}

/* Those that want a dropper. */
static weft_pool *bring_all(void)
{
	weft_pool *to_start = NULL;
	for (struct link *l = after(&pools.first); l; l = after(&l->next)) {
		weft_pool *pool = pool_at(l);
		spin_lock(&pool->lock);
		if (bring_pool_locked(pool)) {
			pool->to_start = to_start;
			to_start = pool;
		}
		spin_unlock(&pool->lock);
	}
	return to_start;
}

/* A pool that is being dropped from is not freed, so those that want a dropper stay until they have one. */
void pool_collect(void)
{
	bool outermost = call_begin();
	spin_lock(&pools.collecting);
	uint64_t cycle = load_rlx(&pools.cycle) + 1;
	store_rlx(&pools.cycle, cycle);
	if (pools.allowed) {
		store_rlx(&pools.seen, cycle);
		os_membarrier();
	}
	weft_pool *pool = bring_all();
	spin_unlock(&pools.collecting);
	while (pool) {
		weft_pool *next = pool->to_start; /* it may be gone once it has its dropper */
		weft_go(drop_dropped, pool);
		pool = next;
	}
	if (WEFT_TSAN)
		epoch_looked();
	call_end(outermost);
}

static void look_at(struct pool_look *l, struct link *pool)
{
	l->pool = pool;
	l->chunk = pool ? after(&pool_at(pool)->chunks) : NULL;
}

static uint64_t pools_freed(void)
{
	spin_lock(&pools.lock);
	uint64_t freed = pools.freed;
	spin_unlock(&pools.lock);
	return freed;
}

static void see_chunk(struct chunk *c, void (*see)(void *arg, uintptr_t word), void *arg)
{
	for (int i = 0; i < POOL_SLOTS; i++) {
		void *obj = load_rlx(&c->slot[i]);
		if (obj)
			see(arg, (uintptr_t)obj);
	}
}

/* One that is freed after it has been asked for how many were, stays until the call ends. */
bool pool_look(struct pool_look *l, unsigned most, void (*see)(void *arg, uintptr_t word), void *arg)
{
	bool outermost = call_begin();
	uint64_t freed = pools_freed();
	if (!l->begun || l->freed != freed) {
		l->freed = freed;
		l->begun++;
		look_at(l, after(&pools.first));
	}
	for (unsigned n = 0; l->pool && (n < most || l->begun >= BEGINS_MOST); n += POOL_SLOTS) {
		if (!l->chunk) {
			look_at(l, after(&l->pool->next));
			continue;
		}
		see_chunk(chunk_at(l->chunk), see, arg);
		l->chunk = after(&l->chunk->next);
	}
	bool more = l->pool;
	if (WEFT_TSAN)
		epoch_looked();
	call_end(outermost);
	return more;
}

void pool_each_word(void (*see)(void *arg, uintptr_t word), void *arg)
{
	struct pool_look l = {0};
	while (pool_look(&l, UINT_MAX, see, arg))
		;
}

void pool_allow(void)
{
	pools.allowed = true;
	store_rlx(&pools.seen, load_rlx(&pools.cycle));
}

/* ---- making and freeing ---- */

weft_pool *weft_pool_make(void *(*make)(void *arg), void (*drop)(void *obj, void *arg), void *arg)
{
	uint32_t nshards = sched.nprocs + 1;
	size_t bytes = sizeof(struct weft_pool) + nshards * sizeof(struct shard);
	weft_pool *pool = weft_aligned_alloc(CACHE_LINE, bytes);
	if (!pool)
		fatal("out of memory for a pool");
	memset((void *)pool, 0, bytes);
	pool->make = make;
	pool->drop = drop;
	area_word_add(&pool->arg, arg);
	pool->nshards = nshards;
	for (uint32_t i = 0; i < nshards; i++) {
		pool->shard[i].listed = load_rlx(&pools.cycle);
		store_rlx(&pool->shard[i].cycle, pool->shard[i].listed);
	}
	bool outermost = call_begin();
	spin_lock(&pools.lock);
	list_link(&pools.first, &pool->all);
	spin_unlock(&pools.lock);
	call_end(outermost);
	return pool;
}

static void reclaim(struct epoch_entry *entry)
{
	weft_pool *pool = (weft_pool *)(void *)((char *)entry - offsetof(struct weft_pool, retired));
	struct link *next;
	for (struct link *l = load_rlx(&pool->chunks); l; l = next) {
		next = load_rlx(&l->next);
		weft_free(chunk_at(l));
	}
	weft_free(pool);
}

static void end_of(weft_pool *pool)
{
	bool outermost = call_begin();
	spin_lock(&pools.lock);
	list_unlink(&pool->all);
	pools.freed++;
	spin_unlock(&pools.lock);
	area_word_drop(&pool->arg);
	retire(&pool->retired, reclaim);
	call_end(outermost);
}

/* No collector and no dropper comes any more. A dropper that the runtime's end has stopped is not waited for. */
static void close_pool(weft_pool *pool)
{
	bool outermost = call_begin();
	spin_lock(&pool->lock);
	pool->dropper = DROPPER_CLOSED;
	spin_unlock(&pool->lock);
	call_end(outermost);
	if (outside_may_enter())
		weft_waitgroup_wait(&pool->dropping);
}

/* All that is left is to be dropped. */
static void give_up_all(struct shard *s)
{
	bool outermost = call_begin();
	spin_lock(&s->lock);
	struct chunk *own = load_rlx(&s->own);
	store_rlx(&s->own, NULL);
	if (own && load_rlx(&own->n)) {
		own->next = NULL;
		give_up(s, own);
	}
	give_up(s, load_rlx(&s->xfull));
	give_up(s, load_rlx(&s->xvictims));
	store_rlx(&s->xfull, NULL);
	store_rlx(&s->xvictims, NULL);
	spin_unlock(&s->lock);
	call_end(outermost);
}

/* After a panic in drop, or an exit, the deferred call goes on with the next one; the last frees the pool. Until then a collector sees
 * what is in it. */
static void drop_all(void *arg)
{
	weft_pool *pool = arg;
	void *obj = get_dropped(pool);
	if (!obj) {
		end_of(pool);
		return;
	}
	WEFT_DEFER(drop_all, pool);
	for (; obj; obj = get_dropped(pool)) {
		if (pool->drop)
			pool->drop(obj, arg_of(pool));
	}
}

void weft_pool_free(weft_pool *pool)
{
	if (!pool)
		return;
	close_pool(pool);
	for (uint32_t i = 0; i < pool->nshards; i++)
		give_up_all(&pool->shard[i]);
	drop_all(pool);
}
