/* The curve of docs/scheduler.md: what the scheduler makes of 1 to 64 simulated cores. Of three seeds the one in the middle. */
#include "tests/sim/machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 3, COUNTS = 7, ROW_HEIGHT = 2, COLUMN = 8 };

struct point {
	double speed, p99_us, last_us, far;
};

static struct point curve[TASKS][COUNTS];

static unsigned count_at(int i)
{
	return 1u << i;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double middle(double *of_seeds)
{
	qsort(of_seeds, SEEDS, sizeof *of_seeds, by_value);
	return of_seeds[SEEDS / 2];
}

static struct point point_of(unsigned procs, const struct task *t)
{
	double speed[SEEDS], p99[SEEDS], last[SEEDS], far[SEEDS];
	for (int i = 0; i < SEEDS; i++) {
		struct run r = run_on(procs, t, (uint64_t)i + 1);
		speed[i] = (double)r.busy_ns / (double)r.ns;
		p99[i] = (double)r.p99_ns / 1e3;
		last[i] = (double)r.max_ns / 1e3;
		far[i] = r.steals ? (double)r.far_steals / (double)r.steals : 0;
	}
	return (struct point){middle(speed), middle(p99), middle(last), middle(far)};
}

static void print_table(void)
{
	printf("| Ps | fork-join | producer | pairs | pairs: p99 | requests: p99 | burst: the last |\n"
	       "|---|---|---|---|---|---|---|\n");
	for (int i = 0; i < COUNTS; i++) {
		printf("| %u", count_at(i));
		for (int t = FORK_JOIN; t <= PAIRS; t++)
			printf(" | %.1f", curve[t][i].speed / curve[t][0].speed);
		printf(" | %.1f µs | %.0f µs | %.0f µs |\n", curve[PAIRS][i].p99_us, curve[REQUESTS][i].p99_us,
		       curve[BURST][i].last_us);
	}
	printf("\nSteals from another node at 64 Ps: fork-join %.0f%%, producer %.0f%%, pairs %.0f%%, requests %.0f%%.\n\n",
	       100 * curve[FORK_JOIN][COUNTS - 1].far, 100 * curve[PRODUCER][COUNTS - 1].far,
	       100 * curve[PAIRS][COUNTS - 1].far, 100 * curve[REQUESTS][COUNTS - 1].far);
}

static int row_of(double speedup)
{
	return (int)lround(log2(speedup) * ROW_HEIGHT);
}

static char mark_at(int row, int i, int place)
{
	static const char marks[] = {[FORK_JOIN] = 'f', [PRODUCER] = 'p', [PAIRS] = 'x'};
	for (int t = FORK_JOIN; t <= PAIRS; t++)
		if (place == t && row_of(curve[t][i].speed / curve[t][0].speed) == row)
			return marks[t];
	return place == PAIRS + 1 && i * ROW_HEIGHT == row ? '-' : ' ';
}

/* Without blanks at its end. */
static void print_row(int row)
{
	char line[COUNTS * COLUMN + 1] = "";
	int n = 0;
	for (int at = 0; at < COUNTS * COLUMN; at++) {
		line[at] = mark_at(row, at / COLUMN, at % COLUMN);
		if (line[at] != ' ')
			n = at + 1;
	}
	printf("|%.*s\n", n, line);
}

static void print_plot(void)
{
	for (int row = (COUNTS - 1) * ROW_HEIGHT; row >= 0; row--) {
		if (row % ROW_HEIGHT)
			printf("        ");
		else
			printf("%7u ", 1u << row / ROW_HEIGHT);
		print_row(row);
	}
	printf("speed-up ");
	for (int i = 0; i < COUNTS; i++)
		printf("%-*u", COLUMN, count_at(i));
	printf("Ps\n");
}

int main(void)
{
	for (int t = 0; t < TASKS; t++)
		for (int i = 0; i < COUNTS; i++)
			curve[t][i] = point_of(count_at(i), &tasks[t]);
	print_table();
	print_plot();
	return 0;
}
