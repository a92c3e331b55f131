/* Collected memory: objects that are given back when nothing points to them any more. docs/memory.md says when to use it, docs/gc.md how
 * it works.
 *
 *     struct node { struct node *next; int value; };
 *     WEFT_TYPE(node, struct node, next);
 *
 *     struct node *n = weft_new(node);       zeroed; locals need nothing, stacks and registers are looked at
 *     n->next = m;                           as long as no other goroutine can reach n: a plain store into an empty member
 *     weft_set(&list->next, n);              from then on
 *
 * A collected pointer may stand in a declared member of a collected object, in a root (WEFT_ROOT), on a goroutine's stack or in its
 * registers, in what the runtime holds for later (arguments of goroutines, timers, groups, deferred calls; context values), in an
 * element of a channel that is not made with _leaf, in a key or value of a map that is not declared with _LEAF, in a pool. Nowhere else: not in
 * manual memory, thread-locals, or undeclared members. A pointer to any byte of an object keeps it; one to the byte behind its end does so on
 * a stack.
 *
 * For goroutines, and threads that are attached (weft_attach). */
#ifndef WEFT_GC_H
#define WEFT_GC_H

#include <weft/base.h>
#include <weft/type.h>

WEFT_BEGIN_DECLS

/* ---- what the inline forms know ---- */

/* The beginnings of structs of the library's; it asserts that they are like this. */
struct weft_run_ {
	char *at, *end;
	void *rest[6];
};

struct weft_p_ {
	struct weft_run_ *runs;
};

struct weft_mutator_ {
	uintptr_t p; /* a struct weft_p_ *; odd: it is being taken; 0: there is none */
	bool inside; /* a call: the P stays, and the phase of the collector too */
};

/* Not 0: stores have to be told to the collector. */
WEFT_API extern uint8_t weft_marking_;

/* Sanitizers are to see each access, and have the functions. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define WEFT_GC_INLINE_ 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define WEFT_GC_INLINE_ 0
#else
#define WEFT_GC_INLINE_ 1
#endif
#else
#define WEFT_GC_INLINE_ 1
#endif

WEFT_API void *weft_new_piece_(const weft_type *); /* the run is at its end; within a call, which it ends */
WEFT_API void *weft_new_slow_(const weft_type *);
WEFT_API void *weft_new_array_(const weft_type *, size_t count);
WEFT_API void weft_set_slow_(void *slot, void *value);
WEFT_API void weft_copy_(const weft_type *, void *to, const void *from, size_t count);
WEFT_API void *weft_swap_(void *slot, void *value);
WEFT_API bool weft_cas_(void *slot, void *expected, void *value);

/* The calling thread's, NULL on one that is none of weft's. Read through assembly each time: a goroutine may wake on another thread, and a
 * compiler that knew this for a thread-local would keep its old address. */
static inline __attribute__((always_inline)) struct weft_mutator_ *weft_mutator_self_(void)
{
	struct weft_mutator_ *m;
#if defined(__x86_64__)
	__asm__ volatile("movq weft_mutator_@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(m) : : "memory");
#elif defined(__aarch64__)
	uintptr_t offset;
	__asm__ volatile("mrs %0, tpidr_el0\n\t"
			 "adrp %1, :gottprel:weft_mutator_\n\t"
			 "ldr %1, [%1, :gottprel_lo12:weft_mutator_]\n\t"
			 "ldr %0, [%0, %1]"
			 : "=&r"(m), "=&r"(offset)
			 :
			 : "memory");
#endif
	return m;
}

static inline __attribute__((always_inline)) void weft_mutator_enter_(struct weft_mutator_ *m)
{
	__atomic_store_n(&m->inside, true, __ATOMIC_RELAXED);
	__asm__ volatile("" : : : "memory"); /* what is read after it is read inside: the other half is membarrier's */
}

static inline __attribute__((always_inline)) void weft_mutator_leave_(struct weft_mutator_ *m)
{
	__atomic_store_n(&m->inside, false, __ATOMIC_RELEASE);
}

static inline __attribute__((always_inline)) void *weft_new_(const weft_type *t)
{
#if WEFT_GC_INLINE_
	struct weft_mutator_ *m = weft_mutator_self_();
	if (__builtin_expect(m != NULL, 1)) {
		weft_mutator_enter_(m);
		uintptr_t p = __atomic_load_n(&m->p, __ATOMIC_ACQUIRE);
		if (__builtin_expect(p != 0 && !(p & 1), 1)) {
			uint64_t place = __atomic_load_n(&t->lazy_->place, __ATOMIC_RELAXED);
			struct weft_run_ *run = &((struct weft_p_ *)p)->runs[(uint32_t)place];
			char *at = __atomic_load_n(&run->at, __ATOMIC_RELAXED);
			if (__builtin_expect(at == run->end, 0))
				return weft_new_piece_(t);
			__atomic_store_n(&run->at, at + (place >> 32), __ATOMIC_RELAXED);
			weft_mutator_leave_(m);
			return at;
		}
		weft_mutator_leave_(m);
	}
#endif
	return weft_new_slow_(t);
}

/* The mutator, inside, if the store needs not be told; the caller stores and leaves. */
static inline __attribute__((always_inline)) struct weft_mutator_ *weft_store_begin_(void)
{
#if WEFT_GC_INLINE_
	struct weft_mutator_ *m = weft_mutator_self_();
	if (__builtin_expect(m != NULL, 1)) {
		weft_mutator_enter_(m);
		if (__builtin_expect(!__atomic_load_n(&weft_marking_, __ATOMIC_RELAXED), 1))
			return m;
		weft_mutator_leave_(m);
	}
#endif
	return NULL;
}

/* ---- allocating ---- */

/* A new object of the type, zeroed. Does not block; while the collector marks it may mark for some microseconds. When there is no
 * memory the program ends; more than there is address space for is a panic, and so is a thread that is neither a goroutine's nor
 * attached. */
#define weft_new(name) ((weft_c_##name##_ *)weft_new_(weft_type_of(name)))

/* So many in a row; a pointer to any of them keeps them all. */
#define weft_new_array(name, count) ((weft_c_##name##_ *)weft_new_array_(weft_type_of(name), (count)))

/* So many bytes that hold no pointers, and so many pointers; both zeroed. Aligned as the least power of two that is as large, 16
 * at most. */
WEFT_API void *weft_new_bytes(size_t size);
WEFT_API void **weft_new_ptrs(size_t count);

/* ---- storing ---- */

/* *slot = value, for a slot in an object that others can reach, or in a root: a release store. The slot's type is a pointer's. */
#define weft_set(slot, value)                                                                               \
	__extension__({                                                                                     \
		__typeof__(&*(slot)) weft_set_slot_ = (slot);                                               \
		__typeof__(*weft_set_slot_) weft_set_value_ = (value);                                      \
		struct weft_mutator_ *weft_set_m_ = weft_store_begin_();                                    \
		if (__builtin_expect(weft_set_m_ != NULL, 1)) {                                             \
			__atomic_store_n(weft_set_slot_, weft_set_value_, __ATOMIC_RELEASE);                \
			weft_mutator_leave_(weft_set_m_);                                                   \
		} else {                                                                                    \
			weft_set_slow_((void *)(uintptr_t)weft_set_slot_, (void *)(uintptr_t)weft_set_value_); \
		}                                                                                           \
	})

/* *slot. A plain load is as good; this one ThreadSanitizer takes for what it is. */
#define weft_get(slot) __atomic_load_n((slot), __ATOMIC_ACQUIRE)

/* Copies count objects of the type from one place to another, of which one may be published; they may overlap. Each word is copied as a
 * whole. */
#define weft_copy(name, to, from, count)                                                                                   \
	((void)sizeof((weft_c_##name##_ *)0 == (to)), (void)sizeof((const weft_c_##name##_ *)0 == (from)),                 \
	 weft_copy_(weft_type_of(name), (to), (from), (count)))

/* Atomically: stores value, and returns what was there. */
#define weft_swap(slot, value)                                                                   \
	__extension__({                                                                          \
		__typeof__(&*(slot)) weft_swap_slot_ = (slot);                                   \
		__typeof__(*weft_swap_slot_) weft_swap_value_ = (value);                         \
		(__typeof__(*weft_swap_slot_))weft_swap_((void *)(uintptr_t)weft_swap_slot_,     \
							 (void *)(uintptr_t)weft_swap_value_);   \
	})

/* Atomically: stores value if the slot has what is expected. True: it had. */
#define weft_cas(slot, expected, value)                                                                              \
	__extension__({                                                                                              \
		__typeof__(&*(slot)) weft_cas_slot_ = (slot);                                                        \
		__typeof__(*weft_cas_slot_) weft_cas_expected_ = (expected), weft_cas_value_ = (value);              \
		weft_cas_((void *)(uintptr_t)weft_cas_slot_, (void *)(uintptr_t)weft_cas_expected_,                  \
			  (void *)(uintptr_t)weft_cas_value_);                                                       \
	})

/* ---- roots ---- */

struct weft_root_ {
	struct weft_root_ *next, **link;
	void *at;
	size_t bytes;
	const char *name, *where;
};
WEFT_API void weft_root_add_(struct weft_root_ *);
WEFT_API void weft_root_drop_(struct weft_root_ *);

/* At file scope, after the variable: it holds a collected pointer, or is a struct or an array with some. For as long as the program, or the
 * shared library that it is in, is loaded. Stores into it go through weft_set. */
#define WEFT_ROOT(var)                                                                                                     \
	static struct weft_root_ weft_root_##var##_ = {NULL, NULL, (void *)&(var), sizeof(var), #var, WEFT_TYPE_WHERE_};   \
	__attribute__((constructor)) static void weft_root_add_##var##_(void) { weft_root_add_(&weft_root_##var##_); }     \
	__attribute__((destructor)) static void weft_root_drop_##var##_(void) { weft_root_drop_(&weft_root_##var##_); }    \
	typedef int weft_root_of_##var##_

/* ---- the end of an object ---- */

/* Calls fn(arg) on a goroutine of the runtime's, once, some time after obj has become unreachable. arg is kept until then, and must not
 * reach obj, which otherwise never becomes unreachable. Several are called in any order. None is called at the program's end. */
WEFT_API void weft_cleanup(void *obj, void (*fn)(void *), void *arg);

/* Takes back the latest such call; false: there is none, or it is on its way. */
WEFT_API bool weft_cleanup_cancel(void *obj, void (*fn)(void *), void *arg);

/* Points to an object without keeping it. */
typedef struct weft_weak weft_weak;
WEFT_API weft_weak *weft_weak_make(void *obj);
/* The object; NULL: it has become unreachable, and will be freed or has been. */
WEFT_API void *weft_weak_get(weft_weak *);
WEFT_API void weft_weak_free(weft_weak *);

/* The object is reachable at least until here. */
static inline void weft_keep_alive(const void *obj)
{
	__asm__ volatile("" : : "g"(obj) : "memory");
}

/* ---- the collector ---- */

enum { WEFT_OFF = -1, WEFT_ASK = -2 };

/* A full cycle, sweeping included; what was unreachable when it was called is free when it returns. Waits. */
WEFT_API void weft_gc(void);

/* How far the heap may grow beyond what lives, in percent (WEFT_GOGC), and how much memory weft may map, in bytes (WEFT_MEMLIMIT).
 * WEFT_OFF: no bound; WEFT_ASK: changes nothing. Each returns the value until now. */
WEFT_API int weft_gc_percent(int percent);
WEFT_API int64_t weft_mem_limit(int64_t bytes);

/* What happens when a program allocates faster than the collector keeps up with, so that the heap would pass its goal:
 *
 *     ASSIST    who allocates marks for it, some microseconds at a time (the default)
 *     GROW      nobody is held up: the heap passes its goal, and the memory limit
 *     SHED      as GROW, and weft_gc_sheds tells servers to refuse work meanwhile */
enum weft_pressure { WEFT_PRESSURE_ASSIST, WEFT_PRESSURE_GROW, WEFT_PRESSURE_SHED };

/* Sets it (WEFT_PRESSURE); WEFT_ASK: changes nothing. The value until now. */
WEFT_API int weft_gc_pressure(int policy);

/* True: under SHED, the heap has come to its goal before marking is over; or the limit is less than what lives. A server that refuses what comes
 * until this is false again keeps its latency and its memory. Three loads. */
WEFT_API bool weft_gc_sheds(void);

/* Bytes, counts and nanoseconds. */
typedef struct weft_memstats {
	uint64_t heap_live;	  /* what objects the last cycle found, and what has been allocated since */
	uint64_t heap_goal;	  /* what the heap may come to before the next cycle ends */
	uint64_t heap_sys;	  /* the heap's pages that are backed by memory */
	uint64_t heap_released;	  /* of its 64 MiB arenas, what is not backed: never used, or given back to the system */
	uint64_t stacks_sys;	  /* reserved for stacks */
	uint64_t gc_cycles;	  /* that have ended */
	uint64_t pause_ns_max;	  /* the longest that the collector has held a goroutine */
	uint64_t pause_ns_total;
	uint64_t assist_ns_total; /* spent marking by goroutines that allocate */
	uint64_t gc_cpu_ns;	  /* spent marking and sweeping in the background, assists not included */
	uint64_t allocs, frees;	  /* objects */
} weft_memstats;

/* Writes all collected objects, and all pointers to them, as text that `weft heap` reads (docs/gc.md): after a full cycle, while everything stands, so for as
 * long as the descriptor takes it, which no goroutine of the program may be the reader of. For goroutines. 0, or a negative errno of write(2), with what
 * was written until then; -ENOMEM; -EBUSY: a thread did not take SIGURG (weft_attach). */
WEFT_API int weft_heap_dump(int fd);

/* Counts of other Ps may be some microseconds old. */
WEFT_API void weft_mem_stats(weft_memstats *);

WEFT_END_DECLS

#endif
