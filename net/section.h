/* A call that may block in the kernel. On a goroutine the P is handed on meanwhile (weft_block_begin); a thread outside
 * the runtime just makes it. Either way errno is afterwards what it was before: the goroutine may be on another
 * thread then, whose errno is somebody else's. Nothing between the two may call weft.
 */
#ifndef NET_SECTION_H
#define NET_SECTION_H

#include "net/error.h"

#include <weft/go.h>

struct section {
	int error; /* the caller's */
};

static inline struct section section_begin(void)
{
	struct section s = {last_error()};
	if (weft_goroutine_id())
		weft_block_begin();
	return s;
}

static inline void section_end(struct section s)
{
	if (weft_goroutine_id())
		weft_block_end();
	set_error(s.error);
}

#endif
