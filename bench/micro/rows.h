/* The micro rows. A row's run does one batch of its operations, the same in every peer, and leaves what proves that
 * they were done. */
#ifndef BENCH_MICRO_ROWS_H
#define BENCH_MICRO_ROWS_H

#include <stdint.h>

struct batch {
	int64_t ops;
	char check[96];
	/* Rows that time themselves: what took how long, and what it cost in memory. */
	int64_t timed_ns;
	double bytes_per_op;
};

struct row {
	const char *name;
	void (*prepare)(void); /* before the clock starts; may be NULL */
	void (*run)(struct batch *);
	enum { REPEATED, ONCE } how; /* ONCE: one run, which times itself */
};

/* Ended by a row without a name. */
extern const struct row rows[];

#endif
