/* Panics: deferred calls on an intact stack, and then one jump.
 *
 * WEFT_DEFER leaves a record in the frame of its block, on a list that the goroutine has, and so does weft_protect. When the block is left, the compiler's
 * cleanup takes the record off and makes the call. A jump would pass the cleanup by, so a panic makes the calls itself, from
 * where it was raised, on top of the frames that it will do away with; and only then jumps, to weft_protect. So what a deferred call
 * is given by address is still there, and the trace of a panic that nobody stops shows who raised it.
 *
 *     WEFT_DEFER       record.next := the list; the list := record
 *     block left       the list := record.next; call
 *     panic            until a protect heads the list: the list := record.next; call. Then the same with the protect; jump
 *     exit             until the list is empty: the same, protects left out. Then end
 *
 * A record is off the list before its call is made: if that panics or exits, whoever comes next goes on with those behind it. That
 * is all there is to a panic that replaces another: the inner one runs what is left and jumps past the outer.
 *
 * An exit cannot be stopped. It marks the protects that it will pass; a panic of one of its deferred calls which comes to a marked one
 * ends there, and the exit goes on with what is left, as in Go. A protect inside a deferred call is not marked, and is like any.
 *
 * Where calls run. weft_panic may be reached inside a call into weft (call.h), in the middle of the runtime: it ends that first, a
 * note of sysmon's included, since deferred calls are the program's own code and may do what that may. Whoever panics
 * has let go of every lock before. In a blocking section (block.c) those deferred calls that were registered in it run in
 * it, and one of them may end it; otherwise it is ended before the first one that was registered outside, or by the protect.
 *
 * The jump is libc's, upwards on one stack. A goroutine may have moved to another thread meanwhile; what is saved is no thread's: the
 * guard value that pointers are mangled with is the process's, and the signal mask is left out (_setjmp). The sanitizers know
 * the two calls: AddressSanitizer forgets the frames in between, ThreadSanitizer brings its call stack, which every
 * goroutine has (fiber.h), back to where it was. Neither would know a jump of our own. _FORTIFY_SOURCE asks that the target lie above,
 * and it does. Shadow stacks (-fcf-protection) are not switched with goroutines, and switch.S says nothing of them, so the
 * linker leaves programs unmarked and the kernel does not turn them on; libc's jump would unwind them.
 *
 * Rejected: unwinding by the compiler's tables, as C++ does it. It would run the cleanups for nothing more, but takes a
 * microsecond for each frame, and -fexceptions in all code that a panic may pass.
 */
#include "lockfree/epoch.h"
#include "runtime/call.h"
#include "runtime/dump.h"
#include "runtime/panic.h"

#include <weft/go.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* What a record is, and where it was registered. */
enum kind { IN_SECTION = 1, PROTECT = 2, TOLD = 4 };

/* In weft_protect's frame; a record of the list, too, that stands between what is its and what is not. */
struct protect {
	struct weft_deferred mark;
	weft_panic_info *out;
	bool exiting; /* an exit passes */
	jmp_buf at;
};

static _Thread_local struct weft_deferred *outside;

/* NULL: a thread outside. */
static inline struct g *goroutine(void)
{
	struct m *m = m_self();
	return likely(m != NULL) ? m_g(m) : NULL;
}

static struct weft_deferred **own_list(void)
{
	struct g *g = goroutine();
	return likely(g != NULL) ? &g->deferred : &outside;
}

static inline void push(struct weft_deferred **list, struct weft_deferred *d)
{
	d->list = list;
	d->next = *list;
	*list = d;
}

static inline void pop(struct weft_deferred *d)
{
	*d->list = d->next;
}

static struct protect *protect_of(struct weft_deferred *mark)
{
	return (struct protect *)(void *)mark;
}
_Static_assert(offsetof(struct protect, mark) == 0, "one is found by the other");

static struct deferred_told *told_of(struct weft_deferred *call)
{
	return (struct deferred_told *)(void *)call;
}
_Static_assert(offsetof(struct deferred_told, call) == 0, "one is found by the other");

/* ---- blocking sections ---- */

static inline unsigned section_of(const struct g *g)
{
	return load_rlx(&g->state) == G_SYSCALL ? IN_SECTION : 0;
}

/* Unless the record is of the section itself. */
static void end_section_for(const struct weft_deferred *d)
{
	struct g *g = goroutine();
	if (g && section_of(g) && !(d->kind & IN_SECTION))
		weft_block_end();
}

/* What was registered in it, and is still there, is of no section from now on: the next one is another. */
void deferred_leave_section(struct g *g)
{
	for (struct weft_deferred *d = g->deferred; d && (d->kind & IN_SECTION); d = d->next)
		d->kind &= ~(unsigned)IN_SECTION;
}

/* ---- deferred calls ---- */

static COLD void push_outside(struct weft_deferred *d, unsigned kind)
{
	d->kind = kind;
	push(&outside, d);
}

static inline void push_here(struct weft_deferred *d, unsigned kind)
{
	struct g *g = goroutine();
	if (unlikely(!g)) {
		push_outside(d, kind);
		return;
	}
	d->kind = kind | section_of(g);
	push(&g->deferred, d);
}

void weft_defer(weft_deferred *d)
{
	push_here(d, 0);
}

void deferred_tell(struct deferred_told *t, void (*fn)(void *), void *arg)
{
	t->call.fn = fn;
	t->call.arg = arg;
	t->panic = NULL;
	push_here(&t->call, TOLD);
}

/* Up to the innermost protect, which is left on the list, or NULL. An exit is no panic: NULL. */
static struct protect *run_deferred(struct weft_deferred **list, const weft_panic_info *panic)
{
	struct weft_deferred *d;
	while ((d = *list)) {
		end_section_for(d);
		if (d->kind & PROTECT)
			return protect_of(d);
		if (d->kind & TOLD)
			told_of(d)->panic = panic;
		weft_deferred_run(d);
	}
	return NULL;
}

void deferred_run_all(struct g *g)
{
	for (struct weft_deferred *d = g->deferred; d; d = d->next)
		if (d->kind & PROTECT)
			protect_of(d)->exiting = true;
	for (struct protect *p; (p = run_deferred(&g->deferred, NULL));)
		pop(&p->mark);
	if (section_of(g))
		weft_block_end();
}

/* ---- panics ---- */

/* Panics that nothing stops: how many are running their deferred calls, and whether one has come to its end. */
static _Atomic int unstopped, panicking;

static bool is_stopped(const struct weft_deferred *d)
{
	while (d && !(d->kind & PROTECT))
		d = d->next;
	return d;
}

/* A deferred call may let main go on, whose end would be the program's, with another status. One of them may exit its goroutine
 * instead of coming back, so patience has an end, as in Go; but it may stand on another thread, which a loaded machine keeps waiting. */
void panic_let_end(void)
{
	enum { PATIENCE = 1000, SLEEP_EVERY = 4 };
	for (int i = 1; i <= PATIENCE && load_seq(&unstopped) && !load_seq(&panicking); i++) {
		weft_yield();
		if (i % SLEEP_EVERY == 0)
			weft_sleep(50 * WEFT_US);
	}
	while (load_seq(&panicking))
		pause();
}

/* The message first, in one write: whatever goes wrong with the trace, it has been said. */
COLD _Noreturn void panic_end_program(const char *message)
{
	char line[sizeof "panic: \n" + sizeof(((weft_panic_info *)0)->message)];
	if (swap_seq(&panicking, 1))
		for (;;)
			pause();
	int len = snprintf(line, sizeof line, "panic: %s\n", message);
	ssize_t n = write(STDERR_FILENO, line, (size_t)len);
	(void)n; /* nowhere else to say it */
	dump_self(STDERR_FILENO, 2);
	sim_report();
	_exit(2);
}

/* From here on the program's own code runs. */
static void end_calls(void)
{
	struct m *m = m_self();
	if (!m)
		while (epoch_is_entered())
			call_end_outside();
	else if (m_g(m))
		m_call_end(m, load_rlx(&m->xinside));
}

void weft_panic(const char *fmt, ...)
{
	weft_panic_info info = {.goroutine = weft_goroutine_id()};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(info.message, sizeof info.message, fmt, ap);
	va_end(ap);
	end_calls();
	struct weft_deferred **list = own_list();
	if (!is_stopped(*list))
		add_seq(&unstopped, 1);
	struct protect *p = run_deferred(list, &info);
	if (!p)
		panic_end_program(info.message);
	pop(&p->mark);
	if (p->exiting)
		weft_exit_goroutine();
	if (p->out)
		*p->out = info;
	longjmp(p->at, 1);
}

/* Nothing here is in a register when it comes back for the second time. */
static int call(struct protect *p, void (*fn)(void *), void *arg)
{
	if (_setjmp(p->at))
		return 1;
	fn(arg);
	assert_debug(*p->mark.list == &p->mark);
	pop(&p->mark);
	return 0;
}

int weft_protect(void (*fn)(void *), void *arg, weft_panic_info *out)
{
	struct protect p; /* not zeroed: what libc keeps there is large */
	p.out = out;
	p.exiting = false;
	push_here(&p.mark, PROTECT);
	return call(&p, fn, arg);
}
