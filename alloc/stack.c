#include "alloc/stack.h"
#include "alloc/os.h"
#include "alloc/slab.h"

#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define STACKS_UNDER_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACKS_UNDER_ASAN
#endif
#endif
#ifdef STACKS_UNDER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
/* What parked goroutines point to is not leaked; what an earlier owner poisoned is not our business. LeakSanitizer reads the
 * list of all mappings for each root, so a chunk is one. */
#define are_roots(base, size) __lsan_register_root_region(base, size)
#define no_roots(base, size)  __lsan_unregister_root_region(base, size)
#define stack_unpoison(s)  __asan_unpoison_memory_region(stack_base(s), stack_size(s))
#else
#define are_roots(base, size) ((void)0)
#define no_roots(base, size)  ((void)0)
#define stack_unpoison(s) ((void)0)
#endif

#ifdef WEFT_VALGRIND
#include <valgrind/valgrind.h>
#define valgrind_knows(s) ((s)->valgrind_id = VALGRIND_STACK_REGISTER(stack_base(s), stack_top(s)))
#define valgrind_forgets(s) VALGRIND_STACK_DEREGISTER((s)->valgrind_id)
#else
#define valgrind_knows(s)   ((void)0)
#define valgrind_forgets(s) ((void)0)
#endif

enum {
	CUT_AT_ONCE = 16,
	CHUNK_LEAST = 16, /* slots; each chunk has twice as many as the one before */
	CHUNK_MOST = 1024,
	DEPOT_BATCH = 16, /* stacks that one holding of the lock moves */
	TRIM_BATCH = 16,
	TRIM_EVERY_NS = 10000000,
	COLOUR_STEP = 64,
	NODES = 64, /* those beyond it are not told apart */
};

_Static_assert(CHUNK_LEAST >= CUT_AT_ONCE, "the first chunk is worth a call");
_Static_assert(STACK_KEPT % OS_PAGE == 0 && STACK_KEPT <= STACK_LEAST, "in pages, and every stack has them");

/* Those of one class on one node, and address space there that is not yet cut; up to `guarded` it has its guards. */
struct store {
	struct stack *warm, *cold; /* with pages, without */
	char *chunk, *guarded, *chunk_end;
	size_t slots; /* of the newest chunk */
};

/* Everything that the P's lists do not hold. Stores 0 prefer no node, stores i node i - 1. */
static struct {
	struct spin lock;
	struct store store[1 + NODES][STACK_CLASSES];
	size_t nwarm;
	unsigned next_colour;
	struct slab descriptors;
	bool ready;
	_Atomic size_t reserved;
} depot;

static struct stack *new_descriptor_locked(void)
{
	if (!depot.ready) {
		slab_init(&depot.descriptors, sizeof(struct stack), 1 << 20);
		depot.ready = true;
	}
	return slab_take_one(&depot.descriptors);
}

static void free_descriptor(struct stack *s)
{
	struct slab_free *o = (struct slab_free *)(void *)s;
	slab_give(&depot.descriptors, o, o, 1);
}

static int store_of(const struct stack_cache *c)
{
	return c->node <= NODES ? c->node : 0;
}

static size_t slot_size(unsigned class)
{
	return stack_class_size(class) + STACK_GUARD;
}

/* Describes the slot at `low`, which has its guard. */
static struct stack *describe_locked(char *low, size_t usable, int store, unsigned class)
{
	struct stack *s = new_descriptor_locked();
	if (!s)
		return NULL;
	unsigned colour = depot.next_colour++ % STACK_COLOURS * COLOUR_STEP;
	store_rlx(&s->base, low + STACK_GUARD);
	store_rlx(&s->top, low + STACK_GUARD + usable);
	s->colour = colour;
	s->store = store;
	s->class = class;
	valgrind_knows(s);
	add_rlx(&depot.reserved, usable + STACK_GUARD);
	return s;
}

/* Address space whose pages are to come from the store's node. */
static char *reserve(size_t bytes, int store)
{
	char *base = os_reserve(bytes);
	if (base && store)
		os_prefer_node(base, bytes, store - 1);
	return base;
}

/* Chunks grow, so that few goroutines have little address space (all of which is there at once where it is locked), and
 * many of them few mappings. */
static bool new_chunk_locked(int store, unsigned class)
{
	struct store *d = &depot.store[store][class];
	size_t slot = slot_size(class);
	size_t slots = !d->slots ? CHUNK_LEAST : d->slots < CHUNK_MOST ? 2 * d->slots : CHUNK_MOST;
	char *chunk = reserve(slot * slots, store);
	if (!chunk && slots > CHUNK_LEAST)
		chunk = reserve(slot * (slots = CHUNK_LEAST), store);
	if (!chunk)
		return false;
	d->slots = slots;
	d->chunk = d->guarded = chunk;
	d->chunk_end = chunk + slot * slots;
	are_roots(chunk, slot * slots);
	return true;
}

/* Guards the next few slots, and has the top pages there that their goroutines will touch at once. */
static bool guard_slots_locked(int store, unsigned class)
{
	struct store *d = &depot.store[store][class];
	size_t slot = slot_size(class);
	if (d->chunk == d->chunk_end && !new_chunk_locked(store, class))
		return false;
	int left = (int)((size_t)(d->chunk_end - d->chunk) / slot);
	int n = os_guard_many(d->chunk, STACK_GUARD, slot, left < CUT_AT_ONCE ? left : CUT_AT_ONCE);
	if (n < 0)
		return false;
	os_populate_many(d->chunk + slot - OS_PAGE, OS_PAGE, slot, n);
	d->guarded += (size_t)n * slot;
	return true;
}

static struct stack *cut_locked(int store, unsigned class)
{
	struct store *d = &depot.store[store][class];
	if (d->chunk == d->guarded && !guard_slots_locked(store, class))
		return NULL;
	struct stack *s = describe_locked(d->chunk, stack_class_size(class), store, class);
	if (s)
		d->chunk += slot_size(class);
	return s;
}

static struct stack *pop_locked(int store, unsigned class)
{
	struct store *d = &depot.store[store][class];
	struct stack **list = d->warm ? &d->warm : &d->cold;
	struct stack *s = *list;
	if (!s)
		return cut_locked(store, class);
	if (list == &d->warm)
		depot.nwarm--;
	*list = s->next;
	return s;
}

static struct stack *take_large(size_t size, int store)
{
	size = (size + OS_PAGE - 1) / OS_PAGE * OS_PAGE;
	char *low = reserve(size + STACK_GUARD, store);
	if (!low)
		return NULL;
	struct stack *s = NULL;
	if (os_guard(low, STACK_GUARD) == 0) {
		spin_lock(&depot.lock);
		s = describe_locked(low, size, store, STACK_LARGE);
		spin_unlock(&depot.lock);
	}
	if (s)
		are_roots(stack_base(s), stack_size(s));
	else
		os_release(low, size + STACK_GUARD);
	return s;
}

static void give_large(struct stack *s)
{
	no_roots(stack_base(s), stack_size(s));
	valgrind_forgets(s);
	sub_rlx(&depot.reserved, stack_size(s) + STACK_GUARD);
	os_release(stack_base(s) - STACK_GUARD, stack_size(s) + STACK_GUARD);
	free_descriptor(s);
}

struct stack *stack_take_slow(struct stack_cache *c, unsigned class)
{
	struct stack_list *l = &c->of[class];
	spin_lock(&depot.lock);
	struct stack *mine = pop_locked(store_of(c), class);
	for (int i = 1; mine && i < CUT_AT_ONCE; i++) {
		struct stack *s = pop_locked(store_of(c), class);
		if (!s)
			break;
		s->next = l->first;
		l->first = s;
		l->n++;
	}
	spin_unlock(&depot.lock);
	return mine;
}

struct stack *stack_take(struct stack_cache *c, size_t size)
{
	unsigned class = stack_class(size);
	return class == STACK_LARGE ? take_large(size, store_of(c)) : stack_take_class(c, class);
}

/* Of n that come back to the depot, so many may be warm: they are counted before they are there. */
static int take_warm_places(int n)
{
	spin_lock(&depot.lock);
	size_t left = STACK_DEPOT_WARM - depot.nwarm;
	if ((size_t)n > left)
		n = (int)left;
	depot.nwarm += (size_t)n;
	spin_unlock(&depot.lock);
	return n;
}

/* The first n of a list, `warm` of them to be warm; the rest. */
static struct stack *put_in_depot(struct stack *s, int n, int warm)
{
	spin_lock(&depot.lock);
	for (int i = 0; i < n; i++) {
		struct stack *next = s->next;
		struct store *d = &depot.store[s->store][s->class];
		struct stack **list = i < warm ? &d->warm : &d->cold;
		s->next = *list;
		*list = s;
		s = next;
	}
	spin_unlock(&depot.lock);
	return s;
}

/* The system calls are made without the lock. One that is refused, as of locked memory: the stack keeps its pages. */
static void give_to_depot(struct stack *s)
{
	while (s) {
		int n = 0;
		for (struct stack *t = s; t && n < DEPOT_BATCH; t = t->next)
			n++;
		int warm = take_warm_places(n), i = 0;
		for (struct stack *t = s; i < n; t = t->next) {
			size_t goes = stack_size(t) - (i++ < warm ? STACK_KEPT : 0);
			if (goes)
				os_discard(stack_base(t), goes);
		}
		s = put_in_depot(s, n, warm);
	}
}

static struct stack *nth(struct stack *s, int n)
{
	while (n--)
		s = s->next;
	return s;
}

/* The older half goes: the newer one is hot. */
void stack_give_slow(struct stack_cache *c, struct stack *s)
{
	struct stack_list *l = &c->of[s->class];
	struct stack *keep = nth(l->first, STACK_CACHE_MAX / 2 - 1), *rest = keep->next;
	keep->next = NULL;
	l->n = STACK_CACHE_MAX / 2;
	give_to_depot(rest);
	stack_give_class(c, s, s->class);
}

/* The classes take turns: a trim takes no longer for there being several. */
static struct stack_list *list_to_trim(struct stack_cache *c)
{
	do {
		c->trimmed = (c->trimmed + 1) % STACK_CLASSES;
	} while (c->of[c->trimmed].n <= STACK_HOT);
	return &c->of[c->trimmed];
}

void stack_trim_slow(struct stack_cache *c, int64_t now)
{
	struct stack_list *l = list_to_trim(c);
	c->trim_at = now + TRIM_EVERY_NS;
	unsigned n = l->n - STACK_HOT < TRIM_BATCH ? l->n - STACK_HOT : TRIM_BATCH;
	struct stack *keep = nth(l->first, STACK_HOT - 1), *from = keep->next, *last = nth(keep, (int)n);
	keep->next = last->next;
	last->next = NULL;
	l->n -= n;
	give_to_depot(from);
}

void stack_give(struct stack_cache *c, struct stack *s)
{
	stack_unpoison(s);
	if (s->class == STACK_LARGE)
		give_large(s);
	else
		stack_give_class(c, s, s->class);
}

void stack_flush(struct stack_cache *c)
{
	for (unsigned i = 0; i < STACK_CLASSES; i++) {
		struct stack *all = c->of[i].first;
		c->of[i] = (struct stack_list){0};
		give_to_depot(all);
	}
}

size_t stack_bytes_reserved(void)
{
	return load_rlx(&depot.reserved);
}
