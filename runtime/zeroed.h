/* Zeroed memory for tables: weft_calloc's below 32 KiB, and pages of the operating system's beyond, which cost nothing until
 * they are touched. Tables have pointers of the program's in them, so that is no memory which os_each_reserved lists. */
#ifndef RUNTIME_ZEROED_H
#define RUNTIME_ZEROED_H

#include "alloc/os.h"

#include <weft/mem.h>

enum { PAGES_FROM = 32 * 1024 };

/* NULL: there is none. */
static inline void *zeroed_make(size_t bytes)
{
	void *p = bytes < PAGES_FROM ? weft_calloc(1, bytes) : os_map(bytes);
	if (p && bytes >= PAGES_FROM)
		os_small_pages(p, bytes);
	return p;
}

/* As many bytes as were asked for. */
static inline void zeroed_free(void *p, size_t bytes)
{
	if (bytes < PAGES_FROM)
		weft_free(p);
	else
		os_unmap(p, bytes);
}

#endif
