/* A row of weft-lockfree. Arrays of them end with one that has no name. */
#ifndef BENCH_LOCKFREE_ROWS_H
#define BENCH_LOCKFREE_ROWS_H

struct row {
	const char *name;
	void (*run)(void);   /* one operation, timed */
	void (*other)(void); /* what the second core does; NULL: there is none */
	enum { AT_ONCE, IN_TURN } how;
	void (*start)(void); /* before the row is measured; NULL: nothing to do */
};

extern const struct row queue_rows[], layout_rows[], packed_rows[], heap_rows[];

#endif
