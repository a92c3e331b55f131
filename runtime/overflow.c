/* Telling an overflow, and saying so.
 *
 * The handler runs on the M's signal stack, between any two instructions of code that may hold any lock: malloc's too.
 * What it needs first it has without. Which stack it is, the M knows, or else the slab of goroutines, whose memory is
 * never returned, is walked; the fatal line and the goroutine's are one write; the trace is taken by libunwind, which
 * allocates nothing. Names and lines then come from libdw, which does: if that faults or aborts, or hangs for longer than
 * PATIENCE_S on a lock that the goroutine holds, the rest of the frames are printed as addresses (give_up). Whatever goes
 * wrong with the trace, it has been said.
 *
 * An address in a guard is an overflow only of who stands on that guard's stack. A pointer into another goroutine's
 * guard is a bad pointer.
 *
 * The program may have a handler of its own. One that was there before weft_main is kept, and called for what is not
 * ours, with the mask and the flags that it asked for; so is the sanitizers'. The default action is put back and the
 * instruction run again, so that a core dump shows the fault where it happened. One that is installed later replaces
 * ours, and gets the overflows too.
 *
 * Rejected: a part of the M's own stack for signals, which needs no memory of its own: too deep a trace would run into the
 * scheduler's frames below it, and no guard could tell.
 *
 * R1 give_stack, end_and_pick (sched.c): store_rel(stack)  ->  A1 look_at, find_owner, overflow_check, has_room (dump.c):
 *                                                              load_acq(stack)   the descriptor's bounds
 */
#include "runtime/overflow.h"
#include "alloc/os.h"
#include "runtime/dump.h"
#include "runtime/sched.h"
#include "runtime/trace.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
	PATIENCE_S = 5,
	ROOM = 256 * 1024, /* for libunwind, libdw, and the program's handlers; it costs what is touched */
};

static const int bad_address[] = {SIGSEGV, SIGBUS};
enum { BAD_ADDRESSES = ARRAY_LEN(bad_address) };

static struct sigaction before[BAD_ADDRESSES];

/* ---- whose it is ---- */

struct search {
	uintptr_t at, sp;
	const struct g *owner; /* NULL: nobody has overflowed */
	size_t limit;
};

static bool is_on(const struct stack *s, uintptr_t sp)
{
	return sp - ((uintptr_t)stack_base(s) - STACK_GUARD) <= stack_size(s) + STACK_GUARD;
}

/* Others run meanwhile, and start, end and move; but the stack that we stand on stays. */
static void look_at(void *object, void *arg)
{
	const struct g *g = object;
	struct search *s = arg;
	const struct stack *stack = load_acq(&g->stack); /* A1 */
	if (!stack || !is_on(stack, s->sp) || s->at >= (uintptr_t)stack_base(stack) ||
	    s->at < (uintptr_t)stack_base(stack) - STACK_GUARD)
		return;
	s->owner = g;
	s->limit = stack_size(stack);
}

/* In the moment of a switch the M has a new goroutine already, and stands on the old one's stack: then all are looked at. */
static void find_owner(struct search *s, struct m *m)
{
	const struct g *g = m_g(m);
	const struct stack *stack = g ? load_acq(&g->stack) : NULL; /* A1 */
	if (s->sp - (uintptr_t)load_rlx(&m->stack_bottom) < load_rlx(&m->stack_size))
		return;
	if (stack && is_on(stack, s->sp))
		look_at(m_g(m), s);
	else
		slab_each(&sched.gs, look_at, s);
}

/* ---- saying it ---- */

static struct {
	_Atomic bool told;
	void (*hook)(void); /* what a crash of others prints */
	_Atomic(struct m *) m;
	const struct g *g;
	const ucontext_t *context; /* NULL: here, in a call */
	struct trace trace;
} victim;

/* The symbols are lost: what is left of the trace as addresses. The clock's signal comes to any thread; a fault of
 * another one waits for the end. */
static void give_up(int signo)
{
	const struct trace *t = &victim.trace;
	char line[64];
	bool mine = m_self() == load_acq(&victim.m);
	if (signo != SIGALRM && !mine)
		for (;;)
			pause();
	unsigned next = load_acq(&t->next);
	for (unsigned i = next ? next - 1 : 0; (next || mine) && i <= t->n; i++) {
		int len = i < t->n ? snprintf(line, sizeof line, "  0x%llx\n", (unsigned long long)t->pc[i])
			: t->left_out ? snprintf(line, sizeof line, "  ... %u more\n", t->left_out) : 0;
		ssize_t written = write(STDERR_FILENO, line, (size_t)len);
		(void)written;
	}
	_exit(2);
}

/* From here on nothing of the program's runs on this thread, and what goes wrong comes to give_up. */
static void expect_the_worst(void)
{
	static const int worst[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM};
	struct sigaction action = {.sa_handler = give_up, .sa_flags = SA_ONSTACK};
	sigset_t blocked;
	sigfillset(&action.sa_mask);
	sigfillset(&blocked);
	for (size_t i = 0; i < ARRAY_LEN(worst); i++) {
		sigaction(worst[i], &action, NULL);
		sigdelset(&blocked, worst[i]);
	}
	pthread_sigmask(SIG_SETMASK, &blocked, NULL);
	alarm(PATIENCE_S);
}

/* The crash hook: what follows the line. */
static void tell_frames(void)
{
	if (m_self() != load_acq(&victim.m)) {
		if (victim.hook)
			victim.hook();
		return;
	}
	expect_the_worst();
	if (victim.context)
		trace_signal(&victim.trace, victim.context);
	trace_print(STDERR_FILENO, &victim.trace);
	dump_creator(STDERR_FILENO, victim.g);
	sim_report();
}

/* The first one speaks; a second waits for the end. */
static void become_victim(const struct g *g, const ucontext_t *context)
{
	if (swap_seq(&victim.told, true) && load_acq(&victim.m) != m_self())
		for (;;)
			pause();
	void (*hook)(void) = load_acq(&crash_hook);
	victim.hook = hook == tell_frames ? victim.hook : hook;
	victim.g = g;
	victim.context = context;
	store_rel(&victim.m, m_self());
	store_rel(&crash_hook, tell_frames);
}

static _Noreturn void tell(const struct g *g, size_t limit)
{
	unsigned long long id = load_rlx(&g->id);
	char name[G_NAME];
	g_name(g, name);
	fatal("goroutine %llu stack overflow (limit %zu bytes)\n\ngoroutine %llu [running]%s%s:", id, limit, id,
	      name[0] ? " name=" : "", name);
}

/* ---- the signal ---- */

static uintptr_t stack_pointer(const ucontext_t *c)
{
#if defined(__x86_64__)
	return (uintptr_t)c->uc_mcontext.gregs[REG_RSP];
#else
	return (uintptr_t)c->uc_mcontext.sp;
#endif
}

/* The default action, and what is to be ignored. A fault comes again when the handler returns, and is not ignored; what a
 * process has sent is sent on. */
static void act_by_default(int signo, const siginfo_t *info, const struct sigaction *was)
{
	bool sent = info->si_code <= 0;
	if (sent && was->sa_handler == SIG_IGN)
		return;
	sigaction(signo, was, NULL);
	if (sent)
		syscall(SYS_tgkill, getpid(), os_thread(), signo);
}

static void pass_on(int signo, siginfo_t *info, void *context)
{
	struct sigaction *was = &before[signo == bad_address[1]];
	struct sigaction now = *was;
	if (!(now.sa_flags & SA_SIGINFO) && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN)) {
		act_by_default(signo, info, was);
		return;
	}
	if (now.sa_flags & SA_RESETHAND)
		*was = (struct sigaction){.sa_handler = SIG_DFL};
	if (now.sa_flags & SA_SIGINFO)
		now.sa_sigaction(signo, info, context);
	else
		now.sa_handler(signo);
}

static void on_bad_address(int signo, siginfo_t *info, void *context)
{
	struct search s = {.at = (uintptr_t)info->si_addr, .sp = stack_pointer(context)};
	struct m *m = m_self();
	if (m && info->si_code > 0) /* the kernel's own: there is an address */
		find_owner(&s, m);
	if (s.owner) {
		become_victim(s.owner, context);
		tell(s.owner, s.limit);
	}
	pass_on(signo, info, context);
}

void overflow_init(void)
{
	for (int i = 0; i < BAD_ADDRESSES; i++) {
		struct sigaction action;
		if (sigaction(bad_address[i], NULL, &before[i]))
			continue;
		action = before[i]; /* its mask */
		action.sa_sigaction = on_bad_address;
		action.sa_flags = (before[i].sa_flags & (SA_NODEFER | SA_RESTART)) | SA_SIGINFO | SA_ONSTACK;
		sigaction(bad_address[i], &action, NULL);
	}
}

/* ---- the threads ---- */

/* The kernel's frame, which holds all registers, is as large as the processor has them. */
static size_t signal_stack_size(void)
{
	size_t frame = getauxval(AT_MINSIGSTKSZ);
	if (frame < (size_t)MINSIGSTKSZ)
		frame = (size_t)MINSIGSTKSZ;
	return (ROOM + frame + OS_PAGE - 1) / OS_PAGE * OS_PAGE;
}

void overflow_open(struct overflow_part *o)
{
	size_t size = signal_stack_size();
	*o = (struct overflow_part){0};
	char *low = os_reserve(STACK_GUARD + size);
	if (!low)
		return;
	stack_t mine = {.ss_sp = low + STACK_GUARD, .ss_size = size}, old;
	if (os_guard(low, STACK_GUARD) || sigaltstack(&mine, &old)) {
		os_release(low, STACK_GUARD + size);
		return;
	}
	*o = (struct overflow_part){low, old.ss_sp, old.ss_size, old.ss_flags};
}

void overflow_close(struct overflow_part *o)
{
	if (!o->mapping)
		return;
	stack_t old = {.ss_sp = o->old, .ss_size = o->old_size, .ss_flags = o->old_flags};
	if (sigaltstack(&old, NULL) == 0)
		os_release(o->mapping, STACK_GUARD + signal_stack_size());
	o->mapping = NULL;
}

/* ---- system calls ---- */

void overflow_check(const void *at, size_t size)
{
	struct m *m = m_self();
	const struct g *g = m ? m_g(m) : NULL;
	const struct stack *stack = g ? load_acq(&g->stack) : NULL; /* A1 */
	if (!stack || !size)
		return;
	uintptr_t from = (uintptr_t)at, base = (uintptr_t)stack_base(stack);
	if (from >= base || (from < base - STACK_GUARD && base - STACK_GUARD - from >= size))
		return;
	become_victim(g, NULL);
	trace_here(&victim.trace, 2);
	tell(g, stack_size(stack));
}
