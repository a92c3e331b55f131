/* The rows of layout.c, with the fields of a structure next to each other whoever writes them. */
#include "lockfree/atomic.h"

#undef CACHE_LINE
#define CACHE_LINE 8
#define PACKED     "-packed"
#define ROWS       packed_rows
#include "bench/lockfree/layout.c"
