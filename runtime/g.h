/* G, M and P: what they are made of. Who does what with them is in sched.c and idle.c.
 *
 * G, a goroutine: a function, its argument, and from its first run on a stack. M, a thread: it runs
 * goroutines while it holds a P. P, the right to run goroutines, one per core that weft owns, with all that a
 * running goroutine needs close by: run queue, timers, free lists, counters.
 *
 * A P always has an M, awake or asleep in its poller, except in the moment of a hand-off: the M of a P that
 * blocks in the kernel loses it to another M (block.c), and waits among the spare ones when it comes back (spare.c). One
 * whose goroutine computes for long loses it too (takeover.c), and ends when the goroutine comes back.
 *
 * States of a G:    fresh --run--> running --park--> waiting --ready--> runnable --run--> running
 *                                  running --yield--> runnable          running --end--> free
 *                                  running --block_begin--> syscall --block_end--> running or runnable
 */
#ifndef RUNTIME_G_H
#define RUNTIME_G_H

#include "alloc/heap.h"
#include "alloc/slab.h"
#include "alloc/stack.h"
#include "gc/mutator.h"
#include "lockfree/runq.h"
#include "lockfree/spin.h"
#include "runtime/clock.h"
#include "runtime/stats.h"
#include "runtime/switch.h"
#include "runtime/wheel.h"

#include <weft/gc.h>

#include <time.h>

enum g_state { G_FREE, G_FRESH, G_ASIDE, G_RUNNABLE, G_RUNNING, G_WAITING, G_SYSCALL };

/* Why a goroutine waits; the words of a dump (dump.c) are in this order. */
enum wait_reason {
	WAIT_SEND,
	WAIT_RECV,
	WAIT_SEND_NIL,
	WAIT_RECV_NIL,
	WAIT_SELECT,
	WAIT_SELECT_NONE,
	WAIT_MUTEX,
	WAIT_RWMUTEX,
	WAIT_GROUP,
	WAIT_COND,
	WAIT_SEM,
	WAIT_SLEEP,
	WAIT_READ,
	WAIT_WRITE,
	WAIT_ACCEPT,
	WAIT_CONNECT,
	WAIT_REASONS
};

/* Beside a reason: weft_leaks has found that nobody can end the wait. The next wait begins without it. */
enum { WAIT_LEAKED = 128 };

enum { G_NAME = 32, G_INLINE_ARG = 64 };

/* What few goroutines have (options.c); never given back, so that a dump may look at it. */
struct g_options {
	struct g_options *next; /* in a free list; first, as struct slab_free wants it */
	void *arg_copy;         /* heap memory, when it did not fit inline */
	size_t arg_size;        /* bytes of the copy; 0: there is none */
	_Atomic char name[G_NAME];
	_Alignas(16) char inline_arg[G_INLINE_ARG];
};

/* All that starting, switching and waking touch; a million goroutines that wait are a million of these. What a dump reads (dump.c),
 * or the handler of overflows, is atomic: whoever else has the goroutine goes on writing. */
struct g {
	struct g *next; /* in a queue or a free list; first, as struct slab_free wants it */
	struct context ctx;
	_Atomic uint8_t state;   /* the holder writes, a dump reads */
	_Atomic uint8_t waiting; /* enum wait_reason, and WAIT_LEAKED */
	_Atomic bool timed_out;  /* park_until: the deadline claimed the wait */
	_Atomic bool is_thread;         /* stands for a thread outside the runtime */
	bool extras;             /* there is something in pin, stack_want or options */
	_Atomic uint8_t stamp;   /* enum stamp; who readies and who runs it */
	_Atomic uint16_t pin;    /* 0, or 1 + the only P it may run on */
	void (*fn)(void *);
	union {
		void *arg;
		struct weft_deferred *deferred; /* from when it runs; panic.c */
	};
	_Atomic(struct stack *) stack; /* NULL: has not run */
	_Atomic uint64_t id;
	_Atomic uint32_t xclaim; /* park.h: who wakes it, when several may */
	uint32_t stack_want;     /* bytes, 0 for the default; of a class, what it has */
	_Atomic uint64_t creator; /* 0: none; thieves' victims look */
	_Atomic(void *) creator_pc;
	_Atomic int64_t since; /* when the wait began, coarsely */
	_Atomic(struct g_options *) options; /* NULL: neither a name nor an argument of its own */
	union { /* fiber.h: no flavour has both */
		void *fake_stack;
		void *fiber;
	};
	_Atomic uint32_t xfutex; /* threads outside the runtime wait here */
	bool joined; /* it was begun because its creator waits in a wait group */
	_Atomic uint8_t scan; /* collect.h: in which cycle its stack was looked at */
	_Atomic uint64_t ready_at; /* with a stamp */
};
_Static_assert(sizeof(struct g) == CACHE_LINE, "two lines");

/* Goroutines under a lock, oldest first, as many as there are: the global queue, and each P's inbox. The first few are in
 * the line of the lock, so that a core that is handed one has it with that line. Behind them is an unrolled list: what spills from a
 * ring is copied as an array of pointers, and no goroutine's memory is touched. */
enum { SEGMENT_SLOTS = 125, GQUEUE_SLOTS = 11 };

struct segment {
	struct segment *next; /* first, as struct slab_free wants it */
	uint32_t head, tail;  /* slots [head, tail) are full */
	struct g *slot[SEGMENT_SLOTS];
};

struct gqueue {
	ON_OWN_LINE struct spin lock;
	_Atomic uint32_t xcount;
	uint32_t head, tail; /* of the slots here; what is in segments is younger */
	struct segment *first, *last;
	struct segment *spare; /* one kept for the next time */
	struct g *slot[GQUEUE_SLOTS];
};
_Static_assert(sizeof(struct gqueue) == CACHE_LINE, "one pair of lines");

void gqueue_push(struct gqueue *, struct g *); /* a full barrier afterwards, as the next */
void gqueue_push_many(struct gqueue *, void *const *gs, uint32_t n);
uint32_t gqueue_pop(struct gqueue *, void **to, uint32_t max);

static inline uint32_t gqueue_len(const struct gqueue *q)
{
	return load_seq(&q->xcount);
}

static inline bool gqueue_empty(const struct gqueue *q)
{
	return load_rlx(&q->xcount) == 0;
}

/* What a thief saw in another P's runnext the last time. */
struct suspect {
	struct g *g;
	int step;
	uint64_t since;
};

enum p_status { P_RUNNING, P_BLOCKED, P_HELD }; /* held: by the collector, for a moment; a blocked one */

/* Asleep, others may flush its cache; while one does, it is held. */
enum p_gc { P_GC_AWAKE, P_GC_ASLEEP, P_GC_HELD };

/* Counters that only the P's holder writes. */
struct p_stats {
	_Atomic uint64_t started, ended; /* goroutines */
	_Atomic uint64_t steals, stolen;
	_Atomic uint64_t sleeps, wakes;
	_Atomic int64_t spin_ns; /* spent looking for work and finding none */
};

struct p {
	/* The holder's own. */
	struct heap_run *runs; /* the cache's; first, as weft/gc.h wants it */
	unsigned index;
	_Atomic int cpu;
	bool solo;         /* there is no other P: nobody steals */
	bool looking;      /* its M looks for work, and runs what it finds at once */
	bool spinning;     /* counted in sched.xspinning */
	_Atomic int countdown; /* scheduling steps until the next look around (sched.c); thieves read */
	_Atomic uint32_t tick; /* looks around so far; sysmon reads */
	int quantum;       /* what countdown starts from */
	_Atomic int64_t now; /* the clock at the last look around */
	uint64_t looked;   /* and the cycle counter */
	uint64_t joined;   /* sched.c: whose children are gone through */
	int64_t head_turn; /* when a look around last took the ring's head */
	_Atomic int64_t polled; /* when the poller was last asked, by whomever */
	int64_t idle_gap;  /* running mean of how long work lets itself be waited for */
	struct g *gfree;
	uint32_t ngfree;
	uint32_t noptions;
	struct g_options *options; /* free ones */
	uint32_t random;
	uint32_t retired; /* objects, since the last quiet point that they forced */
	uint32_t shared_turn; /* the inbox and the global queue take turns */
	uint32_t helped; /* turns through the other Ps, see fire_late_timers_of_another */
	struct suspect *suspects; /* idle.c: the other Ps' runnexts that may be stuck */
	uint64_t id_next, id_end;
	struct stack_cache stacks;
	struct clock_part clock;
	struct timespec kernel_time; /* scheduler code keeps what escapes here, not on the goroutine's stack: see fiber.h */
	void *scratch[RUNQ_SLOTS / 2 + 1];
	struct stack *dead_stacks; /* large ones, to be freed once we stand elsewhere */
	struct p_stats stats;
	_Atomic int64_t pollwait; /* its share of the goroutines that wait for sockets; may be negative */
	unsigned *victims; /* the other Ps, nearest first */
	unsigned ring_end[STEAL_RINGS]; /* victims[ring_end[d-1] .. ring_end[d]) are at distance d */
	struct stats_part seen;
	struct heap_cache *cache; /* of collected objects */
	struct gc_marker *marker;
	bool gc_not_here; /* ThreadSanitizer: who has ended picks another, and its identity is no place to work for the collector in */
	_Atomic uint32_t gc_seen; /* gc.xstate, when it was even, and the cache was flushed for it */
	uint32_t gc_cycle;        /* that gc_ns is about */
	int64_t gc_ns;            /* given to it */
	uint64_t gc_debt;         /* bytes to mark for what was allocated */
	uint64_t gc_noted;        /* of what the cache has allocated, what the collector knows */

	/* Others write too. */
	ON_OWN_LINE _Atomic(struct g *) xrunnext; /* holder swaps, thieves CAS */
	ON_OWN_LINE _Atomic uint32_t xstatus; /* enum p_status; block.c */
	_Atomic(struct m *) xm;      /* who runs on it, or did last */
	_Atomic uint32_t xblock_seq; /* counts block_begin: sysmon sees whether one lasts */
	uint32_t small_wakes;        /* holder: left out since the last one */
	_Atomic uint32_t xwake;               /* futex: 1 when somebody has woken it */
	_Atomic bool xin_poller;              /* asleep in the poller, not on the futex */
	_Atomic uint32_t xgc;                 /* enum p_gc */
	struct gqueue inbox; /* goroutines that are pinned here */
	struct runq runq;
	struct wheel wheel;
};

enum { SECTION_WORDS = 96 };

/* What the collector looks at of who is in a blocking section (block.c), or stands still (world.c): the stack from `sp` on, and what was in
 * registers. */
struct section {
	_Atomic(void *) sp;
	uint32_t n;
	uintptr_t word[SECTION_WORDS];
	const void *frame, *frame_end; /* which the kernel has made for a signal's handler */
	_Atomic uint32_t xstands; /* since the world was told to: world.c */
};

struct m {
	struct slab_free unused;
	/* Every call into weft: call.h. These two are a struct weft_mutator_. */
	_Atomic(struct p *) p;  /* NULL: none. Marked, it is being taken: the M and sysmon CAS */
	_Atomic bool xinside;   /* the M writes, sysmon reads */
	_Atomic uint8_t xnote;  /* enum note; sysmon writes, the M clears */
	/* Written by the thread itself; atomics, because goroutines of many identities (fiber.h) read them. */
	_Atomic(struct g *) g; /* the one that runs; NULL: the scheduler's own context */
	_Atomic(void *) fiber;
	struct context ctx;    /* the scheduler's, on the thread's own stack */
	_Atomic(struct p *) blocked_p; /* what block_begin left behind */
	void *fake_stack;
	_Atomic(const void *) stack_bottom;
	_Atomic size_t stack_size;
	_Atomic(const void *) frames_end; /* above the scheduler's frames on that stack; behind it are libc's, and thread-locals */
	_Atomic(void *) heap;  /* manual.h */
	struct m *next;        /* among the spare ones, or the ended */
	_Atomic uint32_t xtold; /* futex: a P has been handed over, or the M is to end (spare.c) */
	struct p *handed;
	struct p *first_p; /* NULL: it is started to wait for one */
	bool fresh;     /* was started to wait for a P, and has not done so yet: it is on no list */
	struct g *held; /* to be run next, once it has left its CPU */
	struct g *queue; /* to be queued, now that its stack has been left */
	struct epoch_reader *reader;
	_Atomic int tid;
	_Atomic uint32_t note_tick; /* the P's tick that xnote is about */
	struct gc_mutator shaded;
	_Atomic uint32_t gc_passed;    /* the round of handshakes in which it has last passed */
	_Atomic int64_t gc_signalled;  /* when it was last sent a signal */
	struct section section;
	_Atomic bool lowered;   /* its P was taken while it computed: it gets no other */
	_Atomic bool xdetached; /* and it is no reader any more */
};

_Static_assert(offsetof(struct m, xinside) - offsetof(struct m, p) == offsetof(struct weft_mutator_, inside) &&
		       offsetof(struct weft_mutator_, p) == 0 && offsetof(struct p, runs) == offsetof(struct weft_p_, runs),
	       "what weft/gc.h knows of them");
_Static_assert(sizeof(struct heap_run) == sizeof(struct weft_run_) && offsetof(struct heap_run, at) == offsetof(struct weft_run_, at) &&
		       offsetof(struct heap_run, end) == offsetof(struct weft_run_, end),
	       "and of runs");

/* What the inline forms of weft/gc.h go by: &m->p of the calling thread's M. */
extern WEFT_API _Thread_local struct weft_mutator_ *weft_mutator_ __attribute__((tls_model("initial-exec")));

static inline struct weft_mutator_ *m_as_mutator(struct m *m)
{
	return (struct weft_mutator_ *)(void *)&m->p;
}

/* The calling thread's M, NULL outside weft's threads. Read through assembly: a goroutine may wake on another
 * thread, and a compiler that knew this for a thread-local would keep its old address. */
extern _Thread_local struct m *m_current __attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline __attribute__((always_inline)) struct m *m_self(void)
{
	struct m *m;
#if defined(__x86_64__)
	__asm__ volatile("movq m_current@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(m));
#elif defined(__aarch64__)
	uintptr_t offset;
	__asm__ volatile("mrs %0, tpidr_el0\n\t"
			 "adrp %1, :gottprel:m_current\n\t"
			 "ldr %1, [%1, :gottprel_lo12:m_current]\n\t"
			 "ldr %0, [%0, %1]"
			 : "=&r"(m), "=&r"(offset));
#endif
	return m;
}

static inline struct g *m_g(struct m *m)
{
	return load_rlx(&m->g);
}

/* Inside a call (call.h) the P stays, whether sysmon tries to take it or not. */
static inline struct p *m_p(struct m *m)
{
	return (struct p *)((uintptr_t)load_rlx(&m->p) & ~(uintptr_t)1);
}

/* It is being made runnable on p; before others can see it. */
static inline void stats_ready(struct p *p, struct g *g)
{
	if (unlikely(p->seen.stamping))
		stats_stamp(p, g);
}

/* It runs, from here on. */
static inline void stats_runs(struct m *m, struct g *g)
{
	if (unlikely(load_rlx(&g->stamp)))
		stats_stamped_runs(m_p(m), g);
}

static inline void stats_stole(struct p *p, unsigned ring, const struct g *g)
{
	if (g)
		bump(&p->seen.steals_at[ring], 1);
}

static inline void stats_spun(struct small_histogram *h, int64_t ns)
{
	if (h)
		small_histogram_record(h, (uint64_t)ns);
}

/* Whoever asks may be beside the one that writes: what comes out may be two names' mixture, and ends. */
static inline void g_name(const struct g *g, char to[G_NAME])
{
	const struct g_options *o = load_acq(&g->options);
	size_t n = 0;
	while (o && n < G_NAME - 1 && (to[n] = load_rlx(&o->name[n])))
		n++;
	to[n] = 0;
}

static inline void g_set_state(struct g *g, enum g_state s)
{
	store_rlx(&g->state, (uint8_t)s);
}

#endif
