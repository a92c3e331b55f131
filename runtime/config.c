#include "runtime/config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static _Noreturn void refuse(const char *name, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Names and values come from outside: what would break the line, or the terminal, is shown as '?'. */
static _Noreturn void refuse(const char *name, const char *value, const char *fmt, ...)
{
	char why[1400], line[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	snprintf(line, sizeof line, "weft: %.64s=%.512s: %s", name, value, why);
	for (char *p = line; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	fprintf(stderr, "%s\n", line);
	exit(2);
}

/* The number that `digits`, a part of value, says. */
static unsigned number_in(const char *name, const char *value, const char *digits, long least, long most)
{
	char *end;
	errno = 0;
	long n = strtol(digits, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*digits) || n < least || n > most)
		refuse(name, value, "a number from %ld to %ld is wanted", least, most);
	return (unsigned)n;
}

static unsigned number(const char *name, const char *value, long least, long most)
{
	return number_in(name, value, value, least, most);
}

static void read_procs(struct config *c, const char *name, const char *value)
{
	c->procs = number(name, value, 1, MAX_PS);
}

static void read_max_threads(struct config *c, const char *name, const char *value)
{
	c->max_threads = number(name, value, 0, MAX_THREADS);
}

/* The index of value in a NULL-terminated list of words; refuses others. */
static unsigned one_of(const char *name, const char *value, const char *const words[])
{
	char list[128] = "";
	for (unsigned i = 0; words[i]; i++) {
		if (!strcmp(words[i], value))
			return i;
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", words[i]);
	}
	refuse(name, value, "one of %s is wanted", list);
}

static void read_pin(struct config *c, const char *name, const char *value)
{
	c->pin = one_of(name, value, (const char *const[]){"auto", "on", "off", NULL});
}

static void read_spin(struct config *c, const char *name, const char *value)
{
	c->spin = one_of(name, value, (const char *const[]){"off", "auto", "poll", NULL});
}

static void read_gogc(struct config *c, const char *name, const char *value)
{
	char *end;
	errno = 0;
	long percent = strtol(value, &end, 10);
	if (!strcmp(value, "off"))
		percent = PACE_OFF;
	else if (errno || *end || !isdigit((unsigned char)*value) || percent > INT_MAX)
		refuse(name, value, "a percentage is wanted, or off");
	c->pace.percent = (int)percent;
}

/* Bytes: a number, and perhaps a unit. */
static void read_memlimit(struct config *c, const char *name, const char *value)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	char *end;
	errno = 0;
	unsigned long long n = strtoull(value, &end, 10);
	unsigned unit = 0;
	while (*end && unit < ARRAY_LEN(units) && strcmp(end, units[unit]))
		unit++;
	uint64_t bytes = n << 10 * (unit % ARRAY_LEN(units));
	if (!strcmp(value, "off"))
		bytes = PACE_NO_LIMIT;
	else if (errno || !isdigit((unsigned char)*value) || unit == ARRAY_LEN(units) || bytes >> 10 * unit != n || bytes > INT64_MAX)
		refuse(name, value, "a number of bytes is wanted (with B, KiB, MiB, GiB or TiB, if any), or off");
	c->pace.limit = bytes;
}

static void read_pressure(struct config *c, const char *name, const char *value)
{
	c->pace.pressure = one_of(name, value, (const char *const[]){"assist", "grow", "shed", NULL});
}

static void read_net(struct config *c, const char *name, const char *value)
{
	(void)c; /* there is one way, and it needs no setting */
	one_of(name, value, (const char *const[]){"epoll", NULL});
}

/* A debug key as it was given: in which variable of which value, and what stands behind its '='. */
struct given {
	const char *name, *value, *argument;
};

static void debug_nosteal(struct config *c, const struct given *g)
{
	(void)g;
	c->steal = false;
}

static void debug_nopreempt(struct config *c, const struct given *g)
{
	(void)g;
	c->preempt = false;
}

static void debug_nobias(struct config *c, const struct given *g)
{
	(void)g;
	c->bias = false;
}

static void debug_schedtrace(struct config *c, const struct given *g)
{
	c->schedtrace_ms = number_in(g->name, g->value, g->argument, 1, SCHEDTRACE_MS_MAX);
}

static void debug_gctrace(struct config *c, const struct given *g)
{
	c->gctrace = number_in(g->name, g->value, g->argument, 0, 1);
}

static void debug_gcstress(struct config *c, const struct given *g)
{
	c->gcstress = number_in(g->name, g->value, g->argument, 1, 1000000000);
}

static void debug_gcstw(struct config *c, const struct given *g)
{
	c->gcstw = number_in(g->name, g->value, g->argument, 0, 1);
}

static void debug_gcverify(struct config *c, const struct given *g)
{
	c->gcverify = number_in(g->name, g->value, g->argument, 0, 1);
}

static void debug_seed(struct config *c, const struct given *g)
{
	char *end;
	errno = 0;
	unsigned long long seed = strtoull(g->argument, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*g->argument))
		refuse(g->name, g->value, "a number from 0 to %llu is wanted", (unsigned long long)UINT64_MAX);
	c->simulate = true;
	c->seed = seed;
}

static void debug_nodelay(struct config *c, const struct given *g)
{
	(void)g;
	c->delays = SIM_NO_DELAYS;
}

static _Noreturn void debug_help(struct config *, const struct given *);

/* One table is the parser and the documentation of the debug keys. */
static const struct key {
	const char *key;
	const char *argument; /* NULL: takes none */
	void (*set)(struct config *, const struct given *);
	const char *help;
} debug_keys[] = {
	{"nosteal", NULL, debug_nosteal, "Ps do not steal from each other"},
	{"nopreempt", NULL, debug_nopreempt, "a goroutine that computes keeps its P"},
	{"nobias", NULL, debug_nobias, "a channel's lock is nobody's own"},
	{"schedtrace", "MS", debug_schedtrace, "a line about the scheduler on stderr, every so many milliseconds"},
	{"gctrace", "1", debug_gctrace, "a line about each cycle of the collector on stderr"},
	{"gcstress", "N", debug_gcstress, "a cycle of the collector at every Nth allocation"},
	{"gcstw", "1", debug_gcstw, "the collector marks while everything stands"},
	{"gcverify", "1", debug_gcverify, "each cycle is verified: the end of the program, if a pointer was hidden from it"},
	{"seed", "N", debug_seed, "a simulation, in which everything that happens follows from N"},
	{"nodelay", NULL, debug_nodelay, "a simulation delays nobody: timers fire in their own nanosecond"},
	{"help", NULL, debug_help, "prints this list, and ends the program"},
};

static void usage_of(const struct key *k, char *usage, size_t size)
{
	snprintf(usage, size, "%s%s%s", k->key, k->argument ? "=" : "", k->argument ? k->argument : "");
}

static _Noreturn void debug_help(struct config *c, const struct given *g)
{
	(void)c, (void)g;
	for (size_t i = 0; i < ARRAY_LEN(debug_keys); i++) {
		char usage[64];
		usage_of(&debug_keys[i], usage, sizeof usage);
		printf("%-16s%s\n", usage, debug_keys[i].help);
	}
	exit(fflush(stdout) ? 1 : 0);
}

static _Noreturn void refuse_key(const char *name, const char *value, const char *word)
{
	char list[1200] = "", usage[64];
	for (size_t i = 0; i < ARRAY_LEN(debug_keys); i++) {
		usage_of(&debug_keys[i], usage, sizeof usage);
		snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s (%s)", i ? ", " : "", usage,
			 debug_keys[i].help);
	}
	refuse(name, value, "unknown key '%s'; there are: %s", word, list);
}

static void read_key(struct config *c, const char *name, const char *value, const char *word)
{
	size_t i = 0, length = strcspn(word, "=");
	const char *argument = word[length] ? word + length + 1 : NULL;
	while (i < ARRAY_LEN(debug_keys) &&
	       (strlen(debug_keys[i].key) != length || strncmp(word, debug_keys[i].key, length)))
		i++;
	if (i == ARRAY_LEN(debug_keys))
		refuse_key(name, value, word);
	const struct key *k = &debug_keys[i];
	if (!k->argument != !argument)
		refuse(name, value, k->argument ? "'%s' wants a value: %s=%s" : "'%s' takes no value", k->key, k->key,
		       k->argument);
	k->set(c, &(struct given){.name = name, .value = value, .argument = argument});
}

static void read_debug(struct config *c, const char *name, const char *value)
{
	char words[256], *rest = words;
	if (strlen(value) >= sizeof words)
		refuse(name, value, "too long");
	strcpy(words, value);
	for (char *word; (word = strsep(&rest, ","));)
		read_key(c, name, value, word);
}

static const struct {
	const char *name;
	void (*read)(struct config *, const char *name, const char *value);
} variables[] = {
	{"WEFT_PROCS", read_procs}, {"WEFT_PIN", read_pin},     {"WEFT_SPIN", read_spin},
	{"WEFT_NET", read_net},     {"WEFT_DEBUG", read_debug}, {"WEFT_GOGC", read_gogc},
	{"WEFT_MEMLIMIT", read_memlimit}, {"WEFT_PRESSURE", read_pressure}, {"WEFT_MAXTHREADS", read_max_threads},
};

static void read_variable(struct config *c, const char *entry)
{
	const char *value = strchr(entry, '=') + 1;
	char name[64];
	snprintf(name, sizeof name, "%.*s", (int)(value - 1 - entry), entry);
	if (!*value)
		return; /* as good as unset */
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		if (strcmp(name, variables[i].name))
			continue;
		variables[i].read(c, name, value);
		return;
	}
	refuse(name, value, "unknown variable");
}

/* What a simulation cannot have. */
static void check_together(struct config *c)
{
	const char *debug = getenv("WEFT_DEBUG");
	if (!c->simulate && c->delays == SIM_NO_DELAYS)
		refuse("WEFT_DEBUG", debug, "'nodelay' is about a simulation: seed=N is wanted beside it");
	if (!c->simulate)
		return;
	if (c->schedtrace_ms)
		refuse("WEFT_DEBUG", debug, "'schedtrace' is by the clock, and a simulation has none");
	if (c->gcstw || c->gcverify)
		refuse("WEFT_DEBUG", debug, "'gcstw' and 'gcverify' stop threads, and a simulation has none");
	if (c->spin == SPIN_POLL)
		refuse("WEFT_SPIN", "poll", "a simulation (WEFT_DEBUG=seed) has no time to poll in");
	if (c->pin == PIN_ON)
		refuse("WEFT_PIN", "on", "a simulation (WEFT_DEBUG=seed) has no cores to bind to");
	if (!c->procs)
		c->procs = SIMULATED_PS;
}

void config_read(struct config *c)
{
	*c = (struct config){.spin = SPIN_AUTO, .steal = true, .preempt = true, .bias = true, .max_threads = THREADS_BY_DEFAULT,
			     .pace = {.percent = 100, .limit = PACE_NO_LIMIT}};
	for (char **e = environ; *e; e++)
		if (!strncmp(*e, "WEFT_", 5) && strchr(*e, '='))
			read_variable(c, *e);
	check_together(c);
}
