#include "tests/gc/graph.h"

#include <string.h>

void graph_init(struct graph *g)
{
	g->n = g->first = 1;
	g->ntodo = 0;
}

uint32_t graph_add(struct graph *g, struct graph_object *at, uint32_t nfields)
{
	uint32_t number = g->n++;
	g->node[number] = (struct graph_node){.at = at, .nfields = nfields};
	at->number = number;
	return number;
}

/* ---- walks ---- */

static void visit(struct graph *g, uint32_t number, size_t flag)
{
	bool *seen = (bool *)((char *)&g->node[number] + flag);
	if (!number || *seen)
		return;
	*seen = true;
	g->todo[g->ntodo++] = number;
}

static void walk(struct graph *g, size_t flag)
{
	while (g->ntodo) {
		const struct graph_node *node = &g->node[g->todo[--g->ntodo]];
		for (uint32_t i = 0; i < node->nfields; i++)
			visit(g, node->to[i], flag);
	}
}

void graph_publish(struct graph *g, uint32_t number)
{
	visit(g, number, offsetof(struct graph_node, published));
	walk(g, offsetof(struct graph_node, published));
}

void graph_excuse(struct graph *g, uint32_t number)
{
	visit(g, number, offsetof(struct graph_node, excused));
	walk(g, offsetof(struct graph_node, excused));
}

void graph_begin(struct graph *g)
{
	for (uint32_t i = g->first; i < g->n; i++)
		g->node[i].reached = false;
}

void graph_from(struct graph *g, uint32_t number)
{
	visit(g, number, offsetof(struct graph_node, reached));
}

void graph_reach(struct graph *g)
{
	walk(g, offsetof(struct graph_node, reached));
}

/* ---- judging ---- */

static bool is_there(struct heap *h, const struct graph_node *node, uint64_t number)
{
	struct heap_object o = heap_find(h, (uintptr_t)node->at);
	return o.span && span_slot(o.span, o.slot) == (char *)node->at && node->at->number == number;
}

static bool is_intact(const struct graph *g, const struct graph_node *node)
{
	for (uint32_t i = 0; i < node->nfields; i++)
		if (node->at->field[i] != g->node[node->to[i]].at)
			return false;
	return true;
}

const char *graph_check(struct graph *g, struct heap *h)
{
	for (uint32_t i = g->first; i < g->n; i++) {
		const struct graph_node *node = &g->node[i];
		if (!node->reached)
			continue;
		if (node->gone || !is_there(h, node, i))
			return "an object that can be reached was freed";
		if (!is_intact(g, node))
			return "an object that can be reached has other fields";
	}
	return NULL;
}

void graph_lose(struct graph *g)
{
	for (uint32_t i = g->first; i < g->n; i++) {
		g->node[i].lost = !g->node[i].reached;
		g->node[i].excused = false;
	}
}

const char *graph_check_freed(struct graph *g, struct heap *h, uint64_t objects)
{
	uint64_t there = 0;
	for (uint32_t i = g->first; i < g->n; i++) {
		struct graph_node *node = &g->node[i];
		if (node->gone)
			continue;
		node->gone = !is_there(h, node, i);
		there += !node->gone;
		if (!node->gone && node->lost && !node->excused && !node->reached)
			return "an object that nobody could reach has outlived a cycle";
	}
	while (g->first < g->n && g->node[g->first].gone)
		g->first++;
	return there == objects ? NULL : "the heap counts other objects than there are";
}
