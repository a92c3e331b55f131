/* The environment: every WEFT_ variable, read once at start. */
#ifndef RUNTIME_CONFIG_H
#define RUNTIME_CONFIG_H

#include "gc/pace.h"
#include "runtime/sched.h"

enum { SIMULATED_PS = 4 }; /* unless WEFT_PROCS says otherwise: the machine has no say */
enum { MAX_THREADS = 100000, THREADS_BY_DEFAULT = 1000, SCHEDTRACE_MS_MAX = 3600000 };

enum pin_mode { PIN_AUTO, PIN_ON, PIN_OFF };

struct config {
	unsigned procs; /* 0: as many as there are usable cores */
	enum pin_mode pin;
	enum spin_mode spin;
	bool steal;
	bool preempt;
	bool bias;
	unsigned max_threads; /* without a P */
	unsigned schedtrace_ms; /* between two lines; 0: none */
	struct pace_settings pace;
	bool gctrace;
	unsigned gcstress; /* allocations between two cycles; 0: as the heap grows */
	bool gcstw, gcverify;
	bool simulate;
	uint64_t seed;
	enum sim_delays delays;
};

/* Fills in what the environment says. A bad value, or an unknown variable or debug key, is one line on stderr
 * and the end of the process with status 2. */
void config_read(struct config *);

#endif
