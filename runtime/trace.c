/* Two unwinders. The caller's own stack is libunwind's: it reads memory directly, and takes a microsecond. Another goroutine's is
 * libdw's, because it reads through a function of ours: that goroutine may be picked up, run, end and have its stack unmapped
 * while we follow it, and nothing stops it. Every word comes through the kernel (os_peek), which refuses what is not there; so
 * the worst that can come of it is a trace that ends early, or mixes two moments.
 *
 * Rejected: to hold the goroutine by its on_cpu byte. Whoever runs it would have to take that by compare-and-swap, at
 * every switch. To stop the threads: one may hold the lock of malloc, which libdw needs.
 *
 * Names, lines and other goroutines are for one thread at a time (dump.c has the lock).
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc/os.h"
#include "runtime/trace.h"

enum { LEFT_OUT_MAX = 10000 };

static void walk(struct trace *t, unw_cursor_t *cursor)
{
	do {
		unw_word_t pc;
		if (unw_get_reg(cursor, UNW_REG_IP, &pc) || pc == 0)
			break;
		if (t->n < TRACE_MAX)
			t->pc[t->n++] = pc;
		else
			t->left_out++;
	} while (unw_step(cursor) > 0 && t->left_out < LEFT_OUT_MAX);
}

void trace_here(struct trace *t, unsigned skip)
{
	unw_context_t here;
	unw_cursor_t cursor;
	*t = (struct trace){0};
	if (unw_getcontext(&here) || unw_init_local(&cursor, &here))
		return;
	for (unsigned i = 0; i < skip; i++)
		if (unw_step(&cursor) <= 0)
			return;
	walk(t, &cursor);
}

void trace_signal(struct trace *t, const ucontext_t *at)
{
	unw_context_t *interrupted = (unw_context_t *)(uintptr_t)at; /* a ucontext_t by another name */
	unw_cursor_t cursor;
	*t = (struct trace){.exact = 1};
	if (unw_init_local2(&cursor, interrupted, UNW_INIT_SIGNAL_FRAME) == 0)
		walk(t, &cursor);
}

/* ---- another goroutine ---- */

/* Where the unwinding begins: the frame that context_switch was expanded in. */
static struct registers {
	Dwarf_Word pc, sp, fp;
} first;

/* libdw wants a process with threads: there is one at a time, the goroutine. */
static pid_t next_thread(Dwfl *dwfl, void *process, void **thread)
{
	(void)dwfl;
	if (*thread)
		return 0;
	*thread = process;
	return getpid();
}

static bool read_word(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *word, void *process)
{
	uintptr_t here;
	(void)dwfl, (void)process;
	if (os_peek(address, &here))
		return false;
	*word = here;
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *process)
{
	(void)process;
	dwfl_thread_state_register_pc(thread, first.pc);
#if defined(__x86_64__)
	enum { RBP = 6, RSP = 7, RIP = 16 };
	return dwfl_thread_state_registers(thread, RBP, 1, &first.fp) &&
	       dwfl_thread_state_registers(thread, RSP, 1, &first.sp) &&
	       dwfl_thread_state_registers(thread, RIP, 1, &first.pc);
#elif defined(__aarch64__)
	enum { X29 = 29, SP = 31 };
	return dwfl_thread_state_registers(thread, X29, 1, &first.fp) &&
	       dwfl_thread_state_registers(thread, SP, 1, &first.sp);
#endif
}

static const Dwfl_Thread_Callbacks goroutine_callbacks = {
	.next_thread = next_thread, .memory_read = read_word, .set_initial_registers = set_registers};

/* One session for the life of the process: a second dump finds the symbols already read. */
static Dwfl *session(void)
{
	static Dwfl *dwfl;
	static char *debuginfo_path;
	static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf,
						 .find_debuginfo = dwfl_standard_find_debuginfo,
						 .debuginfo_path = &debuginfo_path};
	if (dwfl)
		return dwfl;
	dwfl = dwfl_begin(&callbacks);
	if (dwfl && (dwfl_linux_proc_report(dwfl, getpid()) || dwfl_report_end(dwfl, NULL, NULL) ||
		     !dwfl_attach_state(dwfl, NULL, getpid(), &goroutine_callbacks, &first))) {
		dwfl_end(dwfl);
		dwfl = NULL;
	}
	return dwfl;
}

static int add_frame(Dwfl_Frame *frame, void *arg)
{
	struct trace *t = arg;
	Dwarf_Addr pc;
	if (!dwfl_frame_pc(frame, &pc, NULL) || pc == 0)
		return DWARF_CB_ABORT;
	if (t->n < TRACE_MAX)
		t->pc[t->n++] = pc;
	else
		t->left_out++;
	return t->left_out < LEFT_OUT_MAX ? DWARF_CB_OK : DWARF_CB_ABORT;
}

static int unwind(Dwfl_Thread *thread, void *trace)
{
	dwfl_thread_getframes(thread, add_frame, trace);
	return DWARF_CB_ABORT;
}

void trace_context(struct trace *t, const struct context *c)
{
	uintptr_t saved = (uintptr_t)context_peek(c), pc, fp;
	Dwfl *dwfl = session();
	t->n = t->left_out = 0;
	if (!dwfl || os_peek(saved, &pc) || os_peek(saved + sizeof pc, &fp))
		return;
	first = (struct registers){.pc = pc, .fp = fp, .sp = saved + CONTEXT_SAVED};
	dwfl_getthreads(dwfl, unwind, t);
	first = (struct registers){0}; /* a pointer to its stack would keep it: reach.h */
}

/* ---- names and lines ---- */

struct place {
	const char *name; /* NULL: unknown */
	GElf_Off offset;
	const char *file; /* NULL: unknown */
	int line;
};

/* Clang leaves out the table that says which unit an address lies in (.debug_aranges): then every unit is asked. */
static Dwarf_Die *unit_of(Dwfl_Module *module, uintptr_t pc, Dwarf_Addr *bias)
{
	Dwarf_Die *unit = dwfl_module_addrdie(module, pc, bias);
	if (unit)
		return unit;
	while ((unit = dwfl_module_nextcu(module, unit, bias)))
		if (dwarf_haspc(unit, pc - *bias) > 0)
			return unit;
	return NULL;
}

/* What stands inline there comes from weft's headers: then the place is where the program has it. */
static void leave_inlined(Dwarf_Die *unit, Dwarf_Addr pc, struct place *p)
{
	Dwarf_Die *scopes = NULL;
	Dwarf_Files *files;
	size_t nfiles;
	int n = dwarf_getsrcfiles(unit, &files, &nfiles) == 0 ? dwarf_getscopes(unit, pc, &scopes) : 0;
	for (int i = 0; i < n; i++) {
		Dwarf_Attribute attr;
		Dwarf_Word file, line;
		if (dwarf_tag(&scopes[i]) != DW_TAG_inlined_subroutine)
			continue;
		const char *name = dwarf_diename(&scopes[i]);
		if (!name || strncmp(name, "weft_", 5) != 0 || dwarf_formudata(dwarf_attr(&scopes[i], DW_AT_call_file, &attr), &file) ||
		    dwarf_formudata(dwarf_attr(&scopes[i], DW_AT_call_line, &attr), &line))
			break;
		p->file = dwarf_filesrc(files, file, NULL, NULL);
		p->line = (int)line;
	}
	free(scopes);
}

static void find_line(Dwfl_Module *module, uintptr_t pc, struct place *p)
{
	Dwarf_Addr bias;
	Dwarf_Die *unit = unit_of(module, pc, &bias);
	Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, pc - bias) : NULL;
	if (!line || dwarf_lineno(line, &p->line))
		return;
	p->file = dwarf_linesrc(line, NULL, NULL);
	leave_inlined(unit, pc - bias, p);
}

/* Of pc, which stands for what `inside` is a byte of. */
static struct place find_place(uintptr_t pc, uintptr_t inside)
{
	struct place p = {0};
	Dwfl *dwfl = session();
	Dwfl_Module *module = dwfl ? dwfl_addrmodule(dwfl, inside) : NULL;
	if (!module)
		return p;
	GElf_Sym symbol;
	p.name = dwfl_module_addrinfo(module, inside, &p.offset, &symbol, NULL, NULL, NULL);
	p.offset += pc - inside;
	find_line(module, inside, &p);
	if (p.file && strrchr(p.file, '/'))
		p.file = strrchr(p.file, '/') + 1;
	return p;
}

static void print_frame(int fd, uintptr_t pc, uintptr_t inside)
{
	struct place p = find_place(pc, inside);
	if (!p.name)
		dprintf(fd, "  0x%llx\n", (unsigned long long)pc);
	else if (!p.file)
		dprintf(fd, "  %s+0x%llx\n", p.name, (unsigned long long)p.offset);
	else
		dprintf(fd, "  %s+0x%llx  %s:%d\n", p.name, (unsigned long long)p.offset, p.file, p.line);
}

/* The line of a return address is that of the call: one byte before. */
void trace_print(int fd, struct trace *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		store_rel(&t->next, i + 1);
		print_frame(fd, t->pc[i], i < t->exact ? t->pc[i] : t->pc[i] - 1);
	}
	store_rel(&t->next, t->n + 1);
	if (t->left_out)
		dprintf(fd, "  ... %u more\n", t->left_out);
}

void trace_print_place(int fd, uintptr_t pc)
{
	struct place p = find_place(pc, pc - 1);
	if (p.name && p.file)
		dprintf(fd, "at %s:%d in %s", p.file, p.line, p.name);
	else if (p.name)
		dprintf(fd, "at %s+0x%llx", p.name, (unsigned long long)p.offset);
	else
		dprintf(fd, "at 0x%llx", (unsigned long long)pc);
}
