/* Ms without a P that wait to be given one.
 *
 * Whoever wants to take a P away finds its heir first: spare_get, then spare_hand or, if the P was not to be had,
 * spare_put. So a P is never left without an M because a thread could not be started.
 *
 * R1 spare_hand: store_rel(xtold)  ->  A1 spare_wait: load_acq(xtold)   the P that is handed over, and its data
 */
#ifndef RUNTIME_SPARE_H
#define RUNTIME_SPARE_H

#include "runtime/g.h"

/* A spare M, or a new one. NULL: there are WEFT_MAXTHREADS without a P, or no thread could be started; counted. */
struct m *spare_get(void);
void spare_hand(struct m *, struct p *);
void spare_put(struct m *);

/* On the M's own thread: waits for a P. False: it is to end, being one too many, or unfit for more, or at the program's
 * end. */
bool spare_wait(struct m *);

/* The program ends. */
void spare_wake_all(void);

#endif
