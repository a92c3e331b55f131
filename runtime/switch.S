/* Where a new stack starts. The call-frame information marks the caller as undefined, so that gdb, perf and
 * unwinders end here. */
	.text
	.globl	context_entry
	.hidden	context_entry
	.type	context_entry, %function
#if defined(__x86_64__)
context_entry:
	.cfi_startproc
	.cfi_undefined rip
	popq	%rbp
	call	goroutine_main
	ud2
	.cfi_endproc
#elif defined(__aarch64__)
context_entry:
	.cfi_startproc
	.cfi_undefined x30
	hint	#36 /* bti j: the switch jumps here */
	ldp	x9, x29, [sp], #16
	bl	goroutine_main
	brk	#0
	.cfi_endproc
#endif
	.size	context_entry, . - context_entry
#if defined(__ARM_FEATURE_BTI_DEFAULT)
/* To the linker: this file may be in a program whose indirect branches are checked (NT_GNU_PROPERTY_TYPE_0). */
	.section .note.gnu.property, "a"
	.balign	8
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000000, 4, 1, 0 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND, BTI */
#endif
	.section .note.GNU-stack, "", %progbits
