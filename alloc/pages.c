#include "alloc/pages.h"
#include "alloc/os.h"

#include "lockfree/assert.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { WORD = 64, ARENA_BYTES = ARENA_PAGES << PAGE_SHIFT, OPENED_AT_ONCE = 256 };

static_assert(ARENA_PAGES % OPENED_AT_ONCE == 0, "what is opened stays within the heap");

static_assert(ARENA_PAGES % WORD == 0, "an arena's bits are whole words");
static_assert(PAGE_BYTES % OS_PAGE == 0, "a page can be given back to the system");

static const size_t NOWHERE = SIZE_MAX;

/* ---- bits ---- */

/* Of the word with bit i, those of the range [i, i + n) that are in it. */
static uint64_t mask_from(size_t i, size_t n)
{
	uint64_t mask = n < WORD ? ((uint64_t)1 << n) - 1 : UINT64_MAX;
	return mask << i % WORD;
}

static size_t in_word(size_t i, size_t n)
{
	size_t left = WORD - i % WORD;
	return n < left ? n : left;
}

static void set(uint64_t *bits, size_t i, size_t n)
{
	for (size_t step; n > 0; i += step, n -= step) {
		step = in_word(i, n);
		bits[i / WORD] |= mask_from(i, step);
	}
}

static void clear(uint64_t *bits, size_t i, size_t n)
{
	for (size_t step; n > 0; i += step, n -= step) {
		step = in_word(i, n);
		bits[i / WORD] &= ~mask_from(i, step);
	}
}

static size_t count(const uint64_t *bits, size_t i, size_t n)
{
	size_t set_bits = 0;
	for (size_t step; n > 0; i += step, n -= step) {
		step = in_word(i, n);
		set_bits += (size_t)__builtin_popcountll(bits[i / WORD] & mask_from(i, step));
	}
	return set_bits;
}

/* The first bit of [i, end) that is `want`, or end. */
static size_t next_bit(const uint64_t *bits, size_t i, size_t end, bool want)
{
	uint64_t flip = want ? 0 : UINT64_MAX;
	while (i < end) {
		uint64_t word = (bits[i / WORD] ^ flip) >> i % WORD;
		if (word) {
			i += (size_t)__builtin_ctzll(word);
			return i < end ? i : end;
		}
		i += WORD - i % WORD;
	}
	return end;
}

/* ---- searching ---- */

/* Of an arena, the first run of n pages that nobody has. Otherwise NOWHERE, and the arena knows how long its longest is. */
static size_t search(struct pages *p, size_t arena, size_t n)
{
	struct pages_arena *a = &p->arenas[arena];
	size_t end = (arena + 1) * ARENA_PAGES, most = 0;
	for (size_t i = arena * ARENA_PAGES; i < end;) {
		size_t from = next_bit(p->taken_bits, i, end, false);
		i = next_bit(p->taken_bits, from, end, true);
		if (i - from >= n)
			return from;
		if (i - from > most)
			most = i - from;
	}
	a->most = (uint32_t)most;
	return NOWHERE;
}

static bool is_of(const struct pages_arena *a, int node)
{
	return node < 0 || a->node == node;
}

enum { ANY_NODE = -1 };

static size_t first_fit(struct pages *p, size_t n, int node)
{
	for (size_t i = 0; i < p->narenas; i++) {
		if (p->arenas[i].most < n || !is_of(&p->arenas[i], node))
			continue;
		size_t at = search(p, i, n);
		if (at != NOWHERE)
			return at;
	}
	return NOWHERE;
}

/* Whole arenas, and the beginning of one more. */
static size_t first_fit_large(struct pages *p, size_t n, int node)
{
	size_t run = 0; /* pages that nobody has, up to the end of the arena before */
	for (size_t i = 0; i < p->narenas; i++) {
		struct pages_arena *a = &p->arenas[i];
		if (!is_of(a, node)) {
			run = 0;
			continue;
		}
		size_t begin = i * ARENA_PAGES, want = n - run < ARENA_PAGES ? n - run : ARENA_PAGES;
		if (run + ARENA_PAGES >= n && next_bit(p->taken_bits, begin, begin + want, true) == begin + want)
			return begin - run;
		run = a->nfree == ARENA_PAGES ? run + ARENA_PAGES : 0;
	}
	return NOWHERE;
}

/* Adds arenas for a run of n pages, of which the last arenas may have some already; where it begins. */
static size_t grow(struct pages *p, size_t n, int node)
{
	size_t from = p->narenas;
	while (n > ARENA_PAGES && from > 0 && p->arenas[from - 1].nfree == ARENA_PAGES && is_of(&p->arenas[from - 1], node))
		from--;
	size_t end = from + (n + ARENA_PAGES - 1) / ARENA_PAGES;
	if (end > p->npages / ARENA_PAGES)
		return NOWHERE;
	for (; p->narenas < end; p->narenas++) {
		p->arenas[p->narenas] = (struct pages_arena){ARENA_PAGES, ARENA_PAGES, node};
		set(p->empty_bits, p->narenas * ARENA_PAGES, ARENA_PAGES);
	}
	return from * ARENA_PAGES;
}

/* ---- taking and giving ---- */

static void note(struct pages *p, size_t at, size_t n, bool taken)
{
	for (size_t step; n > 0; at += step, n -= step) {
		struct pages_arena *a = &p->arenas[at / ARENA_PAGES];
		step = ARENA_PAGES - at % ARENA_PAGES;
		step = n < step ? n : step;
		a->nfree += taken ? -(uint32_t)step : (uint32_t)step;
		if (!taken)
			a->most = a->nfree;
	}
}

/* Pages are opened from the low end on, some at once; false: there is no memory. */
static bool open_up_to(struct pages *p, size_t end)
{
	if (end <= p->opened)
		return true;
	size_t to = (end + OPENED_AT_ONCE - 1) / OPENED_AT_ONCE * OPENED_AT_ONCE;
	if (os_open(p->base + (p->opened << PAGE_SHIFT), (to - p->opened) << PAGE_SHIFT))
		return false;
	p->opened = to;
	return true;
}

static struct pages_run take_locked(struct pages *p, size_t at, size_t n)
{
	size_t empty = count(p->empty_bits, at, n);
	assert_debug(count(p->taken_bits, at, n) == 0);
	set(p->taken_bits, at, n);
	clear(p->empty_bits, at, n);
	note(p, at, n, true);
	p->taken += n;
	p->free -= n - empty;
	return (struct pages_run){p->base + (at << PAGE_SHIFT), empty == n};
}

enum emptiness { WITH_MEMORY, EMPTY };

static void give_locked(struct pages *p, size_t at, size_t n, enum emptiness emptiness)
{
	assert_always(n > 0 && at + n <= p->narenas * ARENA_PAGES);
	assert_debug(count(p->taken_bits, at, n) == n);
	clear(p->taken_bits, at, n);
	note(p, at, n, false);
	p->taken -= n;
	if (emptiness == EMPTY)
		set(p->empty_bits, at, n);
	else
		p->free += n;
}

static size_t find_or_grow(struct pages *p, size_t n, int node)
{
	size_t at = n > ARENA_PAGES ? first_fit_large(p, n, node) : first_fit(p, n, node);
	return at != NOWHERE ? at : grow(p, n, node);
}

/* Arenas that are new are to have their memory from the node, whoever touches it first. */
static void place(struct pages *p, size_t from, size_t to, int node)
{
	if (node >= 0 && to > from)
		os_prefer_node(p->base + from * ARENA_BYTES, (to - from) * ARENA_BYTES, node);
}

struct pages_run pages_take(struct pages *p, size_t n, int node)
{
	struct pages_run run = {NULL, false};
	if (n == 0 || n > p->npages)
		return run;
	spin_lock(&p->lock);
	size_t before = p->narenas;
	size_t at = find_or_grow(p, n, node);
	if (at == NOWHERE && node >= 0)
		at = find_or_grow(p, n, ANY_NODE);
	size_t after = p->narenas;
	if (at != NOWHERE && open_up_to(p, at + n))
		run = take_locked(p, at, n);
	spin_unlock(&p->lock);
	place(p, before, after, node);
	return run;
}

void pages_give(struct pages *p, void *at, size_t n)
{
	assert_always(pages_has(p, (uintptr_t)at) && (uintptr_t)at % PAGE_BYTES == 0);
	spin_lock(&p->lock);
	give_locked(p, pages_index(p, (uintptr_t)at), n, WITH_MEMORY);
	spin_unlock(&p->lock);
}

/* ---- giving back to the system ---- */

/* The last free run that ends at or before `end`, of at most n pages: where it ends is *end afterwards, and how many it has is returned. */
static size_t last_free(struct pages *p, size_t *end, size_t n)
{
	size_t i = *end, pages = 0;
	while (i > 0) {
		uint64_t nobodys = ~(p->taken_bits[(i - 1) / WORD] | p->empty_bits[(i - 1) / WORD]);
		bool free = nobodys >> (i - 1) % WORD & 1;
		if (!free && pages)
			break;
		if (!nobodys && i % WORD == 0) {
			i -= WORD;
			continue;
		}
		i--;
		if (!free)
			continue;
		if (pages == 0)
			*end = i + 1;
		if (++pages == n)
			break;
	}
	return pages;
}

size_t pages_release(struct pages *p, size_t bytes)
{
	size_t want = bytes >> PAGE_SHIFT, released = 0, n;
	spin_lock(&p->lock);
	size_t end = p->narenas * ARENA_PAGES;
	while (released < want && (n = last_free(p, &end, want - released)) > 0) {
		size_t at = end -= n;
		take_locked(p, at, n);
		spin_unlock(&p->lock);
		int err = os_discard(p->base + (at << PAGE_SHIFT), n << PAGE_SHIFT);
		spin_lock(&p->lock);
		give_locked(p, at, n, err ? WITH_MEMORY : EMPTY);
		if (err)
			break;
		released += n;
	}
	spin_unlock(&p->lock);
	return released << PAGE_SHIFT;
}

struct pages_use pages_use(struct pages *p)
{
	spin_lock(&p->lock);
	size_t all = p->narenas * ARENA_PAGES;
	struct pages_use use = {all << PAGE_SHIFT, p->taken << PAGE_SHIFT, p->free << PAGE_SHIFT,
				(all - p->taken - p->free) << PAGE_SHIFT};
	spin_unlock(&p->lock);
	return use;
}

/* ---- beginning and end ---- */

/* Bits and arenas lie behind the heap in the same reservation, and cost memory where they are used. */
static size_t beside(size_t narenas)
{
	return narenas * (2 * ARENA_PAGES / 8 + sizeof(struct pages_arena)) + OS_PAGE;
}

int pages_init(struct pages *p, size_t bytes)
{
	size_t narenas = bytes / ARENA_BYTES ? bytes / ARENA_BYTES : 1;
	*p = (struct pages){0};
	for (; narenas > 0; narenas /= 2) {
		p->reserved_bytes = (narenas + 1) * ARENA_BYTES + beside(narenas);
		p->reserved = os_reserve_closed(p->reserved_bytes, OS_FAULTS);
		if (p->reserved)
			break;
	}
	if (!p->reserved)
		return -ENOMEM;
	p->base = (char *)(((uintptr_t)p->reserved + ARENA_BYTES - 1) / ARENA_BYTES * ARENA_BYTES);
	p->npages = narenas * ARENA_PAGES;
	p->taken_bits = (uint64_t *)(void *)(p->base + narenas * ARENA_BYTES);
	p->empty_bits = p->taken_bits + p->npages / WORD;
	p->arenas = (struct pages_arena *)(void *)(p->empty_bits + p->npages / WORD);
	int err = os_open(p->taken_bits, beside(narenas));
	if (err)
		pages_fini(p);
	return err;
}

void pages_fini(struct pages *p)
{
	os_release(p->reserved, p->reserved_bytes);
	*p = (struct pages){0};
}
