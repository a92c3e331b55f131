#include "tuning/command.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 400 };

static void say(const char *name, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	vsnprintf(line, sizeof line, fmt, ap);
	for (char *p = line; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	fprintf(stderr, "%s: %s\n", name, line);
}

void command_say(const char *name, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(name, fmt, ap);
	va_end(ap);
}

void command_misused(const char *name, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(name, fmt, ap);
	va_end(ap);
	exit(COMMAND_MISUSED);
}

void command_bad_option(const char *name, int returned, char **argv)
{
	const char *word = argv[optind - 1];
	if (returned == ':')
		command_misused(name, "option '%s' needs a value", word);
	if (optopt && !strncmp(word, "--", 2))
		command_misused(name, "option '%s' takes no value", word);
	if (optopt)
		command_misused(name, "unknown option '-%c'; '%s --help' lists them", optopt,
				name);
	command_misused(name, "unknown option '%s'; '%s --help' lists them", word, name);
}

double command_number(const char *name, const char *option, const char *text, double low,
		      double high)
{
	char *end;
	double value = strtod(text, &end);
	if (end == text || *end || isspace((unsigned char)*text) || !isfinite(value) ||
	    value < low || value > high)
		command_misused(name, "%s '%s': want a number from %g to %g", option, text, low,
				high);
	return value;
}

int64_t command_integer(const char *name, const char *option, const char *text, int64_t low,
			int64_t high)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (end == text || *end || isspace((unsigned char)*text) || errno || value < low ||
	    value > high)
		command_misused(name, "%s '%s': want a whole number from %lld to %lld", option,
				text, (long long)low, (long long)high);
	return value;
}

/* Reads digits at *at; -1 if there are none or too many. */
static int cpu_number(const char **at)
{
	int n = 0, digits = 0;
	for (; isdigit((unsigned char)**at); (*at)++, digits++)
		if (digits < 6)
			n = n * 10 + (**at - '0');
	return digits && digits < 6 ? n : -1;
}

int command_cpus(const char *name, const char *option, const char *text, int *cpus, int max)
{
	cpu_set_t allowed;
	if (sched_getaffinity(0, sizeof allowed, &allowed))
		CPU_ZERO(&allowed);
	int n = 0;
	const char *at = text;
	for (;;) {
		int from = cpu_number(&at), to = from;
		if (*at == '-') {
			at++;
			to = cpu_number(&at);
		}
		if (from < 0 || to < from || (*at && *at != ','))
			command_misused(name, "%s '%s': want CPUs, as in 0,2-3", option, text);
		for (int cpu = from; cpu <= to; cpu++) {
			if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed))
				command_misused(name, "%s '%s': this process may not run on CPU %d",
						option, text, cpu);
			if (n == max)
				command_misused(name, "%s '%s': more than %d CPUs", option, text,
						max);
			cpus[n++] = cpu;
		}
		if (!*at++)
			return n;
	}
}
