/* Pools (runtime/pool.c), the same source with chunks of one slot: two Ps and a thread without a P get and put, while collections come, a
 * collector looks at all objects, and pools are made and freed.
 *
 * What must hold: an object is with one at a time, after all that was done to it before; none is lost; none is dropped that was put after
 * the last collection but one had ended; two more collections empty the pool; a collector sees what stays in it all the time, and nothing that is
 * no object; a pool that is freed is not touched after a grace period.
 */
#include "tests/model/goroutine.h"
#include "tests/model/collect.h"
#include "tests/model/fence.h"
#include "tests/model/scenarios.h"

#include <string.h>

/* Nothing switches: runtime/fiber.h, empty. */
#define RUNTIME_FIBER_H
#define WEFT_TSAN 0
#define fiber_publish(address) ((void)(address))
#define fiber_observe(address) ((void)(address))

#include "alloc/os.h"
#define os_membarrier() explorer_membarrier(__func__)

/* A collector learns of what moves. */
#undef gc_shades
#undef gc_shade_word
#define gc_shades() true
static void gc_shade_word(const void *word);

#define POOL_SLOTS 1
#include "runtime/pool.c"

#include "lockfree/spin.c"

#include MODEL_EDGES

enum { OBJECTS = 6, WITHOUT_P = 2, ARENA = 1 << 13, LINE = 128 };

/* One letter is one call: put, get, collect; w looks at all objects, one after the other, with a quiet point behind each; r drops what is dropped,
 * when there is something; n and f make and free a second pool, and e only takes it off the list; a dot is a quiet point. The third thread has
 * no P. */
static const struct scenario {
	const char *script[3];
	const char *there; /* what has been put by the first P before, and the collections between */
	int preemptions, stale_reads;
} scenarios[] = {
    {{"pp", "w", ""}, "", 2, 2},
    {{"gp", "w", ""}, "pp", 2, 2},
    {{"n.", "w..", ""}, "p", 2, 2},
    {{"nf.", "w..", ""}, "p", 2, 1},
    {{"nf.", "nw..", ""}, "", 2, 1},
    {{"n.", "ne.", "w..."}, "p", 2, 1},
    {{"nf.", "c..", ""}, "", 2, 1},
    {{"pg", "gp", ""}, "", 2, 1},
    {{"ppg", "gg", ""}, "", 2, 1},
    {{"gp", "c", ""}, "p", 2, 2},
    {{"pp", "c", ""}, "", 2, 2},
    {{"gg", "c", ""}, "pp", 2, 1},
    {{"gp", "cc", ""}, "p", 2, 1},
    {{"pgp", "cc", ""}, "", 2, 1},
    {{"gpg", "c", ""}, "ppc", 2, 1},
    {{"p", "ccc", ""}, "p", 2, 0},
    {{"g", "gp", "c"}, "p", 1, 1},
    {{"g", "g", "c"}, "ppc", 1, 1},
    {{"p", "c", "pg"}, "p", 1, 1},
    {{"g", "c", "r"}, "ppc", 1, 1},
    {{"gp", "w", "c"}, "pp", 1, 1},
}, *scenario;

/* ---- memory, and grace periods ---- */

static struct {
	_Alignas(LINE) char bytes[ARENA];
	size_t used;
} arena;

void *weft_aligned_alloc(size_t align, size_t size)
{
	CHECK(align <= LINE);
	char *p = arena.bytes + arena.used;
	arena.used += (size + LINE - 1) / LINE * LINE;
	CHECK(arena.used <= ARENA);
	return p;
}

void weft_free(void *p)
{
	(void)p;
}

static struct {
	weft_pool *pool;
	unsigned waits_for; /* threads that have not been at a quiet point since */
	bool reclaimed;
} retired[3];
static int nretired, threads;
static _Atomic uint64_t grace;

void retire(struct epoch_entry *entry, void (*how)(struct epoch_entry *))
{
	CHECK(nretired < 3);
	entry->reclaim = how;
	retired[nretired].pool = (weft_pool *)(void *)((char *)entry - offsetof(struct weft_pool, retired));
	retired[nretired].waits_for = (1u << threads) - 1;
	retired[nretired++].reclaimed = false;
}

static void quiet(int which)
{
	if (nretired == 0)
		return;
	(void)add_acqrel(&grace, 1);
	for (int i = 0; i < nretired; i++) {
		retired[i].waits_for &= ~(1u << which);
		if (retired[i].waits_for == 0 && !retired[i].reclaimed) {
			retired[i].reclaimed = true;
			explorer_vanish(retired[i].pool, sizeof(struct weft_pool));
		}
	}
}

/* ---- the dropper is whoever is at r, when there is one ---- */

static weft_pool *pool;
static _Atomic uint32_t wanted;
static int dropping;

bool outside_may_enter(void)
{
	return true;
}

void weft_go(void (*fn)(void *), void *arg)
{
	explorer_check(fn == drop_dropped && arg == pool, "a dropper is started for the pool");
	store_rel(&wanted, 1);
}

void weft_waitgroup_add(weft_waitgroup *wg, int64_t n)
{
	(void)wg;
	dropping += (int)n;
	explorer_check(dropping == 1, "there is one dropper at a time");
}

void weft_waitgroup_done(weft_waitgroup *wg)
{
	(void)wg;
	dropping--;
}

void weft_waitgroup_wait(weft_waitgroup *wg)
{
	(void)wg;
	explorer_check(dropping == 0, "nothing is dropped");
}

/* ---- objects ---- */

static struct object {
	enum where { NOWHERE, IN_HAND, IN_POOL, DROPPED } where;
	int put_by, collections; /* that had ended when it was put last */
	uint32_t put_at;	 /* step; 0: not yet; 1: before */
	unsigned moves, put_moves; /* into the pool and out of it; and when it was put last */
} object[OBJECTS];
static uint64_t plain[OBJECTS]; /* what is in an object: its holder's alone */
static int objects, begun, ended;
static struct object *hand[3][OBJECTS];
static int inhand[3];

static void gc_shade_word(const void *word)
{
	struct object *o = *(struct object *const *)word;
	if (o)
		o->moves++;
}

static void take_up(struct object *o, int which)
{
	explorer_check(o->where == IN_POOL, "who gets an object is alone with it");
	o->where = IN_HAND;
	explorer_check(o->moves == o->put_moves + 1, "the collector learns of it");
	plain[o - object]++;
	hand[which][inhand[which]++] = o;
}

static void put_one(int which)
{
	struct object *o = inhand[which] ? hand[which][--inhand[which]] : &object[objects++];
	CHECK(objects <= OBJECTS);
	plain[o - object]++;
	o->where = IN_POOL;
	o->collections = ended;
	o->put_moves = o->moves + 1;
	o->put_at = 0;
	weft_pool_put(pool, o);
	o->put_by = which;
	o->put_at = explorer_step() + 1;
}

static void get_one(int which)
{
	struct object *o = weft_pool_get(pool);
	if (o)
		take_up(o, which);
}

static void drop(void *obj, void *arg)
{
	struct object *o = obj;
	(void)arg;
	explorer_check(o->where == IN_POOL, "what is dropped was in the pool");
	explorer_check(begun - o->collections >= 2, "and old");
	o->where = DROPPED;
	plain[o - object]++;
}

static void collect(void)
{
	begun++;
	pool_collect();
	ended++;
}

static void see(void *arg, uintptr_t word)
{
	bool *seen = arg;
	size_t i = (word - (uintptr_t)object) / sizeof *object;
	explorer_check(word >= (uintptr_t)object && i < OBJECTS && (uintptr_t)&object[i] == word, "all words are objects'");
	if (i < OBJECTS)
		seen[i] = true;
}

static void look_at_all(int which)
{
	bool seen[OBJECTS] = {false}, there[OBJECTS];
	unsigned moves[OBJECTS];
	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = &object[i];
		there[i] = o->put_at != 0 && o->moves == o->put_moves &&
			   (o->put_at == 1 || o->put_by == which || explorer_has_seen(o->put_by, o->put_at - 1));
		moves[i] = o->moves;
	}
	for (struct pool_look l = {0}; pool_look(&l, 1, see, seen);)
		quiet(which);
	for (int i = 0; i < OBJECTS; i++)
		explorer_check(!there[i] || moves[i] != object[i].moves || seen[i], "what stays is seen");
}

/* ---- the program ---- */

static weft_pool *second[3];

static void call(char what, int which)
{
	switch (what) {
	case 'p':
		put_one(which);
		break;
	case 'g':
		get_one(which);
		break;
	case 'c':
		collect();
		break;
	case 'w':
		look_at_all(which);
		break;
	case 'r':
		await_acq(&wanted, 0);
		drop_dropped(pool);
		break;
	case 'n':
		second[which] = weft_pool_make(NULL, NULL, NULL);
		break;
	case 'f':
		weft_pool_free(second[which]);
		break;
	case 'e':
		end_of(second[which]);
		break;
	case '.':
		quiet(which);
		break;
	}
}

static void put_before(void)
{
	struct object *o = &object[objects++];
	o->where = IN_POOL;
	o->moves = o->put_moves = 1;
	o->put_at = 1;
	CHECK(put_slow(pool, &pool->shard[0], o));
}

static void collect_before(void)
{
	begun++;
	ended++;
	store_rlx(&pools.cycle, load_rlx(&pools.cycle) + 1);
	store_rlx(&pools.seen, load_rlx(&pools.cycle));
	for (uint32_t i = 0; i < pool->nshards; i++)
		bring(&pool->shard[i], BY_OWNER);
}

/* Second pools come to lie behind the first; their shards are nobody's. */
static void keep_shards_private(void)
{
	size_t bytes = sizeof(struct weft_pool) + pool->nshards * sizeof(struct shard);
	for (int i = 1; i <= 2; i++)
		explorer_private((char *)pool + i * bytes + sizeof(struct weft_pool), bytes - sizeof(struct weft_pool));
}

static void start(void)
{
	memset((void *)&arena, 0, sizeof arena);
	memset(object, 0, sizeof object);
	memset(plain, 0, sizeof plain);
	memset((void *)&pools, 0, sizeof pools);
	memset(inhand, 0, sizeof inhand);
	nretired = objects = begun = ended = dropping = 0;
	store_rlx(&wanted, 0);
	store_rlx(&pools.cycle, 1);
	pool_allow();
	goroutines_start();
	model_m[WITHOUT_P].p.index = MAX_PS;
	threads = scripts(scenario->script);
	explorer_watch(arena.bytes, ARENA);
	explorer_watch(plain, sizeof plain);
	pool = weft_pool_make(NULL, drop, NULL);
	if (strchr(scenario->script[0], 'n'))
		keep_shards_private();
	for (const char *s = scenario->there; *s; s++) {
		if (*s == 'p')
			put_before();
		else
			collect_before();
	}
}

static void thread(int which)
{
	for (const char *s = scenario->script[which]; *s; s++)
		call(*s, which);
}

/* How many of the pool's objects there are in a list, and each of them is one. */
static int count(struct chunk *c)
{
	int n = 0;
	for (; c && n <= OBJECTS; c = c->next) {
		struct object *o = load_rlx(&c->slot[0]);
		explorer_check(load_rlx(&c->n) == 1 && o && o->where == IN_POOL, "what is in a list is the pool's");
		n++;
	}
	return n;
}

static int count_dropped(const struct shard *s)
{
	int n = 0;
	for (struct chunk *c = s->dropped; c && n <= OBJECTS; c = c->chain)
		n += count(c);
	return n;
}

static int count_listed(struct shard *s)
{
	struct chunk *own = load_rlx(&s->own);
	explorer_check(!load_rlx(&s->xbusy) && !load_rlx(&s->lock.word), "nobody is at a shard in the end");
	return (own ? (int)load_rlx(&own->n) : 0) + count(load_rlx(&s->xfull)) + count(load_rlx(&s->xvictims));
}

static void end(void)
{
	int in_pool = 0, listed = 0, dropped = 0;
	for (int i = 0; i < OBJECTS; i++)
		in_pool += object[i].where == IN_POOL;
	for (uint32_t i = 0; i < pool->nshards; i++) {
		listed += count_listed(&pool->shard[i]);
		dropped += count_dropped(&pool->shard[i]);
	}
	explorer_check(in_pool == listed + dropped, "each object is in one place");
	pool_collect();
	pool_collect();
	for (uint32_t i = 0; i < pool->nshards; i++)
		explorer_check(count_listed(&pool->shard[i]) == 0, "two collections empty the pool");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {scripts(scenario->script), start, thread, end, scenario->preemptions,
					     scenario->stale_reads,	NULL,  false};
		const char *broken = explore_scripts(scenario->script, p, m);
		if (broken)
			return broken;
	}
	return NULL;
}

TEST(pools_hold)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	static const struct explorer_mutation spoilt[] = {
	    {"no membarrier", "pool_collect", VERB_FENCE, "", WEAKEN},
	    {"the P does not say that it is at its chunk", "enter", VERB_STORE, "xbusy", OMIT},
	    {"the collector does not look whether the P is", "bring_own", VERB_LOAD, "xbusy", BLIND},
	    {"Ps are not told of the cycle", "pool_collect", VERB_STORE, "seen", OMIT},
	};
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
