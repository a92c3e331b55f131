#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/trace.h"

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
	} while (unw_step(cursor) > 0 && t->left_out < 10000);
}

/* The frame that context_switch was expanded in: its registers, but for those that the switch gave up. */
void trace_context(struct trace *t, const struct context *c)
{
	unw_context_t here;
	unw_cursor_t cursor;
	uintptr_t pc, sp, fp;
	*t = (struct trace){0};
	context_registers(c, &pc, &sp, &fp);
	if (unw_getcontext(&here) || unw_init_local(&cursor, &here))
		return;
	unw_set_reg(&cursor, UNW_REG_IP, pc);
	unw_set_reg(&cursor, UNW_REG_SP, sp);
#if defined(__x86_64__)
	unw_set_reg(&cursor, UNW_X86_64_RBP, fp);
#elif defined(__aarch64__)
	unw_set_reg(&cursor, UNW_AARCH64_X29, fp);
#endif
	walk(t, &cursor);
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

/* ---- names and lines ---- */

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
	if (dwfl && (dwfl_linux_proc_report(dwfl, getpid()) || dwfl_report_end(dwfl, NULL, NULL))) {
		dwfl_end(dwfl);
		dwfl = NULL;
	}
	return dwfl;
}

struct place {
	const char *name; /* NULL: unknown */
	GElf_Off offset;
	const char *file; /* NULL: unknown */
	int line;
};

/* Clang leaves out the table that says which unit an address lies in (.debug_aranges): then every unit is asked. */
static void find_line_in_units(Dwfl_Module *module, uintptr_t pc, struct place *p)
{
	Dwarf_Addr bias;
	for (Dwarf_Die *unit = NULL; (unit = dwfl_module_nextcu(module, unit, &bias));) {
		Dwarf_Line *line = dwarf_haspc(unit, pc - bias) > 0 ? dwarf_getsrc_die(unit, pc - bias) : NULL;
		if (line && dwarf_lineno(line, &p->line) == 0) {
			p->file = dwarf_linesrc(line, NULL, NULL);
			return;
		}
	}
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
	Dwfl_Line *line = dwfl_module_getsrc(module, inside);
	if (line)
		p.file = dwfl_lineinfo(line, NULL, &p.line, NULL, NULL, NULL);
	else
		find_line_in_units(module, inside, &p);
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
	for (t->shown = 0; t->shown < t->n; t->shown++) {
		uintptr_t pc = t->pc[t->shown];
		print_frame(fd, pc, t->shown < t->exact ? pc : pc - 1);
	}
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
