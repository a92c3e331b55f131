/* A subcommand of `weft`, and what all of them share with the programs of the bench: one way to read an
 * option's value and one way to refuse it. A refusal is one line on stderr that names the option and the value, and
 * status 2. NAME is what the user called, as in "weft load".
 */
#ifndef TUNING_COMMAND_H
#define TUNING_COMMAND_H

#include <sched.h>
#include <stdint.h>

enum { COMMAND_DONE = 0, COMMAND_FAILED = 1, COMMAND_MISUSED = 2 };

struct command {
	const char *name, *summary;
	int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name */
};

extern const struct command heap_command, load_command, hiccup_command, bench_command, topo_command, tune_command;

/* Prints "NAME: ..." on stderr. It is one line whatever the values hold: what would break it, or the terminal, is
 * shown as '?'. */
void command_say(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, and ends with status 2. */
_Noreturn void command_misused(const char *name, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What getopt_long returned '?' or ':' for (opterr 0, optstring starting with ':'). */
_Noreturn void command_bad_option(const char *name, int returned, char **argv);

/* A number or a whole number within [low, high], or command_misused. */
double command_number(const char *name, const char *option, const char *text, double low,
		      double high);
int64_t command_integer(const char *name, const char *option, const char *text, int64_t low,
			int64_t high);

/* "0,2-3" as a list of CPUs that this process may run on. Returns their number, at most `max`. */
int command_cpus(const char *name, const char *option, const char *text, int *cpus, int max);

#endif
