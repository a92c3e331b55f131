/* Cleanups, from the side of who asks what is still to come. */
#ifndef RUNTIME_CLEANUP_H
#define RUNTIME_CLEANUP_H

/* While the world stands: calls see(arg, word) with the argument of each cleanup that hangs on an object. */
void cleanups_each(void (*see)(void *arg, const void *word), void *arg);

#endif
