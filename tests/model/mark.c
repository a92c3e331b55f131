/* Marking (gc/mark.c) by two markers, the same source with queues of one span: they reach objects from roots of their own, and steal.
 *
 * What must hold: in the end nothing is queued, what is reachable is marked and nothing else is, and each object with pointers has been looked at
 * once, a large one each of its pieces.
 */
#include "tests/model/atomic.h"
#include "tests/model/fence.h"
#include "tests/model/scenarios.h"

#include "tests/test.h"

#include <string.h>

#include "lockfree/assert.h"
#undef assert_debug
#define assert_debug(e) ((e) ? (void)0 : explorer_abandon(#e))

#include "gc/mark.c"

#include "gc/scan.c"

#include "alloc/span.c"
#include "lockfree/spin.c"

#include MODEL_EDGES

/* Spans of objects of two words, the first of which is a pointer; the last span is one large object of leaves' addresses. */
enum { SPANS = 4, PER_SPAN = 2, WORDS = 2, LARGE = SPANS - 1, PIECES = 2, LARGE_WORDS = PIECES * GC_PIECE / 8 };

/* Each small span has a page of its own, and the large one the last ones. */
static struct {
	_Alignas(PAGE_BYTES) _Atomic uintptr_t small[LARGE][PAGE_BYTES / sizeof(uintptr_t)];
	_Atomic uintptr_t large[LARGE_WORDS];
} memory;
enum { PAGES = sizeof memory >> PAGE_SHIFT };
static struct span span[SPANS];
static _Atomic(struct span *) table[PAGES];
static struct heap heap;
static_assert(PIECES * GC_PIECE % PAGE_BYTES == 0, "the large object is whole pages");

/* Objects are letters, two for a span: a b, c d, e f; L is the large one. The pointers are pairs of letters. A thread marks the roots of its script, and
 * then whatever there is until it finds nothing more. */
static const struct scenario {
	const char *script[3];
	const char *pointers;
	int preemptions, stale_reads;
} scenarios[] = {
    {{"a", "b", ""}, "ac bd", 2, 1},
    {{"ab", "", ""}, "ac bd ca", 2, 1},
    {{"a", "a", ""}, "ac ce", 2, 1},
    {{"ac", "e", ""}, "ab cd ef", 2, 1},
    {{"ac", "bd", ""}, "ae bf", 2, 0},
    {{"ace", "d", ""}, "af", 2, 0},
    {{"L", "a", ""}, "La Lb", 2, 0},
    {{"aL", "L", ""}, "Lc", 2, 0},
}, *scenario;

static struct gc_marking marking;
static struct gc_marker marker[2];
static bool reachable[SPANS][PER_SPAN];

struct heap_object heap_find(struct heap *h, uintptr_t address)
{
	if (!pages_has(&h->pages, address))
		return (struct heap_object){NULL, 0};
	struct span *s = load_acq(&h->table[pages_index(&h->pages, address)]);
	uint32_t slot = span_slot_of(s, address);
	return (struct heap_object){slot < s->nslots ? s : NULL, slot};
}

bool heap_is_fresh(struct heap_object o)
{
	(void)o;
	return false;
}

static bool *is_reachable(char object)
{
	return object == 'L' ? &reachable[LARGE][0] : &reachable[(object - 'a') / PER_SPAN][(object - 'a') % PER_SPAN];
}

static _Atomic uintptr_t *address_of(char object)
{
	return object == 'L' ? memory.large : &memory.small[(object - 'a') / PER_SPAN][(object - 'a') % PER_SPAN * WORDS];
}

/* The large object's pointers lie in its pieces, one in each. */
static void point(char from, char to, int pieces)
{
	store_rlx(address_of(from) + (from == 'L' ? pieces * GC_PIECE / 8 : 0), (uintptr_t)address_of(to));
}

static void reach_all(void)
{
	for (int i = 0; i < 2; i++)
		for (const char *s = scenario->script[i]; *s; s++)
			*is_reachable(*s) = true;
	for (int round = 0; round < 8; round++)
		for (const char *s = scenario->pointers; *s; s += s[2] ? 3 : 2)
			*is_reachable(s[1]) |= *is_reachable(s[0]);
}

static void make_spans(void)
{
	for (int i = 0; i < LARGE; i++) {
		span[i].base = (char *)memory.small[i];
		span[i].reciprocal = ((uint64_t)1 << SIZE_SHIFT) / (WORDS * sizeof(uintptr_t));
		span[i].slot_size = WORDS * sizeof(uintptr_t);
		span[i].nslots = PER_SPAN;
		span[i].shape = (struct shape){SHAPE_MAP, WORDS, 1};
	}
	span[LARGE].base = (char *)memory.large;
	span[LARGE].nslots = 1;
	span[LARGE].npages = sizeof memory.large >> PAGE_SHIFT;
	span[LARGE].slot_size = sizeof memory.large;
	span[LARGE].shape = (struct shape){SHAPE_MAP, 64, 1};
	for (int i = 0; i < PAGES; i++)
		store_rlx(&table[i], &span[i < LARGE ? i : LARGE]);
}

static void start(void)
{
	int pieces = 0;
	memset((void *)&memory, 0, sizeof memory);
	memset((void *)&span, 0, sizeof span);
	memset(reachable, 0, sizeof reachable);
	make_spans();
	for (const char *s = scenario->pointers; *s; s += s[2] ? 3 : 2)
		point(s[0], s[1], pieces++);
	reach_all();
	heap.pages.base = (char *)&memory;
	heap.pages.npages = PAGES;
	heap.table = table;
	gc_marking_init(&marking, &heap);
	marking.lines = GC_LINES_SCALAR; /* whose loads the explorer sees */
	for (int i = 0; i < 2; i++) {
		gc_marker_init(&marker[i], &marking);
		deque_init(&marker[i].queue, marker[i].slots, 1);
	}
	explorer_private(&memory, sizeof memory);
	explorer_private(&table, sizeof table);
	explorer_watch(&span, sizeof span);
}

static void thread(int which)
{
	struct gc_marker *other = &marker[1 - which];
	for (const char *s = scenario->script[which]; *s; s++)
		gc_mark(&marker[which], (uintptr_t)address_of(*s));
	while (gc_mark_step(&marker[which], 1, &other, 1))
		;
}

static void check_span(int i, uint64_t *live, uint64_t *work)
{
	struct span *s = &span[i];
	explorer_check(!load_rlx(&s->queued), "no span waits");
	for (uint32_t k = 0; k < s->nslots; k++) {
		explorer_check(span_is_marked(s, k) == reachable[i][k], "what is reachable is marked, and nothing else");
		if (reachable[i][k]) {
			*live += span_slot_size(s);
			*work += span_slot_size(s);
		}
	}
	explorer_check(span_is_large(s) || load_rlx(&s->scanned[0]) == load_rlx(&s->marks[0]), "what is marked has been looked at");
}

static void end(void)
{
	struct gc_marker *both[] = {&marker[0], &marker[1]};
	uint64_t live = 0, work = 0;
	explorer_check(gc_nothing_queued(&marking, both, 2), "nothing is queued");
	for (int i = 0; i < SPANS; i++)
		check_span(i, &live, &work);
	explorer_check(marker[0].live + marker[1].live == live, "each object is reached by one");
	explorer_check(marker[0].work + marker[1].work == work, "and looked at once");
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		struct explorer_program p = {2, start, thread, end, scenario->preemptions, scenario->stale_reads, NULL, false};
		const char *broken = explore_scripts(scenario->script, p, m);
		if (broken)
			return broken;
	}
	return NULL;
}

TEST(marking_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}
