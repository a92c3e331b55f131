/* What the memory programs share: weft-memory, and its peers in C. A row's work is written once, in the words of heap.h, and is
 * compiled for each heap; which rows a program has, its own source says (weft.c, boehm.c, mimalloc.c, bump.c).
 *
 * Time is taken by the row itself, around what it asks about: wall time, and the CPU time of the whole process, so
 * that a collector which works on threads of its own is charged for them.
 */
#ifndef BENCH_MEMORY_WORK_H
#define BENCH_MEMORY_WORK_H

#include "lockfree/histogram.h"

#include <stdint.h>
#include <stdio.h>

struct work {
	double seconds; /* that a row which runs once is asked to take */
	int64_t ops;
	uint64_t wall_ns, cpu_ns; /* of all that was timed so far */
	uint64_t wall_from, cpu_from;
	char check[96]; /* the same in every peer */
	/* Rows that are about something else than their mean. */
	struct histogram *latencies; /* ns of each operation */
	uint64_t plain_ns; /* the same work without what the row asks about */
	uint64_t ns; /* a figure of its own, in place of a mean */
};

enum row_time { ROW_WALL, ROW_CPU }; /* what ns_per_op is made of */
enum row_runs { ROW_REPEATED, ROW_ONCE };

struct memory_row {
	const char *name;
	void (*prepare)(void); /* may be NULL */
	void (*run)(struct work *);
	enum row_runs runs;
	enum row_time time;
};

struct memory_program {
	const char *name, *version;
	const struct memory_row *rows; /* ended by one without a name */
};

struct wanted {
	const struct memory_row *row;
	int procs;
	double seconds;
};

#define PROVE(w, ...) snprintf((w)->check, sizeof(w)->check, __VA_ARGS__)

/* Between them is what is measured. */
void work_begin(struct work *);
void work_end(struct work *);

/* What such a row makes of --seconds: so many operations, which are the same in every peer. */
int64_t work_count(const struct work *, int64_t per_second, int64_t least);

/* Reads the options, answers --list and --version; ends with status 2 on what it cannot take. */
struct wanted memory_options(const struct memory_program *, int argc, char **argv);

/* Runs the row and prints its line. An exit status. */
int memory_measure(const struct memory_program *, const struct wanted *);

#endif
