#include "tests/model/explorer.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define FIBER_NEW()     __tsan_create_fiber(0)
#define FIBER_FREE(f)   __tsan_destroy_fiber(f)
#define FIBER_SWITCH(f) __tsan_switch_to_fiber((f), 0)
#define FIBER_SELF()    __tsan_get_current_fiber()
#endif
#endif
#ifndef FIBER_NEW
#define FIBER_NEW()     NULL
#define FIBER_FREE(f)   ((void)(f))
#define FIBER_SWITCH(f) ((void)(f))
#define FIBER_SELF()    NULL
#endif

enum {
	THREADS_MAX = 4,
	LOCATIONS_MAX = 96,
	MESSAGES_MAX = 64,
	CHOICES_MAX = 1024,
	STEPS_MAX = 600, /* of one execution: beyond, it hangs */
	RANGES_MAX = 64,
	PAUSES_MAX = 3, /* after so many, a thread makes room for those that have not paused as often */
	STACK = 256 * 1024,
};

struct view {
	uint32_t seen[LOCATIONS_MAX]; /* index of a message */
	uint32_t steps[THREADS_MAX];
};

/* The one look that a thread relaxes after: none, and one that was stale. */
enum { NO_LOOK = UINT32_MAX, STALE_LOOK = 0 };

static struct location {
	void *address;
	uint32_t n;
	bool is_private;
	uint32_t touched[THREADS_MAX]; /* the step of each thread's last operation */
	struct message {
		uint64_t value;
		struct view view;
	} message[MESSAGES_MAX];
} location[LOCATIONS_MAX];
static uint32_t locations;
static uint32_t writes; /* stores so far */

/* What sequentially consistent operations and fences have handed on; `seen` alone. */
static struct view by_seq;

static struct fiber {
	ucontext_t context;
	void *tsan;
	char *stack;
	bool finished;
	const struct location *awaits; /* NULL: nothing */
	uint64_t unwanted;             /* of what it awaits */
	bool relaxes;
	int pauses;
	uint32_t own;    /* stores */
	uint32_t looked; /* how many stores of others there were when it looked first, since it last relaxed */
	struct view view;
} fiber[THREADS_MAX], outside;

struct range {
	const char *base;
	size_t size;
};
static struct range private[RANGES_MAX], gone[RANGES_MAX], ordered[RANGES_MAX];
static uint32_t privates, gones, ordereds;

static struct explorer_program program;
static const struct explorer_mutation *mutation;
static int running; /* a thread, or -1 */
static int preemptions, stale_reads, steps;
static const char *broken;
static bool telling; /* what each step does */

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

static bool is_asleep(const struct fiber *f)
{
	return f->awaits && f->awaits->message[f->awaits->n - 1].value == f->unwanted;
}

static uint32_t writes_of_others(const struct fiber *f)
{
	return writes - f->own;
}

static bool could_run(const struct fiber *f)
{
	return !f->finished && !is_asleep(f) && (!f->relaxes || writes_of_others(f) > f->looked);
}

/* Two threads that pause in turn, each stirred up by the other's stores, must not keep a third from what both wait
 * for. */
static bool is_enabled(const struct fiber *f)
{
	if (!could_run(f) || f->pauses <= PAUSES_MAX)
		return could_run(f);
	for (int i = 0; i < program.threads; i++)
		if (fiber[i].pauses <= PAUSES_MAX && could_run(&fiber[i]))
			return false;
	return true;
}

/* Those who pause go on all the same when nobody else can. */
static int those_who_pause(int *candidate)
{
	int n = 0;
	for (int i = 0; i < program.threads; i++) {
		if (!fiber[i].finished && fiber[i].relaxes) {
			fiber[i].relaxes = false;
			candidate[n++] = i;
		}
	}
	return n;
}

static void nobody_can_go_on(void)
{
	for (int i = 0; i < program.threads; i++)
		explorer_check(fiber[i].finished || program.may_sleep, "no thread waits for ever");
}

/* Who does the next step. The one that runs comes first; taking over from it counts, unless it cannot go on. */
static void schedule(void)
{
	int candidate[THREADS_MAX], n = 0;
	bool goes_on = running >= 0 && is_enabled(&fiber[running]);
	if (goes_on)
		candidate[n++] = running;
	if (!goes_on || preemptions < program.preemptions)
		for (int i = 0; i < program.threads; i++)
			if (i != running && is_enabled(&fiber[i]))
				candidate[n++] = i;
	if (n == 0)
		n = those_who_pause(candidate);
	if (n == 0)
		nobody_can_go_on();
	int next = n ? candidate[choose(n)] : -1;
	if (next == running)
		return;
	preemptions += goes_on;
	switch_to(next);
}

static void body(int which)
{
	for (;;) {
		program.thread(which);
		fiber[which].finished = true;
		schedule();
	}
}

static void make_fiber(struct fiber *f, int which)
{
	if (!f->stack)
		f->stack = malloc(STACK);
	if (f->tsan)
		FIBER_FREE(f->tsan);
	f->tsan = FIBER_NEW();
	CHECK(f->stack && getcontext(&f->context) == 0);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK;
	f->context.uc_link = NULL;
	makecontext(&f->context, (void (*)(void))(void *)body, 1, which);
}

/* ---- memory ---- */

static bool is_in(const void *address, const struct range *range, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if ((uintptr_t)address - (uintptr_t)range[i].base < range[i].size)
			return true;
	return false;
}

static struct location *locate(void *address, uint64_t memory)
{
	for (uint32_t i = 0; i < locations; i++)
		if (location[i].address == address)
			return &location[i];
	CHECK(locations < LOCATIONS_MAX);
	struct location *l = &location[locations++];
	l->address = address;
	l->n = 1;
	l->is_private = is_in(address, private, privates);
	memset(l->touched, 0, sizeof l->touched);
	l->message[0].value = memory;
	memset(&l->message[0].view, 0, sizeof l->message[0].view);
	return l;
}

static void join_seen(struct view *into, const struct view *from)
{
	for (uint32_t i = 0; i < locations; i++)
		if (from->seen[i] > into->seen[i])
			into->seen[i] = from->seen[i];
}

static void join(struct view *into, const struct view *from)
{
	join_seen(into, from);
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
	if (mutated(function, verb, operand, WEAKEN))
		return RELAXED;
	if (mutated(function, verb, operand, UNRELEASE))
		order &= ~RELEASE;
	if (mutated(function, verb, operand, UNACQUIRE))
		order &= ~ACQUIRE;
	return order;
}

/* Before each operation, others may do theirs. */
static void begin_step(void)
{
	if (running < 0)
		return;
	if (++steps > STEPS_MAX)
		explorer_abandon("the program ends");
	schedule();
	my_view()->steps[running]++;
}

static struct location *begin(void *address, uint64_t memory)
{
	struct location *l = locate(address, memory);
	if (l->is_private)
		return l;
	begin_step();
	if (running >= 0) {
		explorer_check(!is_in(address, gone, gones), "nothing is touched once it has vanished");
		l->touched[running] = my_view()->steps[running];
	}
	return l;
}

static void tell(const char *function, const char *verb, const char *operand, uint64_t value)
{
	if (telling && running >= 0)
		fprintf(stderr, "#   %*s%d: %s: %s %s: %#llx\n", 4 * running, "", running, function, verb, operand,
			(unsigned long long)value);
}

static uint64_t read_message(struct location *l, uint32_t which, int order)
{
	struct view *v = my_view();
	v->seen[l - location] = which;
	if (order & ACQUIRE)
		join(v, &l->message[which].view);
	if (program.saw)
		program.saw(running, l->address, l->message[which].value);
	uint32_t looked = which + 1 < l->n ? (uint32_t)STALE_LOOK : writes_of_others(at(running));
	if (looked < at(running)->looked)
		at(running)->looked = looked;
	return l->message[which].value;
}

static void write_message(struct location *l, uint64_t value, int order)
{
	if (l->is_private) {
		l->message[0].value = value;
		return;
	}
	if (l->n == MESSAGES_MAX)
		explorer_abandon("the program ends");
	struct message *m = &l->message[l->n];
	struct view *v = my_view();
	v->seen[l - location] = l->n;
	m->value = value;
	memset(&m->view, 0, sizeof m->view);
	if (order & RELEASE)
		m->view = *v;
	m->view.seen[l - location] = l->n;
	if (order == SEQ_CST)
		by_seq.seen[l - location] = l->n;
	l->n++;
	writes++;
	at(running)->own++;
}

/* A release sequence goes on through it. */
static void read_modify_write(struct location *l, uint64_t value, int order)
{
	write_message(l, value, order);
	if (!l->is_private)
		join(&l->message[l->n - 1].view, &l->message[l->n - 2].view);
}

uint64_t explorer_load(const char *function, const char *operand, void *address, uint64_t memory, int order)
{
	struct location *l = begin(address, memory);
	uint32_t newest = l->n - 1;
	if (running < 0 || l->is_private)
		return l->message[newest].value;
	order = order_of(function, VERB_LOAD, operand, order);
	uint32_t oldest = stale_reads < program.stale_reads ? my_view()->seen[l - location] : newest;
	if (order == SEQ_CST && by_seq.seen[l - location] > oldest)
		oldest = by_seq.seen[l - location];
	uint32_t back = (uint32_t)choose((int)(newest - oldest + 1));
	stale_reads += back > 0;
	tell(function, back ? "stale load" : "load", operand, l->message[newest - back].value);
	uint64_t value = read_message(l, newest - back, order);
	return mutated(function, VERB_LOAD, operand, BLIND) ? 0 : value;
}

void explorer_store(const char *function, const char *operand, void *address, uint64_t memory, uint64_t value,
		    int order)
{
	struct location *l = begin(address, memory);
	order = order_of(function, VERB_STORE, operand, order);
	if (mutated(function, VERB_STORE, operand, OMIT))
		return;
	if (!l->is_private)
		tell(function, "store", operand, value);
	if (running >= 0 && is_in(address, ordered, ordereds))
		explorer_check(my_view()->seen[l - location] == l->n - 1, "a store comes after the one before");
	write_message(l, value, order);
	if (mutated(function, VERB_STORE, operand, REPEAT))
		write_message(begin(address, memory), value, order);
}

bool explorer_cas(const char *function, const char *operand, void *address, uint64_t memory,
		  uint64_t *expected, uint64_t value, int order)
{
	struct location *l = begin(address, memory);
	order = order_of(function, VERB_CAS, operand, order);
	uint64_t found = read_message(l, l->n - 1, order);
	if (mutated(function, VERB_CAS, operand, SPLIT)) {
		begin_step();
		write_message(l, value, order);
		return true;
	}
	if (found != *expected) {
		tell(function, "failed cas", operand, found);
		*expected = found;
		return false;
	}
	tell(function, "cas", operand, value);
	read_modify_write(l, value, order);
	return true;
}

static uint64_t modified(uint64_t found, enum explorer_verb verb, uint64_t value, size_t size)
{
	uint64_t made = verb == VERB_ADD  ? found + value
			: verb == VERB_OR  ? found | value
			: verb == VERB_AND ? found & value
					   : value;
	return size < sizeof made ? made & ((UINT64_C(1) << 8 * size) - 1) : made;
}

uint64_t explorer_modify(const char *function, const char *operand, void *address, uint64_t memory, size_t size,
			 enum explorer_verb verb, uint64_t value, int order)
{
	struct location *l = begin(address, memory);
	order = order_of(function, verb, operand, order);
	uint64_t found = read_message(l, l->n - 1, order);
	uint64_t made = modified(found, verb, value, size);
	if (!l->is_private)
		tell(function, "modify", operand, made);
	if (mutated(function, verb, operand, SPLIT)) {
		begin_step();
		write_message(l, made, order);
	} else {
		read_modify_write(l, made, order);
	}
	return found;
}

/* ---- waiting ---- */

uint64_t explorer_await(const char *function, const char *operand, void *address, uint64_t memory,
			uint64_t unwanted, int order)
{
	struct location *l = locate(address, memory);
	fiber[running].awaits = l;
	fiber[running].unwanted = unwanted;
	begin(address, memory);
	fiber[running].awaits = NULL;
	tell(function, "await", operand, l->message[l->n - 1].value);
	return read_message(l, l->n - 1, order_of(function, VERB_LOAD, operand, order));
}

/* Without a look since the last time, there is nothing to wait for. */
void explorer_relax(void)
{
	if (running < 0)
		return;
	struct fiber *f = at(running);
	if (f->looked != NO_LOOK && writes_of_others(f) == f->looked) {
		f->relaxes = true;
		f->pauses++;
		schedule();
		f->relaxes = false;
	}
	f->looked = NO_LOOK;
}

/* ---- fences ---- */

static void fence_of(struct view *v)
{
	join_seen(v, &by_seq);
	join_seen(&by_seq, v);
}

void explorer_fence(const char *function)
{
	begin_step();
	tell(function, "fence", "", 0);
	if (mutated(function, VERB_FENCE, "", WEAKEN))
		return;
	fence_of(my_view());
}

/* Every other thread has its fence at a moment of its own. */
void explorer_membarrier(const char *function)
{
	begin_step();
	tell(function, "membarrier", "", 0);
	if (mutated(function, VERB_FENCE, "", WEAKEN))
		return;
	fence_of(my_view());
	for (int t = 0; t < program.threads; t++) {
		if (t == running)
			continue;
		begin_step();
		fence_of(&fiber[t].view);
	}
	begin_step();
	fence_of(my_view());
}

/* ---- memory that ends, and memory that is not looked at ---- */

void explorer_vanish(void *memory, size_t size)
{
	struct range r = {memory, size};
	CHECK(gones < RANGES_MAX);
	gone[gones++] = r;
	for (uint32_t i = 0; i < locations; i++)
		if (is_in(location[i].address, &r, 1))
			for (int t = 0; t < program.threads; t++)
				explorer_check(explorer_has_seen(t, location[i].touched[t]),
					       "whoever has touched what vanishes has done so before");
	plain_vanish(memory, size);
}

void explorer_private(void *memory, size_t size)
{
	CHECK(privates < RANGES_MAX);
	private[privates++] = (struct range){memory, size};
}

void explorer_ordered(void *memory, size_t size)
{
	CHECK(ordereds < RANGES_MAX);
	ordered[ordereds++] = (struct range){memory, size};
}

void explorer_watch(void *memory, size_t size)
{
	plain_watch(memory, size);
}

/* ---- for the program ---- */

int explorer_self(void)
{
	return running;
}

int explorer_choose(int of)
{
	return choose(of);
}

uint32_t explorer_step(void)
{
	return my_view()->steps[running];
}

bool explorer_has_seen(int thread, uint32_t step)
{
	return my_view()->steps[thread] >= step;
}

bool explorer_uses(struct explorer_use *use)
{
	bool free = use->step == 0 || use->thread == running || explorer_has_seen(use->thread, use->step);
	use->thread = running;
	use->step = explorer_step() + 1; /* whatever is done with it, is done before the next one */
	return free;
}

void explorer_check(bool holds, const char *what)
{
	if (!holds && !broken)
		broken = what;
}

void explorer_abandon(const char *what)
{
	explorer_check(false, what);
	switch_to(-1);
	abort();
}

/* ---- exploring ---- */

/* A fiber that was left in the middle begins anew. */
static void reset_fibers(void)
{
	for (int i = 0; i < program.threads; i++) {
		struct fiber *f = &fiber[i];
		if (!f->finished)
			make_fiber(f, i);
		f->finished = f->relaxes = false;
		f->awaits = NULL;
		f->looked = NO_LOOK;
		f->own = 0;
		f->pauses = 0;
	}
	outside.own = 0;
}

/* Everybody has seen what start() has stored. */
static void start_program(void)
{
	memset(&outside.view, 0, sizeof outside.view);
	program.start();
	for (int i = 0; i < program.threads; i++)
		fiber[i].view = outside.view;
}

static void execute(void)
{
	locations = writes = privates = gones = ordereds = 0;
	depth = preemptions = stale_reads = steps = 0;
	memset(&by_seq, 0, sizeof by_seq);
	plain_start();
	reset_fibers();
	for (int i = 0; i < program.threads; i++)
		plain_watch(fiber[i].stack, STACK);
	start_program();
	schedule();
	if (!broken)
		program.end();
}

struct explorer_result explore(const struct explorer_program *p, const struct explorer_mutation *m)
{
	struct explorer_result result = {NULL, 0};
	program = *p; /* explorer_tell runs it once more, when p may be gone */
	mutation = m;
	broken = NULL;
	running = -1;
	choices = 0;
	outside.tsan = FIBER_SELF();
	for (int i = 0; i < THREADS_MAX; i++)
		fiber[i].finished = false;
	do {
		execute();
		result.executions++;
	} while (!broken && next_execution());
	result.broken = broken;
	return result;
}

void explorer_tell(void)
{
	telling = true;
	execute();
	telling = false;
}

void explorer_holds(explorer_exploration *first_failure)
{
	const char *failure = first_failure(NULL);
	if (!failure)
		return;
	explorer_tell();
	test_fail(__FILE__, __LINE__, "not so: %s", failure);
}

void explorer_catches(explorer_exploration *first_failure, const struct explorer_mutation *spoilt, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *what = first_failure(&spoilt[i]);
		if (!what)
			test_fail(__FILE__, __LINE__, "%s is not caught", spoilt[i].name);
		fprintf(stderr, "# %s: not so: %s\n", spoilt[i].name, what);
	}
}
