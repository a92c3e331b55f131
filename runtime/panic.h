/* Misuse, from inside. */
#ifndef RUNTIME_PANIC_H
#define RUNTIME_PANIC_H

#include "lockfree/assert.h"

#include <weft/panic.h>

#endif
