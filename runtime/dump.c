/* A dump: every goroutine, as it is at the moment of its turn. The others run on meanwhile, so everything here is read beside
 * its writers: a goroutine's words are atomics, its name's bytes too, which may mix two goroutines', and its
 * stack is read through the kernel (trace.c). Nothing of that is dereferenced, and an object that was a goroutine stays
 * readable for ever (alloc/slab.h).
 *
 * SIGQUIT. Its handler may do next to nothing: it leaves a note and posts the semaphore on which the first thread
 * waits for the program's end. That thread holds no P and no lock, whatever the goroutines do, and it has a stack large
 * enough for libdw. After the dump the program ends with status 2, as Go's do: whoever sends SIGQUIT asks for the
 * end and for an account of it; weft_dump is for programs that go on.
 *
 * Symbols want room: libdw takes more than 100 KiB of stack, and may leap over a guard. Who asks deep in its stack, or on
 * a small one, takes its own trace there, which costs some KiB, and lets a thread print that is started for it.
 *
 * R1 on_quit: store_seq(asked)  ->  A1 dump_if_asked: load_seq(asked)   the semaphore is posted in between
 */
#include "runtime/dump.h"
#include "runtime/leaks.h"
#include "runtime/sched.h"
#include "runtime/trace.h"

#include <weft/go.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 192 * 1024 }; /* 116 KiB were touched here */

static const char *const reasons[] = {
	[WAIT_SEND] = "chan send",
	[WAIT_RECV] = "chan receive",
	[WAIT_SEND_NIL] = "chan send",
	[WAIT_RECV_NIL] = "chan receive",
	[WAIT_SELECT] = "select",
	[WAIT_SELECT_NONE] = "select (no cases)",
	[WAIT_MUTEX] = "mutex",
	[WAIT_RWMUTEX] = "rwmutex",
	[WAIT_GROUP] = "wait group",
	[WAIT_COND] = "cond",
	[WAIT_SEM] = "semaphore",
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
	case G_FRESH:
	case G_RUNNABLE:
		return "runnable";
	case G_RUNNING:
		return "running";
	case G_SYSCALL:
		return "syscall";
	default:
		return reasons[load_rlx(&g->waiting) & ~(unsigned)WAIT_LEAKED];
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

/* What others may write meanwhile. */
struct origin {
	char name[G_NAME];
	uint64_t creator;
	void *creator_pc;
};

static struct origin origin_of(const struct g *g)
{
	struct origin o = {.creator = load_rlx(&g->creator), .creator_pc = load_rlx(&g->creator_pc)};
	g_name(g, o.name);
	return o;
}

static void print_head(int fd, const struct g *g, const struct origin *o)
{
	uint8_t state = load_rlx(&g->state);
	dprintf(fd, "\ngoroutine %llu [%s", (unsigned long long)load_rlx(&g->id), state_words(g));
	if (state == G_WAITING || state == G_ASIDE || state == G_SYSCALL)
		print_duration(fd, weft_now() - load_rlx(&g->since));
	dprintf(fd, "%s]%s%s:\n", is_leaked(g) ? ", leaked" : "", o->name[0] ? " name=" : "", o->name);
}

static void print_creator(int fd, const struct origin *o)
{
	if (!o->creator_pc)
		return;
	if (o->creator)
		dprintf(fd, "created by goroutine %llu ", (unsigned long long)o->creator);
	else
		dprintf(fd, "created by a thread ");
	trace_print_place(fd, (uintptr_t)o->creator_pc);
	dprintf(fd, "\n");
}

void dump_creator(int fd, const struct g *g)
{
	struct origin o = origin_of(g);
	print_creator(fd, &o);
}

static void print_g(int fd, const struct g *g, struct trace *t)
{
	struct origin o = origin_of(g);
	print_head(fd, g, &o);
	trace_print(fd, t);
	print_creator(fd, &o);
}

/* Whom a visit is about. */
enum whom { MAIN, OTHERS };

struct visit {
	int fd;
	enum whom whom;
	const struct g *self; /* who asks, and where it stands */
	struct trace here;
	unsigned long seen;
};

static bool exists(const struct g *g)
{
	return load_rlx(&g->state) != G_FREE && !load_rlx(&g->is_thread);
}

static void count_g(void *object, void *arg)
{
	struct visit *v = arg;
	v->seen += exists(object);
}

/* One that runs elsewhere has no trace, nor one in a blocking section or that has not run: their contexts are not saved. */
static void visit_g(void *object, void *arg)
{
	const struct g *g = object;
	struct visit *v = arg;
	struct trace t = {0};
	if (!exists(g) || (load_rlx(&g->id) == 1 ? MAIN : OTHERS) != v->whom)
		return;
	if (load_acq(&g->stack) && load_rlx(&g->state) != G_RUNNING && !load_acq(&g->ctx.xon_cpu))
		trace_context(&t, &g->ctx);
	print_g(v->fd, g, g == v->self ? &v->here : &t);
}

/* One dump at a time, its taker's own trace included. A thread that dies while it prints one prints the next as well; and so does
 * one that prints for another. */
static pthread_mutex_t printing = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static _Atomic pthread_t printer; /* for another; not a thread-local, which goroutines of many identities would read */

static bool printing_begin(void)
{
	return load_rlx(&printer) != pthread_self() && pthread_mutex_lock(&printing) == 0;
}

static void printing_end(bool begun)
{
	if (begun)
		pthread_mutex_unlock(&printing);
}

/* ---- room to print in ---- */

static bool has_room(void)
{
	struct m *m = m_self();
	const struct g *g = m ? m_g(m) : NULL;
	const struct stack *s = g ? load_acq(&g->stack) : NULL;
	const char *here = __builtin_frame_address(0);
	return !s || here < stack_base(s) || here > stack_top(s) || here - stack_base(s) >= ROOM;
}

struct job {
	void (*print)(struct visit *);
	pthread_t asker;
	struct visit visit;
};

static void *thread_run(void *arg)
{
	struct job *j = arg;
	store_rlx(&printer, pthread_self());
	crash_moves_here(j->asker);
	j->print(&j->visit);
	store_rlx(&printer, 0);
	sub_seq(&sched.own_threads, 1);
	return NULL;
}

/* False: there is no thread to be had. */
static bool do_elsewhere(struct job *j)
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all;
	sigfillset(&all);
	pthread_attr_init(&attr);
	j->asker = pthread_self();
	pthread_attr_setstacksize(&attr, 2 * ROOM);
	pthread_attr_setsigmask_np(&attr, &all); /* the program's signals are for others */
	int err = pthread_create(&thread, &attr, thread_run, j);
	pthread_attr_destroy(&attr);
	if (err)
		return false;
	add_seq(&sched.own_threads, 1);
	pthread_join(thread, NULL);
	return true;
}

static void print(struct job *j)
{
	if (has_room() || !do_elsewhere(j))
		j->print(&j->visit);
}

/* ---- who asks ---- */

static const struct g *self(void)
{
	struct m *m = m_self();
	return m ? m_g(m) : NULL;
}

static void print_all(struct visit *v)
{
	v->whom = MAIN;
	slab_each(&sched.gs, visit_g, v);
	v->whom = OTHERS;
	slab_each(&sched.gs, visit_g, v);
}

void dump_all(int fd)
{
	struct job j = {.print = print_all, .visit = {.fd = fd, .self = self()}};
	bool begun = printing_begin();
	if (j.visit.self)
		trace_here(&j.visit.here, 2);
	print(&j);
	printing_end(begun);
}

void weft_dump(int fd)
{
	dump_all(fd);
}

static void visit_leaked(void *object, void *arg)
{
	struct g *g = object;
	struct visit *v = arg;
	struct trace t = {0};
	if (!is_leaked(g))
		return;
	trace_context(&t, &g->ctx);
	print_g(v->fd, g, &t);
}

static void print_leaked(struct visit *v)
{
	dprintf(v->fd, "leaks: %lu goroutine%s\n", v->seen, v->seen == 1 ? "" : "s");
	slab_each(&sched.gs, visit_leaked, v);
}

void dump_leaked(int fd, int n)
{
	struct job j = {.print = print_leaked, .visit = {.fd = fd, .seen = (unsigned long)n}};
	bool begun = printing_begin();
	print(&j);
	printing_end(begun);
}

static void print_self(struct visit *v)
{
	if (v->self) {
		print_g(v->fd, v->self, &v->here);
	} else {
		dprintf(v->fd, "\nthread outside the runtime:\n");
		trace_print(v->fd, &v->here);
	}
}

void dump_self(int fd, unsigned skip_frames)
{
	struct job j = {.print = print_self, .visit = {.fd = fd, .self = self()}};
	bool begun = printing_begin();
	trace_here(&j.visit.here, skip_frames + 1);
	print(&j);
	printing_end(begun);
}

void dump_alone(void (*print_it)(void *), void *arg)
{
	bool begun = printing_begin();
	print_it(arg);
	printing_end(begun);
}

static void dump_on_crash(void)
{
	dump_all(STDERR_FILENO);
	sim_report();
}

void dump_install(void)
{
	store_rel(&crash_hook, dump_on_crash);
}

void dump_deadlock(void)
{
	fatal("all goroutines are asleep - deadlock!");
}

/* ---- SIGQUIT ---- */

static struct {
	_Atomic bool asked;
	sem_t *post;
} quit;

static void on_quit(int signo)
{
	(void)signo;
	store_seq(&quit.asked, true); /* R1 */
	sem_post(quit.post);
}

void dump_on_sigquit(sem_t *post)
{
	struct sigaction before, action = {.sa_handler = on_quit, .sa_flags = SA_ONSTACK | SA_RESTART};
	quit.post = post;
	sigfillset(&action.sa_mask);
	if (sigaction(SIGQUIT, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
		sigaction(SIGQUIT, &action, NULL);
}

void dump_if_asked(void)
{
	struct visit v = {.seen = 0};
	if (!load_seq(&quit.asked)) /* A1 */
		return;
	slab_each(&sched.gs, count_g, &v);
	dprintf(STDERR_FILENO, "SIGQUIT: %lu goroutines\n", v.seen);
	dump_all(STDERR_FILENO);
	_exit(2);
}
