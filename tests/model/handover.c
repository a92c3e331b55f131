/* A goroutine that is made runnable before it has left its CPU (runtime/switch.h, and park and leave in
 * runtime/sched.c, the same sources but for the switch, which is assembly): whoever picks it up waits for the byte
 * that the switch clears last.
 *
 * Two goroutines on two Ms are about to wait. Each readies the other, parks, and its M picks the other one. What must
 * hold: a stack is used by one M at a time, after the one before has left it; each goes on, on the other's M; and
 * the Ms do not wait for each other's goroutine while they stand on its stack.
 */
#include "tests/model/scheduler.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { MS = 2 };

static struct p ps[MS], *p_of[MS];
static struct g gs[MS];
static struct explorer_use stack[MS];
static _Atomic uint32_t waits[MS];
static struct g *goes_on[MS]; /* on this M, in the end */

static void use_stack_of(struct context *c)
{
	for (int i = 0; i < MS; i++)
		if (c == &gs[i].ctx)
			explorer_check(explorer_uses(&stack[i]), "a stack is used after the one before has left it");
}

void model_leaves(struct context *c)
{
	use_stack_of(c);
}

void model_comes_to(struct context *c)
{
	use_stack_of(c);
}

void os_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
	(void)word, (void)expected, (void)timeout_ns;
}

void os_futex_wake(_Atomic uint32_t *word)
{
	(void)word;
}

static void start(void)
{
	static struct stack any;
	memset(&sched, 0, sizeof sched);
	memset(ps, 0, sizeof ps);
	memset(gs, 0, sizeof gs);
	memset(stack, 0, sizeof stack);
	memset(goes_on, 0, sizeof goes_on);
	sched.nprocs = MS;
	sched.active = MS;
	sched.ps = p_of;
	for (unsigned i = 0; i < MS; i++) {
		p_of[i] = &ps[i];
		ps[i].index = i;
		ps[i].quantum = STEPS_MAX;
		ps[i].countdown = STEPS_MAX;
		gs[i].stack = &any;
		gs[i].ctx.xon_cpu = 1;
		model_m[i].p = &ps[i];
		model_m[i].xinside = true;
		model_m[i].g = &gs[i];
		model_m[i].held = NULL;
		explorer_private(&gs[i].state, sizeof gs[i] - offsetof(struct g, state));
		explorer_private(&model_m[i].ctx, sizeof model_m[i].ctx);
	}
	explorer_private(&sched, sizeof sched);
	explorer_private(ps, sizeof ps);
	explorer_private(&model_m[0].g, sizeof model_m[0].g);
	explorer_private(&model_m[1].g, sizeof model_m[1].g);
	for (unsigned i = 0; i < MS; i++) {
		explorer_private(&model_m[i].p, sizeof model_m[i].p);
		explorer_private(&model_m[i].xinside, sizeof model_m[i].xinside);
	}
}

/* What m_loop does with what leave() left to it. */
static void own_context(struct m *m)
{
	struct g *g = m->held;
	m->held = NULL;
	context_switch(&m->ctx, prepare(m, g));
}

static void thread(int which)
{
	use_stack_of(&gs[which].ctx);
	wait_begin(WAIT_RECV);
	store_rel(&waits[which], 1);
	await_acq(&waits[!which], 0);
	ready(&gs[!which]);
	park();
	struct m *m = m_self();
	if (!m_g(m))
		own_context(m);
	goes_on[which] = m_g(m);
	use_stack_of(&goes_on[which]->ctx);
}

static void end(void)
{
	for (int i = 0; i < MS; i++) {
		explorer_check(goes_on[i] == &gs[!i], "each goes on, on the other's M");
		explorer_check(load_rlx(&gs[i].ctx.xon_cpu) == 1, "and is said to be there");
	}
}

static const struct explorer_program program = {MS, start, thread, end, 6, 4, NULL, false};

static const char *first_failure(const struct explorer_mutation *m)
{
	struct explorer_program p = program;
	if (!m && test_is_slow())
		p.preemptions = 3;
	struct explorer_result r = explore(&p, m);
	if (!m)
		fprintf(stderr, "# %lld executions\n", (long long)r.executions);
	return r.broken;
}

TEST(a_stack_is_used_by_one)
{
	explorer_holds(first_failure);
}

TEST(every_spoilt_edge_is_caught)
{
	static const struct explorer_mutation spoilt[] = {
		{"R1 relaxed", "context_switch", VERB_STORE, "xon_cpu", WEAKEN},
		{"A1 relaxed", "context_wait_off_cpu", VERB_LOAD, "xon_cpu", WEAKEN},
		{"A1 not waited for", "context_wait_off_cpu", VERB_LOAD, "xon_cpu", BLIND},
		{"a next that is still on its CPU is waited for on one's own stack", "leave", VERB_LOAD, "xon_cpu",
		 BLIND},
		{"nobody says that it is on a CPU", "prepare", VERB_STORE, "xon_cpu", OMIT},
	};
	explorer_catches(first_failure, spoilt, ARRAY_LEN(spoilt));
}
