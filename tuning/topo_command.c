#include "alloc/os.h"
#include "runtime/placement.h"
#include "tuning/command.h"
#include "tuning/topo_draw.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MOST = 64 << 20 };

static const char name[] = "weft topo";
static const char help[] =
    "usage: weft topo [OPTION ...]\n\n"
    "Draws the machine: packages, NUMA nodes, caches, cores and CPUs, and where weft would put its\n"
    "Ps, under the affinity mask, the CPU quota, WEFT_PROCS and WEFT_PIN.\n\n"
    "  --steal           and at which others each P looks for work, nearest first\n"
    "  --input MACHINE   another machine: a file that holds hwloc's XML (lstopo --of xml) or a\n"
    "                    synthetic description, or such a description, as in 'pack:2 core:8 pu:2';\n"
    "                    what is shown then is simulated\n"
    "  --json            one JSON object, the stealing order included\n"
    "  --help            this text\n\n"
    "Status: 0 done, 1 failed, 2 wrong usage.\n";

struct options {
	const char *input;
	int steal, json;
};

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"input", required_argument, NULL, 'i'},
					      {"steal", no_argument, NULL, 's'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":", longs, NULL)) != -1;)
		switch (c) {
		case 'i':
			o->input = optarg;
			break;
		case 's':
			o->steal = 1;
			break;
		case 'j':
			o->json = 1;
			break;
		case 'h':
			fputs(help, stdout);
			exit(COMMAND_DONE);
		default:
			command_bad_option(name, c, argv);
		}
	if (optind < argc)
		command_misused(name, "unknown argument '%s'; it takes options only", argv[optind]);
}

/* The file's text, without what ends its last line. NULL: there is no such file. */
static char *read_input(const char *path)
{
	struct stat s;
	FILE *f = fopen(path, "re");
	if (!f && errno == ENOENT)
		return NULL;
	if (!f || fstat(fileno(f), &s))
		command_misused(name, "--input '%s': %s", path, strerror(errno));
	if (!S_ISREG(s.st_mode) || s.st_size > INPUT_MOST)
		command_misused(name, "--input '%s': want a file of at most %d MiB", path, INPUT_MOST >> 20);
	char *text = malloc((size_t)s.st_size + 1);
	if (!text)
		command_misused(name, "--input '%s': %s", path, strerror(ENOMEM));
	size_t n = fread(text, 1, (size_t)s.st_size, f);
	while (n && strchr(" \t\r\n", text[n - 1]))
		n--;
	text[n] = 0;
	fclose(f);
	return text;
}

static const char *without_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static void look_at_input(struct topo_view *v, const char *input)
{
	char *text = read_input(input);
	setenv("HWLOC_HIDE_ERRORS", "2", 1); /* the refusal is one line, and ours */
	if (topo_from_text(&v->topo, text ? text : input))
		command_misused(name, "--input '%s': %s", input,
				text ? "it does not describe a machine"
				     : "no such file, and it does not describe a machine");
	v->input = text ? without_directory(input) : input;
	free(text);
}

static void decide(struct topo_view *v)
{
	place_order(&v->place, &v->topo);
	v->procs = placement_procs(&v->config, &v->topo, v->quota);
	v->bound = placement_binds(&v->config, &v->topo, v->procs);
}

static int run(int argc, char **argv)
{
	static struct topo_view view;
	struct options o = {0};
	parse(&o, argc, argv);
	config_read(&view.config);
	if (o.input) {
		look_at_input(&view, o.input);
	} else {
		int err = topo_find(&view.topo);
		if (err) {
			command_say(name, "cannot find out which CPUs there are: %s", strerror(-err));
			return COMMAND_FAILED;
		}
		view.quota = os_cpu_quota();
	}
	decide(&view);
	if (o.json) {
		json_t *json = topo_json(&view);
		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(json);
		return COMMAND_DONE;
	}
	topo_draw(&view);
	if (o.steal)
		topo_draw_stealing(&view);
	return COMMAND_DONE;
}

const struct command topo_command = {"topo", "the machine, and where Ps would lie on it", run};
