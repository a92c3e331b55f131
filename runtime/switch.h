/* The context switch.
 *
 * A suspended context is a stack pointer; on the stack lie the address to go on at and the frame pointer.
 * The switch is expanded where it is called and declares every register as clobbered, so the compiler saves
 * just what is live there. It ends in an indirect jump, not in a return: the return predictor would
 * be wrong every time.
 *
 * While a context is running, its on_cpu byte is 1. The switch clears it only when the old stack is not
 * used any more, which is why a goroutine may be published (put on a queue, found by a waker) before it has
 * switched away: whoever wants to run it waits for that byte (context_wait_off_cpu).
 *
 * Not saved: the floating-point control words (MXCSR, x87, FPCR), which belong to the thread; the docs say
 * so. Files that use this are compiled with -mno-red-zone, because the switch pushes.
 *
 * R1 context_switch: store_rel(on_cpu)  ->  A1 context_wait_off_cpu: load_acq(on_cpu)   the saved context
 */
#ifndef RUNTIME_SWITCH_H
#define RUNTIME_SWITCH_H

#include "lockfree/atomic.h"

/* Bytes at the stack pointer of a suspended context: the program counter it goes on with, then the frame pointer. */
enum { CONTEXT_SAVED = 16 };

struct context {
	void *sp;
	_Atomic uint8_t xon_cpu; /* whoever runs it sets it; the switch away clears it */
};

/* In switch.S: calls goroutine_main, which does not return; unwinding ends there. */
void context_entry(void);
_Noreturn void goroutine_main(void);

#if defined(__x86_64__)

static inline __attribute__((always_inline)) void context_switch(struct context *from, struct context *to)
{
	void *sp = to->sp;
	_Atomic uint8_t *off = &from->xon_cpu;
	__asm__ volatile("pushq %%rbp\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "movq %%rsp, (%0)\n\t"
			 "movq %1, %%rsp\n\t"
			 "movb $0, (%2)\n\t" /* R1: stores are not reordered on x86 */
			 "popq %%rax\n\t"
			 "jmpq *%%rax\n"
			 "1:\tpopq %%rbp"
			 : "+D"(from), "+S"(sp), "+d"(off)
			 :
			 : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
			   "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
			   "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
}

/* Prepares a context that starts context_entry at the top of a stack. */
static inline void context_make(struct context *c, char *top)
{
	void **sp = (void **)(void *)(top - 16);
	*--sp = 0; /* frame pointer */
	*--sp = (void *)(uintptr_t)context_entry;
	__atomic_store_n(&c->sp, (void *)sp, __ATOMIC_RELAXED); /* context_peek may look */
}

#elif defined(__aarch64__)

static inline __attribute__((always_inline)) void context_switch(struct context *from, struct context *to)
{
	register struct context *x0 __asm__("x0") = from;
	register void *x1 __asm__("x1") = to->sp;
	register _Atomic uint8_t *x2 __asm__("x2") = &from->xon_cpu;
	__asm__ volatile("adr x9, 1f\n\t"
			 "stp x9, x29, [sp, #-16]!\n\t"
			 "mov x10, sp\n\t"
			 "str x10, [x0]\n\t"
			 "mov sp, x1\n\t"
			 "stlrb wzr, [x2]\n\t" /* R1 */
			 "ldr x9, [sp]\n\t"
			 "br x9\n"
			 "1:\thint #36\n\t" /* bti j */
			 "ldp x9, x29, [sp], #16"
			 : "+r"(x0), "+r"(x1), "+r"(x2)
			 :
			 : "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
			   "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
			   "x30", "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9",
			   "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21",
			   "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

static inline void context_make(struct context *c, char *top)
{
	void **sp = (void **)(void *)(top - 16);
	*--sp = 0; /* frame pointer */
	*--sp = (void *)(uintptr_t)context_entry;
	__atomic_store_n(&c->sp, (void *)sp, __ATOMIC_RELAXED); /* context_peek may look */
}

#else
#error "weft runs on x86-64 and AArch64"
#endif

/* Where a context that others may be running keeps its top frame: possibly out of date. For prefetching, and for traces, which
 * read there through the kernel. */
static inline void *context_peek(const struct context *c)
{
	return __atomic_load_n(&c->sp, __ATOMIC_RELAXED);
}

static inline void context_wait_off_cpu(struct context *c)
{
	while (load_acq(&c->xon_cpu)) /* A1 */
		cpu_relax();
}

#endif
