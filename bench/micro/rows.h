/* The micro rows. A row's run does one batch of its operations, the same in every peer, and leaves what proves that
 * they were done. rows.c lists them all; a row that is a program of its own has a file of its own. */
#ifndef BENCH_MICRO_ROWS_H
#define BENCH_MICRO_ROWS_H

#include <stdint.h>
#include <stdio.h>

struct batch {
	int64_t ops;
	char check[96];
	double seconds; /* that a row which runs once is asked to take */
	/* Rows that time themselves: what took how long, and what it cost in memory. */
	int64_t timed_ns;
	double bytes_per_op;
	/* Rows about a distribution: its `ops` samples in ns, from the least; and the percentage of a core that a
	 * computing goroutine had meanwhile. */
	const int64_t *sorted;
	double share;
};

struct row {
	const char *name;
	void (*prepare)(void); /* before the clock starts; may be NULL */
	void (*run)(struct batch *);
	enum { REPEATED, ONCE } how; /* ONCE: one run, which times itself */
	int procs_min;
	const char *spin; /* WEFT_SPIN, where the row asks about one way of waiting; NULL: as the user has it */
};

#define PROVE(b, ...) snprintf((b)->check, sizeof(b)->check, __VA_ARGS__)

void fork_join(struct batch *);	    /* tree.c */
void wake_polling(struct batch *);  /* wake.c */
void sched_latency(struct batch *); /* latency.c */

/* A bijection, the end of splitmix64: keys in no order. */
static inline uint64_t mixed(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* map.c */
void map_insert(struct batch *);
void map_fill(void);
void map_hit(struct batch *);
void map_miss(struct batch *);
void map_worst(struct batch *);

/* map_sync.c */
void map_sync_fill(void);
void map_sync_load(struct batch *);
void map_sync_store(struct batch *);

/* pool.c */
void pool_make(void);
void pool_get_put(struct batch *);

/* json.c */
void json_make(void);
void json_decode(struct batch *);
void json_value(void);
void json_encode(struct batch *);

/* Ended by a row without a name. */
extern const struct row rows[];

#endif
