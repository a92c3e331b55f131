/* Big stacks that stay as they are: what was found on a stack whose goroutine has not run between two cycles is kept, page by page, and the kernel says
 * which pages have been written to since (os_written). The others are not looked at again. */
#ifndef RUNTIME_GCKEPT_H
#define RUNTIME_GCKEPT_H

#include "runtime/collect.h"

void gc_kept_start(void);

/* Notes the words of a stack from sp to its top, as gc_note_words does; of a goroutine that has been claimed, and is not running. Not in a signal's
 * handler. Waits for others only in the kernel, as a page fault does. */
void gc_kept_note(struct gc_filling *, struct stack *, const void *sp);

/* A cycle begins. */
void gc_kept_begin(void);
/* Bytes of stacks that did not have to be looked at again in it. */
uint64_t gc_kept_bytes(void);
/* What that was worth: those bytes less what it cost, in bytes too. */
uint64_t gc_kept_spared(void);

/* After a cycle: what is kept of stacks that nobody has used for some cycles goes. */
void gc_kept_tidy(void);

#endif
