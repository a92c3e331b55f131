/* A whole cycle of the collector (gc/cycle.c, gc/mutator.h: the same sources) beside two mutators, of which one may be in a blocking section or end at
 * any moment: its phases, its handshakes, the barrier, the colour of what is allocated, under weak memory.
 *
 * The heap is four objects of one pointer each, the roots are two slots, a stack is two locals. Handshakes are as the runtime's (runtime/gchost.c): by
 * passing at the end of a call, by being outside calls after a membarrier, or by being in a section.
 *
 * What must hold: what can be reached when all is over has its mark; stacks and rings are read as they were written.
 */
#define GC_MARK_H
#define GC_WORDS_H
#define GC_SPECIAL_H
#define ALLOC_HEAP_H

#include "tests/model/atomic.h"
#include "tests/model/fence.h"
#include "tests/model/scenarios.h"

#include "lockfree/assert.h"
#include "lockfree/spin.h"
#include "tests/test.h"

#include <string.h>

/* ---- what cycle.c stands on, with one marker ---- */

enum { WORDS_MOST = 32 };
enum gc_source { GC_EXACT, GC_STACK };

struct heap {
	void *sweep_special;
};
struct gc_marking {
	int unused;
};
struct gc_marker {
	uint64_t work, live;
};
struct gc_chunk {
	struct gc_chunk *next;
	size_t n;
	enum gc_source from;
	uintptr_t word[WORDS_MOST];
};
struct gc_words {
	struct heap *heap;
	struct gc_chunk waiting, taken;
};
struct gc_filling {
	struct gc_words *words;
};

static void gc_fill(struct gc_filling *f, uintptr_t word)
{
	f->words->waiting.word[f->words->waiting.n++] = word;
}

#define gc_fill_end(f)		     ((void)(f))
#define gc_words_init(w, h)	     ((void)(h), (w)->waiting.n = 0)
#define gc_words_take_all	     gc_words_take
#define heap_is_to_be_marked(h, word) ((void)(h), (void)(word), true)
#define gc_words_wait(w)	     ((w)->waiting.n != 0)
#define gc_words_give(w, c)	     ((void)(w), (void)(c))
#define gc_marking_init(m, h)	     ((void)(m), (void)(h))
#define gc_marker_init(m, all)	     ((void)(all), *(m) = (struct gc_marker){0})
#define gc_marker_begin(m)	     (*(m) = (struct gc_marker){0})
#define heap_init(h, bytes)	     ((void)(h), (void)(bytes), 0)
#define heap_begin_sweeping(h)	     ((void)(h))
#define heap_is_swept(h)	     ((void)(h), true)
#define heap_sweep_one(h, freed)     ((void)(h), *(freed) = 0, false)
#define gc_special_sweep	     NULL

static struct gc_chunk *gc_words_take(struct gc_words *w)
{
	if (!w->waiting.n)
		return NULL;
	w->taken = w->waiting;
	w->waiting.n = 0;
	return &w->taken;
}

static void gc_words_put(struct gc_words *w, struct gc_chunk *c)
{
	for (size_t i = 0; i < c->n; i++)
		w->waiting.word[w->waiting.n++] = c->word[i];
}

static void gc_mark(struct gc_marker *, uintptr_t word);
static void gc_mark_words(struct gc_marker *, const uintptr_t *words, size_t n);
static bool gc_mark_step(struct gc_marker *, uint64_t budget, struct gc_marker *const *others, unsigned n);
static bool gc_nothing_queued(struct gc_marking *, struct gc_marker *const *markers, unsigned n);

#include "gc/mutator.c"

#include "gc/pace.c"

/* The flag of the barrier is one of the locations. */
#define __atomic_store_n(p, value, order) store_rel(p, value)
#include "gc/cycle.c"
#undef __atomic_store_n

/* ---- objects ---- */

enum { OBJECTS = 4, LOCALS = 2, SLOTS = 2, MUTATORS = 2, COLLECTOR = MUTATORS };

static struct object {
	_Atomic uintptr_t next;
	bool marked, looked_at; /* the collector's */
	_Atomic uint8_t black; /* its allocator writes */
	uint32_t born;	       /* its allocator's: the collector's state then */
} object[OBJECTS];
static _Atomic uintptr_t slot[SLOTS];

static struct object *object_of(uintptr_t word)
{
	return (struct object *)word;
}

static void gc_mark(struct gc_marker *m, uintptr_t word)
{
	struct object *o = object_of(word);
	if (!o || o->marked || load_rlx(&o->black))
		return;
	o->marked = true;
	m->live++;
}

static void gc_mark_words(struct gc_marker *m, const uintptr_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		gc_mark(m, words[i]);
}

static bool gc_mark_step(struct gc_marker *m, uint64_t budget, struct gc_marker *const *others, unsigned n)
{
	(void)budget, (void)others, (void)n;
	for (int i = 0; i < OBJECTS; i++) {
		if (object[i].looked_at || !object[i].marked)
			continue;
		object[i].looked_at = true;
		gc_mark(m, load_acq(&object[i].next));
		m->work++;
		return true;
	}
	return false;
}

/* What is allocated black need not be looked at: its allocator's stack is black. */
static bool gc_nothing_queued(struct gc_marking *all, struct gc_marker *const *markers, unsigned n)
{
	(void)all, (void)markers, (void)n;
	for (int i = 0; i < OBJECTS; i++)
		if (object[i].marked && !object[i].looked_at)
			return false;
	return true;
}

/* ---- mutators ---- */

enum fault {
	NONE,
	NO_DELETION,
	NO_INSERTION,
	NO_HANDSHAKES,
	NO_FIRST_HANDSHAKES,
	WHITE_BY_BLACK,
	SECTION_UNSEEN,
	BACK_UNSEEN,
	NO_DRAIN,
	STACKS_UNSEEN,
	FAULTS
};
static enum fault fault;

enum { RUNS, IN_SECTION, ENDED };
enum { NOT_LOOKED_AT, CLAIMED, LOOKED_AT };

static struct gc gc;
static struct gc_marker marker;

static struct mutator {
	_Atomic bool inside, note;
	_Atomic uint32_t passed;
	_Atomic uint8_t state, scan;
	struct gc_mutator shaded;
	uintptr_t local[LOCALS];
	uintptr_t noted[LOCALS]; /* by itself */
	struct explorer_use local_used, noted_used;
	bool noted_any;
} mutator[MUTATORS];

static struct {
	_Atomic uint32_t round;
	enum gc_ask what;
	unsigned asks; /* in this cycle */
	uint32_t its_round; /* the same */
	bool fenced;
} host;

static void use(struct explorer_use *stack)
{
	explorer_check(explorer_uses(stack), "a stack is looked at or written by one at a time");
}

static bool claim(struct mutator *m)
{
	uint8_t none = NOT_LOOKED_AT;
	return cas_acq(&m->scan, &none, CLAIMED);
}

/* By itself: waits for the collector, which may be looking. */
static void look_at_self(struct mutator *m)
{
	while (!claim(m)) {
		if (load_acq(&m->scan) == LOOKED_AT)
			return;
		explorer_relax();
	}
	use(&m->local_used);
	use(&m->noted_used);
	memcpy(m->noted, m->local, sizeof m->noted);
	m->noted_any = true;
	store_rel(&m->scan, LOOKED_AT);
}

static bool is_black(struct mutator *m, uint32_t state)
{
	return state & 1 && load_rlx(&m->scan) == LOOKED_AT;
}

static void call_begin(struct mutator *m)
{
	store_rlx(&m->inside, true);
}

static void call_end(struct mutator *m)
{
	if (load_rlx(&m->note)) {
		store_rlx(&m->note, false);
		if (gc_is_marking(&gc))
			look_at_self(m);
		store_rel(&m->passed, load_acq(&host.round));
	}
	store_rel(&m->inside, false);
}

static void shade(struct mutator *m, uintptr_t word)
{
	if (word)
		gc_shade(&m->shaded, &gc.words, word);
}

/* `forget`, if not NULL, is where the value was: the call has it last. */
static void set(struct mutator *m, _Atomic uintptr_t *to, uintptr_t value, uintptr_t *forget)
{
	call_begin(m);
	bool shades = load_rlx(&weft_marking_), all_shade = shades && load_acq(&gc.xstate) & 1;
	if (shades && all_shade && fault != NO_DELETION)
		shade(m, load_rlx(to));
	if (shades && fault != NO_INSERTION && !is_black(m, load_acq(&gc.xstate)))
		shade(m, value);
	if (shades && !all_shade) {
		uintptr_t old = swap_acqrel(to, value);
		if (fault != NO_DELETION)
			shade(m, old);
	} else {
		store_rel(to, value);
	}
	if (forget)
		*forget = 0;
	call_end(m);
}

/* The object with that letter; its pointer is set by a plain store, for nobody else has it. Before the call is over it is the caller's. */
static void allocate(struct mutator *m, uintptr_t *local, char letter, uintptr_t next)
{
	struct object *o = &object[letter - 'a'];
	call_begin(m);
	uint32_t state = load_acq(&gc.xstate); /* once: marking may end at any moment */
	bool black = is_black(m, state);
	if (fault == WHITE_BY_BLACK)
		black = false;
	o->born = state;
	if (black)
		store_rlx(&o->black, 1);
	*local = (uintptr_t)o;
	call_end(m);
	store_rlx(&o->next, next);
}

static void begin_section(struct mutator *m)
{
	store_rel(&m->state, IN_SECTION);
}

static void end_section(struct mutator *m)
{
	call_begin(m);
	store_rlx(&m->state, RUNS);
	fence_full();
	if (gc_is_marking(&gc) && fault != BACK_UNSEEN)
		look_at_self(m);
	call_end(m);
}

/* Operations of three characters: what, and what with. R and Q are the slots, 0 and 1 the locals, z is nothing.
 *
 *     l0R   local 0 = R                 n01   local 0 = local 1's next
 *     sR0   R := local 0                p01   local 0's next := local 1
 *     mR0   the same, and local 0 is forgotten
 *     c0    local 0 is forgotten        a0d1  local 0 = d, a new object, whose next is local 1
 *     b     a blocking section, which ends with e */
static uintptr_t value_of(const struct mutator *m, char c)
{
	return c == 'z' ? 0 : m->local[c - '0'];
}

static _Atomic uintptr_t *slot_of(char c)
{
	return &slot[c == 'Q'];
}

static const char *act(struct mutator *m, const char *op)
{
	if (!strchr("be", *op))
		use(&m->local_used);
	uintptr_t *local = &m->local[op[1] - '0'];
	switch (*op) {
	case 'l':
		*local = load_acq(slot_of(op[2]));
		return op + 3;
	case 'n':
		*local = m->local[op[2] - '0'] ? load_acq(&object_of(m->local[op[2] - '0'])->next) : 0;
		return op + 3;
	case 's':
		set(m, slot_of(op[1]), value_of(m, op[2]), NULL);
		return op + 3;
	case 'm':
		set(m, slot_of(op[1]), value_of(m, op[2]), &m->local[op[2] - '0']);
		return op + 3;
	case 'p':
		if (*local)
			set(m, &object_of(*local)->next, value_of(m, op[2]), NULL);
		return op + 3;
	case 'c':
		*local = 0;
		return op + 2;
	case 'a':
		allocate(m, local, op[2], value_of(m, op[3]));
		return op + 4;
	case 'b':
		begin_section(m);
		return op + 1;
	default:
		end_section(m);
		return op + 1;
	}
}

/* ---- the host ---- */

static void ask_all(struct gc *of, enum gc_ask what)
{
	(void)of;
	host.what = what;
	host.asks++;
	host.fenced = false;
	store_seq(&host.round, ++host.its_round);
	fence_full();
}

static bool is_skipped(void)
{
	return fault == NO_HANDSHAKES || (fault == NO_FIRST_HANDSHAKES && host.asks <= 2);
}

static bool has_passed(struct mutator *m)
{
	return load_acq(&m->passed) == host.its_round || load_acq(&m->state) != RUNS ||
	       (host.fenced && !load_acq(&m->inside));
}

/* What it is asked, it finds at the end of a call. */
static bool push(struct mutator *m)
{
	if (!load_rlx(&m->note))
		store_rlx(&m->note, true);
	return false;
}

static bool have_passed(void)
{
	for (int i = 0; i < MUTATORS; i++)
		if (!has_passed(&mutator[i]))
			return push(&mutator[i]);
	return true;
}

/* Only when somebody is late there is a membarrier. */
static bool all_passed(void)
{
	if (is_skipped() || have_passed())
		return true;
	if (host.fenced)
		return false;
	explorer_membarrier(__func__);
	host.fenced = true;
	return have_passed();
}

static void note(const uintptr_t *words, struct explorer_use *used)
{
	use(used);
	for (int i = 0; i < LOCALS; i++)
		if (words[i])
			gc_fill(&(struct gc_filling){&gc.words}, words[i]);
}

static bool is_scanned(struct mutator *m)
{
	if (load_acq(&m->scan) == LOOKED_AT) {
		if (m->noted_any && fault != STACKS_UNSEEN)
			note(m->noted, &m->noted_used);
		m->noted_any = false;
		return true;
	}
	if (load_acq(&m->state) == RUNS || !claim(m))
		return false;
	if (load_acq(&m->state) == RUNS) {
		store_rel(&m->scan, NOT_LOOKED_AT);
		return false;
	}
	if (fault != SECTION_UNSEEN)
		note(m->local, &m->local_used);
	store_rel(&m->scan, LOOKED_AT);
	return true;
}

static bool answered_by_all(struct gc *of)
{
	(void)of;
	if (host.what == GC_ASK_PASS)
		return all_passed();
	for (int i = 0; host.what == GC_ASK_SCAN && i < MUTATORS; i++)
		if (!is_scanned(&mutator[i]))
			return push(&mutator[i]);
	return true;
}

static bool scan_roots(struct gc *of, struct gc_marker *m, uint64_t budget)
{
	(void)of, (void)m, (void)budget;
	for (int i = 0; i < SLOTS; i++) {
		uintptr_t word = load_acq(&slot[i]);
		if (word)
			gc_fill(&(struct gc_filling){&gc.words}, word);
	}
	return false;
}

static void drain(struct gc *of)
{
	for (int i = 0; i < MUTATORS && fault != NO_DRAIN; i++)
		gc_mutator_drain(&mutator[i].shaded, &of->words);
}

static void nothing_to_do(struct gc *of)
{
	(void)of;
}

static void ended(struct gc *of, const struct gc_report *r)
{
	(void)of, (void)r;
}

static uint64_t beside(struct gc *of)
{
	(void)of;
	return 0;
}

static int64_t no_time(void)
{
	return 0;
}

static const struct gc_host the_host = {
    .ask = ask_all, .answered = answered_by_all, .scan = scan_roots, .drain = drain, .work = nothing_to_do, .ended = ended, .beside = beside, .now = no_time};

/* ---- the program ---- */

/* Pointers: pairs, of a slot or an object and what it points to; and what the mutators' locals begin with. */
static const struct scenario {
	const char *script[3];
	const char *pointers, *locals[MUTATORS];
	int preemptions, stale_reads;
} scenarios[] = {
    {{"l0RsQzn10p0z", "b", ""}, "Ra ab", {"", ""}, 2, 1}, /* what a black stack has read is unlinked */
    {{"mR0", "b", ""}, "", {"b", ""}, 2, 1},		  /* what only a grey stack had is in a root that was looked at */
    {{"a0d1c1mR0", "b", ""}, "", {".b", ""}, 2, 0},	  /* a new object, filled plainly, and published */
    {{"sQza0d1c1", "b", ""}, "Rb", {".b", ""}, 2, 0},	  /* or kept */
    {{"b", "besRzmR0", ""}, "", {"c", "b"}, 2, 1},	  /* in a section, and back */
    {{"l0Rb", "b", ""}, "Ra", {"", ""}, 2, 1},
    {{"bel0R", "b", ""}, "Ra", {"b", ""}, 2, 2},
    {{"mQ0", "sRzl0QsQz", ""}, "", {"b", ""}, 2, 0},	  /* from one stack to another, by way of a slot */
}, *scenario;

static _Atomic uintptr_t *place(char c)
{
	return c >= 'a' ? &object[c - 'a'].next : slot_of(c);
}

static void start(void)
{
	static const struct pace_settings never = {PACE_OFF, PACE_NO_LIMIT, PACE_ASSIST};
	static struct gc_marker *markers[] = {&marker, &marker};
	memset((void *)&object, 0, sizeof object);
	memset((void *)&slot, 0, sizeof slot);
	memset((void *)&mutator, 0, sizeof mutator);
	memset((void *)&host, 0, sizeof host);
	explorer_private(&gc.step, sizeof gc.step);
	explorer_private(&gc.scanning, sizeof gc.scanning);
	explorer_private((void *)&gc.xscanned, sizeof gc.xscanned);
	explorer_private((void *)&gc.xactive, (size_t)((char *)(&gc + 1) - (char *)&gc.xactive));
	explorer_private((void *)&gc.xphase, sizeof gc.xphase);
	explorer_private((void *)&gc.xcycle, sizeof gc.xcycle);
	explorer_private((void *)&gc.xended, sizeof gc.xended);
	explorer_private((void *)&gc.xbegan, sizeof gc.xbegan);
	explorer_private((void *)&gc.xasked, sizeof gc.xasked);
	weft_marking_ = 0;
	CHECK_EQ(gc_init(&gc, &the_host, 0, markers, 2, &never), 0);
	for (const char *p = scenario->pointers; *p; p += p[2] ? 3 : 2)
		store_rlx(place(p[0]), (uintptr_t)&object[p[1] - 'a']);
	for (int i = 0; i < MUTATORS; i++)
		for (int k = 0; k < LOCALS && scenario->locals[i][k]; k++)
			if (scenario->locals[i][k] != '.')
				mutator[i].local[k] = (uintptr_t)&object[scenario->locals[i][k] - 'a'];
	store_rlx(&gc.xasked, 1);
	for (int i = 0; i < OBJECTS - 1; i++) /* only d is allocated */
		explorer_private((void *)&object[i].black, sizeof object[i].black);
	for (int i = 0; i < MUTATORS; i++) {
		explorer_private(&mutator[i].shaded.lock, sizeof mutator[i].shaded.lock);
		explorer_private((void *)&mutator[i].shaded.xtaken, sizeof mutator[i].shaded.xtaken);
		explorer_watch(mutator[i].local, sizeof mutator[i].local);
		explorer_watch(mutator[i].noted, sizeof mutator[i].noted);
	}
}

static void thread(int which)
{
	if (which == COLLECTOR) {
		while (load_rlx(&gc.xended) == 0)
			if (!gc_step(&gc, &marker, 1, GC_SPARE))
				explorer_relax();
		return;
	}
	struct mutator *m = &mutator[which];
	for (const char *op = scenario->script[which]; *op;)
		op = act(m, op);
	store_rel(&m->state, ENDED);
}

static void check_reachable(uintptr_t word)
{
	static bool looked[OBJECTS];
	struct object *o = object_of(word);
	if (!o || looked[o - object])
		return;
	/* What was allocated when marking was over is swept in the next cycle. */
	explorer_check(o->marked || load_rlx(&o->black) || o->born == 2, "what can be reached has its mark");
	looked[o - object] = true;
	check_reachable(load_rlx(&o->next));
	looked[o - object] = false;
}

static void see_what_came_of_it(void)
{
	for (int i = 0; i < SLOTS; i++)
		check_reachable(load_rlx(&slot[i]));
	for (int i = 0; i < MUTATORS; i++)
		for (int k = 0; k < LOCALS; k++)
			check_reachable(mutator[i].local[k]);
}

static const char *first_failure(const struct explorer_mutation *m)
{
	for (scenario = scenarios; scenario < scenarios + ARRAY_LEN(scenarios); scenario++) {
		/* What is spoilt breaks soon. */
		struct explorer_program p = {MUTATORS + 1, start, thread, see_what_came_of_it, m ? 1 : scenario->preemptions, scenario->stale_reads,
					     NULL, false};
		const char *broken = explore_scripts(scenario->script, p, m);
		if (broken)
			return broken;
	}
	return NULL;
}

TEST(nothing_that_can_be_reached_is_lost)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_operation_is_caught)
{
	static const struct explorer_mutation spoilt[] = {
		{"no membarrier", "all_passed", VERB_FENCE, "", WEAKEN},
		{"who is inside does not say so", "call_begin", VERB_STORE, "inside", OMIT},
		{"the barrier's flag stays off", "set_barrier", VERB_STORE, "weft_marking_", OMIT},
		{"a word is not in the ring", "gc_shade", VERB_STORE, "ring", OMIT},
		{"nor the ring longer", "gc_shade", VERB_STORE, "xput", OMIT},
		{"a stack is claimed by two", "claim", VERB_CAS, "scan", SPLIT},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}

TEST(every_spoilt_order_of_looks_at_stacks_is_caught)
{
	static const struct explorer_mutation spoilt[] = {
		{"a section is not released", "begin_section", VERB_STORE, "state", WEAKEN},
		{"back without a fence", "end_section", VERB_FENCE, "", WEAKEN},
		{"asked without a fence", "ask_all", VERB_FENCE, "", WEAKEN},
		{"what a stack held is not released", "look_at_self", VERB_STORE, "scan", WEAKEN},
		{"nor acquired", "is_scanned", VERB_LOAD, "scan", WEAKEN},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}

static const char *const faults[] = {
    [NO_DELETION] = "no shading of what is overwritten",
    [NO_INSERTION] = "no shading of what is stored",
    [NO_HANDSHAKES] = "no handshake",
    [NO_FIRST_HANDSHAKES] = "no handshake when the barrier is turned on",
    [WHITE_BY_BLACK] = "a black stack allocates white",
    [SECTION_UNSEEN] = "a section's stack is not looked at",
    [BACK_UNSEEN] = "who is back from a section does not look",
    [NO_DRAIN] = "rings are not drained",
    [STACKS_UNSEEN] = "what stacks held is dropped",
};
_Static_assert(ARRAY_LEN(faults) == FAULTS, "each has its words");

/* By the scenarios that need it, which is where it is looked for first. */
static void missing(enum fault which)
{
	static const struct explorer_mutation none = {"", "", VERB_LOAD, "", OMIT};
	fault = which;
	const char *broken = first_failure(&none);
	fprintf(stderr, "# %s: %s\n", faults[which], broken ? broken : "not noticed");
	CHECK(broken != NULL);
}

TEST(missing_barriers_are_caught)
{
	missing(NO_DELETION);
	missing(NO_INSERTION);
}

TEST(missing_handshakes_are_caught)
{
	missing(NO_HANDSHAKES);
	missing(NO_FIRST_HANDSHAKES);
}

TEST(a_wrong_colour_is_caught)
{
	missing(WHITE_BY_BLACK);
}

TEST(stacks_and_rings_that_are_not_looked_at_are_caught)
{
	missing(SECTION_UNSEEN);
	missing(BACK_UNSEEN);
	missing(NO_DRAIN);
	missing(STACKS_UNSEEN);
}
