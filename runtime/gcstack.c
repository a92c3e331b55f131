#include "runtime/gcstack.h"
#include "runtime/fiber.h"
#include "runtime/gckept.h"

#include <sched.h>
#include <signal.h>

enum {
	CLAIMED = 128, /* beside a code */
	SPINS = 256,   /* between two yields to the kernel */
	RED_ZONE = 128,
};

_Static_assert((int)GC_CODES < (int)CLAIMED, "a code leaves the claim's bit alone");

/* ---- claims ---- */

enum gc_claim_result gc_try_claim(struct g *g)
{
	uint8_t done = gc_code(), was = load_acq(&g->scan); /* A1 */
	if (was == done)
		return GC_CLAIM_DONE;
	if (was & CLAIMED || !cas_acq(&g->scan, &was, (uint8_t)(done | CLAIMED))) /* A1 */
		return GC_CLAIM_OTHERS;
	return GC_CLAIM_MINE;
}

bool gc_claim(struct g *g)
{
	enum gc_claim_result c;
	for (unsigned spins = 1; (c = gc_try_claim(g)) == GC_CLAIM_OTHERS; spins++) {
		cpu_relax();
		if (spins % SPINS == 0)
			sched_yield();
	}
	return c == GC_CLAIM_MINE;
}

void gc_looked_at(struct g *g)
{
	store_rel(&g->scan, gc_code()); /* R1 */
}

void gc_unclaim(struct g *g)
{
	store_rel(&g->scan, 0);
}

/* ---- words ---- */

/* The rest is of no interest. A word that `to` cuts is looked at. */
void gc_note_some_words(struct gc_filling *f, const void *from, const void *to)
{
	const struct pages *pages = &collector.heap.pages;
	const uintptr_t *first = (const uintptr_t *)((uintptr_t)from & ~(sizeof(uintptr_t) - 1));
	const uintptr_t *end = (const uintptr_t *)(((uintptr_t)to + sizeof(uintptr_t) - 1) & ~(sizeof(uintptr_t) - 1));
	gc_fill_words(f, first, end, (uintptr_t)pages->base, pages->npages << PAGE_SHIFT, collector.marking.lines);
}

void gc_noted(const struct gc_filling *f, size_t bytes)
{
	(void)add_rlx(f->from == GC_STACK ? &collector.xstacks : &collector.xroots, bytes);
}

void gc_note_words(struct gc_filling *f, const void *from, const void *to)
{
	gc_note_some_words(f, from, to);
	gc_noted(f, (size_t)((const char *)to - (const char *)from));
}

void gc_note_word(struct gc_filling *f, const void *word)
{
	if (pages_has(&collector.heap.pages, (uintptr_t)word))
		gc_fill(f, (uintptr_t)word);
}

/* ---- ranges ---- */

static NOT_INSTRUMENTED void see_copied_argument(const struct g *g, gc_see_range *see, void *arg)
{
	const struct g_options *o = load_acq(&g->options);
	if (!o || !o->arg_size)
		return;
	const char *copy = o->arg_copy ? (const char *)o->arg_copy : o->inline_arg;
	see(arg, copy, copy + o->arg_size);
}

void gc_ranges_of_parked(const struct g *g, gc_see_range *see, void *arg)
{
	struct stack *s = load_acq(&g->stack);
	fiber_observe((void *)(uintptr_t)&g->ctx);
	see_copied_argument(g, see, arg);
	if (s)
		see(arg, g->ctx.sp, stack_top(s));
	else if (load_rlx(&g->state) != G_FREE)
		see(arg, &g->arg, &g->arg + 1);
}

void gc_ranges_of_section(const struct g *g, const struct section *s, const void *stack_end, gc_see_range *see, void *arg)
{
	see_copied_argument(g, see, arg);
	see(arg, s->word, s->word + s->n);
	see(arg, s->frame, s->frame_end);
	if (load_rlx(&s->sp)) /* an attached thread's that has only come */
		see(arg, load_rlx(&s->sp), stack_end);
}

/* ---- goroutines ---- */

struct noting {
	struct gc_filling f;
	struct stack *stack; /* of which something may be kept; NULL: of none */
};

static NOT_INSTRUMENTED void note_range(void *noting, const void *from, const void *to)
{
	struct noting *n = noting;
	if (n->stack && to == stack_top(n->stack))
		gc_kept_note(&n->f, n->stack, from);
	else
		gc_note_words(&n->f, from, to);
}

/* From this frame on; what is in registers is saved in it. */
static NOT_INSTRUMENTED __attribute__((noinline)) void note_self(struct gc_filling *f, const void *stack_end)
{
	__builtin_unwind_init();
	const char *sp;
#if defined(__x86_64__)
	__asm__ volatile("movq %%rsp, %0" : "=r"(sp));
#elif defined(__aarch64__)
	__asm__ volatile("mov %0, sp" : "=r"(sp));
#endif
	gc_note_words(f, sp, stack_end);
}

/* What it did to objects is before whatever becomes of their memory. */
static void end(struct gc_filling *f, struct g *g)
{
	gc_fill_end(f);
	fiber_publish(&collector);
	gc_looked_at(g);
}

void gc_look_at_parked(struct g *g)
{
	struct noting n = {gc_filling(GC_STACK), load_acq(&g->stack)};
	gc_ranges_of_parked(g, note_range, &n);
	end(&n.f, g);
}

void gc_look_at_self(struct g *g, const void *stack_end)
{
	struct noting n = {.f = gc_filling(GC_STACK)};
	see_copied_argument(g, note_range, &n);
	note_self(&n.f, stack_end);
	end(&n.f, g);
}

/* `kept`: its stack, if something of that may be kept. */
static void look_at_section(struct g *g, const struct section *s, const void *stack_end, struct stack *kept)
{
	struct noting n = {gc_filling(GC_STACK), kept};
	gc_ranges_of_section(g, s, stack_end, note_range, &n);
	end(&n.f, g);
}

void gc_look_at_section(struct g *g, const struct section *s)
{
	struct stack *stack = load_acq(&g->stack);
	look_at_section(g, s, stack_top(stack), stack);
}

void gc_look_at_attached(struct g *g, const struct section *s, const void *stack_end)
{
	look_at_section(g, s, stack_end, NULL);
}

/* ---- signals ---- */

static uintptr_t interrupted_at(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (uintptr_t)context->uc_mcontext.gregs[REG_RSP] - RED_ZONE;
#else
	return (uintptr_t)context->uc_mcontext.sp;
#endif
}

/* The frame that the kernel has made for the handler, which may be on a stack of its own, has all registers. */
static const void *end_of_frame(const ucontext_t *context)
{
	stack_t stack;
	if (sigaltstack(NULL, &stack) || !(stack.ss_flags & SS_ONSTACK))
		return context + 1;
	return (char *)stack.ss_sp + stack.ss_size;
}

NOT_INSTRUMENTED bool section_of_interrupt(struct section *s, const ucontext_t *context, const void *stack_end, size_t stack_size)
{
	uintptr_t sp = interrupted_at(context);
	if ((uintptr_t)stack_end - sp > stack_size)
		return false;
	store_rlx(&s->sp, (void *)sp);
	s->n = 0;
	s->frame = context;
	s->frame_end = end_of_frame(context);
	return true;
}

NOT_INSTRUMENTED void gc_look_at_interrupted(struct g *g, const ucontext_t *context, const void *stack_end, size_t stack_size)
{
	struct section here;
	if (section_of_interrupt(&here, context, stack_end, stack_size) && gc_try_claim(g) == GC_CLAIM_MINE)
		look_at_section(g, &here, stack_end, NULL);
}
