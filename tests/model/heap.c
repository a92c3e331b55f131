/* The collected heap (alloc/heap.c, span.c), the same source with runs of two objects and the pages of an array: one or two threads allocate
 * while another looks words up, as a marker does; and spans are swept.
 *
 * What must hold: a word finds a slot only if there is an object, so that a stray one marks no slot that is still to be allocated; who has an
 * object's address from its allocator finds it, and finds zeroes or what was written there; what was allocated white is never taken for fresh; two that
 * ask for one cell get one; and what is swept is swept for who has been told so.
 */
#include "tests/model/atomic.h"
#include "tests/model/scenarios.h"

#include "tests/test.h"

#include <errno.h>
#include <string.h>

#include "lockfree/assert.h"
#undef assert_debug
#define assert_debug(e) ((e) ? (void)0 : explorer_abandon(#e))

/* What is poisoned for AddressSanitizer is a matter of the unit tests: here memory is used again, and spoilt on purpose. */
#include "lockfree/sanitize.h"
#define ALLOC_POISON_H
#define poison(at, bytes)      ((void)(at), (void)(bytes))
#define unpoison(at, bytes)    ((void)(at), (void)(bytes))
#define poison_fill(at, bytes) ((void)(at), (void)(bytes))
enum { POISON_FILLS = 0 };

#define pages_init      model_pages_init
#define pages_fini      model_pages_fini
#define pages_take      model_pages_take
#define pages_give      model_pages_give
#define slab_init       model_slab_init
#define slab_take       model_slab_take
#define slab_give       model_slab_give
#define os_reserve      model_os_reserve
#define os_release      model_os_release
#define HEAP_RUN_BYTES_MOST 4096
#include "alloc/heap.c"
#include "alloc/span.c"
#include "lockfree/spin.c"

#include MODEL_EDGES

enum { OLD = 67, SIZE = 2048, SIZE_IN_HOLES = 64, SIZE_OF_WORDS = 32, PER_RUN = RUN_BYTES / SIZE, SPANS = 4, SPAN_BYTES = 1 << 15, NOT_ZERO = 0x55 };
static_assert(PER_RUN == 2, "a run is two objects");

/* A letter is a call: a allocates an object, which others learn of; a digit looks a word up that points into that slot of the first span, or of its
 * first free word, and n one into what the next span will be, or the word behind; r looks up what the other has allocated; s sweeps a span, i asks
 * whether all is swept; c asks for a cell, x allocates an object of another cell, o counts what the first has allocated; w looks up the white object
 * of two neighbours, whose allocator's cache is black by now, and b allocates from that; z looks up an old object behind the slot that is free in its
 * word, as slots behind those of the word before are. */
static const struct scenario {
	const char *script[3];
	enum { WITH_ROOM, WITHOUT, GARBAGE, NEIGHBOURS, HOLES, WHOLE_WORDS, TWO_WORDS } how; /* the first span's state; garbage, neighbours: and a second one's */
	int preemptions, stale_reads;
} scenarios[] = {
    {{"aa", "313", ""}, HOLES, 2, 2},
    {{"aa", "rr", ""}, HOLES, 3, 2},
    {{"aaa", "2", ""}, HOLES, 2, 2},
    {{"aaa", "6", "5"}, HOLES, 1, 1},
    {{"aa", "n01", ""}, WHOLE_WORDS, 2, 2},
    {{"aaa", "z", ""}, TWO_WORDS, 2, 2},
    {{"bb", "w", ""}, NEIGHBOURS, 2, 3},
    {{"bbb", "w", ""}, NEIGHBOURS, 2, 3},
    {{"bbbb", "w", ""}, NEIGHBOURS, 2, 3},
    {{"c", "c", ""}, WITH_ROOM, 3, 2},
    {{"a", "1", ""}, WITH_ROOM, 3, 3},
    {{"aa", "12", ""}, WITH_ROOM, 3, 3},
    {{"x", "o", ""}, WITH_ROOM, 2, 2},
    {{"a", "n", ""}, WITHOUT, 3, 3},
    {{"s", "s", ""}, GARBAGE, 2, 1},
    {{"a", "i", ""}, GARBAGE, 2, 2},
    {{"s", "si", ""}, GARBAGE, 2, 2},
    {{"aa", "rr", ""}, WITH_ROOM, 3, 2},
    {{"aa", "rn", ""}, WITHOUT, 2, 2},
    {{"aaaa", "3434", ""}, WITH_ROOM, 2, 2},
    {{"s", "i", ""}, GARBAGE, 3, 2},
    {{"c", "c", "c"}, WITH_ROOM, 2, 1},
    {{"a", "s", "i"}, GARBAGE, 2, 0},
    {{"aaa", "r1r", "23"}, WITH_ROOM, 2, 1},
    {{"aa", "aa", "132"}, WITH_ROOM, 2, 1},
    {{"aaa", "321", ""}, WITH_ROOM, 3, 2},
}, *scenario;

/* ---- pages, and what else the heap stands on ---- */

static struct {
	_Alignas(PAGE_BYTES) char bytes[SPANS * SPAN_BYTES];
	int taken;
	struct span span[SPANS];
	_Atomic(struct span *) table[SPANS * SPAN_BYTES / PAGE_BYTES];
} memory;

int pages_init(struct pages *p, size_t bytes)
{
	(void)bytes;
	p->base = memory.bytes;
	p->npages = sizeof memory.bytes >> PAGE_SHIFT;
	return 0;
}

void pages_fini(struct pages *p)
{
	(void)p;
}

struct pages_run pages_take(struct pages *p, size_t n, int node)
{
	(void)p, (void)node;
	CHECK(n << PAGE_SHIFT <= SPAN_BYTES && memory.taken < SPANS);
	return (struct pages_run){memory.bytes + memory.taken++ * SPAN_BYTES, false};
}

void pages_give(struct pages *p, void *at, size_t n)
{
	(void)p, (void)at, (void)n;
}

void slab_init(struct slab *s, size_t object_size, size_t chunk_size)
{
	(void)s, (void)object_size, (void)chunk_size;
}

/* Asked for before the pages of the same span. */
struct slab_list slab_take(struct slab *s, size_t want)
{
	(void)s;
	CHECK(want == 1);
	return (struct slab_list){(struct slab_free *)(void *)&memory.span[memory.taken], 1};
}

void slab_give(struct slab *s, struct slab_free *first, struct slab_free *last, size_t n)
{
	(void)s, (void)first, (void)last, (void)n;
}

void *os_reserve(size_t bytes)
{
	CHECK(bytes <= sizeof memory.table);
	return memory.table;
}

void os_release(void *p, size_t bytes)
{
	(void)p, (void)bytes;
}

/* ---- the heap ---- */

static struct heap heap;
static struct heap_cache cache[3];
static uint32_t cell;
static const struct shape leaf = {SHAPE_LEAF, 0, 0}, pair = {SHAPE_MAP, 2, 1};
static size_t size;
static bool intended[SPANS * SPAN_BYTES / SIZE_OF_WORDS]; /* somebody is about to allocate there, or has */
static _Atomic(char *) root[3];
static char *latest[3]; /* that was allocated */
static uint32_t found_cell[3];
static char *white; /* of two neighbours */

static size_t index_of(const char *object)
{
	return (size_t)(object - memory.bytes) / size;
}

/* Objects of a span come in the order of their addresses; the first one is in the first span behind what was there, or begins another. */
static void intend(const char *last)
{
	if (last) {
		intended[index_of(last) + (scenario->how == HOLES ? 2 : 1)] = true;
		return;
	}
	intended[1] = scenario->how != WHOLE_WORDS;
	intended[64] |= scenario->how == WHOLE_WORDS;
	for (size_t i = 1; i < SPANS; i++)
		intended[i * SPAN_BYTES / size] = true;
}

static void allocate(int which)
{
	intend(latest[which]);
	char *o = latest[which] = heap_new(&cache[which], cell, size);
	explorer_check(o != NULL, "there is memory");
	explorer_check(*(uintptr_t *)(void *)o == 0, "an object is zeroed");
	store_rlx((_Atomic uintptr_t *)(void *)o, 7);
	store_rel(&root[which], o);
}

/* What it points to is found only if it is looked at. */
static void look_at_the_white_one(void)
{
	struct heap_object found = heap_find(&heap, (uintptr_t)white);
	explorer_check(found.span && span_slot(found.span, found.slot) == white, "a white object is found");
	explorer_check(!heap_is_fresh(found), "a white object is not fresh");
}

static void check_content(const struct heap_object *o)
{
	_Atomic uintptr_t *word = (_Atomic uintptr_t *)(void *)span_slot(o->span, o->slot);
	uintptr_t w = load_rlx(word);
	explorer_check(w == 0 || w == 7, "what is found holds zeroes, or what its owner has written");
	if (scenario->how == HOLES)
		explorer_check(((volatile uintptr_t *)(void *)span_slot(o->span, o->slot))[1] == 0,
			       "the rest of it holds zeroes");
}

static void look_up(const char *address)
{
	struct heap_object o = heap_find(&heap, (uintptr_t)address);
	if (!o.span)
		return;
	explorer_check(span_slot(o.span, o.slot) <= address && address < span_slot(o.span, o.slot) + size, "it is that slot");
	explorer_check(intended[index_of(address)], "there is an object where one is found");
	check_content(&o);
}

static void look_at_the_others(int which)
{
	char *o = load_acq(&root[1 - which]);
	if (!o)
		return;
	struct heap_object found = heap_find(&heap, (uintptr_t)o + size - 1);
	explorer_check(found.span && span_slot(found.span, found.slot) == o, "who has an object's address finds it");
}

static void ask_whether_swept(void)
{
	if (!heap_is_swept(&heap))
		return;
	for (int i = 0; i < 2; i++)
		explorer_check(!span_is_marked(&memory.span[i], 0) && span_is_used(&memory.span[i], 0),
			       "what is swept has no marks, but what it has kept");
}

static void ask_for_a_cell(int which)
{
	found_cell[which] = heap_cell(&heap, 64, &pair);
	const struct heap_cell *c = &heap.cells[found_cell[which]];
	explorer_check(found_cell[which] != HEAP_NO_CELL && c->size->size == 64 && c->shape.map == 1, "a cell is what was asked for");
}

static void allocate_of_another_cell(int which)
{
	explorer_check(heap_new(&cache[which], heap_cell(&heap, size, &pair), size) != NULL, "there is memory");
}

/* While its owner allocates that is an estimate; only what it looks at matters here. */
static void count_objects(void)
{
	(void)heap_cache_objects(&cache[0]);
}

static void call(char what, int which)
{
	size_t freed;
	switch (what) {
	case 'a':
		allocate(which);
		break;
	case 'n':
		look_up(memory.bytes + (scenario->how == WHOLE_WORDS ? 128 * size : SPAN_BYTES));
		break;
	case 'r':
		look_at_the_others(which);
		break;
	case 's':
		heap_sweep_one(&heap, &freed);
		break;
	case 'i':
		ask_whether_swept();
		break;
	case 'x':
		allocate_of_another_cell(which);
		break;
	case 'o':
		count_objects();
		break;
	case 'c':
		ask_for_a_cell(which);
		break;
	case 'b':
		explorer_check(heap_new(&cache[which], cell, size) != NULL, "there is memory");
		break;
	case '2':
	case '4':
	case '6':
		look_up(memory.bytes + (what - '0') * size + 8);
		explorer_check(scenario->how != HOLES ||
				   heap_find(&heap, (uintptr_t)memory.bytes + (size_t)(what - '0') * size).span,
			       "what is between the gaps of a run is found");
		break;
	case 'z':
		explorer_check(heap_find(&heap, (uintptr_t)memory.bytes + OLD * size).span, "an old object is found, whichever word the run is in");
		break;
	case 'w':
		look_at_the_white_one();
		break;
	default:
		look_up(memory.bytes + (what - '0' + (scenario->how == WHOLE_WORDS ? 64 : 0)) * size + 8);
	}
}

/* Another cache has had the first span, and left an object in it, or one in each second slot, or a whole word of them, or as many as there is room
 * for, and perhaps one in a second. */
static void fill_first_span(void)
{
	struct heap_cache *c = &cache[2];
	unsigned all = size_classes[size_class_of(size)].slots,
		 n = scenario->how == WITH_ROOM || scenario->how >= HOLES ? 1 : all + (scenario->how == GARBAGE);
	for (unsigned i = 0; i < n; i++)
		intended[index_of(heap_new(c, cell, size))] = true;
	heap_flush(c);
	if (scenario->how == HOLES) {
		span_use(&memory.span[0], (struct span_slots){1 << 2 | 1 << 4 | 1 << 6, 0, 0});
		intended[2] = intended[4] = intended[6] = true;
	}
	if (scenario->how == TWO_WORDS) {
		span_use(&memory.span[0], (struct span_slots){~(UINT64_C(1) | 1 << 1 | 1 << 3), 0, 0});
		span_use(&memory.span[0], (struct span_slots){~(UINT64_C(1) << 2), 1, 0});
		memset(intended, 1, sizeof intended);
	}
	if (scenario->how == WHOLE_WORDS)
		span_use(&memory.span[0], (struct span_slots){span_bits(1, 64), 0, 0});
	if (scenario->how != GARBAGE)
		return;
	span_mark(&memory.span[0], 0);
	span_mark(&memory.span[1], 0);
	heap_begin_sweeping(&heap);
}

/* Of the first span the last run is free, and of the second the first: from that one a white object is allocated. Its cache goes on in the first
 * span, and where that ends the second begins. */
static void allocate_white(void)
{
	unsigned all = size_classes[size_class_of(size)].slots;
	for (unsigned i = 0; i < 2 * all; i++)
		heap_new(&cache[2], cell, size);
	heap_flush(&cache[2]);
	span_mark_all(&memory.span[0], (struct span_slots){span_bits(0, all - PER_RUN), 0, 0});
	span_mark_all(&memory.span[1], (struct span_slots){span_bits(PER_RUN, all), 0, 0});
	heap_begin_sweeping(&heap);
	heap_cache_init(&cache[0], &heap, -1);
	size_t freed;
	heap_sweep_one(&heap, &freed);
	white = heap_new(&cache[0], cell, size);
	CHECK(white == memory.bytes + SPAN_BYTES);
	heap_sweep_one(&heap, &freed);
	heap_recolour(&cache[0], HEAP_BLACK);
}

static void start(void)
{
	memset(&heap, 0, sizeof heap.pages + sizeof heap.spans);
	memset((void *)&memory.span, 0, sizeof memory.span);
	memset((void *)&memory.table, 0, sizeof memory.table);
	memset(memory.bytes, NOT_ZERO, sizeof memory.bytes);
	memset(intended, 0, sizeof intended);
	memset(found_cell, 0, sizeof found_cell);
	memset(latest, 0, sizeof latest);
	memset((void *)&root, 0, sizeof root);
	memory.taken = 0;
	CHECK_EQ(heap_init(&heap, sizeof memory.bytes), 0);
	size = scenario->how == HOLES || scenario->how == TWO_WORDS ? SIZE_IN_HOLES : scenario->how == WHOLE_WORDS ? SIZE_OF_WORDS : SIZE;
	cell = heap_cell(&heap, size, &leaf);
	for (int i = 0; i < 3; i++)
		heap_cache_init(&cache[i], &heap, -1);
	if (scenario->how != NEIGHBOURS)
		fill_first_span();
	for (int i = 0; i < 3; i++)
		heap_cache_init(&cache[i], &heap, -1);
	if (scenario->how == NEIGHBOURS)
		allocate_white();
	explorer_watch(&memory.span, sizeof memory.span);
	explorer_watch(heap.cells, sizeof heap.cells);
	if (scenario->how == HOLES)
		explorer_watch(memory.bytes, 8 * size);
}

static void thread(int which)
{
	for (const char *s = scenario->script[which]; *s; s++)
		call(*s, which);
}

static void end(void)
{
	explorer_check(!found_cell[0] || !found_cell[1] || found_cell[0] == found_cell[1], "what is the same is one cell");
	explorer_check(load_rlx(&heap.sweepers) == 0, "nobody sweeps in the end");
	if (scenario->how == GARBAGE)
		explorer_check(span_is_used(&memory.span[0], 0), "what was marked lives");
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

TEST(the_heap_holds)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	explorer_catches(first_failure, edges, ARRAY_LEN(edges));
}
