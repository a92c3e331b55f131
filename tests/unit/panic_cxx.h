/* Between panic_cxx.c and its C++. */
#ifndef TESTS_UNIT_PANIC_CXX_H
#define TESTS_UNIT_PANIC_CXX_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void cxx_leave(char letter);

void cxx_blocks(void);
int cxx_protect(char *message, size_t room);
int cxx_misuse(void);
int cxx_exceptions(void);
void cxx_exit(void *unused);

#ifdef __cplusplus
}
#endif

#endif
