/* Taking the P of a goroutine that computes (runtime/call.h, runtime/takeover.c: the same sources), while the goroutine
 * makes calls: those that do not block, and at last one that may.
 *
 * What must hold: the P is used by one at a time, each seeing what the one before did to it; it is never lost, nor handed
 * on twice; inside a call the M is a reader of grace periods, and one that computes without a P is none; who may block has
 * a P, or queues for one.
 */
#define RUNTIME_G_H
#define RUNTIME_SCHED_H
#define RUNTIME_SPARE_H
#define LOCKFREE_EPOCH_H
#define ALLOC_OS_H
#define sim_on                   false
#define sim_call_ends(of)        ((void)(of))
#define sim_blocking_call_ends() ((void)0)
#define sim_refuse_outside()     ((void)0)

#include "tests/model/atomic.h"
#include "tests/model/collect.h"
#include "tests/model/fence.h"

#include "lockfree/assert.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum g_state { G_RUNNING, G_SYSCALL };
struct epoch_reader;

struct g {
	_Atomic uint8_t state;
};

struct p;

struct m {
	_Atomic(struct p *) p;
	_Atomic bool xinside;
	_Atomic uint8_t xnote;
	_Atomic(struct g *) g;
	void *fiber;
	struct epoch_reader *reader;
	_Atomic int tid;
	_Atomic uint32_t note_tick;
	_Atomic bool lowered, xdetached;
};

struct p {
	_Atomic(struct m *) xm;
	_Atomic uint32_t tick;
};

static struct {
	_Atomic uint32_t xdetached;
	_Atomic uint64_t taken, given_up, asked;
} sched;

static struct g goroutine;
static struct m model_m, model_heir;
static struct p model_p;
static struct explorer_use p_used, reader_used;
static _Atomic uint32_t online, handed_on, queued, yields;

static struct m *m_self(void)
{
	return &model_m;
}

static struct g *m_g(struct m *of)
{
	return load_rlx(&of->g);
}

static struct p *m_p(struct m *of)
{
	return (struct p *)((uintptr_t)load_rlx(&of->p) & ~(uintptr_t)1);
}

/* ---- what they call ---- */

#define os_membarrier()          explorer_membarrier(__func__)
#define os_lower(tid)            ((void)(tid))
#define fiber_observe(address)   ((void)(address))
#define sched_enter(of)          NULL
#define sched_leave(me)          ((void)(me))

static void use_p(void)
{
	explorer_check(explorer_uses(&p_used), "the P is used by one at a time");
}

static bool is_online(void)
{
	return add_rlx(&online, 0);
}

static void use_reader(void)
{
	explorer_check(explorer_uses(&reader_used), "the reader is changed by one at a time");
}

static void epoch_online(void)
{
	use_reader();
	store_rlx(&online, 1);
}

static void epoch_offline(void)
{
	use_reader();
	store_rlx(&online, 0);
}

static void epoch_offline_for(struct epoch_reader *r)
{
	(void)r;
	use_reader();
	store_rlx(&online, 0);
}

static void epoch_enter(void)
{
}

static void epoch_leave(void)
{
}

static struct m *spare_get(void)
{
	return &model_heir;
}

static void spare_put(struct m *of)
{
	(void)of;
}

/* The heir runs on the P from here on. */
static void spare_hand(struct m *to, struct p *the_p)
{
	explorer_check(to == &model_heir && the_p == &model_p, "it is handed the P");
	add_rlx(&handed_on, 1);
	use_p();
}

static void weft_yield(void)
{
	add_rlx(&yields, 1);
}

static void queue_without_p(struct m *of)
{
	explorer_check(!load_rlx(&of->p), "who queues has no P");
	explorer_check(!is_online(), "and looks at nothing");
	use_reader();
	add_rlx(&queued, 1);
}

static _Noreturn void panic_in_section(void)
{
	explorer_abandon("there is no section");
}

#define WEFT_GO_H
#include "runtime/takeover.c"

/* ---- the program ---- */

enum { CALLS = 2, LOOKS = 2 };

static void start(void)
{
	memset(&sched, 0, sizeof sched);
	memset(&model_m, 0, sizeof model_m);
	memset(&model_p, 0, sizeof model_p);
	memset(&p_used, 0, sizeof p_used);
	memset(&reader_used, 0, sizeof reader_used);
	model_m.p = &model_p;
	model_m.g = &goroutine;
	model_p.xm = &model_m;
	online = 1;
	handed_on = queued = yields = 0;
	explorer_private(&sched, sizeof sched);
	explorer_private(&model_m.g, sizeof model_m.g);
	explorer_private(&model_m.tid, sizeof model_m.tid);
	explorer_private(&model_m.lowered, sizeof model_m.lowered);
	explorer_private(&model_p, sizeof model_p);
	explorer_private(&goroutine, sizeof goroutine);
	explorer_private(&queued, sizeof queued);
	explorer_private(&yields, sizeof yields);
}

static void make_a_call(void)
{
	bool outermost = call_begin();
	if (m_p(&model_m))
		use_p();
	explorer_check(is_online(), "a call is a reader");
	if (m_p(&model_m))
		use_p();
	call_end(outermost);
}

static void make_a_blocking_call(void)
{
	bool outermost = call_begin_blocking();
	if (load_rlx(&queued))
		return; /* and goes on elsewhere */
	explorer_check(m_p(&model_m) != NULL, "who may block has a P");
	explorer_check(is_online(), "and is a reader");
	use_p();
	call_end_blocking(outermost);
}

static void goroutine_runs(void)
{
	for (int i = 0; i < CALLS; i++)
		make_a_call();
	make_a_blocking_call();
}

static void sysmon_looks(void)
{
	call_note(&model_m, 0, NOTE_YIELD);
	for (int i = 0; i < LOOKS; i++)
		if (take_over(&model_m, &model_p) == TAKEN)
			return;
}

static void thread(int which)
{
	if (which == 0)
		goroutine_runs();
	else
		sysmon_looks();
}

static void end(void)
{
	struct p *left = load_rlx(&model_m.p);
	explorer_check(!p_is_marked(left), "no mark is left");
	explorer_check((left == &model_p) + load_rlx(&handed_on) == 1, "the P is somewhere, once");
	explorer_check(left ? is_online() : !is_online(), "who has a P is a reader, who has none is not");
	explorer_check(left || load_rlx(&model_m.lowered), "who has lost its P gets no other");
}

static const struct explorer_program program = {2, start, thread, end, 3, 2, NULL, false};

static const char *first_failure(const struct explorer_mutation *mutation)
{
	struct explorer_program q = program;
	if (!mutation && !test_is_slow())
		q.preemptions = 4;
	struct explorer_result r = explore(&q, mutation);
	if (!mutation)
		fprintf(stderr, "# %lld executions\n", (long long)r.executions);
	return r.broken;
}

TEST(a_p_is_taken_whole_or_not_at_all)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	static const struct explorer_mutation spoilt[] = {
		{"the mark without a comparison", "mark", VERB_CAS, "p", SPLIT},
		{"no membarrier", "take_p", VERB_FENCE, "", WEAKEN},
		{"sysmon does not look whether the M is inside", "take_p", VERB_LOAD, "xinside", BLIND},
		{"A2 relaxed", "take_p", VERB_LOAD, "xinside", WEAKEN},
		{"R2 relaxed", "m_call_end", VERB_STORE, "xinside", WEAKEN},
		{"the M does not say that it is inside", "m_begin", VERB_STORE, "xinside", OMIT},
		{"taken without a comparison", "take_marked", VERB_CAS, "p", SPLIT},
		{"put back without a comparison", "unmark", VERB_CAS, "p", SPLIT},
		{"noticed without a comparison", "call_settle", VERB_CAS, "p", SPLIT},
		{"A1 relaxed", "await_detached", VERB_LOAD, "xdetached", WEAKEN},
		{"who may block does not settle it", "call_settle", VERB_LOAD, "p", BLIND},
		{"R1 relaxed", "detach", VERB_STORE, "xdetached", WEAKEN},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
