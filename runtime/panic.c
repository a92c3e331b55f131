/* Panics: deferred calls on an intact stack, and then one jump.
 *
 * WEFT_DEFER leaves a record in the frame of its block, on a list that the goroutine has. When the block is left, the compiler's
 * cleanup takes the record off and makes the call. A jump would pass the cleanup by, so a panic makes the calls itself, from
 * where it was raised, on top of the frames that it will do away with; and only then jumps, to weft_protect. So what a deferred call
 * is given by address is still there, and the trace of a panic that nobody stops shows who raised it.
 *
 *     WEFT_DEFER       record.next := the list; the list := record
 *     block left       the list := record.next; call
 *     panic            until the list is as weft_protect found it: the list := record.next; call. Then jump
 *     exit             until the list is empty: the same. Then end
 *
 * A record is off the list before its call is made: if that panics or exits, whoever comes next goes on with those behind it. That
 * is all there is to a panic that replaces another: the inner one runs what is left and jumps past the outer.
 *
 * An exit cannot be stopped. It marks the protects that it passes; a panic of one of its deferred calls which comes to a marked one
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

/* In weft_protect's frame. */
struct protect {
	struct protect *outer;
	struct weft_deferred *deferred; /* the list as it was; these are not run */
	weft_panic_info *out;
	bool in_section;
	bool exiting; /* an exit has passed */
	jmp_buf at;
};

static _Thread_local struct panic_part outside;

/* NULL: a thread outside. */
static inline struct g *goroutine(void)
{
	struct m *m = m_self();
	return likely(m != NULL) ? m_g(m) : NULL;
}

static inline struct panic_part *part_of(struct g *g)
{
	return likely(g != NULL) ? &g->panics : &outside;
}

/* ---- blocking sections ---- */

static inline bool in_section(const struct g *g)
{
	return likely(g != NULL) && load_rlx(&g->state) == G_SYSCALL;
}

static void end_section_unless(bool wanted)
{
	if (!wanted && in_section(goroutine()))
		weft_block_end();
}

/* ---- deferred calls ---- */

static inline void push(struct panic_part *p, struct weft_deferred *d)
{
	d->list = &p->deferred;
	d->next = p->deferred;
	p->deferred = d;
}

static COLD void defer_outside(struct weft_deferred *d)
{
	d->in_section = false;
	push(&outside, d);
}

void weft_defer(weft_deferred *d)
{
	struct g *g = goroutine();
	if (unlikely(!g)) {
		defer_outside(d);
		return;
	}
	d->in_section = in_section(g);
	push(&g->panics, d);
}

static void run_deferred(struct panic_part *p, const struct weft_deferred *until)
{
	struct weft_deferred *d;
	while ((d = p->deferred) != until) {
		assert_always(d);
		end_section_unless(d->in_section);
		weft_deferred_run(d);
	}
}

void deferred_run_all(struct panic_part *p)
{
	for (struct protect *passed = p->protects; passed; passed = passed->outer)
		passed->exiting = true;
	run_deferred(p, NULL);
	p->protects = NULL; /* what is wrong from here on ends the program */
}

/* ---- panics ---- */

/* The message first, in one write: whatever goes wrong with the trace, it has been said. */
static COLD _Noreturn void end_program(const char *message)
{
	static _Atomic int panicking;
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
	struct panic_part *part = part_of(goroutine());
	struct protect *p = part->protects;
	run_deferred(part, p ? p->deferred : NULL);
	if (!p)
		end_program(info.message);
	end_section_unless(p->in_section);
	if (p->exiting) {
		part->protects = p->outer;
		weft_exit_goroutine();
	}
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
	return 0;
}

int weft_protect(void (*fn)(void *), void *arg, weft_panic_info *out)
{
	struct g *g = goroutine();
	struct panic_part *part = part_of(g);
	struct protect p; /* not zeroed: what libc keeps there is large */
	p.outer = part->protects;
	p.deferred = part->deferred;
	p.out = out;
	p.in_section = in_section(g);
	p.exiting = false;
	part->protects = &p;
	int panicked = call(&p, fn, arg);
	assert_debug(part->deferred == p.deferred);
	part->protects = p.outer;
	return panicked;
}
