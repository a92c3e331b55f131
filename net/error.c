#include "net/error.h"
#include "runtime/fiber.h"

#include <errno.h>

#if WEFT_TSAN
#define ON_ITS_OWN NO_TSAN
#else
#define ON_ITS_OWN __attribute__((noinline))
#endif

ON_ITS_OWN int last_error(void)
{
	return errno;
}

ON_ITS_OWN void set_error(int error)
{
	errno = error;
}
