/* From an address's text to the addresses it stands for. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/addr.h"

#include <weft/time.h>

enum { RESOLVE_MOST = 8 };

/* At most max, and RESOLVE_MOST, of them, in the resolver's order; how many, or a negative errno. Paths and numbers are
 * there at once. A name is looked up by the system's resolver, which blocks a thread and not the P; -ETIMEDOUT when it
 * has not answered by the deadline. */
int resolve(const struct addr_text *, struct addr *out, int max, weft_deadline);

#endif
