/* weft/gc.h: cleanups and weak pointers, which hang on objects (gc/special.h).
 *
 * A cleanup whose object is dead goes to a list; when there is something in it, a goroutine is started that calls all of them, one after the
 * other, and ends. While a cleanup waits, for the death or for its turn, its argument is a root.
 */
#include "runtime/cleanup.h"
#include "gc/special.h"
#include "lockfree/assert.h"
#include "runtime/area.h"
#include "runtime/call.h"
#include "runtime/panic.h"

#include <weft/gc.h>
#include <weft/go.h>
#include <weft/mem.h>

#include <sched.h>

/* ---- cleanups ---- */

struct cleanup {
	struct gc_special special;
	void (*fn)(void *);
	struct area_word arg;
	struct cleanup *next; /* of those whose time has come */
};
_Static_assert(offsetof(struct cleanup, special) == 0, "one is found by the other");

static struct {
	struct spin lock;
	struct cleanup *first, **last;
	bool runs; /* a goroutine calls them */
} due = {.last = &due.first};

static void *must_alloc(size_t size)
{
	void *p = weft_calloc(1, size);
	if (!p)
		fatal("out of memory for a cleanup or a weak pointer");
	return p;
}

static void its_time_has_come(struct gc_special *sp)
{
	struct cleanup *c = (struct cleanup *)(void *)sp;
	spin_lock(&due.lock);
	c->next = NULL;
	*due.last = c;
	due.last = &c->next;
	spin_unlock(&due.lock);
}

static void attach(struct gc_special *sp, void *obj, const char *what)
{
	bool outermost = call_begin();
	int err = gc_special_add(&collector, sp, obj);
	if (gc_shades())
		gc_shade_word(&obj);
	call_end(outermost);
	if (err)
		weft_panic("%s of what is no collected object: %p", what, obj);
}

void weft_cleanup(void *obj, void (*fn)(void *), void *arg)
{
	if (!fn)
		weft_panic("cleanup without a function");
	struct cleanup *c = must_alloc(sizeof *c);
	c->special.dead = its_time_has_come;
	c->fn = fn;
	area_word_add(&c->arg, arg);
	attach(&c->special, obj, "weft_cleanup");
}

struct call {
	void (*fn)(void *);
	void *arg;
};

static bool is_call(const struct gc_special *sp, const void *what)
{
	const struct cleanup *c = (const struct cleanup *)(const void *)sp;
	const struct call *call = what;
	return sp->dead == its_time_has_come && c->fn == call->fn && load_rlx(&c->arg.word) == call->arg;
}

struct visit {
	void (*see)(void *, const void *);
	void *arg;
};

static NOT_INSTRUMENTED void visit_span(void *object, void *arg)
{
	const struct span *s = object;
	const struct visit *v = arg;
	for (struct gc_special *sp = load_rlx(&s->specials); sp; sp = sp->next)
		if (sp->dead == its_time_has_come)
			v->see(v->arg, load_rlx(&((struct cleanup *)(void *)sp)->arg.word));
}

void cleanups_each(void (*see)(void *arg, const void *word), void *arg)
{
	slab_each(&collector.heap.spans, visit_span, &(struct visit){see, arg});
}

static void drop_cleanup(struct cleanup *c)
{
	area_word_drop(&c->arg);
	weft_free(c);
}

bool weft_cleanup_cancel(void *obj, void (*fn)(void *), void *arg)
{
	bool outermost = call_begin();
	struct gc_special *sp = gc_special_take(&collector, obj, is_call, &(struct call){fn, arg});
	call_end(outermost);
	if (sp)
		drop_cleanup((struct cleanup *)(void *)sp);
	return sp;
}

static struct cleanup *next_due(void)
{
	bool outermost = call_begin();
	spin_lock(&due.lock);
	struct cleanup *c = due.first;
	if (c)
		due.first = c->next;
	if (!due.first)
		due.last = &due.first;
	due.runs = c;
	spin_unlock(&due.lock);
	call_end(outermost);
	return c;
}

static void run_due(void *unused);

/* A cleanup that exits its goroutine leaves the others to another one. */
static void go_on(void *left)
{
	if (*(bool *)left)
		weft_go(run_due, NULL);
}

static void run_due(void *unused)
{
	(void)unused;
	bool left = true;
	WEFT_DEFER(go_on, &left);
	struct cleanup *c;
	while ((c = next_due())) {
		void (*fn)(void *) = c->fn;
		void *arg = load_rlx(&c->arg.word);
		drop_cleanup(c);
		fn(arg);
	}
	left = false;
}

void gc_start_cleanups(void)
{
	spin_lock(&due.lock);
	bool start = due.first && !due.runs;
	due.runs |= start;
	spin_unlock(&due.lock);
	if (start)
		weft_go(run_due, NULL);
}

/* ---- weak pointers ---- */

struct weft_weak {
	struct gc_special special;
};

static void nothing(struct gc_special *sp)
{
	(void)sp;
}

weft_weak *weft_weak_make(void *obj)
{
	weft_weak *w = must_alloc(sizeof *w);
	w->special.dead = nothing;
	attach(&w->special, obj, "weft_weak_make");
	return w;
}

/* While it is being found out whether marking has ended, an object that is not marked may become so. */
void *weft_weak_get(weft_weak *w)
{
	for (;;) {
		bool wait, outermost = call_begin();
		void *obj = gc_special_get(&collector, &w->special, &wait);
		if (obj && gc_shades())
			gc_shade_word(&obj);
		call_end(outermost);
		if (!wait)
			return obj;
		sched_yield(); /* on one CPU, under SCHED_FIFO, whoever finds it out comes only then */
	}
}

void weft_weak_free(weft_weak *w)
{
	if (!w)
		return;
	bool outermost = call_begin();
	gc_special_drop(&collector, &w->special);
	call_end(outermost);
	weft_free(w);
}
