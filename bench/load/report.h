/* What a run says about itself: its figures, and whether they may be believed. */
#ifndef BENCH_LOAD_REPORT_H
#define BENCH_LOAD_REPORT_H

#include "bench/load/generator.h"

enum { REPORT_WHY_MAX = 1024, SAMPLES_MIN = 1000 };

/* The share of a tail percentile that must remain without the generator's own delay, and the share
 * of the offered requests that must be answered in time. */
#define REST_SHARE_MIN	   0.5
#define ACHIEVED_SHARE_MIN 0.99

enum run_end { RUN_COMPLETE, RUN_INTERRUPTED };

/* Fills `why` with every reason not to believe the run, "" if there is none. */
void report_judge(const struct load_settings *, const struct load_result *, enum run_end,
		  char why[REPORT_WHY_MAX]);

/* On stdout. */
void report_json(const struct load_settings *, const struct load_result *, const char *why);
void report_table(const struct load_settings *, const struct load_result *, const char *why);

/* Writes the latencies to files, in us as HdrHistogram text, in ns mergeable. 0, or a negative
 * errno. */
int report_write_hdr(const struct load_result *, const char *path);
int report_write_histogram(const struct load_result *, const char *path);

#endif
