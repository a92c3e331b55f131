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
	ldp	x9, x29, [sp], #16
	bl	goroutine_main
	brk	#0
	.cfi_endproc
#endif
	.size	context_entry, . - context_entry
	.section .note.GNU-stack, "", %progbits
