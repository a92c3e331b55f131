/* Running the `weft` command of the same build from a test. */
#ifndef TESTS_WEFT_H
#define TESTS_WEFT_H

#include "tests/test.h"

/* Its path, beside this test program's directory. */
const char *weft_path(void);

/* Runs it with the arguments, which NULL ends, and waits for its end. */
void weft_run(struct test_child *, ...) __attribute__((sentinel));

/* It must end with status 2 and one line on stderr that holds `words`. */
void weft_refuses(const char *words, ...) __attribute__((sentinel));

#endif
