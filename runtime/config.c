#include "runtime/config.h"

#include <ctype.h>
#include <errno.h>
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
	char why[256], line[1024];
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

static void read_procs(struct config *c, const char *name, const char *value)
{
	char *end;
	errno = 0;
	long n = strtol(value, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*value) || n < 1 || n > MAX_PS)
		refuse(name, value, "a number from 1 to %d is wanted", MAX_PS);
	c->procs = (unsigned)n;
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

static void read_collector(struct config *c, const char *name, const char *value)
{
	(void)c;
	refuse(name, value, "this build has no collector to tune");
}

static void read_net(struct config *c, const char *name, const char *value)
{
	(void)c; /* there is one way, and it needs no setting */
	one_of(name, value, (const char *const[]){"epoll", NULL});
}

/* One table is the parser and the documentation of the debug keys. */
static const struct {
	const char *key;
	const char *help;
} debug_keys[] = {
	{"nosteal", "Ps do not steal from each other"},
};

static void read_debug(struct config *c, const char *name, const char *value)
{
	char words[256], *rest = words;
	if (strlen(value) >= sizeof words)
		refuse(name, value, "too long");
	strcpy(words, value);
	for (char *word; (word = strsep(&rest, ","));) {
		if (strcmp(word, debug_keys[0].key))
			refuse(name, value, "unknown key '%s'; there is: %s (%s)", word,
			       debug_keys[0].key, debug_keys[0].help);
		c->steal = false;
	}
}

static const struct {
	const char *name;
	void (*read)(struct config *, const char *name, const char *value);
} variables[] = {
	{"WEFT_PROCS", read_procs}, {"WEFT_PIN", read_pin},     {"WEFT_SPIN", read_spin},
	{"WEFT_NET", read_net},     {"WEFT_DEBUG", read_debug}, {"WEFT_GOGC", read_collector},
	{"WEFT_MEMLIMIT", read_collector},
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

void config_read(struct config *c)
{
	*c = (struct config){.spin = SPIN_AUTO, .steal = true};
	for (char **e = environ; *e; e++)
		if (!strncmp(*e, "WEFT_", 5) && strchr(*e, '='))
			read_variable(c, *e);
}
