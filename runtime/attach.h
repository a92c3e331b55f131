/* What may still make something happen from outside the goroutines: attached threads, and subscriptions to signals. As long
 * as there is one, nothing is a deadlock (idle.c).
 */
#ifndef RUNTIME_ATTACH_H
#define RUNTIME_ATTACH_H

#include <stdbool.h>

void outside_enter(void);

/* The last one leaves it to a P to look whether that was a deadlock. */
void outside_leave(void);

/* Is the runtime there, and not about to stop? */
bool outside_may_enter(void);

#endif
