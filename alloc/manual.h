/* Manual memory, as the rest of the library sees it. */
#ifndef ALLOC_MANUAL_H
#define ALLOC_MANUAL_H

#include <stddef.h>

/* From here on whoever gives back an address of this range by hand ends the program: the collector's objects. Once, before there are any. */
void manual_refuse(const void *base, size_t bytes);

#endif
