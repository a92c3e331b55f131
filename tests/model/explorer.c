#include "tests/model/explorer.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define FIBER_NEW()     __tsan_create_fiber(0)
#define FIBER_SWITCH(f) __tsan_switch_to_fiber((f), 0)
#define FIBER_SELF()    __tsan_get_current_fiber()
#endif
#endif
#ifndef FIBER_NEW
#define FIBER_NEW()     NULL
#define FIBER_SWITCH(f) ((void)(f))
#define FIBER_SELF()    NULL
#endif

enum {
	THREADS_MAX = 4,
	LOCATIONS_MAX = 24,
	MESSAGES_MAX = 48,
	CHOICES_MAX = 512,
	STEPS_MAX = 400, /* of one execution: beyond, it hangs */
	STACK = 256 * 1024,
};

struct view {
	uint32_t seen[LOCATIONS_MAX]; /* index of a message */
	uint32_t steps[THREADS_MAX];
};

static struct location {
	void *address;
	uint32_t n;
	struct message {
		uint64_t value;
		struct view view;
	} message[MESSAGES_MAX];
} location[LOCATIONS_MAX];
static uint32_t locations;

static struct fiber {
	ucontext_t context;
	void *tsan;
	char *stack;
	bool finished;
	struct view view;
} fiber[THREADS_MAX], outside;

static const struct explorer_program *program;
static const struct explorer_mutation *mutation;
static int running; /* a thread, or -1 */
static int preemptions, stale_reads, steps;
static const char *broken;

/* ---- depth-first choice ---- */

static struct {
	uint8_t taken, of;
} choice[CHOICES_MAX];
static int choices, depth;

static int choose(int of)
{
	if (of <= 1)
		return 0;
	CHECK(depth < CHOICES_MAX);
	if (depth == choices) {
		choice[choices].taken = 0;
		choice[choices++].of = (uint8_t)of;
	}
	CHECK_EQ(choice[depth].of, of); /* or the program is not deterministic */
	return choice[depth++].taken;
}

static bool next_execution(void)
{
	while (choices > 0 && choice[choices - 1].taken + 1 == choice[choices - 1].of)
		choices--;
	if (choices == 0)
		return false;
	choice[choices - 1].taken++;
	return true;
}

/* ---- threads ---- */

static struct fiber *at(int which)
{
	return which < 0 ? &outside : &fiber[which];
}

static void switch_to(int which)
{
	struct fiber *from = at(running), *to = at(which);
	running = which;
	FIBER_SWITCH(to->tsan);
	swapcontext(&from->context, &to->context);
}

/* Who does the next step. The one that runs comes first; taking over from it counts, unless it has ended. */
static void schedule(void)
{
	int candidate[THREADS_MAX], n = 0;
	bool goes_on = running >= 0 && !fiber[running].finished;
	if (goes_on)
		candidate[n++] = running;
	if (!goes_on || preemptions < program->preemptions)
		for (int i = 0; i < program->threads; i++)
			if (i != running && !fiber[i].finished)
				candidate[n++] = i;
	int next = n ? candidate[choose(n)] : -1;
	if (next == running)
		return;
	preemptions += goes_on;
	switch_to(next);
}

static void body(int which)
{
	for (;;) {
		program->thread(which);
		fiber[which].finished = true;
		schedule();
	}
}

static void make_fiber(struct fiber *f, int which)
{
	if (!f->stack)
		f->stack = malloc(STACK);
	f->tsan = FIBER_NEW();
	CHECK(f->stack && getcontext(&f->context) == 0);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK;
	f->context.uc_link = NULL;
	makecontext(&f->context, (void (*)(void))(void *)body, 1, which);
}

static void make_fibers(void)
{
	outside.tsan = FIBER_SELF();
	for (int i = 0; i < program->threads; i++)
		make_fiber(&fiber[i], i);
}

/* ---- memory ---- */

static struct location *locate(void *address, uint64_t memory)
{
	for (uint32_t i = 0; i < locations; i++)
		if (location[i].address == address)
			return &location[i];
	CHECK(locations < LOCATIONS_MAX);
	struct location *l = &location[locations++];
	l->address = address;
	l->n = 1;
	l->message[0].value = memory;
	memset(&l->message[0].view, 0, sizeof l->message[0].view);
	return l;
}

static void join(struct view *into, const struct view *from)
{
	for (uint32_t i = 0; i < locations; i++)
		if (from->seen[i] > into->seen[i])
			into->seen[i] = from->seen[i];
	for (int i = 0; i < THREADS_MAX; i++)
		if (from->steps[i] > into->steps[i])
			into->steps[i] = from->steps[i];
}

static struct view *my_view(void)
{
	return &at(running)->view;
}

static bool mutated(const char *function, enum explorer_verb verb, const char *operand,
		    enum explorer_change change)
{
	return mutation && mutation->change == change && mutation->verb == verb &&
	       !strcmp(mutation->function, function) && strstr(operand, mutation->operand);
}

static int order_of(const char *function, enum explorer_verb verb, const char *operand, int order)
{
	return mutated(function, verb, operand, WEAKEN) ? RELAXED : order;
}

/* Before each operation, others may do theirs. */
static void begin_step(void)
{
	if (running < 0)
		return;
	if (++steps > STEPS_MAX) {
		explorer_check(false, "the program ends");
		switch_to(-1); /* for good */
	}
	schedule();
	my_view()->steps[running]++;
}

static uint64_t read_message(struct location *l, uint32_t which, int order)
{
	struct view *v = my_view();
	v->seen[l - location] = which;
	if (order & ACQUIRE)
		join(v, &l->message[which].view);
	if (program->saw)
		program->saw(running, l->address, l->message[which].value);
	return l->message[which].value;
}

static void write_message(struct location *l, uint64_t value, int order)
{
	CHECK(l->n < MESSAGES_MAX);
	struct message *m = &l->message[l->n];
	struct view *v = my_view();
	v->seen[l - location] = l->n;
	m->value = value;
	memset(&m->view, 0, sizeof m->view);
	if (order & RELEASE)
		m->view = *v;
	m->view.seen[l - location] = l->n;
	l->n++;
}

/* A release sequence goes on through it. */
static void read_modify_write(struct location *l, uint64_t value, int order)
{
	write_message(l, value, order);
	join(&l->message[l->n - 1].view, &l->message[l->n - 2].view);
}

uint64_t explorer_load(const char *function, const char *operand, void *address, uint64_t memory, int order)
{
	begin_step();
	struct location *l = locate(address, memory);
	uint32_t newest = l->n - 1;
	if (running < 0)
		return l->message[newest].value;
	uint32_t oldest = stale_reads < program->stale_reads ? my_view()->seen[l - location] : newest;
	uint32_t back = (uint32_t)choose((int)(newest - oldest + 1));
	stale_reads += back > 0;
	return read_message(l, newest - back, order_of(function, VERB_LOAD, operand, order));
}

void explorer_store(const char *function, const char *operand, void *address, uint64_t memory, uint64_t value,
		    int order)
{
	begin_step();
	write_message(locate(address, memory), value, order_of(function, VERB_STORE, operand, order));
}

bool explorer_cas(const char *function, const char *operand, void *address, uint64_t memory,
		  uint64_t *expected, uint64_t value, int order)
{
	begin_step();
	struct location *l = locate(address, memory);
	order = order_of(function, VERB_CAS, operand, order);
	uint64_t found = read_message(l, l->n - 1, order);
	if (mutated(function, VERB_CAS, operand, SPLIT)) {
		begin_step();
		write_message(l, value, order);
		return true;
	}
	if (found != *expected) {
		*expected = found;
		return false;
	}
	read_modify_write(l, value, order);
	return true;
}

uint64_t explorer_add(const char *function, const char *operand, void *address, uint64_t memory,
		      uint64_t value, int order)
{
	begin_step();
	struct location *l = locate(address, memory);
	order = order_of(function, VERB_ADD, operand, order);
	uint64_t found = read_message(l, l->n - 1, order);
	read_modify_write(l, found + value, order);
	return found;
}

uint32_t explorer_step(void)
{
	return my_view()->steps[running];
}

bool explorer_has_seen(int thread, uint32_t step)
{
	return my_view()->steps[thread] >= step;
}

void explorer_check(bool holds, const char *what)
{
	if (!holds && !broken)
		broken = what;
}

/* ---- exploring ---- */

static void execute(void)
{
	locations = 0;
	depth = preemptions = stale_reads = steps = 0;
	program->start();
	for (int i = 0; i < program->threads; i++) {
		fiber[i].finished = false;
		memset(&fiber[i].view, 0, sizeof fiber[i].view);
	}
	schedule();
	if (!broken)
		program->end();
}

struct explorer_result explore(const struct explorer_program *p, const struct explorer_mutation *m)
{
	struct explorer_result result = {NULL, 0};
	program = p;
	mutation = m;
	broken = NULL;
	running = -1;
	choices = 0;
	make_fibers();
	do {
		execute();
		result.executions++;
	} while (!broken && next_execution());
	result.broken = broken;
	return result;
}
