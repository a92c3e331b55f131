/* The switch without a scheduler: contexts on stacks of their own, which begin in test_begin. What must survive is put
 * where it is lost if the switch does not say that a register changes: more values than there are registers live across
 * it, and the other side fills every register before it switches back. */
#include "alloc/os.h"
#include "runtime/switch.h"
#include "runtime/trace.h"
#include "tests/test.h"

#include <errno.h>

#if defined(__aarch64__)
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#endif

enum { STACK = 256 * 1024, ROUNDS = 100000, ENTRY_BYTES = 64, VALUES = 24 };

static struct context main_context, other;
static _Alignas(16) char stack[STACK];
static void (*begin)(void);

/* context_entry comes here. */
_Noreturn void goroutine_main(void)
{
	begin();
	test_fail(__FILE__, __LINE__, "a context came to its end");
}

static void start(void (*fn)(void))
{
	begin = fn;
	/* What lies above looks like a caller: only the call-frame information can end a trace before it. */
	for (size_t at = STACK - 2 * sizeof(uintptr_t); at < STACK; at += sizeof(uintptr_t))
		*(uintptr_t *)(void *)(stack + at) = (uintptr_t)context_entry + 1;
	context_make(&other, stack + STACK);
}

static bool on_stack(uintptr_t address)
{
	return address >= (uintptr_t)stack && address < (uintptr_t)stack + STACK;
}

static bool in_entry(uintptr_t pc)
{
	return pc > (uintptr_t)context_entry && pc <= (uintptr_t)context_entry + ENTRY_BYTES;
}

/* ---- turns ---- */

static long turns;

static void count_turns(void)
{
	for (;;) {
		turns++;
		context_switch(&other, &main_context);
	}
}

#if defined(__aarch64__)
/* The loader checks branches only when every file of a program is marked, which libc's first and last ones may not be. */
static int protect_code_of(struct dl_phdr_info *program, size_t size, void *protection)
{
	enum { PAGE = 4096 };
	(void)size;
	for (int i = 0; i < program->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &program->dlpi_phdr[i];
		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
			continue;
		uintptr_t from = (program->dlpi_addr + part->p_vaddr) & ~(uintptr_t)(PAGE - 1);
		uintptr_t to = program->dlpi_addr + part->p_vaddr + part->p_memsz;
		CHECK_EQ(mprotect((void *)from, to - from, *(int *)protection), 0);
	}
	return 1; /* the program itself comes first */
}
#endif

/* Runs fn; where the processor can, an indirect branch to a place that is not marked for it ends the test. */
static void with_branches_checked(void (*fn)(void))
{
#if defined(__aarch64__)
	enum { HAS_BTI = 1 << 17, BTI_PAGES = 0x10 };
	int code = PROT_READ | PROT_EXEC, checked = code | (getauxval(AT_HWCAP2) & HAS_BTI ? BTI_PAGES : 0);
	dl_iterate_phdr(protect_code_of, &checked);
	fn();
	dl_iterate_phdr(protect_code_of, &code);
#else
	fn();
#endif
}

static void take_turns(void)
{
	start(count_turns);
	for (long i = 1; i <= ROUNDS; i++) {
		context_switch(&main_context, &other);
		CHECK_EQ(turns, i);
	}
}

TEST(two_contexts_take_turns)
{
	with_branches_checked(take_turns);
}

enum { RING = 5 };
static struct context ring[RING];
static _Alignas(16) char ring_stack[RING][STACK];
static long visits;

static void pass_on(void)
{
	int me = (int)(visits % RING);
	for (;;) {
		CHECK_EQ(visits % RING, me);
		CHECK(__builtin_frame_address(0) > (void *)ring_stack[me]);
		CHECK(__builtin_frame_address(0) < (void *)(ring_stack[me] + STACK));
		visits++;
		context_switch(&ring[me], me == RING - 1 ? &main_context : &ring[me + 1]);
	}
}

TEST(many_contexts_keep_their_own_stacks)
{
	begin = pass_on;
	for (int i = 0; i < RING; i++)
		context_make(&ring[i], ring_stack[i] + STACK);
	for (long i = 1; i <= ROUNDS; i++) {
		context_switch(&main_context, &ring[0]);
		CHECK_EQ(visits, i * RING);
	}
}

static void look_who_is_on_cpu(void)
{
	for (;;) {
		CHECK(!load_acq(&main_context.xon_cpu));
		CHECK(load_acq(&other.xon_cpu));
		store_rlx(&main_context.xon_cpu, 1);
		context_switch(&other, &main_context);
	}
}

TEST(the_switch_says_that_a_context_has_left_its_cpu)
{
	start(look_who_is_on_cpu);
	store_rlx(&main_context.xon_cpu, 1);
	for (int i = 0; i < 3; i++) {
		store_rlx(&other.xon_cpu, 1);
		context_switch(&main_context, &other);
		CHECK(load_acq(&main_context.xon_cpu));
		CHECK(!load_acq(&other.xon_cpu));
		context_wait_off_cpu(&other);
	}
}

/* ---- registers ---- */

/* Every register that a compiler may give to a value, but for the frame pointer, holds the same strange word. */
static inline __attribute__((always_inline)) void fill_registers(void)
{
	uint64_t word = 0xdeadbeefdeadbeef;
#if defined(__x86_64__)
#define TO(r)  "movq %0, %%" #r "\n\t"
#define TOX(n) "movq %0, %%xmm" #n "\n\t"
	__asm__ volatile(TO(rbx) TO(rcx) TO(rdx) TO(rsi) TO(rdi) TO(r8) TO(r9) TO(r10) TO(r11) TO(r12) TO(r13) TO(r14)
			 TO(r15) TOX(0) TOX(1) TOX(2) TOX(3) TOX(4) TOX(5) TOX(6) TOX(7) TOX(8) TOX(9) TOX(10) TOX(11)
			 TOX(12) TOX(13) TOX(14) TOX(15)
			 : "+a"(word)
			 :
			 : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
			   "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
			   "xmm13", "xmm14", "xmm15");
#else
#define TO(n)  "mov x" #n ", x0\n\t"
#define TOV(n) "fmov d" #n ", x0\n\t"
	register uint64_t x0 __asm__("x0") = word;
	__asm__ volatile(TO(1) TO(2) TO(3) TO(4) TO(5) TO(6) TO(7) TO(8) TO(9) TO(10) TO(11) TO(12) TO(13) TO(14) TO(15)
			 TO(16) TO(17) TO(18) TO(19) TO(20) TO(21) TO(22) TO(23) TO(24) TO(25) TO(26) TO(27) TO(28) TO(30)
			 TOV(0) TOV(1) TOV(2) TOV(3) TOV(4) TOV(5) TOV(6) TOV(7) TOV(8) TOV(9) TOV(10) TOV(11) TOV(12)
			 TOV(13) TOV(14) TOV(15) TOV(16) TOV(17) TOV(18) TOV(19) TOV(20) TOV(21) TOV(22) TOV(23) TOV(24)
			 TOV(25) TOV(26) TOV(27) TOV(28) TOV(29) TOV(30) TOV(31)
			 : "+r"(x0)
			 :
			 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
			   "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "v0",
			   "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
			   "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
			   "v30", "v31");
#endif
}

static void spoil_registers(void)
{
	for (;;) {
		fill_registers();
		context_switch(&other, &main_context);
	}
}

/* For each of 24 names: F(name, its number). */
#define EACH(F)                                                                                                        \
	F(a, 0) F(b, 1) F(c, 2) F(d, 3) F(e, 4) F(f, 5) F(g, 6) F(h, 7) F(i, 8) F(j, 9) F(k, 10) F(l, 11) F(m, 12)     \
	F(n, 13) F(o, 14) F(p, 15) F(q, 16) F(r, 17) F(s, 18) F(t, 19) F(u, 20) F(v, 21) F(w, 22) F(x, 23)

static volatile uint64_t words[VALUES];
static volatile double numbers[VALUES];

TEST(integers_survive_a_switch)
{
	start(spoil_registers);
	for (unsigned round = 0; round < 1000; round++) {
		for (unsigned at = 0; at < VALUES; at++)
			words[at] = (uint64_t)round * VALUES + at;
#define KEEP(name, at)  uint64_t name = words[at];
#define STILL(name, at) CHECK_EQ(name, words[at]);
		EACH(KEEP)
		context_switch(&main_context, &other);
		EACH(STILL)
#undef KEEP
#undef STILL
	}
}

TEST(floating_point_numbers_survive_a_switch)
{
	start(spoil_registers);
	for (unsigned round = 0; round < 1000; round++) {
		for (unsigned at = 0; at < VALUES; at++)
			numbers[at] = round + at / 64.0;
#define KEEP(name, at)  double name = numbers[at];
#define STILL(name, at) CHECK(name == numbers[at]);
		EACH(KEEP)
		context_switch(&main_context, &other);
		EACH(STILL)
#undef KEEP
#undef STILL
	}
}

/* A function that switches is to its caller as any other: what the ABI says survives a call survives it. */
static __attribute__((noinline)) void switch_within_a_call(void)
{
	context_switch(&main_context, &other);
	__asm__ volatile("");
}

TEST(what_survives_a_call_survives_a_call_that_switches)
{
	start(spoil_registers);
	for (unsigned round = 0; round < 1000; round++) {
		for (unsigned at = 0; at < VALUES; at++) {
			words[at] = (uint64_t)round * VALUES + at;
			numbers[at] = round + at / 64.0;
		}
#define KEEP(name, at)                                                                                                 \
	uint64_t name = words[at];                                                                                     \
	double name##_number = numbers[at];
#define STILL(name, at)                                                                                                \
	CHECK_EQ(name, words[at]);                                                                                     \
	CHECK(name##_number == numbers[at]);
		EACH(KEEP)
		switch_within_a_call();
		EACH(STILL)
#undef KEEP
#undef STILL
	}
}

/* ---- the stack ---- */

static __attribute__((noinline)) uintptr_t frame(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	__asm__ volatile("" : "+r"(here));
	return here;
}

static void look_at_alignment(void)
{
	uintptr_t own = (uintptr_t)__builtin_frame_address(0), called = frame();
	CHECK(on_stack(own) && on_stack(called));
	for (;;) {
		CHECK_EQ(own % 16, 0);
		CHECK_EQ(frame(), called); /* no switch leaves anything behind */
		CHECK_EQ(called % 16, 0);
		context_switch(&other, &main_context);
	}
}

TEST(the_stack_is_aligned_and_stays_where_it_is)
{
	start(look_at_alignment);
	uintptr_t own = frame();
	for (int i = 0; i < ROUNDS; i++) {
		context_switch(&main_context, &other);
		CHECK_EQ(frame(), own);
	}
}

/* ---- traces ---- */

static struct trace seen;
static int depth;

static __attribute__((noinline)) void look_from(int down)
{
	if (down > 0) {
		look_from(down - 1);
	} else {
		trace_here(&seen, 0);
		context_switch(&other, &main_context);
	}
	__asm__ volatile(""); /* no jump in place of the call */
}

static void look_from_depth(void)
{
	look_from(depth);
}

/* Frames of a trace that ends where the stack begins, seen from within or from without. */
static unsigned frames(const struct trace *t)
{
	CHECK(t->n > 0 && t->left_out == 0);
	CHECK(in_entry(t->pc[t->n - 1]));
	for (unsigned i = 0; i + 1 < t->n; i++)
		CHECK(!in_entry(t->pc[i]));
	return t->n;
}

/* Suspended stacks are read through the kernel, which qemu does not hand on. */
static void need_peek(void)
{
	uintptr_t word = 1, seen_word;
	if (os_peek((uintptr_t)&word, &seen_word) == -ENOSYS)
		test_skip("no process_vm_readv(2)");
}

static void trace_at(int down, unsigned *inside, unsigned *outside)
{
	struct trace t = {0};
	depth = down;
	start(look_from_depth);
	context_switch(&main_context, &other);
	*inside = frames(&seen);
	trace_context(&t, &other);
	*outside = frames(&t);
	/* The innermost frame is that of look_from, at another place; its callers are the same. */
	for (unsigned i = 1; i < *outside; i++)
		CHECK_EQ(t.pc[*outside - i], seen.pc[*inside - i]);
}

TEST(a_trace_ends_where_the_stack_begins)
{
	unsigned inside[2], outside[2];
	need_peek();
	trace_at(3, &inside[0], &outside[0]);
	trace_at(7, &inside[1], &outside[1]);
	CHECK_EQ(inside[1] - inside[0], 4);
	CHECK_EQ(outside[1] - outside[0], 4);
}

TEST(the_trace_of_a_context_that_has_not_run_begins_at_its_entry)
{
	struct trace t = {0};
	need_peek();
	start(count_turns);
	trace_context(&t, &other);
	CHECK(t.n > 0);
	CHECK_EQ(t.pc[0], (uintptr_t)context_entry);
}
