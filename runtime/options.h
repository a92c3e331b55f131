/* What weft_go_with is asked for, and keeps: a name, and a copy of the argument. */
#ifndef RUNTIME_OPTIONS_H
#define RUNTIME_OPTIONS_H

#include "runtime/g.h"

#include <weft/go.h>

/* Before there are goroutines. */
void options_init(void);

/* The caller's side: what it passes is copied into memory of the goroutine's own. What that is to be given; NULL: no memory. Only
 * if the options ask for something of the kind. m may be NULL. */
void *options_set(struct m *m, struct g *, const weft_go_opts *, void *arg);

/* Takes them from a goroutine that has ended. p may be NULL. */
void options_drop(struct p *p, struct g *);

static inline bool options_wanted(const weft_go_opts *o)
{
	return o->name || o->arg_size;
}

#endif
