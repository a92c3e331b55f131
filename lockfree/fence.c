#include "lockfree/fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

bool fence_is_asymmetric;

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

bool fence_init(void)
{
	fence_is_asymmetric = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
	return fence_is_asymmetric;
}

void fence_heavy(void)
{
	if (!fence_is_asymmetric || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
		fence_light();
}
