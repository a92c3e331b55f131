#include "runtime/gcsite.h"
#include "alloc/os.h"

enum { SITES = 1 << 16, LOAD = SITES / 4 * 3, WORD = sizeof(uintptr_t), OPEN_BYTES = 1 << 20 };

bool gc_sites_are_noted;

static struct {
	struct spin lock; /* of all; who reads does so while everybody stands, or what was written before */
	/* For each word of the heap that an object may begin with: a site, 0 being no known one. Opened from the low end on, as the heap grows. */
	_Atomic uint32_t *of;
	size_t opened; /* bytes of it */
	uint32_t n;
	struct gc_site table[SITES]; /* hashed */
} sites;

static size_t index_of(const void *object)
{
	return ((uintptr_t)object - (uintptr_t)collector.heap.pages.base) / WORD;
}

/* True: what is noted of this object can be written. */
static bool open_for(size_t index)
{
	size_t bytes = (index + 1) * sizeof *sites.of;
	if (bytes <= sites.opened)
		return true;
	size_t to = (bytes + OPEN_BYTES - 1) / OPEN_BYTES * OPEN_BYTES;
	if (os_open((char *)(uintptr_t)sites.of + sites.opened, to - sites.opened))
		return false;
	sites.opened = to;
	return true;
}

static bool same(const struct gc_site *a, const struct gc_site *b)
{
	return a->type == b->type && a->pc == b->pc;
}

/* Where it is, or would be. */
static uint32_t place_of(const struct gc_site *s)
{
	uint64_t key = ((uintptr_t)s->type ^ s->pc * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
	uint32_t at = (uint32_t)(key >> 32) % SITES;
	while (!at || (sites.table[at].pc && !same(&sites.table[at], s)))
		at = (at + 1) % SITES;
	return at;
}

/* 0: there are too many. */
static uint32_t number_of(const struct gc_site *s)
{
	uint32_t at = place_of(s);
	if (sites.table[at].pc)
		return at;
	if (sites.n == LOAD)
		return 0;
	sites.n++;
	sites.table[at] = *s;
	return at;
}

void gc_site_note_slow(const void *object, const struct gc_site *s)
{
	size_t index = index_of(object);
	spin_lock(&sites.lock);
	if (open_for(index))
		store_rlx(&sites.of[index], number_of(s));
	spin_unlock(&sites.lock);
}

struct gc_site gc_site_of(const void *object)
{
	size_t index = index_of(object);
	if (!gc_sites_are_noted || (index + 1) * sizeof *sites.of > sites.opened)
		return sites.table[0];
	return sites.table[load_rlx(&sites.of[index])];
}

void gc_sites_start(void)
{
	size_t words = (collector.heap.pages.npages << PAGE_SHIFT) / WORD;
	sites.of = os_reserve_closed((words * sizeof *sites.of + OPEN_BYTES - 1) / OPEN_BYTES * OPEN_BYTES, OS_READS);
	if (!sites.of)
		fatal("no address space for gcverify");
	gc_sites_are_noted = true;
}
