/* The C face of Google Benchmark, which decides how often a row is repeated; harness.cc is the only C++ here. */
#ifndef BENCH_MICRO_HARNESS_H
#define BENCH_MICRO_HARNESS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct harness_result {
	double ns_per_op;
	int64_t ops;
};

/* Runs fn(arg, n) with growing n until a run takes `seconds` of real time; the result of that run. fn does n
 * operations, and is called on the calling goroutine. */
struct harness_result harness_run(const char *name, void (*fn)(void *arg, int64_t n), void *arg,
				  double seconds);

#ifdef __cplusplus
}
#endif

#endif
