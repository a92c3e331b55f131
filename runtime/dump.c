#include "runtime/dump.h"
#include "runtime/panic.h"
#include "runtime/sched.h"
#include "runtime/trace.h"

#include <weft/go.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const reasons[] = {
	[WAIT_SEND] = "chan send",
	[WAIT_RECV] = "chan receive",
	[WAIT_SELECT] = "select",
	[WAIT_SELECT_NONE] = "select (no cases)",
	[WAIT_MUTEX] = "mutex",
	[WAIT_GROUP] = "wait group",
	[WAIT_SLEEP] = "sleep",
	[WAIT_READ] = "io read",
	[WAIT_WRITE] = "io write",
	[WAIT_ACCEPT] = "io accept",
	[WAIT_CONNECT] = "io connect",
};
_Static_assert(ARRAY_LEN(reasons) == WAIT_REASONS, "every reason has its words");

static const char *state_words(const struct g *g)
{
	switch (load_rlx(&g->state)) {
	case G_RUNNABLE:
		return "runnable";
	case G_RUNNING:
		return "running";
	case G_SYSCALL:
		return "syscall";
	default:
		return reasons[load_rlx(&g->waiting)];
	}
}

/* ", 3m12s" from a second on. */
static void print_duration(int fd, int64_t ns)
{
	int64_t s = ns / WEFT_S;
	if (s >= 3600)
		dprintf(fd, ", %lldh%lldm", (long long)(s / 3600), (long long)(s % 3600 / 60));
	else if (s >= 60)
		dprintf(fd, ", %lldm%llds", (long long)(s / 60), (long long)(s % 60));
	else if (s >= 1)
		dprintf(fd, ", %llds", (long long)s);
}

static void print_head(int fd, const struct g *g)
{
	uint8_t state = load_rlx(&g->state);
	dprintf(fd, "\ngoroutine %llu [%s", (unsigned long long)load_rlx(&g->id), state_words(g));
	if (state == G_WAITING || state == G_SYSCALL)
		print_duration(fd, weft_now() - load_rlx(&g->since));
	dprintf(fd, "]%s%s:\n", g->name[0] ? " name=" : "", g->name);
}

void dump_creator(int fd, const struct g *g)
{
	if (!g->creator_pc)
		return;
	if (g->creator)
		dprintf(fd, "created by goroutine %llu ", (unsigned long long)g->creator);
	else
		dprintf(fd, "created by a thread ");
	trace_print_place(fd, (uintptr_t)g->creator_pc);
	dprintf(fd, "\n");
}

/* One that runs elsewhere, or has not run, has no trace. */
static void print_g(int fd, const struct g *g, const struct g *self)
{
	struct trace t = {0};
	print_head(fd, g);
	if (g == self)
		trace_here(&t, 2);
	else if (g->stack && load_rlx(&g->state) != G_RUNNING && !load_acq(&g->ctx.xon_cpu))
		trace_context(&t, &g->ctx);
	trace_print(fd, &t);
	dump_creator(fd, g);
}

struct visit {
	int fd;
	bool main; /* only the main goroutine, or all but it */
	const struct g *self;
};

static void visit_g(void *object, void *arg)
{
	const struct g *g = object;
	const struct visit *v = arg;
	if (load_rlx(&g->state) == G_FREE || load_rlx(&g->is_thread) || (load_rlx(&g->id) == 1) != v->main)
		return;
	print_g(v->fd, g, v->self);
}

void dump_all(int fd)
{
	struct m *m = m_self();
	struct visit v = {.fd = fd, .main = true, .self = m ? m_g(m) : NULL};
	slab_each(&sched.gs, visit_g, &v);
	v.main = false;
	slab_each(&sched.gs, visit_g, &v);
}

void weft_dump(int fd)
{
	dump_all(fd);
}

void dump_self(int fd, unsigned skip_frames)
{
	struct m *m = m_self();
	const struct g *g = m ? m_g(m) : NULL;
	struct trace t;
	trace_here(&t, skip_frames + 1);
	if (!g) {
		dprintf(fd, "\nthread outside the runtime:\n");
		trace_print(fd, &t);
		return;
	}
	print_head(fd, g);
	trace_print(fd, &t);
	dump_creator(fd, g);
}

static void dump_on_crash(void)
{
	dump_all(STDERR_FILENO);
}

void dump_install(void)
{
	crash_hook = dump_on_crash;
}

void dump_deadlock(void)
{
	fatal("all goroutines are asleep - deadlock!");
}

/* The message first, in one write: whatever goes wrong with the trace, it has been said. */
void weft_panic(const char *fmt, ...)
{
	static _Atomic int panicking;
	char line[512] = "panic: ";
	va_list ap;
	va_start(ap, fmt);
	int len = 7 + vsnprintf(line + 7, sizeof line - 8, fmt, ap);
	va_end(ap);
	if (swap_seq(&panicking, 1))
		for (;;)
			pause();
	if (len > (int)sizeof line - 2)
		len = (int)sizeof line - 2;
	line[len++] = '\n';
	ssize_t n = write(STDERR_FILENO, line, (size_t)len);
	(void)n;
	dump_self(STDERR_FILENO, 1);
	_exit(2);
}
