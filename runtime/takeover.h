/* Taking the P of a goroutine that computes: what sysmon may ask for. */
#ifndef RUNTIME_TAKEOVER_H
#define RUNTIME_TAKEOVER_H

#include "runtime/g.h"

enum take {
	TAKEN,
	TAKE_INSIDE,   /* the M is in a call of weft's: later */
	TAKE_TOO_LATE, /* it has left the P, or has noticed */
	TAKE_REFUSED,  /* there is no M to hand the P to */
};

/* Takes the P from the M that runs on it, and hands it to another. */
enum take take_over(struct m *, struct p *);

#endif
