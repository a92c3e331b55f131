/* Where seeds and random starts come from. */
#ifndef RUNTIME_HASH_H
#define RUNTIME_HASH_H

#include <weft/hash.h>

/* Another word each time, that nobody can predict; in a simulation, that its seed gives. Any thread. */
uint64_t hash_random(void);

#endif
