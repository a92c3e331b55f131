#include "tuning/hiccup.h"
#include "lockfree/tsc.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

void *hiccup_measure(void *arg)
{
	struct hiccup_meter *m = arg;
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(m->cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one)) {
		m->error = -errno;
		return NULL;
	}
	prctl(PR_SET_TIMERSLACK, 1);
	struct timespec interval = {.tv_sec = (time_t)(m->interval_ns / 1000000000),
				    .tv_nsec = (long)(m->interval_ns % 1000000000)};
	while (!load_rlx(m->stop)) {
		uint64_t before = tsc_now();
		if (clock_nanosleep(CLOCK_MONOTONIC, 0, &interval, NULL))
			continue;
		uint64_t passed = tsc_ns(tsc_now() - before);
		histogram_record(&m->overshoot,
				 passed > m->interval_ns ? passed - m->interval_ns : 0);
	}
	return NULL;
}
