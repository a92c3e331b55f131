/* A machine and what weft would make of it, on paper. */
#ifndef TUNING_TOPO_DRAW_H
#define TUNING_TOPO_DRAW_H

#include "alloc/place.h"
#include "runtime/config.h"

#include <jansson.h>

struct topo_view {
	struct topo topo;
	struct place place;
	struct config config; /* what the environment asks for */
	int quota;            /* thousandths of a core; 0: none */
	unsigned procs;
	bool bound;           /* each M to its P's CPU */
	const char *input;    /* the description's name; NULL: the machine itself */
};

/* The machine as a tree, and the decisions below it. */
void topo_draw(const struct topo_view *);

/* Each P's victims, nearest first, the rings divided by bars. */
void topo_draw_stealing(const struct topo_view *);

/* All of it as one object; a new reference, NULL if there is no memory. */
json_t *topo_json(const struct topo_view *);

#endif
