/* The process's memory, as the kernel tells it: /proc/self/maps. */
#ifndef RUNTIME_MAPPING_H
#define RUNTIME_MAPPING_H

#include <stddef.h>
#include <stdint.h>

/* Calls see(arg, from, to) for all memory that has been written to and may be read, in the order of addresses, devices excepted. Whoever writes to
 * others meanwhile may be missed. buf is for its use: MAPPING_BUFFER bytes. Allocates nothing, takes no lock. 0, or a negative errno. */
enum { MAPPING_BUFFER = 64 * 1024 };
int mapping_each(void (*see)(void *arg, uintptr_t from, uintptr_t to), void *arg, char *buf);

#endif
