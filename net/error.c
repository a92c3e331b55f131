#include "net/error.h"
#include "runtime/fiber.h"

#include <errno.h>

#if !WEFT_TSAN
__attribute__((noinline))
#endif
NO_TSAN int last_error(void)
{
	return errno;
}
