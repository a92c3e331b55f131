/* weft/gc.h: allocating collected objects, storing pointers to them, and what can be asked of the collector. */
#include "lockfree/assert.h"
#include "runtime/attach.h"
#include "runtime/call.h"
#include "runtime/collect.h"
#include "runtime/fiber.h"
#include "runtime/fork.h"
#include "runtime/gcsite.h"
#include "runtime/gctype.h"
#include "runtime/panic.h"

#include <weft/gc.h>
#include <weft/go.h>
#include <weft/mem.h>

#include <string.h>

enum { WORD = sizeof(uintptr_t), NOTE_BYTES = 8 * 1024, NOTE_WHILE_ON = 4096 };

static bool holds_pointers(const weft_type *t)
{
	return t->npointers || t->flags_ & WEFT_TYPE_CONSERVATIVE_;
}

static _Noreturn void too_large(size_t count, size_t size)
{
	weft_panic("allocation of %zu objects of %zu bytes: more than a heap can be", count, size);
}

/* ---- allocating ---- */

static COLD _Noreturn void no_memory(size_t bytes)
{
	fatal("out of memory for a collected object of %zu bytes", bytes);
}

static uint32_t cell_for(size_t bytes, const struct shape *shape)
{
	uint32_t cell = heap_cell(&collector.heap, bytes, shape);
	if (cell != HEAP_NO_CELL)
		return cell;
	struct shape general = {.kind = SHAPE_CONSERVATIVE}; /* more shapes than there are cells: any word may be a pointer */
	cell = heap_cell(&collector.heap, bytes, &general);
	if (cell == HEAP_NO_CELL)
		fatal("too many kinds of collected objects");
	return cell;
}

static void *new_in(struct heap_cache *c, size_t bytes, const struct shape *shape, uint32_t cell)
{
	void *object = cell ? heap_new_slow(c, cell) : heap_new_large(c, bytes, shape);
	if (!object)
		no_memory(bytes);
	return object;
}

/* The collector is told of what the P's cache has got, once that is worth telling: gaps between objects may be one slot each, and the counter is
 * everybody's. While it marks it is told sooner: who is told pays no more than some microseconds. */
static inline void note_allocated(struct p *p)
{
	int64_t bytes = (int64_t)(load_rlx(&p->cache->allocated) - p->gc_noted); /* less than none, after runs were given back */
	if (likely(bytes < (gc_is_on(&collector) ? NOTE_WHILE_ON : NOTE_BYTES)) && likely(!p->cache->one_by_one))
		return;
	p->gc_noted += (uint64_t)bytes;
	gc_note_allocated(p, bytes > 0 ? (uint64_t)bytes : 0);
}

static void *new_on(struct p *p, size_t bytes, const struct shape *shape, uint32_t cell)
{
	void *object = new_in(p->cache, bytes, shape, cell);
	note_allocated(p);
	return object;
}

/* On a thread whose P was taken. */
static COLD void *new_without_p(size_t bytes, const struct shape *shape, uint32_t cell)
{
	struct heap_cache *c = gc_take_shared();
	uint64_t before = load_rlx(&c->allocated);
	void *object = new_in(c, bytes, shape, cell);
	gc_give_shared(load_rlx(&c->allocated) - before);
	return object;
}

static COLD _Noreturn void panic_outside(void)
{
	fork_check();
	weft_panic("collected memory is for goroutines and attached threads (weft_attach)");
}

/* cell HEAP_NO_CELL: it is to be looked for, or a large one; otherwise nobody asks for bytes and shape. Of the object `used` bytes are the
 * program's. */
static void *new_object(size_t bytes, const struct shape *shape, uint32_t cell, size_t used, const weft_type *t, uintptr_t caller)
{
	struct m *m = m_self();
	if ((unlikely(!m) || unlikely(!m_g(m))) && !gc_self())
		panic_outside();
	bool outermost = call_begin();
	struct p *p = likely(m != NULL) ? m_p(m) : NULL;
	if (p)
		fiber_observe(p->marker);
	fiber_observe(&collector); /* who had the memory before has been looked at since (gcstack.c) */
	if (bytes <= SMALL_MOST && !cell)
		cell = cell_for(bytes, shape);
	void *object = p ? new_on(p, bytes, shape, cell) : new_without_p(bytes, shape, cell);
	heap_bound(&collector.heap, object, cell, used);
	gc_site_note(object, t, caller);
	if (p)
		fiber_publish(p->marker);
	call_end(outermost);
	return object;
}

/* In a slot's last word, behind what is the program's. */
static NOT_INSTRUMENTED void set_type(char *at, const struct gc_type *type)
{
	__atomic_store_n((const void **)(void *)at, type, __ATOMIC_RELEASE);
}

static void *new_array(const weft_type *t, size_t count, uintptr_t caller)
{
	struct shape shape = gc_shape_of(t);
	gc_type_know(t);
	if (t->align > PAGE_BYTES)
		weft_panic("alignment of %u bytes: collected objects have %d at most", t->align, PAGE_BYTES);
	size_t bytes = gc_bytes_for(t, count, &shape);
	if (bytes > collector.heap.pages.npages << PAGE_SHIFT)
		too_large(count, t->size);
	char *object = new_object(bytes, &shape, HEAP_NO_CELL, t->size * count, t, caller);
	if (shape.kind == SHAPE_TYPED) {
		size_t slot = bytes > SMALL_MOST ? (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES
						 : size_classes[size_class_of(bytes)].size;
		set_type(object + slot - WORD, gc_scan_of(t));
	}
	return object;
}

static void *new_of_type(const weft_type *t, uintptr_t caller)
{
	uint64_t place = __atomic_load_n(&t->lazy_->place, __ATOMIC_ACQUIRE);
	if (likely(place != 0))
		return new_object(0, NULL, (uint32_t)place, t->size, t, caller);
	struct shape shape = gc_shape_of(t);
	if (t->size > SMALL_MOST - 2 * WORD || t->align > GC_SLOT_ALIGN || shape.kind == SHAPE_TYPED)
		return new_array(t, 1, caller);
	size_t bytes = gc_bytes_for(t, 1, &shape);
	gc_type_know(t);
	if (!gc_self())
		panic_outside();
	void *object = new_object(bytes, &shape, HEAP_NO_CELL, t->size, t, caller);
	uint64_t slot = size_classes[size_class_of(bytes)].size;
	__atomic_store_n(&t->lazy_->place, slot << 32 | cell_for(bytes, &shape), __ATOMIC_RELEASE);
	return object;
}

void *weft_new_slow_(const weft_type *t)
{
	return new_of_type(t, (uintptr_t)__builtin_return_address(0));
}

/* Where each second object has died there is a gap behind every one: so it is looked for before all the rest. */
void *weft_new_piece_(const weft_type *t)
{
	struct weft_mutator_ *m = weft_mutator_;
	struct p *p = (struct p *)__atomic_load_n(&m->p, __ATOMIC_RELAXED);
	uint64_t place = __atomic_load_n(&t->lazy_->place, __ATOMIC_RELAXED);
	struct heap_run *r = &p->runs[(uint32_t)place];
	void *object = load_rlx(&r->left) ? heap_next_piece(r, place >> 32) : NULL;
	weft_mutator_leave_(m);
	return likely(object != NULL) ? object : new_of_type(t, (uintptr_t)__builtin_return_address(0));
}

void *weft_new_array_(const weft_type *t, size_t count)
{
	return new_array(t, count, (uintptr_t)__builtin_return_address(0));
}

void *weft_new_bytes(size_t size)
{
	static const struct shape leaf = {.kind = SHAPE_LEAF};
	if (size > collector.heap.pages.npages << PAGE_SHIFT)
		too_large(size, 1);
	return new_object(size ? size : 1, &leaf, HEAP_NO_CELL, size, NULL, (uintptr_t)__builtin_return_address(0));
}

void **weft_new_ptrs(size_t count)
{
	static const struct shape pointers = {SHAPE_MAP, 1, 1};
	if (count > (collector.heap.pages.npages << PAGE_SHIFT) / WORD)
		too_large(count, WORD);
	return new_object(count ? count * WORD : WORD, &pointers, HEAP_NO_CELL, count * WORD, NULL, (uintptr_t)__builtin_return_address(0));
}

/* ---- storing ---- */

static void must_be_manual(const void *value)
{
	if (pages_has(&collector.heap.pages, (uintptr_t)value))
		panic_outside();
}

/* The calling thread, as weft/gc.h's inline forms know it. */
static struct weft_mutator_ *self(void)
{
	struct m *m = m_self();
	struct attached *a = m ? NULL : attached_self();
	return m ? m_as_mutator(m) : a ? &a->mutator : NULL;
}

/* As the inline form: inside from the look at the flag to the store. */
static bool begin_store(struct weft_mutator_ *m)
{
	bool outermost = !__atomic_load_n(&m->inside, __ATOMIC_RELAXED);
	weft_mutator_enter_(m);
	return outermost;
}

static void end_store(struct weft_mutator_ *m, bool outermost)
{
	if (outermost)
		weft_mutator_leave_(m);
}

/* The new value too, while the stack that it comes from has not been looked at. */
static void shade_store(const void *slot, void *const *value)
{
	gc_shade_word(slot);
	if (!gc_is_black(gc_self()))
		gc_shade_word(value);
}

/* Until then somebody may store to the same slot untold, between a look at it and the store: what is overwritten is what was there at that moment
 * (gc/cycle.h, 1). */
static bool all_shade(void)
{
	return gc_is_marking(&collector);
}

static void *exchange(void *slot, void *value)
{
	if (gc_shades() && !gc_is_black(gc_self()))
		gc_shade_word(&value);
	void *old = __atomic_exchange_n((void **)slot, value, __ATOMIC_ACQ_REL);
	if (gc_shades())
		gc_shade_word(&old);
	return old;
}

void weft_set_slow_(void *slot, void *value)
{
	struct weft_mutator_ *m = self();
	if (unlikely(!m)) {
		must_be_manual(value);
		__atomic_store_n((void **)slot, value, __ATOMIC_RELEASE);
		return;
	}
	bool outermost = begin_store(m);
	if (gc_shades() && !all_shade()) {
		(void)exchange(slot, value);
	} else {
		if (gc_shades())
			shade_store(slot, &value);
		__atomic_store_n((void **)slot, value, __ATOMIC_RELEASE);
	}
	end_store(m, outermost);
}

void *weft_swap_(void *slot, void *value)
{
	struct weft_mutator_ *m = self();
	if (unlikely(!m)) {
		must_be_manual(value);
		return __atomic_exchange_n((void **)slot, value, __ATOMIC_ACQ_REL);
	}
	bool outermost = begin_store(m);
	void *old = exchange(slot, value);
	end_store(m, outermost);
	return old;
}

bool weft_cas_(void *slot, void *expected, void *value)
{
	struct weft_mutator_ *m = self();
	if (unlikely(!m)) {
		must_be_manual(value);
		return __atomic_compare_exchange_n((void **)slot, &expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	}
	bool outermost = begin_store(m);
	if (gc_shades() && !gc_is_black(gc_self()))
		gc_shade_word(&value);
	void *was = expected;
	bool done = __atomic_compare_exchange_n((void **)slot, &was, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	if (done && gc_shades())
		gc_shade_word(&expected);
	end_store(m, outermost);
	return done;
}

enum copying { STORES, EXCHANGES };

/* What is about to be overwritten, unless what is overwritten comes out, and what comes in. */
static void shade_copy(const weft_type *t, const char *to, const char *from, size_t count, enum copying how)
{
	bool black = gc_is_black(gc_self());
	struct shape shape = gc_shape_of(t);
	if (shape.kind == SHAPE_CONSERVATIVE) {
		gc_shade_words(to, count * t->size); /* it may be copied by bytes */
		if (!black)
			gc_shade_words(from, count * t->size);
		return;
	}
	for (size_t i = 0; i < count; i++)
		for (size_t r = 0; r < t->npointers; r++) {
			size_t at = i * t->size + t->pointers[r].offset, bytes = t->pointers[r].n * WORD;
			if (how == STORES)
				gc_shade_words(to + at, bytes);
			if (!black)
				gc_shade_words(from + at, bytes);
		}
}

static void copy_word(char *to, const char *from, enum copying how)
{
	uintptr_t word = __atomic_load_n((const uintptr_t *)(const void *)from, __ATOMIC_RELAXED);
	if (how == EXCHANGES) {
		word = __atomic_exchange_n((uintptr_t *)(void *)to, word, __ATOMIC_ACQ_REL);
		gc_shade_word(&word);
	} else {
		__atomic_store_n((uintptr_t *)(void *)to, word, __ATOMIC_RELEASE);
	}
}

/* Of a conservative type, whose alignment may be less than a word's, the words that are aligned at both ends may be pointers. */
static void copy_words(char *to, const char *from, size_t bytes, enum copying how)
{
	size_t words = bytes / WORD, rest = bytes % WORD;
	if ((uintptr_t)to % WORD || (uintptr_t)from % WORD) {
		memmove(to, from, bytes);
		return;
	}
	if (to <= from || to >= from + bytes) {
		for (size_t i = 0; i < words; i++)
			copy_word(to + i * WORD, from + i * WORD, how);
		memmove(to + words * WORD, from + words * WORD, rest);
	} else {
		memmove(to + words * WORD, from + words * WORD, rest);
		for (size_t i = words; i-- > 0;)
			copy_word(to + i * WORD, from + i * WORD, how);
	}
}

void weft_copy_(const weft_type *t, void *to, const void *from, size_t count)
{
	size_t bytes = t->size * count;
	struct weft_mutator_ *m = self();
	if (!holds_pointers(t)) {
		memmove(to, from, bytes);
		return;
	}
	bool outermost = m && begin_store(m);
	bool shades = m && gc_shades();
	enum copying how = shades && !all_shade() ? EXCHANGES : STORES;
	if (shades)
		shade_copy(t, to, from, count, how);
	copy_words(to, from, bytes, how);
	if (m)
		end_store(m, outermost);
}

/* ---- asking the collector ---- */

static bool has_ended(uint32_t cycle)
{
	return (int32_t)(load_acq(&collector.xended) - cycle) >= 0;
}

void weft_gc(void)
{
	enum { PAUSE_NS = 20000, STEP = 64 * 1024 };
	if (!m_self()) {
		fork_check();
		weft_panic("weft_gc outside a goroutine");
	}
	uint32_t cycle = gc_ask(&collector, GC_WHY_ASKED);
	while (!has_ended(cycle)) {
		bool outermost = call_begin_blocking();
		struct p *p = m_p(m_self());
		fiber_observe(p->marker);
		bool did = gc_step(&collector, p->marker, STEP, GC_ASSIST);
		fiber_publish(p->marker);
		call_end_blocking(outermost);
		if (!did)
			weft_sleep(PAUSE_NS);
		else
			weft_yield();
	}
	gc_tidy_up();
}

/* ---- settings and counts ---- */

static struct {
	struct spin lock;
	struct pace_settings now;
} settings;

void gc_settings_start(const struct pace_settings *s)
{
	settings.now = *s;
}

static void must_be_running(void)
{
	if (!load_acq(&sched.running))
		weft_panic("weft is not running: the collector is there inside weft_main");
}

int weft_gc_percent(int percent)
{
	must_be_running();
	if (percent < WEFT_ASK)
		weft_panic("weft_gc_percent(%d): a percentage, WEFT_OFF or WEFT_ASK", percent);
	bool outermost = call_begin();
	spin_lock(&settings.lock);
	int was = settings.now.percent;
	if (percent != WEFT_ASK) {
		settings.now.percent = percent;
		gc_plan(&collector, &settings.now);
	}
	spin_unlock(&settings.lock);
	call_end(outermost);
	return was;
}

int64_t weft_mem_limit(int64_t bytes)
{
	must_be_running();
	if (bytes < WEFT_ASK)
		weft_panic("weft_mem_limit(%lld): bytes, WEFT_OFF or WEFT_ASK", (long long)bytes);
	bool outermost = call_begin();
	spin_lock(&settings.lock);
	int64_t was = settings.now.limit == PACE_NO_LIMIT ? WEFT_OFF : (int64_t)settings.now.limit;
	if (bytes != WEFT_ASK) {
		settings.now.limit = bytes == WEFT_OFF ? PACE_NO_LIMIT : (uint64_t)bytes;
		gc_plan(&collector, &settings.now);
	}
	spin_unlock(&settings.lock);
	call_end(outermost);
	return was;
}

_Static_assert((int)WEFT_PRESSURE_ASSIST == (int)PACE_ASSIST && (int)WEFT_PRESSURE_GROW == (int)PACE_GROW &&
		   (int)WEFT_PRESSURE_SHED == (int)PACE_SHED,
	       "one is the other");

int weft_gc_pressure(int policy)
{
	must_be_running();
	if (policy != WEFT_ASK && (policy < WEFT_PRESSURE_ASSIST || policy > WEFT_PRESSURE_SHED))
		weft_panic("weft_gc_pressure(%d): one of enum weft_pressure, or WEFT_ASK", policy);
	bool outermost = call_begin();
	spin_lock(&settings.lock);
	int was = (int)settings.now.pressure;
	if (policy != WEFT_ASK) {
		settings.now.pressure = (enum pace_pressure)policy;
		gc_plan(&collector, &settings.now);
	}
	spin_unlock(&settings.lock);
	call_end(outermost);
	return was;
}

bool weft_gc_sheds(void)
{
	return load_rlx(&collector.pressure) == PACE_SHED && gc_is_pressed(&collector);
}

void weft_mem_stats(weft_memstats *out)
{
	struct gc_times t = gc_times();
	struct pages_use use = pages_use(&collector.heap.pages);
	*out = (weft_memstats){
	    .heap_live = load_rlx(&collector.xheap),
	    .heap_goal = load_rlx(&collector.goal),
	    .heap_sys = use.taken + use.free,
	    .heap_released = use.empty,
	    .stacks_sys = stack_bytes_reserved(),
	    .gc_cycles = load_acq(&collector.xended),
	    .pause_ns_max = (uint64_t)t.hold_max,
	    .pause_ns_total = (uint64_t)t.hold_total,
	    .assist_ns_total = (uint64_t)t.spent[GC_ASSIST],
	    .gc_cpu_ns = (uint64_t)(t.spent[GC_SHARE] + t.spent[GC_SPARE]),
	    .allocs = gc_objects_allocated(),
	    .frees = load_rlx(&collector.heap.nfreed),
	};
}
